//! Which emote: a choice by weights.

use std::{collections::BTreeMap, sync::Arc};

use rand::{RngExt as _, rngs::Xoshiro256PlusPlus};

/// Emotes with the running sums of their weights.
#[derive(Debug)]
pub(super) struct Mix(Vec<(f64, Arc<str>)>);

impl Mix {
    pub(super) fn new(emotes: &BTreeMap<String, f64>) -> Self {
        let mut sum = 0.0;
        let cumulative = emotes.iter().map(|(emote, weight)| {
            sum += weight;
            (sum, Arc::from(emote.as_str()))
        });
        Self(cumulative.collect())
    }

    pub(super) fn pick(&self, rng: &mut Xoshiro256PlusPlus) -> Arc<str> {
        let total = self.0.last().map_or(1.0, |last| last.0);
        let at = rng.random::<f64>() * total;
        let place = self.0.partition_point(|(sum, _)| *sum <= at).min(self.0.len().saturating_sub(1));
        self.0.get(place).map_or_else(|| "".into(), |(_, emote)| emote.clone())
    }
}
