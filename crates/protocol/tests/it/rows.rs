//! Output rows survive encoding and old ones stay readable.

use emostream_protocol::{
    ChannelName, ChannelSettings, EmoteId, Emotes,
    record::SettingsChange,
    row::{EmoteCount, MomentRow, Row, RuleName, SettingsRow, WindowRow},
};
use proptest::prelude::{any, prop, prop_assert_eq, proptest};

fn channel() -> ChannelName {
    ChannelName::new("main").unwrap()
}

proptest! {
    #[test]
    fn windows_survive(seq: u64, start: i64, window_ms: u32, reactors: u64, unverified: u64,
        emotes in prop::collection::vec((0u16..1_800, any::<u64>(), any::<u64>(), any::<u64>()), 0..30)) {
        let known = Emotes::new();
        let emotes = emotes.into_iter().map(|(emote, count, late, reactors)|
            EmoteCount { emote: EmoteId::standard(emote).unwrap(), count, late, reactors }).collect();
        let row = Row::Window(WindowRow { channel: channel(), seq, window_start_ms: start, window_ms, emotes, reactors, unverified });
        prop_assert_eq!(Row::decode(&row.encode(&known), &known), Ok(row));
    }

    #[test]
    fn moments_survive(seq: u64, start: i64, window_ms: u32, count: u64, strength in 0.0f64..1e9, media in prop::option::of(0u64..u64::MAX - 1)) {
        let writer = Emotes::new();
        let emote = writer.register_custom(":goal:").unwrap();
        let row = Row::Moment(MomentRow { channel: channel(), seq, emote, window_start_ms: start, window_ms, count, strength,
            reactors: 3, rule: RuleName::PlainShare, rule_version: 9, media_time_ms: media });
        prop_assert_eq!(Row::decode(&row.encode(&writer), &writer), Ok(row));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>, kind in 16u8..19) {
        let emotes = Emotes::new();
        let _row = Row::decode(&bytes, &emotes);
        let with_head: Vec<u8> = [1, kind].into_iter().chain(bytes).collect();
        let _row = Row::decode(&with_head, &emotes);
    }
}

#[test]
fn settings_rows_survive() {
    let emotes = Emotes::new();
    let change = SettingsChange { channel: channel(), settings: ChannelSettings::default() };
    let row = Row::Settings(SettingsRow { seq: 5, change });
    assert_eq!(Row::decode(&row.encode(&emotes), &emotes), Ok(row));
}

#[test]
fn rows_written_by_version_1_stay_readable() {
    let emotes = Emotes::new();
    for (row, bytes) in fixtures(&emotes) {
        let read = Row::decode(bytes, &emotes);
        assert_eq!(read.as_ref(), Ok(&row));
        assert_eq!(
            &row.encode(&emotes)[..],
            bytes,
            "the encoding of version 1 changed: give it a new version byte"
        );
    }
}

fn fixtures(emotes: &Emotes) -> [(Row, &'static [u8]); 2] {
    let fire = emotes.resolve("🔥").unwrap();
    let window = WindowRow {
        channel: channel(),
        seq: 450_560_000_512_000,
        window_start_ms: 1_760_000_000_000,
        window_ms: 2_000,
        emotes: vec![EmoteCount { emote: fire, count: 300, late: 2, reactors: 250 }],
        reactors: 250,
        unverified: 1,
    };
    let moment = MomentRow {
        channel: channel(),
        seq: 450_560_000_512_001,
        emote: fire,
        window_start_ms: 1_760_000_000_000,
        window_ms: 2_000,
        count: 298,
        strength: 29.8,
        reactors: 250,
        rule: RuleName::PlainCount,
        rule_version: 4,
        media_time_ms: Some(81_000),
    };
    [
        (Row::Window(window), include_bytes!("../fixtures/window-v1.bin")),
        (Row::Moment(moment), include_bytes!("../fixtures/moment-v1.bin")),
    ]
}

#[test]
fn fixtures_are_written_on_request() {
    if std::env::var_os("EMOSTREAM_WRITE_FIXTURES").is_some() {
        let emotes = Emotes::new();
        let [window, moment] = fixtures(&emotes);
        std::fs::write("tests/fixtures/window-v1.bin", window.0.encode(&emotes)).unwrap();
        std::fs::write("tests/fixtures/moment-v1.bin", moment.0.encode(&emotes)).unwrap();
    }
}
