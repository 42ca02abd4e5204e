//! Properties of the planner: rates near the curve, the same taps for the same seed, the beat's shares.

use std::collections::BTreeMap;

use super::{Audience, Tap, Timeline};
use crate::scenario::Scenario;

fn taps(scenario: &Scenario, seed: u64, scale: f64, seconds: f64) -> Vec<Tap> {
    Audience::new(scenario, seed, scale).take_while(|tap| tap.due.as_secs_f64() < seconds).collect()
}

#[test]
fn the_same_seed_gives_the_same_taps_and_another_one_others() {
    let scenario = Scenario::load("match").unwrap();
    let first = taps(&scenario, 7, 1.0, 60.0);
    assert!(first.len() > 5_000);
    assert_eq!(first, taps(&scenario, 7, 1.0, 60.0));
    assert_ne!(first[..100], taps(&scenario, 8, 1.0, 60.0)[..100]);
}

#[test]
fn taps_follow_the_rate_curve() {
    let scenario = Scenario::load("match").unwrap();
    for seed in 0..5 {
        let taps = taps(&scenario, seed, 2.0, 400.0);
        for played in Timeline::new(&scenario, seed).take(scenario.phases.len()) {
            let rate = scenario.phases[played.phase].rate.as_ref().unwrap();
            for second in 0..played.length_s as usize {
                let from = played.start_s + second as f64;
                let expected: f64 = (0..100)
                    .map(|part| rate.at(second as f64 + f64::from(part) / 100.0) * played.gain * 2.0 / 100.0)
                    .sum();
                let found = taps.partition_point(|tap| tap.due.as_secs_f64() < from + 1.0)
                    - taps.partition_point(|tap| tap.due.as_secs_f64() < from);
                // Six standard deviations of a Poisson count.
                let slack = 6.0 * expected.sqrt() + 5.0;
                assert!(
                    (found as f64 - expected).abs() < slack,
                    "{played:?} second {second}: {found} taps, expected {expected:.0}"
                );
            }
        }
    }
}

#[test]
fn taps_ascend_in_time_and_use_the_emotes_of_their_phase() {
    for name in crate::scenario::NAMES {
        let scenario = Scenario::load(name).unwrap();
        let taps = taps(&scenario, 3, 1.0, 500.0);
        assert!(taps.is_sorted_by(|a, b| a.due <= b.due), "{name}");
        assert!(taps.iter().all(|tap| scenario.phases[tap.phase].emotes.contains_key(&*tap.emote)), "{name}");
    }
}

#[test]
fn a_beat_is_one_emote_four_times_in_five_and_else_a_burst_of_identical_ones() {
    let scenario = Scenario::load("emote-bursts").unwrap();
    let mut beats: BTreeMap<u64, Vec<Tap>> = BTreeMap::new();
    for tap in taps(&scenario, 11, 1.0, 3_600.0) {
        beats.entry(tap.due.as_secs()).or_default().push(tap);
    }
    assert_eq!(beats.len(), 3_600, "every second has a beat");
    let bursts = beats.values().filter(|taps| taps.len() > 1).count();
    assert!((640..800).contains(&bursts), "{bursts} of 3600 beats were bursts");
    for taps in beats.values() {
        assert!(taps.len() == 1 || (5..=60).contains(&taps.len()));
        assert!(taps.iter().all(|tap| tap.emote == taps[0].emote));
    }
}

#[test]
fn a_match_begins_lively_and_never_ends() {
    let scenario = Scenario::load("match").unwrap();
    for seed in 0..20 {
        let goals: Vec<f64> = Timeline::new(&scenario, seed)
            .filter(|played| scenario.phases[played.phase].name.contains("goal"))
            .take(30)
            .map(|played| played.start_s)
            .collect();
        assert!((8.0..20.0).contains(&goals[0]), "first goal at {} s", goals[0]);
        for pair in goals.windows(2) {
            assert!((25.0..75.0).contains(&(pair[1] - pair[0])), "goals at {pair:?}");
        }
    }
    let phases = scenario.phases.len();
    let rounds: Vec<_> = Timeline::new(&scenario, 1).take(2 * phases).collect();
    assert_eq!((rounds[phases].round, rounds[phases].phase), (1, 0));
    assert_ne!(rounds[0].length_s.to_bits(), rounds[phases].length_s.to_bits(), "rounds differ");
}

#[test]
fn expected_moments_lie_in_their_phase() {
    let scenario = Scenario::load("match").unwrap();
    let expected = Timeline::new(&scenario, 1).expectations(400.0);
    assert!(expected.len() >= 6, "{expected:?}");
    assert!(expected.iter().all(|moment| moment.from_s < moment.to_s && moment.to_s < 410.0));
    assert_eq!(expected[0].emote, "⚽");
    let goal = Timeline::new(&scenario, 1).nth(2).unwrap();
    assert_eq!(expected[0].from_s.to_bits(), goal.start_s.to_bits());
}

#[test]
fn the_scale_multiplies_people_and_taps() {
    let scenario = Scenario::load("match").unwrap();
    let (small, large) = (taps(&scenario, 5, 0.1, 120.0).len(), taps(&scenario, 5, 1.0, 120.0).len());
    let ratio = large as f64 / small as f64;
    assert!((8.0..12.0).contains(&ratio), "{small} and {large}");
    assert!(taps(&scenario, 5, 0.1, 120.0).iter().all(|tap| tap.user < 400));
}
