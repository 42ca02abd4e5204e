//! Golden files of every format, and properties that hold for any moments: each file is well-formed by a strict reader
//! of its own, and ascends.

use proptest::prelude::{Strategy, any, prop, proptest};

use super::{Export, ExportError, ExportFormat, ExportMoment, ExportOptions, FrameRate, Timeline, export};

mod readers;

/// 2026-04-06T19:00:00Z.
const KICK_OFF_MS: i64 = 1_775_502_000_000;

fn moment(at_ms: i64, emote: &str, count: u64, strength: f64) -> ExportMoment {
    let seq = u64::try_from(KICK_OFF_MS + at_ms + 2_000).unwrap() * 256;
    ExportMoment {
        id: format!("main:{seq}"),
        seq,
        emote: emote.to_owned(),
        window_start_ms: KICK_OFF_MS + at_ms,
        window_ms: 2_000,
        count,
        strength,
        reactors: count / 2,
        rule: "full".into(),
        rule_version: 3,
        media_time_ms: None,
        title: None,
        note: None,
    }
}

fn options(offset_ms: i64) -> ExportOptions {
    let timeline = Timeline { recording_started_ms: Some(KICK_OFF_MS), offset_ms };
    ExportOptions { channel: "main".into(), timeline, fps: FrameRate::F25 }
}

/// A match: before the kick-off, two emotes in one window, one closer than 10 s, one renamed, one placed by the player.
fn a_match() -> Vec<ExportMoment> {
    vec![
        moment(-30_000, "👏", 20, 4.0),
        moment(300_000, "🔥", 1_234, 9.5),
        ExportMoment { seq: 454_528_589_312_001, ..moment(300_000, "😮", 400, 6.0) },
        moment(306_000, "🎉", 900, 7.0),
        ExportMoment {
            title: Some("1:0 <Müller>, \"Kopfball\"\n= ;#\\ --> &".into()),
            note: Some("=HYPERLINK(\"x\")".into()),
            ..moment(2_712_500, ":goal:", 25_000, 31.25)
        },
        ExportMoment { media_time_ms: Some(5_400_120), ..moment(6_300_000, "🏁", 77, 4.5) },
    ]
}

fn of_the_match(format: ExportFormat) -> Export {
    export(format, &a_match(), &options(0)).unwrap()
}

#[track_caller]
fn assert_golden(format: ExportFormat, expected: &str) {
    let made = of_the_match(format);
    assert_eq!(made.text, expected, "{}", made.text);
    assert_eq!(made.left_out, 1);
}

#[test]
fn golden_youtube() {
    let lines = ["00:00 Start", "05:00 🔥 × 1,234", "45:12 1:0 ‹Müller›, \"Kopfball\" = ;#\\ --› &"];
    assert_golden(ExportFormat::Youtube, &format!("{}\n1:30:00 🏁 × 77\n", lines.join("\n")));
}

#[test]
fn golden_webvtt() {
    assert_golden(ExportFormat::Vtt, include_str!("tests/match.vtt"));
}

#[test]
fn golden_edl() {
    assert_golden(ExportFormat::Edl, include_str!("tests/match.edl"));
}

#[test]
fn golden_csv() {
    let expected = include_str!("tests/match.csv").replace('\n', "\r\n");
    assert_golden(ExportFormat::Csv, &expected);
}

#[test]
fn golden_json() {
    assert_golden(ExportFormat::Json, include_str!("tests/match.json"));
}

#[test]
fn golden_ffmetadata() {
    assert_golden(ExportFormat::Ffmetadata, include_str!("tests/match.ffmeta"));
}

#[test]
fn drop_frame_lists_say_so() {
    let options = ExportOptions { fps: FrameRate::F29_97, ..options(0) };
    let made = export(ExportFormat::Edl, &[moment(3_600_004, "🔥", 5, 1.5)], &options).unwrap();
    let event = "001  AX       V     C        01:00:00;00 01:00:01;00 01:00:00;00 01:00:01;00\n";
    assert_eq!(
        made.text,
        format!("TITLE: main moments\nFCM: DROP FRAME\n\n{event}* LOC: 01:00:00;00 RED     🔥 × 5\n")
    );
}

#[test]
fn the_offset_moves_every_moment_and_what_falls_before_the_start_is_left_out() {
    let made = export(ExportFormat::Youtube, &a_match(), &options(-301_000)).unwrap();
    assert_eq!(made.left_out, 3);
    assert!(made.text.starts_with("00:00 🎉 × 900\n40:11 1:0"), "{}", made.text);
    assert!(made.text.ends_with("\n1:24:59 🏁 × 77\n"), "{}", made.text);
    let made = export(ExportFormat::Youtube, &a_match(), &options(60_000)).unwrap();
    assert_eq!((made.left_out, made.text.lines().nth(1)), (0, Some("00:30 👏 × 20")));
}

