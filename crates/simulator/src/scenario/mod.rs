//! Scenario files: how an audience behaves over time, and what should come of it.

mod builtin;
mod clients;
mod curve;
mod expect;
mod phase;

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail};
use emostream_protocol::emote::{Emotes, is_custom_name};
use serde::Deserialize;

pub use builtin::{description_of, names};
pub use clients::{CLIENTS_MAX, Clients, Endpoint, MESSAGES_MAX};
pub use curve::{Rate, Shout};
pub use expect::{Expect, Expectation};
pub use phase::{Background, Beat, Phase, Spam};

/// An audience's behaviour. The format is described in `scenarios/README.md`.
///
/// Either a crowd that goes through `phases`, or `clients` that send as fast as they are answered.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What people see as its name.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// Where reactions are sent, and in whose shape.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// People in the audience; with `clients` 0, since each client is a person.
    #[serde(default)]
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
    /// Reactions carry a tapped time by the clock of their person's phone, which is wrong by up to this many seconds,
    /// ahead or behind; without it they carry none.
    #[serde(default)]
    pub clock_skew_s: Option<f64>,
    /// Taps wait in a queue that is sent whenever so many milliseconds are over; 0 sends each at once.
    #[serde(default)]
    pub queue_ms: u32,
    /// What the crowd taps all the time, whatever else happens.
    #[serde(default)]
    pub background: Option<Background>,
    /// What happens, in order.
    #[serde(rename = "phase", default)]
    pub phases: Vec<Phase>,
    /// Programs that send, instead of phases.
    #[serde(default)]
    pub clients: Option<Clients>,
    /// What a reader of the output should see.
    #[serde(default)]
    pub expect: Expect,
}

/// People that an audience may have: their activity is a table in memory.
pub const PEOPLE_MAX: u32 = 1_000_000;

/// Bytes of a scenario file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Longest queue: beyond a minute the taps are another event's.
const QUEUE_MS_MAX: u32 = 60_000;

/// Furthest that a phone's clock may be wrong, in seconds: a day.
const CLOCK_SKEW_S_MAX: f64 = 86_400.0;

impl Scenario {
    /// Finds a scenario by its name, or reads the file at a path.
    pub fn load(name_or_path: &str) -> Result<Self> {
        if let Some(text) = builtin::text_of(name_or_path) {
            return Self::parse(text).with_context(|| format!("scenario {name_or_path}"));
        }
        let path = Path::new(name_or_path);
        let about = || {
            format!(
                "scenario {name_or_path}: expected one of {}, or a file",
                names().collect::<Vec<_>>().join(", ")
            )
        };
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
        if !(0.0..=3.0).contains(&self.activity) {
            bail!("activity: expected 0 to 3");
        }
        if !(0.0..=0.9).contains(&self.variation) {
            bail!("variation: expected 0 to 0.9");
        }
        if self.queue_ms > QUEUE_MS_MAX {
            bail!("queue_ms: expected at most {QUEUE_MS_MAX}");
        }
        if self.clock_skew_s.is_some_and(|skew| !(0.001..=CLOCK_SKEW_S_MAX).contains(&skew)) {
            bail!("clock_skew_s: expected 0.001 to {CLOCK_SKEW_S_MAX}");
        }
        if self.clock_skew_s.is_some() && self.endpoint != Endpoint::Reactions {
            bail!("clock_skew_s: expected endpoint = \"reactions\"");
        }
        match &mut self.clients {
            Some(clients) => {
                if !self.phases.is_empty() || self.people > 0 || self.background.is_some() {
                    bail!("clients: expected neither [[phase]] nor people nor background beside them");
                }
                clients.check().context("clients")?;
            }
            None => self.check_phases()?,
        }
        self.expect.check(&self.phases)
    }

    fn check_phases(&mut self) -> Result<()> {
        if !(1..=PEOPLE_MAX).contains(&self.people) {
            bail!("people: expected 1 to {PEOPLE_MAX}");
        }
        if self.phases.is_empty() {
            bail!("expected at least one [[phase]], or [clients]");
        }
        if let Some(background) = &mut self.background {
            background.check().context("background")?;
        }
        for phase in &mut self.phases {
            phase.check().with_context(|| format!("phase {:?}", phase.name))?;
        }
        Ok(())
    }

    /// Whether any part of it happens inside the server, where no client can make it happen.
    pub fn needs_a_spool(&self) -> bool {
        self.phases.iter().any(|phase| phase.spooled)
    }
}

/// Emotes with their weights, in canonical form.
fn checked_emotes(emotes: &BTreeMap<String, f64>) -> Result<BTreeMap<String, f64>> {
    let weights_are_good = emotes.values().all(|weight| weight.is_finite() && *weight > 0.0);
    if emotes.is_empty() || !weights_are_good {
        bail!("emotes: expected at least one, each with a weight above 0");
    }
    emotes.iter().map(|(emote, weight)| Ok((canonical(emote)?, *weight))).collect()
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
