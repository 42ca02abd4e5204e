//! The full rule: a burst beyond what a channel is used to, by enough different users. `docs/moments.md` has the method.
//!
//! Per window it costs by the emotes in it, whatever the silence before; it remembers a few numbers per emote.

use std::collections::BTreeMap;

use emostream_protocol::{EmoteId, Emotes, row::RuleName, settings::FullRule};

use self::{
    course::{Chance, Course, Levels},
    pace::{Lengths, Pace, Weights},
};
use super::{Allowed, Found, strongest};

mod course;
mod format;
mod pace;

/// Most emotes that a channel's state remembers; beyond, those with the lowest long-run level are forgotten. Far more
/// than an audience uses, so that only somebody who sends every emoji there is comes near.
pub const EMOTES_MAX: usize = 1_024;

/// Part of the factor that has to come suddenly, above the trend; the rest may have built up slowly.
const SUDDEN_PART: f64 = 0.85;
/// The same for an emote that has just had a moment: a crowd in uproar that gets louder than it was then.
const SUDDEN_PART_AGAIN: f64 = 1.0 / 3.0;
/// So many slow time constants after the moment that began it an uproar lasts; further ones do not prolong it, else a
/// single one in a steep ramp would make a chain of them.
const UPROAR: f64 = 7.5;
/// Reactions after which a channel begins: an audience that comes in all at once is no moment.
const BEGINNING: u64 = 20;
/// Part of the slow time constant in which nothing is judged, from a channel's beginning on: there is no baseline yet.
const WARM_UP: f64 = 0.5;
/// So many slow time constants after a moment, the emote's noise is not learnt: a burst is no noise.
const LEARNING_PAUSE: f64 = 1.5;
/// Windows between two looks for emotes that can be forgotten.
const SWEEP_WINDOWS: u64 = 256;
/// An emote is forgotten when fewer are expected of it in a slow time constant, and its cool-down is over.
const NEGLIGIBLE: f64 = 0.01;

/// What the full rule remembers of a channel.
#[derive(Debug, Clone, Default)]
pub struct FullState {
    /// What the sums decay by; `None` before the first window.
    pace: Option<Pace>,
    /// Windows since the beginning, silent ones included, the newest judged one too.
    windows: u64,
    /// Start of the newest judged window.
    start_ms: i64,
    /// Reactions judged so far, up to [`BEGINNING`]; as long as it is less, every window begins the channel anew.
    seen: u64,
    /// Start of the window of the channel's newest moment.
    moment_ms: Option<i64>,
    emotes: BTreeMap<EmoteId, Course>,
}

/// What is judged of an emote in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Which emote.
    pub emote: EmoteId,
    /// Reactions, without late ones.
    pub count: u64,
    /// Estimated different users; `None` where nobody knows, which switches that gate off.
    pub reactors: Option<u64>,
}

/// What holds for all emotes of a window.
struct Instant {
    pace: Pace,
    start_ms: i64,
    /// Windows since the beginning, this one included.
    windows: u64,
    now: Weights,
    /// `None` in the first window.
    before: Option<Weights>,
    /// `None` when the warm-up is over, else its windows so far.
    warming_up: Option<u64>,
}

impl Instant {
    /// Whether a window that began then is less than so many slow time constants ago.
    fn is_within(&self, slow_times: f64, start_ms: Option<i64>) -> bool {
        let long_ms = slow_times * self.pace.slow_windows * f64::from(self.pace.lengths.window_ms);
        start_ms.is_some_and(|start_ms| ((self.start_ms - start_ms) as f64) < long_ms)
    }
}

impl Judged {
    /// What counts: every user once, so that a flood by few is a few.
    fn value(&self) -> u64 {
        self.reactors.map_or(self.count, |reactors| self.count.min(reactors))
    }
}

