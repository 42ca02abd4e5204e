//! Scenario files: how an audience behaves over time, and what should come of it.

mod builtin;
mod curve;

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail};
use emostream_protocol::emote::{Emotes, is_custom_name};
use serde::Deserialize;

pub use builtin::{NAMES, description_of};
pub use curve::{Rate, Shout};

/// An audience's behaviour. The format is described in `scenarios/README.md`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What people see as its name.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// People in the audience.
    pub people: u32,
    /// How unequal people are: 0 makes all tap equally often, 1 is Zipf's law.
    #[serde(default)]
    pub activity: f64,
    /// Whether it begins again after the last phase, each time with chances of its own.
    #[serde(default)]
    pub repeat: bool,
    /// Each time a phase is played, its length and its rate differ by up to this share.
    #[serde(default)]
    pub variation: f64,
    /// Whether reactions carry the position of the player, which starts with the scenario.
    #[serde(default)]
    pub media_time: bool,
    /// What happens, in order.
    #[serde(rename = "phase")]
    pub phases: Vec<Phase>,
    /// Moments that a reader of the output should see.
    #[serde(rename = "expect", default)]
    pub expectations: Vec<Expectation>,
}

/// A part of a scenario with one mood.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Shown while it is played.
    pub name: String,
    /// Length.
    pub seconds: f64,
    /// Random taps of a crowd. A phase has this or `beat`.
    pub rate: Option<Rate>,
    /// A steady beat of single taps and bursts. A phase has this or `rate`.
    pub beat: Option<Beat>,
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

/// A moment that should come of a phase.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The phase, by name.
    pub phase: String,
    /// The moment's emote.
    pub emote: String,
    /// Earliest and latest second of the phase at which a window with this moment may begin or end.
    pub within_s: [f64; 2],
}

/// People that an audience may have: their activity is a table in memory.
pub const PEOPLE_MAX: u32 = 1_000_000;

/// Bytes of a scenario file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

impl Scenario {
    /// Finds a scenario by its name, or reads the file at a path.
    pub fn load(name_or_path: &str) -> Result<Self> {
        if let Some(text) = builtin::text_of(name_or_path) {
            return Self::parse(text).with_context(|| format!("scenario {name_or_path}"));
        }
        let path = Path::new(name_or_path);
        let about = || format!("scenario {name_or_path}: expected one of {}, or a file", NAMES.join(", "));
        let metadata = std::fs::metadata(path).with_context(about)?;
        if metadata.len() > FILE_BYTES_MAX {
            bail!("scenario {name_or_path}: expected a file of at most {FILE_BYTES_MAX} bytes");
        }
        let text = std::fs::read_to_string(path).with_context(about)?;
        Self::parse(&text).with_context(|| format!("scenario {name_or_path}"))
    }

    /// Reads and checks the text of a scenario.
    pub fn parse(text: &str) -> Result<Self> {
        let mut scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&mut self) -> Result<()> {
        if !(1..=PEOPLE_MAX).contains(&self.people) {
            bail!("people: expected 1 to {PEOPLE_MAX}");
        }
        if !(0.0..=3.0).contains(&self.activity) {
            bail!("activity: expected 0 to 3");
        }
        if !(0.0..=0.9).contains(&self.variation) {
            bail!("variation: expected 0 to 0.9");
        }
        if self.phases.is_empty() {
            bail!("expected at least one [[phase]]");
        }
        for phase in &mut self.phases {
            phase.check().with_context(|| format!("phase {:?}", phase.name))?;
        }
        for expectation in &mut self.expectations {
            expectation.emote = canonical(&expectation.emote)?;
            let Some(phase) = self.phases.iter().find(|phase| phase.name == expectation.phase) else {
                bail!("expect: no phase is called {:?}", expectation.phase);
            };
            let [from, to] = expectation.within_s;
            let in_order = from >= 0.0 && from < to && to.is_finite();
            if !in_order || !phase.emotes.contains_key(&expectation.emote) {
                bail!(
                    "expect for {:?}: expected within_s = [from, to] and an emote of the phase",
                    phase.name
                );
            }
        }
        Ok(())
    }
}

impl Phase {
    fn check(&mut self) -> Result<()> {
        if !(0.1..=86_400.0).contains(&self.seconds) {
            bail!("seconds: expected 0.1 to 86400");
        }
        match (&self.rate, &self.beat) {
            (Some(rate), None) => rate.check().map_err(anyhow::Error::msg)?,
            (None, Some(beat)) => beat.check()?,
            _ => bail!("expected either rate or beat"),
        }
        let weights_are_good = self.emotes.values().all(|weight| weight.is_finite() && *weight > 0.0);
        if self.emotes.is_empty() || !weights_are_good {
            bail!("emotes: expected at least one, each with a weight above 0");
        }
        let canonical = |(emote, weight): (&String, &f64)| Ok((canonical(emote)?, *weight));
        self.emotes = self.emotes.iter().map(canonical).collect::<Result<_>>()?;
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

/// The form in which the server reports an emote.
fn canonical(emote: &str) -> Result<String> {
    if is_custom_name(emote) {
        return Ok(emote.to_owned());
    }
    let emotes = Emotes::new();
    let id = emotes.resolve(emote).with_context(|| format!("emote {emote:?}"))?;
    Ok(emotes.name(id).to_string())
}

#[cfg(test)]
mod tests;
