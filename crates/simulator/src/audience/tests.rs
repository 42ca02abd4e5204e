//! Properties of the planner: rates near the curve, the same taps for the same seed, the beat's shares.

use std::collections::{BTreeMap, BTreeSet};

use super::{Audience, ClientTaps, Tap, Timeline};
use crate::scenario::Scenario;

fn taps(scenario: &Scenario, seed: u64, scale: f64, seconds: f64) -> Vec<Tap> {
    Audience::new(scenario, seed, scale).take_while(|tap| tap.due.as_secs_f64() < seconds).collect()
}

#[test]
fn the_same_seed_gives_the_same_taps_and_another_one_others() {
    let scenario = Scenario::load("match").unwrap();
    let first = taps(&scenario, 7, 1.0, 60.0);
    assert!(first.len() > 2_000);
    assert_eq!(first, taps(&scenario, 7, 1.0, 60.0));
    assert_ne!(first[..100], taps(&scenario, 8, 1.0, 60.0)[..100]);
}

#[test]
fn taps_follow_the_rate_curve() {
    let mut scenario = Scenario::load("match").unwrap();
    scenario.background = None;
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

fn in_background(scenario: &Scenario, emote: &str) -> bool {
    scenario.background.as_ref().is_some_and(|background| background.emotes.contains_key(emote))
}

#[test]
fn the_background_goes_on_through_every_phase() {
    let mut scenario = Scenario::load("match").unwrap();
    let with = taps(&scenario, 4, 1.0, 100.0);
    let rate = scenario.background.take().unwrap().rate;
    let without = taps(&scenario, 4, 1.0, 100.0);
    let more = with.len() as f64 - without.len() as f64;
    assert!((more / 100.0 / rate - 1.0).abs() < 0.1, "{more} in 100 s at {rate} a second");
}

#[test]
fn taps_ascend_in_time_and_use_the_emotes_of_their_phase() {
    for name in crate::scenario::names() {
        let scenario = Scenario::load(name).unwrap();
        let taps = taps(&scenario, 3, 1.0, 500.0);
        assert!(taps.is_sorted_by(|a, b| a.due <= b.due), "{name}");
        assert!(taps.iter().all(|tap| scenario.phases[tap.phase].has(&tap.emote) || in_background(&scenario, &tap.emote)), "{name}");
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
            .filter(|played| {
                scenario.phases[played.phase].name.contains("goal")
                    && scenario.phases[played.phase].seconds < 3.0
            })
            .take(30)
            .map(|played| played.start_s)
            .collect();
        // After the minute in which the default rule learns what is usual, and not much later.
        assert!((60.0..80.0).contains(&goals[0]), "first goal at {} s", goals[0]);
        for pair in goals.windows(2) {
            assert!((40.0..180.0).contains(&(pair[1] - pair[0])), "goals at {pair:?}");
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
    let expected = Timeline::new(&scenario, 1).expected(400.0).moments;
    assert!(expected.len() >= 4, "{expected:?}");
    assert!(expected.iter().all(|moment| moment.from_s < moment.to_s && moment.to_s < 410.0));
    assert_eq!(expected[0].emote, "⚽");
    let goal =
        Timeline::new(&scenario, 1).find(|played| scenario.phases[played.phase].name == expected[0].phase);
    assert_eq!(expected[0].from_s.to_bits(), goal.unwrap().start_s.to_bits());
}

#[test]
fn the_scale_multiplies_people_and_taps() {
    let scenario = Scenario::load("match").unwrap();
    let (small, large) = (taps(&scenario, 5, 0.1, 120.0).len(), taps(&scenario, 5, 1.0, 120.0).len());
    let ratio = large as f64 / small as f64;
    assert!((8.0..12.0).contains(&ratio), "{small} and {large}");
    assert!(taps(&scenario, 5, 0.1, 120.0).iter().all(|tap| tap.user < 400));
}

#[test]
fn a_queue_holds_taps_until_its_time_is_over_and_exact_numbers_are_exact() {
    let scenario = Scenario::load("socket-clusters").unwrap();
    let taps = taps(&scenario, 1, 1.0, 100.0);
    let of = |emote: &str| taps.iter().filter(|tap| &*tap.emote == emote).count();
    assert_eq!((of("😀"), of("😢"), taps.len()), (300, 200, 500));
    let mut queues: Vec<u128> = taps.iter().map(|tap| tap.due.as_millis()).collect();
    queues.dedup();
    assert_eq!(queues, [500, 1_000, 1_500, 2_000]);
}

#[test]
fn spammers_are_few_tap_one_emote_and_belong_to_nobody_else() {
    let scenario = Scenario::load("three-spammers").unwrap();
    for scale in [0.5, 1.0, 4.0] {
        let taps = taps(&scenario, 2, scale, 200.0);
        let spam: Vec<&Tap> = taps.iter().filter(|tap| tap.phase == 1 && &*tap.emote == "🔥").collect();
        let people: BTreeSet<u32> = spam.iter().map(|tap| tap.user).collect();
        assert!(people.len() == 3 && (550..900).contains(&spam.len()), "{} of {people:?}", spam.len());
        let crowd = taps.iter().filter(|tap| !(tap.phase == 1 && &*tap.emote == "🔥") && &*tap.emote != "💩");
        assert!(crowd.clone().count() > 500 && crowd.clone().all(|tap| !people.contains(&tap.user)));
    }
}

#[test]
fn a_phone_is_wrong_by_the_same_all_the_time_and_phones_differ() {
    let scenario = Scenario::load("clock-skew").unwrap();
    let mut skews: BTreeMap<u32, i64> = BTreeMap::new();
    for tap in taps(&scenario, 3, 1.0, 120.0) {
        let skew_ms = tap.skew_ms.unwrap();
        assert!(skew_ms.abs() <= 300_000);
        assert_eq!(*skews.entry(tap.user).or_insert(skew_ms), skew_ms);
    }
    let minutes = skews.values().filter(|skew_ms| skew_ms.abs() > 60_000).count();
    assert!(minutes > skews.len() / 2 && skews.values().any(|skew_ms| *skew_ms < -60_000));
}

#[test]
fn clients_send_their_own_messages_and_the_same_for_a_seed() {
    let scenario = Scenario::load("emoji-api").unwrap();
    let clients = scenario.clients.as_ref().unwrap();
    let sent =
        |seed| ClientTaps::of_all(clients, seed).into_iter().map(Vec::from_iter).collect::<Vec<Vec<Tap>>>();
    let all = sent(1);
    assert_eq!(
        (all.len(), all.iter().map(Vec::len).max(), all.iter().map(Vec::len).min()),
        (10, Some(1_000), Some(1_000))
    );
    assert!(all.iter().enumerate().all(|(client, taps)| taps.iter().all(|tap| tap.user == client as u32)));
    assert!(all == sent(1) && all != sent(2) && all[0] != all[1]);
}