impl FullState {
    /// Judges a closed window, of which `judged` names every emote with reactions once. Windows ascend; those between
    /// had no reactions. Strongest first; emotes that burst together make one moment.
    pub fn judge(
        &mut self,
        rule: &FullRule,
        allowed: &Allowed,
        window: (i64, i64),
        judged: &[Judged],
        emotes: &Emotes,
    ) -> Vec<Found> {
        let instant = self.advance(rule, window);
        let values = judged.iter().map(Judged::value);
        self.seen = values.fold(self.seen, u64::saturating_add).min(BEGINNING);
        let mut found = Vec::new();
        for judged in judged.iter().filter(|judged| judged.count > 0) {
            let course = self.emotes.entry(judged.emote).or_insert_with(|| Course::new(instant.windows - 1));
            course.catch_up(&instant.pace, instant.windows - 1);
            if let Some(z) = course.judge(rule, &instant, judged, allowed.has(judged.emote)) {
                found.push(Found {
                    at_ms: window.1,
                    emote: judged.emote,
                    start_ms: window.0,
                    count: judged.count,
                    strength: z,
                    reactors: judged.reactors.unwrap_or(0),
                    rule: RuleName::Full,
                    media_time_ms: None,
                });
            }
        }
        self.forget(rule, &instant, emotes);
        self.together(rule, window.0, &found, emotes)
    }

    /// Goes on to a window: the sums' weights there, or a new beginning after a long silence.
    fn advance(&mut self, rule: &FullRule, window: (i64, i64)) -> Instant {
        let window_ms = (window.1 - window.0).clamp(1, i64::from(u32::MAX));
        let pace = self.keep_pace(Lengths::of(rule, window_ms as u32));
        let passed = ((window.0 - self.start_ms) / window_ms).max(1) as u64;
        if self.windows > 0 && passed >= pace.restart_windows() {
            self.seen = 0;
        }
        if self.windows == 0 || self.seen < BEGINNING {
            self.begin_anew(rule, window.0);
            self.windows = 1;
        } else {
            self.windows += passed;
        }
        self.start_ms = window.0;
        let windows = self.windows;
        let warm_up = (WARM_UP * pace.slow_windows).max(3.0);
        Instant {
            pace,
            start_ms: window.0,
            windows,
            now: Weights::after(&pace, windows),
            before: (windows > 1).then(|| Weights::after(&pace, windows - 1)),
            warming_up: ((windows as f64) <= warm_up).then_some(windows),
        }
    }

    /// The pace for these lengths. Under other time constants the levels stay and their sums are made anew; windows of
    /// another length begin anew.
    fn keep_pace(&mut self, lengths: Lengths) -> Pace {
        match self.pace {
            Some(pace) if pace.lengths == lengths => return pace,
            Some(old) if old.lengths.window_ms == lengths.window_ms && self.windows > 0 => {
                let pace = Pace::new(lengths);
                let (from, to) = (Weights::after(&old, self.windows), Weights::after(&pace, self.windows));
                for course in self.emotes.values_mut() {
                    course.catch_up(&old, self.windows);
                    course.recent *= to.recent / from.recent;
                    (0..3).for_each(|index| course.slow[index] *= to.slow[index] / from.slow[index]);
                }
            }
            _ => self.windows = 0,
        }
        let pace = Pace::new(lengths);
        self.pace = Some(pace);
        pace
    }

    /// Forgets all but cool-downs.
    fn begin_anew(&mut self, rule: &FullRule, start_ms: i64) {
        self.emotes.retain(|_, course| course.cools_down(rule, start_ms));
        for course in self.emotes.values_mut() {
            *course = Course { moment_ms: course.moment_ms, ..Course::new(0) };
        }
    }

