//! A preview finds what the live path finds on the same settings.

use std::sync::Arc;

use emostream_moments::{
    Aggregate, AggregateOutput, StreamParameters,
    preview::{RecordPreview, needs_records, preview},
};
use emostream_protocol::{
    ChannelSettings, Emotes,
    record::{LogRecord, SettingsChange, decode},
    row::{MomentRow, Row, WindowRow},
};

use crate::cases::{self, Case, Dice, Log};

fn parameters() -> StreamParameters {
    StreamParameters::default()
}

/// The log of a case without its own changes of settings.
fn log_without_settings(seed: u64, emotes: &Emotes) -> Log {
    let mut log = Case::new(seed, true, emotes).log(4, emotes);
    log.retain(|(_, _, record)| !matches!(decode(record, emotes), Ok(LogRecord::Settings(_))));
    log
}

/// Windows and moments of `main`, under settings that hold from before the first window on.
fn live(log: &Log, settings: &ChannelSettings, emotes: &Arc<Emotes>) -> (Vec<WindowRow>, Vec<MomentRow>) {
    let mut aggregate = Aggregate::new(parameters(), 4, emotes.clone(), 7);
    let mut output = AggregateOutput::default();
    let change = SettingsChange { channel: cases::name("main"), settings: settings.clone() };
    let before_ms = log[0].1 - 20_000;
    let first = (0..4).map(|partition| (partition, before_ms, change.encode()));
    for (partition, append_ms, record) in first.chain(log.iter().cloned()) {
        let record = decode(&record, emotes).expect("valid");
        aggregate.observe(partition, append_ms, &record, &mut output).expect("valid");
    }
    let (mut windows, mut moments) = (Vec::new(), Vec::new());
    for row in output.rows.into_iter().filter(|row| *row.channel() == cases::name("main")) {
        match row {
            Row::Window(window) => windows.push(window),
            Row::Moment(moment) => moments.push(moment),
            Row::Settings(_) => {}
        }
    }
    (windows, moments)
}

fn from_records(log: &Log, settings: ChannelSettings, emotes: &Arc<Emotes>) -> Vec<MomentRow> {
    let mut preview = RecordPreview::new(parameters(), 4, emotes.clone(), cases::name("main"), settings);
    let mut moments = Vec::new();
    for (partition, append_ms, record) in log {
        let record = decode(record, emotes).expect("valid");
        preview.observe(*partition, *append_ms, &record, &mut moments).expect("valid");
    }
    moments.extend(preview.finish(log.last().expect("records").1 + 60_000));
    moments
}

#[test]
fn a_preview_finds_what_the_live_path_finds() {
    let (mut from_rows, mut shares) = (0, 0);
    for seed in 0..120 {
        let emotes = Arc::new(Emotes::new());
        let log = log_without_settings(seed, &emotes);
        let settings = cases::settings(&mut Dice(!seed), 9);
        let (windows, moments) = live(&log, &settings, &emotes);
        assert_eq!(from_records(&log, settings.clone(), &emotes), moments, "seed {seed}");
        match preview(&windows, &settings, &emotes) {
            Some(previewed) => {
                assert!(!needs_records(&settings.rule));
                let without_media = |moment: MomentRow| MomentRow { media_time_ms: None, ..moment };
                let moments: Vec<_> = moments.into_iter().map(without_media).collect();
                assert_eq!(previewed, moments, "seed {seed}");
                from_rows += moments.len();
            }
            None => {
                assert!(needs_records(&settings.rule));
                shares += moments.len();
            }
        }
    }
    assert!(from_rows > 50 && shares > 50, "the cases must show something: {from_rows}, {shares}");
}
