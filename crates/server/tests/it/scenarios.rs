//! The scenarios of the repository, recorded in virtual time and counted under the default rule: what must be found is
//! found, what must not is not, and every reaction is counted once.

use std::sync::Arc;

use emostream_moments::{Aggregate, AggregateOutput, StreamParameters};
use emostream_protocol::{
    ChannelName, ChannelSettings, Emotes,
    id::home_partition,
    record::{SettingsChange, decode},
    row::Row,
    settings::{FullRule, MomentRule, PlainRule},
};
use emostream_simulator::{
    audience::{Layout, Recording, Timeline},
    check::SeenMoment,
    scenario::{Scenario, names},
};

/// Begins within a window, as live events do.
const START_MS: i64 = 1_767_225_600_700;

/// Of scenarios that never end.
const SECONDS_MAX: f64 = 400.0;

const PARTITIONS: u32 = 4;

/// What came of counting a recording.
struct Counted {
    reactions: u64,
    total: u64,
    late: u64,
    unverified: u64,
    moments: Vec<SeenMoment>,
}

/// Records a scenario and counts the recording.
fn count(scenario: &Scenario, seed: u64, scale: f64, rule: MomentRule) -> Counted {
    let channel = ChannelName::new("main").unwrap();
    let emotes = Arc::new(Emotes::new());
    let layout =
        Layout { channel: channel.clone(), start_ms: START_MS, partitions: PARTITIONS, seconds: SECONDS_MAX };
    let recording = Recording::of(scenario, seed, scale, &layout, &emotes);
    let mut aggregate =
        Aggregate::new(StreamParameters::default(), PARTITIONS as usize, emotes.clone(), seed);
    let mut output = AggregateOutput::default();
    let settings = ChannelSettings { version: 1, rule, allowed_emotes: None };
    let home = home_partition(&channel, PARTITIONS) as usize;
    let change = SettingsChange { channel, settings }.encode();
    let mut observe = |partition, append_ms, record: &[u8]| {
        let record = decode(record, &emotes).unwrap();
        aggregate.observe(partition, append_ms, &record, &mut output).unwrap();
    };
    observe(home, START_MS, &change);
    for entry in &recording.entries {
        observe(entry.partition, entry.append_ms, &entry.record);
    }
    assert!(!aggregate.has_open_windows(), "the recording goes on until every window is closed");
    let mut counted =
        Counted { reactions: recording.reactions, total: 0, late: 0, unverified: 0, moments: Vec::new() };
    for row in &output.rows {
        match row {
            Row::Window(row) => {
                counted.total += row.total();
                counted.late += row.late();
                counted.unverified += row.unverified;
            }
            Row::Moment(row) => {
                let second = |ms: i64| (ms - START_MS) as f64 / 1_000.0;
                counted.moments.push(SeenMoment {
                    emote: emotes.name(row.emote).to_string(),
                    from_s: second(row.window_start_ms),
                    to_s: second(row.window_start_ms + i64::from(row.window_ms)),
                    strength: row.strength,
                });
            }
            Row::Settings(_) => {}
        }
    }
    counted
}

#[test]
fn every_reaction_of_every_scenario_is_counted_once() {
    for name in names() {
        let scenario = Scenario::load(name).unwrap();
        let counted = count(&scenario, 1, 1.0, MomentRule::Full(FullRule::default()));
        assert_eq!(counted.total, counted.reactions, "{name}");
        assert!(counted.reactions > 0 || scenario.clients.is_some(), "{name}");
        assert_eq!(counted.unverified, 0, "{name}");
        assert_eq!(counted.late > 0, scenario.needs_a_spool(), "{name}");
    }
}

#[test]
fn a_spool_drains_late_what_the_plain_rule_would_call_a_goal_had_it_been_on_time() {
    let mut scenario = Scenario::load("drained-spool").unwrap();
    let rule = || MomentRule::Plain(PlainRule { threshold: 300.0, interval: 100 });
    let drained = count(&scenario, 1, 1.0, rule());
    assert_eq!(drained.moments, []);
    scenario.phases.iter_mut().for_each(|phase| phase.spooled = false);
    let on_time = count(&scenario, 1, 1.0, rule());
    assert!(on_time.moments.iter().any(|moment| moment.emote == "⚽"), "the same goal on time is one");
    assert_eq!(drained.total, on_time.total, "late or not, the same reactions");
}

#[test]
fn every_scenario_has_its_moments_and_no_others_whatever_the_size_of_its_crowd() {
    let mut failures = Vec::new();
    for name in names() {
        let scenario = Scenario::load(name).unwrap();
        for (seed, scale) in [(1, 0.3), (2, 1.0), (3, 1.0), (4, 3.0)] {
            let counted = count(&scenario, seed, scale, MomentRule::Full(FullRule::default()));
            let expected = Timeline::new(&scenario, seed).expected(SECONDS_MAX);
            let verdict = expected.judge(&counted.moments, 0.0);
            if !verdict.holds() {
                let lines = verdict.lines().join("\n  ");
                failures.push(format!("{name}, seed {seed}, {scale} times the crowd:\n  {lines}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
