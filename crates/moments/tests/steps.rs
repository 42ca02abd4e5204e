//! Steps: count and merge in different processes give the rows of one, whatever is repeated, cut, lost for a while or
//! written by counters that have lost their partition without knowing.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use emostream_moments::{
    Partial, PulseBatch, PulseCount, StepCounter, StepMerge, StepOutput, StepPart, StreamParameters,
    step::{StepItem, Taken, part::PartPlace},
};
use emostream_protocol::{
    Emotes,
    id::home_partition,
    record::{SettingsChange, decode, encode_tick},
    row::Row,
};
use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use crate::{
    cases::{Case, Dice, EMOTES, Log, name, settings},
    same_output::{by_channel, parameters, run, seeds},
};

/// The records of one raw partition; their places in the list are their offsets.
fn records_of(log: &Log, partition: usize) -> Vec<(i64, Bytes)> {
    log.iter().filter(|record| record.0 == partition).map(|(_, at, record)| (*at, record.clone())).collect()
}

fn observe(counter: &mut StepCounter, offset: usize, record: &(i64, Bytes), emotes: &Emotes) -> StepOutput {
    let mut found = StepOutput::default();
    let decoded = decode(&record.1, emotes).expect("valid");
    counter.observe(offset as u64, record.0, &decoded, emotes, &mut found).expect("valid");
    found
}

/// Someone who counts a raw partition from some record on; several may at once.
struct Counting {
    raw_partition: usize,
    counter: StepCounter,
    next: usize,
}

impl Counting {
    /// Starts at a record, with what a snapshot before it and the replay of the horizon give.
    fn start(
        parameters: StreamParameters,
        raw_partition: usize,
        (records, at): (&[(i64, Bytes)], usize),
        outputs: u32,
        dice: &mut Dice,
        emotes: &Emotes,
    ) -> Self {
        let part_bytes = [1, 150, 400, 1 << 19][dice.below(4) as usize];
        let mut counter = StepCounter::new(parameters, raw_partition as u32, outputs, dice.next());
        for (offset, record) in records[..at].iter().enumerate() {
            observe(&mut counter, offset, record, emotes);
        }
        let snapshot = counter.snapshot(emotes);
        let (raw, seed) = (raw_partition as u32, dice.next());
        let restored = StepCounter::restore(&snapshot, parameters, raw, outputs, emotes, seed);
        let mut counter = restored.expect("a snapshot can be read").with_part_bytes(part_bytes);
        assert_eq!(counter.snapshot(emotes), snapshot);
        let from_ms = counter.restore_from_ms().unwrap_or(i64::MAX);
        for (append_ms, record) in records[..at].iter().filter(|record| record.0 >= from_ms) {
            counter.restore_ids_only(*append_ms, &decode(record, emotes).expect("valid")).expect("valid");
        }
        Self { raw_partition, counter, next: at }
    }

    fn step(&mut self, records: &[(i64, Bytes)], emotes: &Emotes) -> Option<StepOutput> {
        let record = records.get(self.next)?;
        self.next += 1;
        Some(observe(&mut self.counter, self.next - 1, record, emotes))
    }
}

type Partials = Vec<Vec<Vec<u8>>>;

fn write(partials: &mut Partials, found: StepOutput) {
    found.parts.into_iter().for_each(|(output, part)| partials[output as usize].push(part));
}

