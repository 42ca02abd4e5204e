//! An audience: a pure planner that turns a scenario and a seed into taps, each with the time at which it is due.

mod clients;
mod mix;
mod phase;
mod population;
mod recording;
mod steady;
#[cfg(test)]
mod tests;
mod timeline;

use std::{sync::Arc, time::Duration};

use rand::RngExt as _;

pub use clients::ClientTaps;
pub use population::Population;
pub use recording::{Layout, RecordedEntry, Recording};
pub(crate) use timeline::chance;
pub use timeline::{Played, Timeline};

use crate::scenario::{PEOPLE_MAX, Phase, Scenario};
use phase::PhaseTaps;
use steady::SteadyTaps;

/// One person taps one emote.
#[derive(Debug, Clone, PartialEq)]
pub struct Tap {
    /// Time since the scenario's start.
    pub due: Duration,
    /// Number of the person.
    pub user: u32,
    /// The emote in its canonical form.
    pub emote: Arc<str>,
    /// The phase's place in the scenario.
    pub phase: usize,
    /// Position of the player, where the scenario has one.
    pub media_time_ms: Option<u64>,
    /// How far the clock of the person's phone is ahead, where it is reported: below 0 it is behind.
    pub skew_ms: Option<i64>,
}

/// Yields the taps of a scenario in the order of their times. The same scenario, seed and scale give the same taps.
#[derive(Debug)]
pub struct Audience<'a> {
    scenario: &'a Scenario,
    seed: u64,
    scale: f64,
    population: Population,
    timeline: Timeline<'a>,
    crowd: Option<PhaseTaps>,
    /// What is tapped on top of the phase's crowd.
    steady: Vec<SteadyTaps>,
    /// What each of them taps next, the crowd's last: the earliest comes first.
    next: Vec<Option<NextTap>>,
}

/// A tap's second since the scenario's start, who, and what.
type NextTap = (f64, u32, Arc<str>);

impl<'a> Audience<'a> {
    /// `scale` multiplies the people and their reactions.
    pub fn new(scenario: &'a Scenario, seed: u64, scale: f64) -> Self {
        let people = (f64::from(scenario.people) * scale).clamp(1.0, f64::from(PEOPLE_MAX));
        Self {
            scenario,
            seed,
            scale,
            population: Population::new(people as u32, scenario.activity),
            timeline: Timeline::new(scenario, seed),
            crowd: None,
            steady: Vec::new(),
            next: Vec::new(),
        }
    }

    /// Begins a phase.
    fn begin(&mut self, played: Played, phase: &Phase) {
        let background = self.scenario.background.as_ref();
        let background = background.map(|all| SteadyTaps::of_background(all, played, self.seed, self.scale));
        let spam = phase.spam.as_ref().map(|spam| SteadyTaps::of_spam(spam, played, self.seed));
        self.steady = background.into_iter().chain(spam).collect();
        self.crowd = Some(PhaseTaps::new(phase, played, self.seed, self.scale));
        self.next = (0..=self.steady.len()).map(|source| self.next_of(source)).collect();
    }

    /// The next tap of one of the sources that are played together.
    fn next_of(&mut self, source: usize) -> Option<NextTap> {
        if let Some(steady) = self.steady.get_mut(source) {
            return steady.next_tap(&self.population);
        }
        let (second, emote, rng) = self.crowd.as_mut()?.next_tap()?;
        Some((second, self.population.pick(rng), emote))
    }

    /// The next tap of the phase under way.
    fn next_in_phase(&mut self) -> Option<NextTap> {
        let due = self.next.iter().enumerate().filter_map(|(source, next)| Some((source, next.as_ref()?.0)));
        let (source, _) = due.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let following = self.next_of(source);
        std::mem::replace(self.next.get_mut(source)?, following)
    }

    fn tap(&self, phase: usize, (second, user, emote): NextTap) -> Tap {
        let media_time_ms = self.scenario.media_time.then_some((second * 1_000.0) as u64);
        let queue_s = f64::from(self.scenario.queue_ms) / 1_000.0;
        let due_s = if queue_s > 0.0 { ((second / queue_s).floor() + 1.0) * queue_s } else { second };
        let skew_ms = self.scenario.clock_skew_s.map(|skew_s| {
            // Of the person alone: a phone is wrong by the same all the time.
            let part = chance(self.seed, 0, user as usize, 4).random_range(-1.0..=1.0);
            (part * skew_s * 1_000.0) as i64
        });
        Tap { due: Duration::from_secs_f64(due_s), user, emote, phase, media_time_ms, skew_ms }
    }
}

impl Iterator for Audience<'_> {
    type Item = Tap;

    fn next(&mut self) -> Option<Tap> {
        loop {
            if let Some(next) = self.next_in_phase() {
                let phase = self.crowd.as_ref()?.phase();
                return Some(self.tap(phase, next));
            }
            let played = self.timeline.next()?;
            let phase = self.scenario.phases.get(played.phase)?;
            self.begin(played, phase);
        }
    }
}
