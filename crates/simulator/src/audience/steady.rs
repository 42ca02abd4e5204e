//! Taps on top of a phase's crowd: those of a few people, and what the crowd taps all the time.

use rand::{RngExt as _, rngs::Xoshiro256PlusPlus};

use super::{
    NextTap,
    mix::Mix,
    phase::next_arrival,
    population::Population,
    timeline::{Played, chance},
};
use crate::scenario::{Background, Spam};

/// Yields random taps at a steady rate, in ascending order of time.
#[derive(Debug)]
pub(super) struct SteadyTaps {
    played: Played,
    rng: Xoshiro256PlusPlus,
    people: People,
    rate: f64,
    emotes: Mix,
    clock_s: f64,
}

/// Who taps.
#[derive(Debug)]
enum People {
    /// Anybody of the crowd.
    Crowd,
    /// So many others, numbered after the crowd's people: they are nobody else.
    Others(u32),
}

impl SteadyTaps {
    /// A few stay as few however large the audience is made, so nothing of this is scaled.
    pub(super) fn of_spam(spam: &Spam, played: Played, seed: u64) -> Self {
        let rng = chance(seed, played.round, played.phase, 2);
        let emotes = Mix::new(&[(spam.emote.clone(), 1.0)].into());
        Self { played, rng, people: People::Others(spam.people), rate: spam.rate, emotes, clock_s: 0.0 }
    }

    pub(super) fn of_background(background: &Background, played: Played, seed: u64, scale: f64) -> Self {
        let rng = chance(seed, played.round, played.phase, 7);
        let (emotes, rate) = (Mix::new(&background.emotes), background.rate * scale);
        Self { played, rng, people: People::Crowd, rate, emotes, clock_s: 0.0 }
    }

    pub(super) fn next_tap(&mut self, population: &Population) -> Option<NextTap> {
        let rate = self.rate;
        self.clock_s = next_arrival(&mut self.rng, self.clock_s, self.played.length_s, rate, |_| rate)?;
        let user = match self.people {
            People::Crowd => population.pick(&mut self.rng),
            People::Others(people) => population.len() as u32 + self.rng.random_range(0..people.max(1)),
        };
        Some((self.played.start_s + self.clock_s, user, self.emotes.pick(&mut self.rng)))
    }
}
