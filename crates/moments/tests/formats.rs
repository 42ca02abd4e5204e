//! Stored formats: partials and snapshots survive, old ones stay readable, damage is an error.

use std::sync::Arc;

use emostream_moments::{
    Aggregate, AggregateOutput, CountSink, Counter, Partial, StreamParameters,
    sketch::Reactor,
    tally::{Counted, Tally},
};
use emostream_protocol::{
    ChannelName, ChannelSettings, EmoteId, Emotes, ReactionId,
    codec::{Reader, Writer},
    limits::MEDIA_TIME_MS_MAX,
    record::{SettingsChange, decode},
    row::Row,
};
use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use crate::cases::{Case, Dice, EMOTES, name};

#[derive(Default)]
struct Partials(Vec<Partial>);

impl CountSink for Partials {
    fn partial(&mut self, partial: Partial) {
        self.0.push(partial);
    }
    fn closed_through(&mut self, _: i64) {}
    fn settings(&mut self, _: &SettingsChange, _: i64) {}
    fn counted(&mut self, _: &ChannelName, _: EmoteId, _: u32) {}
}

fn parameters() -> StreamParameters {
    StreamParameters::default()
}

fn partials(seed: u64, emotes: &Emotes) -> Vec<Partial> {
    let mut counter = Counter::new(parameters(), 1);
    let mut sink = Partials::default();
    for (_, append_ms, record) in Case::new(seed, true, emotes).log(1, emotes) {
        counter.observe(append_ms, &decode(&record, emotes).expect("valid"), &mut sink).expect("valid");
    }
    sink.0
}

/// The aggregate of a case in the middle of it.
fn middle(seed: u64, emotes: &Arc<Emotes>) -> Aggregate {
    let log = Case::new(seed, true, emotes).log(4, emotes);
    let mut aggregate = Aggregate::new(parameters(), 4, emotes.clone(), 1);
    for (partition, append_ms, record) in &log[..log.len() / 2] {
        let record = decode(record, emotes).expect("valid");
        aggregate.observe(*partition, *append_ms, &record, &mut AggregateOutput::default()).expect("valid");
    }
    aggregate
}

fn restore(bytes: &[u8]) -> Result<Aggregate, emostream_protocol::DecodeError> {
    Aggregate::restore(bytes, parameters(), 4, Arc::new(Emotes::new()), 9)
}

#[test]
fn partials_survive_their_bytes() {
    let emotes = Emotes::new();
    for partial in (0..10).flat_map(|seed| partials(seed, &emotes)) {
        let bytes = partial.encode(parameters(), &emotes);
        let other = Emotes::new();
        let read = Partial::decode(&bytes, parameters(), &other).unwrap();
        assert_eq!((&read.channel, read.window_start_ms), (&partial.channel, partial.window_start_ms));
        assert_eq!(read.encode(parameters(), &other), bytes);
    }
}

const PARTIAL: &[u8] = include_bytes!("fixtures/partial-v1.bin");
/// Of before the full rule: its rule states are those of the plain one.
const SNAPSHOT_PLAIN: &[u8] = include_bytes!("fixtures/snapshot-v1.bin");
const SNAPSHOT: &[u8] = include_bytes!("fixtures/snapshot-v1-full.bin");

#[test]
fn committed_formats_stay_readable_and_unchanged() {
    let emotes = Arc::new(Emotes::new());
    let partial = partials(2, &emotes).swap_remove(1).encode(parameters(), &emotes);
    let snapshot = middle(2, &emotes).snapshot();
    if std::env::var_os("EMOSTREAM_WRITE_FIXTURES").is_some() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        std::fs::write(format!("{folder}/partial-v1.bin"), &partial).unwrap();
        std::fs::write(format!("{folder}/snapshot-v1-full.bin"), &snapshot).unwrap();
        return;
    }
    let other = Emotes::new();
    assert_eq!(Partial::decode(PARTIAL, parameters(), &other).unwrap().encode(parameters(), &other), PARTIAL);
    for old in [SNAPSHOT_PLAIN, SNAPSHOT] {
        assert_eq!(restore(old).unwrap().snapshot(), old);
    }
    assert!(partial == PARTIAL && snapshot == SNAPSHOT, "what is written today is what the fixtures hold");
}