/// The topic of partials as several counters of each raw partition leave it: some crash in the middle of a step, some go
/// on after they were replaced, some lose a part, go on for a while and then begin again at what was lost.
fn written_by_many(
    parameters: StreamParameters,
    log: &Log,
    (raw_partitions, outputs): (usize, u32),
    dice: &mut Dice,
    emotes: &Emotes,
) -> Partials {
    let records: Vec<_> = (0..raw_partitions).map(|partition| records_of(log, partition)).collect();
    let mut partials = vec![Vec::new(); outputs as usize];
    let mut durable = vec![0; raw_partitions];
    let mut counting: Vec<Counting> = Vec::new();
    while durable.iter().zip(&records).any(|(durable, records)| *durable < records.len()) {
        let raw = dice.below(raw_partitions as u64) as usize;
        if dice.below(6) == 0 || !counting.iter().any(|one| one.raw_partition == raw) {
            let at = dice.below(durable[raw] as u64 + 1) as usize;
            counting.push(Counting::start(parameters, raw, (&records[raw], at), outputs, dice, emotes));
        }
        let chosen = dice.below(counting.len() as u64) as usize;
        let one = &mut counting[chosen];
        let raw = one.raw_partition;
        for _ in 0..1 + dice.below(8) {
            let Some(mut found) = one.step(&records[raw], emotes) else { break };
            if dice.below(12) == 0 && one.next > durable[raw] {
                crash_or_lose(found, one, &records[raw], &mut partials, dice, emotes);
                counting.swap_remove(chosen);
                break;
            }
            write(&mut partials, std::mem::take(&mut found));
            durable[raw] = durable[raw].max(one.next);
        }
    }
    partials
}

/// Of a step only some parts are written; then, perhaps, later ones, which overtake what was lost.
fn crash_or_lose(
    mut found: StepOutput,
    one: &mut Counting,
    records: &[(i64, Bytes)],
    partials: &mut Partials,
    dice: &mut Dice,
    emotes: &Emotes,
) {
    found.parts.retain(|_| dice.below(2) == 0);
    write(partials, found);
    if dice.below(2) == 0 {
        for _ in 0..dice.below(4) {
            let Some(later) = one.step(records, emotes) else { break };
            write(partials, later);
        }
    }
}

/// Merges an output partition, through bytes and other processes now and then.
fn merged(
    parameters: StreamParameters,
    parts: &[Vec<u8>],
    raw_partitions: usize,
    dice: &mut Dice,
    taken: &mut BTreeMap<&'static str, usize>,
) -> Vec<Bytes> {
    let mut emotes = Arc::new(Emotes::new());
    let mut merge = StepMerge::new(parameters, raw_partitions, emotes.clone());
    let mut encoded = Vec::new();
    for part in parts {
        let mut rows = Vec::new();
        let decoded = StepPart::decode(part, parameters, raw_partitions, &emotes).expect("valid");
        let kind = match merge.apply(decoded, &mut rows) {
            Taken::Applied => "applied",
            Taken::Repeat => "repeat",
            Taken::Early => "early",
        };
        *taken.entry(kind).or_default() += 1;
        encoded.extend(rows.iter().map(|row| row.encode(&emotes)));
        if dice.below(20) == 0 {
            let snapshot = merge.snapshot();
            emotes = Arc::new(Emotes::new());
            merge = StepMerge::restore(&snapshot, parameters, raw_partitions, emotes.clone()).expect("valid");
            assert_eq!(merge.snapshot(), snapshot);
        }
    }
    encoded
}

/// Rows as bytes, so that processes with other ids for custom emotes compare.
fn in_bytes(rows: Vec<Row>, emotes: &Emotes) -> BTreeMap<String, Vec<Bytes>> {
    let encoded = |rows: Vec<Row>| rows.iter().map(|row| row.encode(emotes)).collect();
    by_channel(rows).into_iter().map(|(channel, rows)| (channel, encoded(rows))).collect()
}

