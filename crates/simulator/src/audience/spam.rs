//! The taps of a few people on top of the crowd.

use std::sync::Arc;

use rand::{RngExt as _, rngs::Xoshiro256PlusPlus};

use super::{
    phase::next_arrival,
    timeline::{Played, chance},
};
use crate::scenario::Spam;

/// Yields `(second since the scenario's start, person, emote)` in ascending order; people are numbered from 0.
#[derive(Debug)]
pub(super) struct SpamTaps {
    played: Played,
    rng: Xoshiro256PlusPlus,
    people: u32,
    /// A few stay as few however large the audience is made, so nothing of this is scaled.
    rate: f64,
    emote: Arc<str>,
    clock_s: f64,
}

impl SpamTaps {
    pub(super) fn new(spam: &Spam, played: Played, seed: u64) -> Self {
        let rng = chance(seed, played.round, played.phase, 2);
        let emote = Arc::from(spam.emote.as_str());
        Self { played, rng, people: spam.people, rate: spam.rate, emote, clock_s: 0.0 }
    }
}

impl Iterator for SpamTaps {
    type Item = (f64, u32, Arc<str>);

    fn next(&mut self) -> Option<Self::Item> {
        let rate = self.rate;
        self.clock_s = next_arrival(&mut self.rng, self.clock_s, self.played.length_s, rate, |_| rate)?;
        let person = self.rng.random_range(0..self.people.max(1));
        Some((self.played.start_s + self.clock_s, person, self.emote.clone()))
    }
}
