//! An audience: a pure planner that turns a scenario and a seed into taps, each with the time at which it is due.

mod phase;
mod population;
#[cfg(test)]
mod tests;
mod timeline;

use std::{sync::Arc, time::Duration};

pub use population::Population;
pub use timeline::{ExpectedMoment, Played, Timeline};

use crate::scenario::{PEOPLE_MAX, Scenario};
use phase::PhaseTaps;

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
}

/// Yields the taps of a scenario in the order of their times. The same scenario, seed and scale give the same taps.
#[derive(Debug)]
pub struct Audience<'a> {
    scenario: &'a Scenario,
    seed: u64,
    scale: f64,
    population: Population,
    timeline: Timeline<'a>,
    current: Option<PhaseTaps>,
}

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
            current: None,
        }
    }
}

impl Iterator for Audience<'_> {
    type Item = Tap;

    fn next(&mut self) -> Option<Tap> {
        loop {
            if let Some(taps) = &mut self.current
                && let Some((second, emote, rng)) = taps.next_tap()
            {
                let due = Duration::from_secs_f64(second);
                let media_time_ms = self.scenario.media_time.then_some((second * 1_000.0) as u64);
                let user = self.population.pick(rng);
                return Some(Tap { due, user, emote, phase: taps.phase(), media_time_ms });
            }
            let played = self.timeline.next()?;
            let phase = self.scenario.phases.get(played.phase)?;
            self.current = Some(PhaseTaps::new(phase, played, self.seed, self.scale));
        }
    }
}
