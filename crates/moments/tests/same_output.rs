//! Same log, same output: against the reference, in 1, 4 and 16 partitions, and restored at every record.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use emostream_moments::{Aggregate, AggregateOutput, StreamParameters};
use emostream_protocol::{
    Emotes,
    position::sequence,
    record::{LogRecord, decode},
    row::{Row, RuleName},
};

use crate::{
    cases::{Case, Dice, Log},
    reference,
};

/// Seeds of a short run; `EMOSTREAM_SEEDS` asks for more.
const SEEDS: u64 = 40;

pub(crate) fn seeds() -> std::ops::Range<u64> {
    let first = std::env::var("EMOSTREAM_SEED_FIRST").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let count = std::env::var("EMOSTREAM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    first..first + count
}

pub(crate) fn parameters(seed: u64) -> StreamParameters {
    let mut dice = Dice(!seed);
    let window_ms = [2_000, 2_000, 100, 500, 5_300][dice.below(5) as usize];
    let lateness_ms = [500, 500, 0, 90, 2_500][dice.below(5) as usize];
    let horizon_ms = [240_000, 125_000][dice.below(2) as usize];
    StreamParameters::new(window_ms, lateness_ms, horizon_ms).expect("valid")
}

pub(crate) fn by_channel(rows: Vec<Row>) -> BTreeMap<String, Vec<Row>> {
    let mut channels: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows {
        channels.entry(row.channel().to_string()).or_default().push(row);
    }
    channels
}

pub(crate) fn run(
    parameters: StreamParameters,
    partitions: usize,
    log: &Log,
    emotes: &Arc<Emotes>,
) -> (Vec<Row>, Aggregate) {
    let mut aggregate = Aggregate::new(parameters, partitions, emotes.clone(), 7);
    let mut output = AggregateOutput::default();
    let mut rows = Vec::new();
    for (partition, append_ms, record) in log {
        output.clear();
        let record = decode(record, emotes).expect("valid");
        aggregate.observe(*partition, *append_ms, &record, &mut output).expect("valid");
        // Settings that hold at once follow the windows that their own record closed.
        let closing = output.rows.iter().filter(|row| !matches!(row, Row::Settings(_)));
        let order = |row: &Row| (sequence::event_time_ms(row.seq()), row.channel().clone(), row.seq());
        assert!(closing.is_sorted_by_key(order), "rows of one call come by instant, then channel");
        rows.append(&mut output.rows);
    }
    (rows, aggregate)
}

/// Exact up to 256 users but for a rare collision; beyond, four standard errors.
fn near(estimate: u64, exact: u64) -> bool {
    let allowed =
        if exact <= 256 { 1.0 } else { exact as f64 * 4.0 * emostream_moments::sketch::RELATIVE_ERROR };
    (estimate as f64 - exact as f64).abs() <= allowed
}

/// Compares but for `reactors`, which only have to be near, and takes the reference's.
fn equal_but_for_estimates(mut found: Row, expected: &Row) -> bool {
    match (&mut found, expected) {
        (Row::Window(found), Row::Window(expected)) if found.emotes.len() == expected.emotes.len() => {
            let mut all = near(found.reactors, expected.reactors);
            found.reactors = expected.reactors;
            for (found, expected) in found.emotes.iter_mut().zip(&expected.emotes) {
                all &= near(found.reactors, expected.reactors);
                found.reactors = expected.reactors;
            }
            if !all {
                return false;
            }
        }
        (Row::Moment(found), Row::Moment(expected)) => {
            if !near(found.reactors, expected.reactors) {
                return false;
            }
            found.reactors = expected.reactors;
            // The full rule's reference adds up what the rule computes in closed form.
            if found.rule == RuleName::Full && (found.strength / expected.strength - 1.0).abs() < 1e-6 {
                found.strength = expected.strength;
            }
        }
        _ => {}
    }
    found == *expected
}

fn assert_same_as_reference(
    seed: u64,
    parameters: StreamParameters,
    partitions: usize,
    log: &Log,
    emotes: &Arc<Emotes>,
    found: Vec<Row>,
) {
    let (window_ms, lateness_ms) = (parameters.window_ms(), parameters.lateness_ms());
    let stream = (window_ms, lateness_ms, parameters.horizon_ms(), partitions);
    let expected = reference::rows(stream, log, emotes);
    let found = by_channel(found);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "seed {seed}");
    for (channel, expected) in &expected {
        let found = &found[channel];
        for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!(
                equal_but_for_estimates(found.clone(), expected),
                "seed {seed}, {partitions} partitions, row {place} of {channel}:\n{found:#?}\nexpected {expected:#?}"
            );
        }
        assert_eq!(found.len(), expected.len(), "seed {seed}, {partitions} partitions, rows of {channel}");
        assert!(found.is_sorted_by(|a, b| a.seq() < b.seq()), "seed {seed}: sequences ascend");
    }
}