#[test]
fn without_the_recordings_start_media_times_still_place() {
    let mut unknown = options(0);
    unknown.timeline.recording_started_ms = None;
    let moments = a_match();
    let made = export(ExportFormat::Vtt, &moments, &unknown).unwrap();
    assert_eq!((made.left_out, readers::webvtt(&made.text).len()), (5, 1));
    for format in ExportFormat::ALL {
        let without = export(format, &moments[..5], &unknown);
        match format {
            // A table can say when, without saying where on the recording.
            ExportFormat::Csv | ExportFormat::Json => assert_eq!(without.unwrap().left_out, 0),
            _ => assert_eq!(without, Err(ExportError::NoRecordingStart), "{format:?}"),
        }
        // Before anything has happened there is nothing to place: an empty file, not an error.
        assert_eq!(export(format, &[], &unknown).unwrap().left_out, 0);
    }
}

#[test]
fn youtube_gets_three_chapters_as_soon_as_there_is_a_moment() {
    let text = |moments: &[ExportMoment]| export(ExportFormat::Youtube, moments, &options(0)).unwrap().text;
    assert_eq!(text(&[]), "00:00 Start\n");
    assert_eq!(text(&[moment(65_000, "🔥", 9, 2.0)]), "00:00 Start\n01:05 🔥 × 9\n01:15 Afterwards\n");
    assert_eq!(text(&[moment(4_000, "🔥", 9, 2.0)]), "00:00 🔥 × 9\n00:10 Afterwards\n00:20 Afterwards\n");
}

#[test]
fn a_list_with_more_events_than_the_format_counts_says_what_is_left_out() {
    let many: Vec<_> = (0..1_200).map(|n| moment(n * 2_000, "🔥", 5, 2.0)).collect();
    let made = export(ExportFormat::Edl, &many, &options(0)).unwrap();
    assert_eq!((made.left_out, readers::edl(&made.text, FrameRate::F25).len()), (201, 999));
    let beyond = [moment(1_000, "🔥", 5, 2.0), moment(86_400_000, "🔥", 5, 2.0)];
    assert_eq!(export(ExportFormat::Edl, &beyond, &options(0)).unwrap().left_out, 1);
}

#[test]
fn names_of_files_are_safe() {
    assert_eq!(super::file_name("a.b-c_1", "moments", "csv"), "a.b-c_1-moments.csv");
    assert_eq!(super::file_name("x\"/ä\r\n", "moments", "csv"), "x_____-moments.csv");
}

fn any_moment() -> impl Strategy<Value = ExportMoment> {
    let text = || prop::option::of(".{0,40}|[=+\\-@\t\r\n,;#\\\\\"<>&' ]{0,12}");
    let place = (-20_000i64..90_000_000, 0u32..100_000, prop::option::of(0u64..90_000_000));
    (place, 1u64..1_000_000, 1.0f64..100.0, text(), text()).prop_map(
        |((at_ms, window_ms, media_time_ms), count, strength, title, note)| ExportMoment {
            window_ms,
            media_time_ms,
            title,
            note,
            ..moment(at_ms, "🔥", count, strength)
        },
    )
}

proptest! {
    #[test]
    fn any_export_can_be_read(
        moments in prop::collection::vec(any_moment(), 0..40),
        offset_ms in -10_000i64..10_000,
        fps in 0usize..8,
        known in any::<bool>(),
    ) {
        let mut options = ExportOptions { fps: FrameRate::ALL[fps], ..options(offset_ms) };
        if !known {
            options.timeline.recording_started_ms = None;
        }
        for format in ExportFormat::ALL {
            let Ok(Export { text, left_out }) = export(format, &moments, &options) else {
                assert!(!known && moments.iter().all(|moment| moment.media_time_ms.is_none()));
                continue;
            };
            let kept = moments.len() - left_out;
            match format {
                ExportFormat::Youtube => {
                    let chapters = readers::youtube(&text);
                    assert!(chapters.len() >= if kept > 0 { 3 } else { 1 });
                }
                ExportFormat::Vtt => assert_eq!(readers::webvtt(&text).len(), kept),
                ExportFormat::Edl => assert_eq!(readers::edl(&text, options.fps).iter().sum::<usize>(), kept),
                ExportFormat::Csv => assert_eq!(readers::csv(&text).len(), kept + 1),
                ExportFormat::Json => {
                    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
                    assert_eq!((json["moments"].as_array().unwrap().len(), &json["left_out"]), (kept, &left_out.into()));
                }
                ExportFormat::Ffmetadata => assert_eq!(readers::ffmetadata(&text).is_empty(), kept == 0),
            }
        }
    }
}
