//! A part of a scenario with one mood: when the crowd taps, and what.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::{Rate, canonical, checked_emotes};

/// A part of a scenario with one mood. Its taps come by `rate`, by `beat` or by `exactly`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Shown while it is played.
    pub name: String,
    /// Length.
    pub seconds: f64,
    /// Random taps of a crowd.
    pub rate: Option<Rate>,
    /// A steady beat of single taps and bursts.
    pub beat: Option<Beat>,
    /// So many taps of each emote, mixed by chance, at equal distances.
    pub exactly: Option<BTreeMap<String, u32>>,
    /// A few people who tap on top of the crowd.
    pub spam: Option<Spam>,
    /// Whether the phase's reactions are received on time and reach the log only at its end, all at once.
    #[serde(default)]
    pub spooled: bool,
    /// Emotes and how often each is chosen, relative to the others; not with `exactly`, which names its own.
    #[serde(default)]
    pub emotes: BTreeMap<String, f64>,
}

/// What the crowd taps all the time: random taps at a steady rate, on top of every phase.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// Reactions per second of the whole audience.
    pub rate: f64,
    /// Emotes and how often each is chosen, relative to the others.
    pub emotes: BTreeMap<String, f64>,
}

/// On every beat one tap, or a burst of identical ones.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beat {
    /// Time between beats.
    pub every_ms: u32,
    /// Share of beats that are bursts.
    pub burst_share: f64,
    /// Smallest and largest burst.
    pub burst: [u32; 2],
    /// Time over which a burst spreads.
    pub spread_ms: u32,
}

/// A few people who tap one emote again and again; none of them is part of the crowd.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spam {
    /// How many.
    pub people: u32,
    /// Reactions per second of all of them together, at random times.
    pub rate: f64,
    /// What they tap.
    pub emote: String,
}

/// People who spam: more would be a crowd.
const SPAMMERS_MAX: u32 = 1_000;

/// Reactions that `exactly` may ask for in one phase: they are drawn from a table in memory.
const EXACTLY_MAX: u32 = 10_000_000;

impl Phase {
    pub(super) fn check(&mut self) -> Result<()> {
        if !(0.1..=86_400.0).contains(&self.seconds) {
            bail!("seconds: expected 0.1 to 86400");
        }
        if let Some(spam) = &mut self.spam {
            spam.check()?;
        }
        match (&self.rate, &self.beat, &mut self.exactly) {
            (Some(rate), None, None) => rate.check().map_err(anyhow::Error::msg)?,
            (None, Some(beat), None) => beat.check()?,
            (None, None, Some(exactly)) if self.emotes.is_empty() => return check_exactly(exactly),
            (None, None, Some(_)) => bail!("emotes: expected none beside exactly, which names its own"),
            _ => bail!("expected one of rate, beat and exactly"),
        }
        self.emotes = checked_emotes(&self.emotes)?;
        Ok(())
    }

    /// Whether anybody may tap this emote in the phase.
    pub fn has(&self, emote: &str) -> bool {
        self.emotes.contains_key(emote)
            || self.exactly.as_ref().is_some_and(|exactly| exactly.contains_key(emote))
            || self.spam.as_ref().is_some_and(|spam| spam.emote == emote)
    }
}

fn check_exactly(exactly: &mut BTreeMap<String, u32>) -> Result<()> {
    let total = exactly.values().fold(0_u32, |sum, number| sum.saturating_add(*number));
    if exactly.values().any(|number| *number == 0) || !(1..=EXACTLY_MAX).contains(&total) {
        bail!("exactly: expected emotes with numbers of 1 or more, at most {EXACTLY_MAX} together");
    }
    *exactly =
        exactly.iter().map(|(emote, number)| Ok((canonical(emote)?, *number))).collect::<Result<_>>()?;
    Ok(())
}

impl Background {
    pub(super) fn check(&mut self) -> Result<()> {
        Rate::Constant(self.rate).check().map_err(anyhow::Error::msg)?;
        self.emotes = checked_emotes(&self.emotes)?;
        Ok(())
    }
}

impl Spam {
    fn check(&mut self) -> Result<()> {
        if !(1..=SPAMMERS_MAX).contains(&self.people) || !(0.1..=1e6).contains(&self.rate) {
            bail!("spam: expected people of 1 to {SPAMMERS_MAX} and a rate of 0.1 to 1000000");
        }
        self.emote = canonical(&self.emote)?;
        Ok(())
    }
}

impl Beat {
    fn check(&self) -> Result<()> {
        let [least, most] = self.burst;
        let good = (10..=60_000).contains(&self.every_ms)
            && (0.0..=1.0).contains(&self.burst_share)
            && (2..=10_000).contains(&least)
            && (least..=10_000).contains(&most)
            && self.spread_ms < self.every_ms;
        if good {
            return Ok(());
        }
        bail!(
            "beat: expected every_ms of 10 to 60000, burst_share of 0 to 1, burst = [2 or more, at most 10000], and \
             spread_ms below every_ms"
        );
    }
}