#[test]
fn rows_are_those_of_a_naive_reference_in_every_layout() {
    let (mut windows, mut moments, mut full) = (0, 0, 0);
    for seed in seeds() {
        let emotes = Arc::new(Emotes::new());
        let case = Case::new(seed, true, &emotes);
        let mut first: Option<BTreeMap<String, Vec<Row>>> = None;
        for partitions in [1, 4, 16] {
            let log = case.log(partitions, &emotes);
            let (rows, aggregate) = run(parameters(seed), partitions, &log, &emotes);
            assert!(!aggregate.has_open_windows() && aggregate.next_close_ms().is_none(), "seed {seed}");
            windows += rows.iter().filter(|row| matches!(row, Row::Window(_))).count();
            moments += rows.iter().filter(|row| matches!(row, Row::Moment(_))).count();
            let is_full = |row: &&Row| matches!(row, Row::Moment(moment) if moment.rule == RuleName::Full);
            full += rows.iter().filter(is_full).count();
            assert_same_as_reference(seed, parameters(seed), partitions, &log, &emotes, rows.clone());
            let rows = by_channel(rows);
            assert_eq!(
                first.get_or_insert_with(|| rows.clone()),
                &rows,
                "seed {seed}, {partitions} partitions"
            );
        }
    }
    assert!(
        windows > 100 && moments > 50 && full > 20,
        "the cases must show something: {windows} windows, {moments} moments, {full} of the full rule"
    );
}

#[test]
fn a_clock_that_steps_back_changes_nothing_but_what_the_reference_says() {
    for seed in seeds() {
        let emotes = Arc::new(Emotes::new());
        let case = Case::new(seed ^ 0xbacc, false, &emotes);
        for partitions in [1, 4] {
            let log = case.log(partitions, &emotes);
            let (rows, _) = run(parameters(seed), partitions, &log, &emotes);
            assert_same_as_reference(seed, parameters(seed), partitions, &log, &emotes, rows);
        }
    }
}

/// Interleaves the partitions' records anew, each partition keeping its order.
fn shuffled(log: &Log, partitions: usize, dice: &mut Dice) -> Log {
    let mut queues: Vec<Vec<(usize, i64, Bytes)>> = vec![Vec::new(); partitions];
    log.iter().rev().for_each(|record| queues[record.0].push(record.clone()));
    let mut result = Log::new();
    while result.len() < log.len() {
        let favourite = dice.below(partitions as u64) as usize;
        let run = 1 + dice.below(20);
        (0..run).for_each(|_| result.extend(queues[favourite].pop()));
    }
    result
}

