//! When the phases of each round are played: varied by chance, the same for the same seed.

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};

use crate::{
    check::{Expected, ExpectedMoment},
    scenario::Scenario,
};

/// One phase of one round with its place in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Played {
    /// The round, from 0.
    pub round: u32,
    /// The phase's place in the scenario.
    pub phase: usize,
    /// Seconds from the scenario's start to its beginning.
    pub start_s: f64,
    /// Its length in seconds.
    pub length_s: f64,
    /// What its rate is multiplied by.
    pub gain: f64,
}

/// The phases in order, endlessly if the scenario repeats.
#[derive(Debug, Clone)]
pub struct Timeline<'a> {
    scenario: &'a Scenario,
    seed: u64,
    round: u32,
    phase: usize,
    clock_s: f64,
}

impl<'a> Timeline<'a> {
    /// Starts at the beginning.
    pub fn new(scenario: &'a Scenario, seed: u64) -> Self {
        Self { scenario, seed, round: 0, phase: 0, clock_s: 0.0 }
    }

    /// What should be seen in the phases that end within `seconds`.
    pub fn expected(self, seconds: f64) -> Expected {
        let scenario = self.scenario;
        let expect = &scenario.expect;
        let mut expected = Expected { none: expect.none, ..Expected::default() };
        for played in self.take_while(|played| played.start_s + played.length_s <= seconds) {
            let Some(phase) = scenario.phases.get(played.phase) else { continue };
            let of_phase = expect.moments.iter().filter(|moment| moment.phase == phase.name);
            expected.moments.extend(of_phase.map(|moment| ExpectedMoment {
                emote: moment.emote.clone(),
                phase: phase.name.clone(),
                from_s: played.start_s + moment.within_s[0],
                to_s: played.start_s + moment.within_s[1],
            }));
            if expect.quiet.contains(&phase.name) {
                expected.quiet.push((played.start_s, played.start_s + played.length_s));
            }
        }
        expected
    }

    /// Seconds from the beginning to the end; `None` if there is no end.
    pub fn length_s(self) -> Option<f64> {
        if self.scenario.repeat {
            return None;
        }
        Some(self.last().map_or(0.0, |played| played.start_s + played.length_s))
    }
}

impl Iterator for Timeline<'_> {
    type Item = Played;

    fn next(&mut self) -> Option<Played> {
        if self.phase == self.scenario.phases.len() {
            if !self.scenario.repeat {
                return None;
            }
            self.phase = 0;
            self.round = self.round.wrapping_add(1);
        }
        let phase = self.scenario.phases.get(self.phase)?;
        let mut rng = chance(self.seed, self.round, self.phase, 0);
        let variation = self.scenario.variation;
        let mut vary = || 1.0 + variation * (2.0 * rng.random::<f64>() - 1.0);
        let length_s = phase.seconds * vary();
        let played =
            Played { round: self.round, phase: self.phase, start_s: self.clock_s, length_s, gain: vary() };
        self.clock_s += length_s;
        self.phase += 1;
        Some(played)
    }
}

/// Chance of its own for each use in each phase of each round, so that editing one phase leaves the others as they were.
/// The generator is a named one whose numbers are the same in every version and on every machine.
pub(crate) fn chance(seed: u64, round: u32, phase: usize, purpose: u64) -> Xoshiro256PlusPlus {
    let mut mixed = seed;
    for part in [u64::from(round), phase as u64, purpose] {
        // SplitMix64's finaliser: neighbouring inputs give unrelated outputs.
        mixed = mixed.wrapping_add(part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    Xoshiro256PlusPlus::seed_from_u64(mixed)
}