#[test]
fn other_parameters_versions_and_partitions_are_refused() {
    let window = StreamParameters::new(1_000, 500, 240_000).unwrap();
    let emotes = Arc::new(Emotes::new());
    assert!(Aggregate::restore(SNAPSHOT, window, 4, emotes.clone(), 0).is_err());
    assert!(Aggregate::restore(SNAPSHOT, parameters(), 5, emotes.clone(), 0).is_err());
    assert!(Partial::decode(PARTIAL, window, &emotes).is_err());
    let newer = |bytes: &[u8]| [&[2], &bytes[1..]].concat();
    assert!(
        restore(&newer(SNAPSHOT)).is_err()
            && Partial::decode(&newer(PARTIAL), parameters(), &emotes).is_err()
    );
    for cut in 0..SNAPSHOT.len() {
        assert!(restore(&SNAPSHOT[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn media_positions_of_any_crowd_survive() {
    let emotes = Emotes::new();
    let emote = emotes.resolve(EMOTES[0]).unwrap();
    let id = ReactionId::from_parts(1_700_000_000_000, [3; 10]);
    let reactor = Reactor::of(b"ann", &id);
    let mut tally = Tally::default();
    tally.add(&Counted { emote, late: false, reactor, media_time_ms: Some(MEDIA_TIME_MS_MAX) }, 0);
    tally.take_fresh(0);
    // Twice as many each time: over a hundred million reactions in one window.
    for _ in 0..27 {
        tally.merge(tally.clone());
    }
    let mut writer = Writer::new();
    tally.encode(&mut writer, &emotes);
    let mut reader = Reader::new(writer.as_slice());
    let read = Tally::decode(&mut reader, 20, &emotes).unwrap();
    let media = |tally: &Tally| (tally.emotes()[0].media_sum_ms, tally.emotes()[0].media_count);
    assert_eq!(media(&read), (MEDIA_TIME_MS_MAX << 27, 1 << 27));
}

#[test]
fn the_newest_settings_are_those_that_wait() {
    let emotes = Arc::new(Emotes::new());
    let mut aggregate = Aggregate::new(parameters(), 2, emotes.clone(), 1);
    let mut change = |append_ms, version| {
        let settings = ChannelSettings { version, ..ChannelSettings::default() };
        let change = SettingsChange { channel: name("main"), settings }.encode();
        let record = decode(&change, &emotes).unwrap();
        aggregate.observe(0, append_ms, &record, &mut AggregateOutput::default()).unwrap();
        let version = |settings: Option<&ChannelSettings>| settings.map(|settings| settings.version);
        (version(aggregate.settings_of("main")), version(aggregate.newest_settings_of("main")))
    };
    // Partition 1 was never heard of, so that nothing comes into force.
    assert_eq!(change(1_700_000_000_000, 1), (None, Some(1)));
    assert_eq!(change(1_700_000_000_001, 2), (None, Some(2)));
    assert_eq!(change(1_700_000_010_000, 3), (None, Some(3)));
    assert_eq!(aggregate.newest_settings_of("other"), None);
}

#[test]
fn settings_that_are_said_again_have_one_row() {
    let emotes = Arc::new(Emotes::new());
    let mut aggregate = Aggregate::new(parameters(), 1, emotes.clone(), 1);
    let mut output = AggregateOutput::default();
    for (append_ms, version) in [(0, 1), (1, 1), (5_000, 1), (5_001, 2), (9_000, 1), (9_001, 1), (20_000, 1)]
    {
        let settings = ChannelSettings { version, ..ChannelSettings::default() };
        let change = SettingsChange { channel: name("main"), settings }.encode();
        let record = decode(&change, &emotes).unwrap();
        aggregate.observe(0, 1_700_000_000_000 + append_ms, &record, &mut output).unwrap();
    }
    let versions: Vec<_> = output
        .rows
        .iter()
        .map(|row| match row {
            Row::Settings(row) => row.change.settings.version,
            other => panic!("{other:?}"),
        })
        .collect();
    // A store that was put back to an older state is believed: the last word holds.
    assert_eq!(versions, [1, 2, 1]);
}

/// Damage at a few places: every answer is fine but a panic, and what is accepted has one form.
fn damaged(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    let mut dice = Dice(seed);
    for _ in 0..1 + dice.below(3) {
        let place = dice.below(damaged.len() as u64) as usize;
        damaged[place] = dice.next() as u8;
    }
    damaged
}

proptest! {
    #[test]
    fn damage_is_an_error_and_no_panic(seed: u64, noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let emotes = Emotes::new();
        for bytes in [&damaged(PARTIAL, seed), &noise, &[&[1, 208, 15], &noise[..]].concat()] {
            if let Ok(read) = Partial::decode(bytes, parameters(), &emotes) {
                let again = read.encode(parameters(), &emotes);
                let twice = Partial::decode(&again, parameters(), &emotes).unwrap().encode(parameters(), &emotes);
                prop_assert_eq!(twice, again);
            }
        }
        for bytes in [&damaged(SNAPSHOT, seed), &noise] {
            if let Ok(read) = restore(bytes) {
                let again = read.snapshot();
                prop_assert_eq!(restore(&again).unwrap().snapshot(), again);
            }
        }
    }
}