#[test]
fn count_and_merge_apart_give_the_rows_of_one_process() {
    let mut taken = BTreeMap::new();
    for seed in seeds() {
        let mut dice = Dice(seed ^ 0x57e9);
        let (parameters, emotes) = (parameters(seed), Arc::new(Emotes::new()));
        let raw_partitions = [1, 2, 5][dice.below(3) as usize];
        let outputs = [1, 3, 8][dice.below(3) as usize];
        let log = Case::new(seed, seed % 3 != 0, &emotes).log(raw_partitions, &emotes);
        let expected = in_bytes(run(parameters, raw_partitions, &log, &emotes).0, &emotes);
        let partials = written_by_many(parameters, &log, (raw_partitions, outputs), &mut dice, &emotes);
        let mut found = BTreeMap::new();
        for (output, parts) in partials.iter().enumerate() {
            let rows = merged(parameters, parts, raw_partitions, &mut dice, &mut taken);
            let rows = rows.iter().map(|row| Row::decode(row, &emotes).expect("valid")).collect();
            for (channel, rows) in in_bytes(rows, &emotes) {
                assert_eq!(home_partition(&channel, outputs) as usize, output, "seed {seed}: {channel}");
                found.insert(channel, rows);
            }
        }
        assert!(found == expected, "seed {seed}, {raw_partitions} raw and {outputs} output partitions");
    }
    assert!(["applied", "repeat", "early"].iter().all(|kind| taken[kind] > 100), "{taken:?}");
}

/// Count in the middle of a log, and merge in the middle of a step of it.
fn middle(emotes: &Arc<Emotes>) -> (StepCounter, StepMerge) {
    let log = Case::new(2, true, emotes).log(1, emotes);
    let parameters = StreamParameters::default();
    let mut counter = StepCounter::new(parameters, 0, 1, 1).with_part_bytes(100);
    let mut merge = StepMerge::new(parameters, 1, emotes.clone());
    for (offset, record) in records_of(&log, 0).iter().take(40).enumerate() {
        for (_, part) in observe(&mut counter, offset, record, emotes).parts {
            let decoded = StepPart::decode(&part, parameters, 1, emotes).expect("valid");
            let in_the_middle = offset > 30 && !decoded.place.last;
            merge.apply(decoded, &mut Vec::new());
            if in_the_middle {
                return (counter, merge);
            }
        }
    }
    panic!("no step has several parts");
}

/// A part with an item of each kind.
fn part_of_all(emotes: &Emotes) -> StepPart {
    let partial = Partial::decode(PARTIAL, StreamParameters::default(), emotes).expect("valid");
    let change = SettingsChange { channel: name("main"), settings: settings(&mut Dice(5), 7) };
    let from_window_ms = partial.window_start_ms + 2_000;
    StepPart {
        place: PartPlace { raw_partition: 0, raw_offset: 300, previous: Some(299), first: 2, last: true },
        items: vec![
            StepItem::Partial(Box::new(partial)),
            StepItem::ClosedThrough(from_window_ms),
            StepItem::Settings { change, from_window_ms },
        ],
    }
}

fn pulses(emotes: &Emotes) -> PulseBatch {
    let count = |channel: &str, emote: &str, count| {
        let emote = emotes.register_custom(emote).or_else(|_| emotes.resolve(emote)).expect("valid");
        PulseCount { channel: name(channel), emote, count }
    };
    let counts = vec![
        count("main", EMOTES[0], 3),
        count("main", EMOTES[3], u32::MAX),
        count("match-1", EMOTES[4], 1),
        count("match-1", EMOTES[3], 70_000),
    ];
    PulseBatch { counts }
}

const PARTIAL: &[u8] = include_bytes!("fixtures/partial-v1.bin");
const PART: &[u8] = include_bytes!("fixtures/step-part-v1.bin");
const COUNT: &[u8] = include_bytes!("fixtures/step-count-v1.bin");
const MERGE: &[u8] = include_bytes!("fixtures/step-merge-v1.bin");
const PULSES: &[u8] = include_bytes!("fixtures/pulse-batch-v1.bin");

fn part(bytes: &[u8]) -> Result<Vec<u8>, emostream_protocol::DecodeError> {
    let (parameters, emotes) = (StreamParameters::default(), Emotes::new());
    StepPart::decode(bytes, parameters, 1, &emotes).map(|part| part.encode(parameters, &emotes))
}