    /// Forgets emotes that are as good as never seen, and the least of them where there are too many.
    fn forget(&mut self, rule: &FullRule, instant: &Instant, emotes: &Emotes) {
        let Instant { pace, windows, now, start_ms, .. } = instant;
        if windows % SWEEP_WINDOWS == 0 || self.emotes.len() > EMOTES_MAX {
            let level = NEGLIGIBLE / pace.slow_windows;
            self.emotes.retain(|_, course| {
                course.catch_up(pace, *windows);
                course.cools_down(rule, *start_ms) || !course.is_negligible(now, level)
            });
        }
        if self.emotes.len() > EMOTES_MAX {
            let level = |course: &Course| course.slow[2];
            let mut order: Vec<_> = self
                .emotes
                .iter()
                .map(|(emote, course)| (level(course), emotes.name(*emote), *emote))
                .collect();
            order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            order[EMOTES_MAX..].iter().for_each(|(_, _, emote)| {
                self.emotes.remove(emote);
            });
        }
    }

    /// Of emotes that burst together the strongest makes the moment; the others belong to it, with cool-downs of their own.
    fn together(&mut self, rule: &FullRule, start_ms: i64, found: &[Found], emotes: &Emotes) -> Vec<Found> {
        if found.is_empty() {
            return Vec::new();
        }
        let together_ms = i64::from(rule.together_ms);
        if self.moment_ms.is_some_and(|moment_ms| start_ms - moment_ms < together_ms) {
            return Vec::new();
        }
        self.moment_ms = Some(start_ms);
        let mut found = strongest(found, emotes);
        if together_ms > 0 {
            found.truncate(1);
        }
        found
    }
}

impl Course {
    fn cools_down(&self, rule: &FullRule, start_ms: i64) -> bool {
        self.moment_ms.is_some_and(|moment_ms| start_ms - moment_ms < i64::from(rule.cooldown_ms))
    }

    /// Whether an uproar is on.
    fn is_in_uproar(&self, instant: &Instant) -> bool {
        instant.is_within(UPROAR, self.uproar_ms)
    }

    /// Takes the next window; the z of a moment.
    fn judge(&mut self, rule: &FullRule, instant: &Instant, judged: &Judged, allowed: bool) -> Option<f64> {
        let levels = self.begin(&instant.pace, judged.value() as f64, &instant.now, instant.before.as_ref());
        let cools_down = self.cools_down(rule, instant.start_ms);
        if cools_down {
            self.peak = self.peak.max(levels.recent);
        }
        let mut z = None;
        if let Some(before) = &instant.before {
            let chance = Chance::new(&instant.now, before);
            let open = allowed && !cools_down && instant.warming_up.is_none();
            if open && self.stands_out(rule, instant, &levels, judged) {
                let expected = levels.expected.max(levels.long);
                z = Some(chance.significance(levels.recent, expected, self.noise))
                    .filter(|z| *z >= rule.significance);
            }
            if !instant.is_within(LEARNING_PAUSE, self.moment_ms) {
                let step = (2.0 / instant.pace.slow_windows).min(0.5);
                self.learn(&levels, &chance, instant.warming_up, step);
            }
        }
        self.finish(&instant.pace);
        if z.is_some() {
            if !self.is_in_uproar(instant) {
                self.uproar_ms = Some(instant.start_ms);
            }
            self.moment_ms = Some(instant.start_ms);
            self.peak = levels.recent;
        }
        z
    }

    /// All gates but significance: enough of it, more than usual, suddenly, by enough users.
    fn stands_out(&self, rule: &FullRule, instant: &Instant, levels: &Levels, judged: &Judged) -> bool {
        let part = if self.is_in_uproar(instant) { SUDDEN_PART_AGAIN } else { SUDDEN_PART };
        // While an audience still comes in, there is no trend to tell its growth by: ask for more.
        let young = 1.0 + instant.pace.slow_windows / (2.0 * instant.windows as f64);
        let sudden = (1.0 + (rule.factor - 1.0) * part) * young;
        let expected = levels.expected.max(levels.long);
        let least = f64::from(rule.reactors);
        self.recent >= f64::from(rule.floor)
            && levels.recent >= rule.factor * levels.long
            && levels.recent >= sudden * levels.expected.max(levels.peak)
            && judged.reactors.is_none_or(|reactors| {
                reactors >= u64::from(rule.reactors)
                    && (rule.reactors <= 1 || levels.recent - expected >= least)
            })
    }
}