#[test]
fn the_interleaving_of_partitions_does_not_show() {
    for seed in seeds() {
        let emotes = Arc::new(Emotes::new());
        let log = Case::new(seed, false, &emotes).log(4, &emotes);
        let straight = by_channel(run(parameters(seed), 4, &log, &emotes).0);
        let other = shuffled(&log, 4, &mut Dice(seed));
        let (rows, aggregate) = run(parameters(seed), 4, &other, &emotes);
        assert_eq!(straight, by_channel(rows), "seed {seed}");
        assert_eq!(aggregate.snapshot(), run(parameters(seed), 4, &log, &emotes).1.snapshot(), "seed {seed}");
    }
}

/// A process that knows its custom emotes under other ids than the one before it.
fn other_process(generation: usize) -> Arc<Emotes> {
    let emotes = Emotes::new();
    for index in 0..generation % 3 {
        emotes.register_custom(&format!(":other-{index}:")).expect("valid");
    }
    Arc::new(emotes)
}

#[test]
fn restored_at_every_record_the_rows_are_exactly_the_same() {
    for seed in seeds() {
        let parameters = parameters(seed);
        let partitions = [1, 4][(seed % 2) as usize];
        let mut emotes = Arc::new(Emotes::new());
        let log = Case::new(seed, seed % 3 != 0, &emotes).log(partitions, &emotes);
        let straight: Vec<Bytes> =
            run(parameters, partitions, &log, &emotes).0.iter().map(|row| row.encode(&emotes)).collect();
        let mut aggregate = Aggregate::new(parameters, partitions, emotes.clone(), 1);
        let mut restored = Vec::new();
        for (place, (partition, append_ms, record)) in log.iter().enumerate() {
            let mut output = AggregateOutput::default();
            let record = decode(record, &emotes).expect("valid");
            aggregate.observe(*partition, *append_ms, &record, &mut output).expect("valid");
            restored.extend(output.rows.iter().map(|row| row.encode(&emotes)));
            let snapshot = aggregate.snapshot();
            emotes = other_process(place);
            aggregate = Aggregate::restore(&snapshot, parameters, partitions, emotes.clone(), place as u64)
                .expect("a snapshot can be read");
            assert_eq!(aggregate.snapshot(), snapshot, "seed {seed}, record {place}");
            restore_ids(&mut aggregate, &log[..=place], &emotes);
        }
        assert_eq!(straight, restored, "seed {seed}, {partitions} partitions");
    }
}

fn restore_ids(aggregate: &mut Aggregate, log: &[(usize, i64, Bytes)], emotes: &Emotes) {
    for (partition, append_ms, record) in log {
        if aggregate.restore_from_ms(*partition).is_some_and(|from_ms| *append_ms >= from_ms) {
            let record = decode(record, emotes).expect("valid");
            aggregate.restore_ids_only(*partition, *append_ms, &record).expect("valid");
        }
    }
}

#[test]
fn pulses_are_the_windows_without_late_reactions() {
    for seed in seeds() {
        let emotes = Arc::new(Emotes::new());
        let log = Case::new(seed, true, &emotes).log(4, &emotes);
        let mut aggregate = Aggregate::new(parameters(seed), 4, emotes.clone(), 3);
        let mut output = AggregateOutput::default();
        for (partition, append_ms, record) in &log {
            let record = decode(record, &emotes).expect("valid");
            let before = output.pulses.len();
            aggregate.observe(*partition, *append_ms, &record, &mut output).expect("valid");
            assert!(matches!(record, LogRecord::Reactions(_)) || output.pulses.len() == before);
        }
        let mut pulses: BTreeMap<_, u64> = BTreeMap::new();
        for pulse in output.pulses {
            *pulses.entry((pulse.channel.to_string(), pulse.emote)).or_default() += u64::from(pulse.count);
        }
        let mut counted: BTreeMap<_, u64> = BTreeMap::new();
        for row in output.rows {
            let Row::Window(row) = row else { continue };
            for emote in row.emotes.iter().filter(|emote| emote.count > emote.late) {
                *counted.entry((row.channel.to_string(), emote.emote)).or_default() +=
                    emote.count - emote.late;
            }
        }
        assert_eq!(pulses, counted, "seed {seed}");
    }
}
