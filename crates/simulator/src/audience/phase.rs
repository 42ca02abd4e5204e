//! The taps of one phase: Poisson arrivals along its rate curve, its beat, or exact numbers.

use std::{collections::VecDeque, sync::Arc};

use rand::{RngExt as _, rngs::Xoshiro256PlusPlus};

use super::{
    mix::Mix,
    timeline::{Played, chance},
};
use crate::scenario::{Beat, Phase, Rate};

/// Yields the crowd's `(second since the scenario's start, emote)` in ascending order.
#[derive(Debug)]
pub(super) struct PhaseTaps {
    played: Played,
    rng: Xoshiro256PlusPlus,
    emotes: Mix,
    process: Process,
    /// Seconds since the phase began.
    clock_s: f64,
}

#[derive(Debug)]
enum Process {
    /// Arrivals at the highest rate, of which as many are kept as the curve says (thinning).
    Poisson { rate: Rate, gain: f64, max: f64 },
    /// Beats with `voices` taps or bursts at once; `waiting` holds what the last beat brought.
    Beat { beat: Beat, voices: u32, waiting: VecDeque<(f64, Arc<str>)> },
    /// What is left of each emote, to be drawn at equal distances.
    Exactly { left: Vec<(u64, Arc<str>)>, step_s: f64 },
}

impl PhaseTaps {
    pub(super) fn new(phase: &Phase, played: Played, seed: u64, scale: f64) -> Self {
        let process = match (&phase.rate, &phase.beat, &phase.exactly) {
            (_, Some(beat), _) => {
                let voices = (scale.round() as u32).max(1);
                Process::Beat { beat: beat.clone(), voices, waiting: VecDeque::new() }
            }
            (_, _, Some(exactly)) => {
                let scaled = |number: u32| (f64::from(number) * scale).round().max(1.0) as u64;
                let left: Vec<_> = exactly
                    .iter()
                    .map(|(emote, number)| (scaled(*number), Arc::from(emote.as_str())))
                    .collect();
                let total: u64 = left.iter().map(|(number, _)| number).sum();
                Process::Exactly { left, step_s: played.length_s / total.max(1) as f64 }
            }
            (rate, None, None) => {
                let rate = rate.clone().unwrap_or(Rate::Constant(0.0));
                let gain = played.gain * scale;
                Process::Poisson { gain, max: rate.max() * gain, rate }
            }
        };
        let rng = chance(seed, played.round, played.phase, 1);
        Self { played, rng, emotes: Mix::new(&phase.emotes), process, clock_s: 0.0 }
    }

    pub(super) fn phase(&self) -> usize {
        self.played.phase
    }

    /// The next tap, and the phase's chance to pick a person with.
    pub(super) fn next_tap(&mut self) -> Option<(f64, Arc<str>, &mut Xoshiro256PlusPlus)> {
        let (second, emote) = match &mut self.process {
            Process::Poisson { rate, gain, max } => {
                let second = next_arrival(&mut self.rng, self.clock_s, self.played.length_s, *max, |at| {
                    rate.at(at) * *gain
                })?;
                self.clock_s = second;
                (second, self.emotes.pick(&mut self.rng))
            }
            Process::Beat { beat, voices, waiting } => {
                while waiting.is_empty() {
                    if self.clock_s >= self.played.length_s {
                        return None;
                    }
                    for _ in 0..*voices {
                        let emote = self.emotes.pick(&mut self.rng);
                        waiting.extend(taps_of_beat(beat, self.clock_s, &emote, &mut self.rng));
                    }
                    waiting.make_contiguous().sort_by(|a, b| a.0.total_cmp(&b.0));
                    self.clock_s += f64::from(beat.every_ms) / 1_000.0;
                }
                let (second, emote) = waiting.pop_front()?;
                // The next phase begins on time, whatever is left of this beat.
                (second.min(self.played.length_s), emote)
            }
            Process::Exactly { left, step_s } => {
                let emote = draw(left, &mut self.rng)?;
                let second = self.clock_s;
                self.clock_s += *step_s;
                (second, emote)
            }
        };
        Some((self.played.start_s + second, emote, &mut self.rng))
    }
}

/// The time of the next arrival of a Poisson process whose rate varies, within `end`.
pub(super) fn next_arrival(
    rng: &mut Xoshiro256PlusPlus,
    mut clock_s: f64,
    end: f64,
    max: f64,
    rate: impl Fn(f64) -> f64,
) -> Option<f64> {
    if max <= 0.0 {
        return None;
    }
    loop {
        // 1 − u is above 0, so its logarithm is finite.
        clock_s -= (1.0 - rng.random::<f64>()).ln() / max;
        if clock_s >= end {
            return None;
        }
        if rng.random::<f64>() * max < rate(clock_s) {
            return Some(clock_s);
        }
    }
}

fn taps_of_beat(
    beat: &Beat,
    start_s: f64,
    emote: &Arc<str>,
    rng: &mut Xoshiro256PlusPlus,
) -> impl Iterator<Item = (f64, Arc<str>)> {
    let is_burst = rng.random::<f64>() < beat.burst_share;
    let taps = if is_burst { rng.random_range(beat.burst[0]..=beat.burst[1]) } else { 1 };
    let step_s = f64::from(beat.spread_ms) / 1_000.0 / f64::from(taps);
    let emote = emote.clone();
    (0..taps).map(move |tap| (start_s + f64::from(tap) * step_s, emote.clone()))
}

/// One of those that are left, each alike; `None` when none is left.
fn draw(left: &mut [(u64, Arc<str>)], rng: &mut Xoshiro256PlusPlus) -> Option<Arc<str>> {
    let total: u64 = left.iter().map(|(number, _)| number).sum();
    if total == 0 {
        return None;
    }
    let mut at = rng.random_range(0..total);
    for (number, emote) in left {
        if at < *number {
            *number -= 1;
            return Some(emote.clone());
        }
        at -= *number;
    }
    None
}