fn count(bytes: &[u8]) -> Result<Vec<u8>, emostream_protocol::DecodeError> {
    let emotes = Emotes::new();
    StepCounter::restore(bytes, StreamParameters::default(), 0, 1, &emotes, 3)
        .map(|counter| counter.snapshot(&emotes))
}

fn merge(bytes: &[u8]) -> Result<Vec<u8>, emostream_protocol::DecodeError> {
    StepMerge::restore(bytes, StreamParameters::default(), 1, Arc::default()).map(|merge| merge.snapshot())
}

fn pulse_batch(bytes: &[u8]) -> Result<Vec<u8>, emostream_protocol::DecodeError> {
    let emotes = Emotes::new();
    PulseBatch::decode(bytes, &emotes).map(|batch| batch.encode(&emotes))
}

type Again = fn(&[u8]) -> Result<Vec<u8>, emostream_protocol::DecodeError>;

const FORMATS: [(&[u8], Again); 4] = [(PART, part), (COUNT, count), (MERGE, merge), (PULSES, pulse_batch)];

#[test]
fn committed_formats_stay_readable_and_unchanged() {
    let emotes = Arc::new(Emotes::new());
    let (counter, merged) = middle(&emotes);
    let part = part_of_all(&emotes).encode(StreamParameters::default(), &emotes);
    let today = [part, counter.snapshot(&emotes), merged.snapshot(), pulses(&emotes).encode(&emotes)];
    if std::env::var_os("EMOSTREAM_WRITE_FIXTURES").is_some() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        let names = ["step-part", "step-count", "step-merge", "pulse-batch"];
        for (name, bytes) in names.iter().zip(&today) {
            std::fs::write(format!("{folder}/{name}-v1.bin"), bytes).unwrap();
        }
        return;
    }
    for ((fixture, again), today) in FORMATS.iter().zip(&today) {
        assert_eq!(again(fixture).as_deref(), Ok(*fixture));
        assert!(fixture == today, "what is written today is what the fixtures hold");
        assert!(again(&[&[2], &fixture[1..]].concat()).is_err(), "a newer version is refused");
        (0..fixture.len()).for_each(|cut| assert!(again(&fixture[..cut]).is_err(), "cut at {cut}"));
    }
}

#[test]
fn states_of_other_partitions_and_parameters_are_refused() {
    let parameters = StreamParameters::default();
    let other = StreamParameters::new(1_000, 500, 240_000).unwrap();
    let emotes = Arc::new(Emotes::new());
    assert!(StepCounter::restore(COUNT, other, 0, 1, &emotes, 0).is_err());
    assert!(StepCounter::restore(COUNT, parameters, 1, 1, &emotes, 0).is_err());
    assert!(StepCounter::restore(COUNT, parameters, 0, 2, &emotes, 0).is_err());
    assert!(StepMerge::restore(MERGE, other, 1, emotes.clone()).is_err());
    assert!(StepMerge::restore(MERGE, parameters, 2, emotes.clone()).is_err());
    assert!(StepPart::decode(PART, other, 1, &emotes).is_err());
    let found = observe(&mut StepCounter::new(parameters, 3, 1, 0), 0, &(9_000, encode_tick()), &emotes);
    assert!(StepPart::decode(&found.parts[0].1, parameters, 4, &emotes).is_ok());
    assert!(StepPart::decode(&found.parts[0].1, parameters, 3, &emotes).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(
        seed: u64,
        noise in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        for (fixture, again) in FORMATS {
            let mut damaged = fixture.to_vec();
            let mut dice = Dice(seed);
            for _ in 0..1 + dice.below(3) {
                let place = dice.below(damaged.len() as u64) as usize;
                damaged[place] = dice.next() as u8;
            }
            for bytes in [damaged, noise.clone(), [&[1], &noise[..]].concat()] {
                if let Ok(accepted) = again(&bytes) {
                    prop_assert_eq!(again(&accepted), Ok(accepted.clone()));
                }
            }
        }
    }
}
