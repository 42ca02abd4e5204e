//! The part of a channel's settings that decides what its moments are; it travels in the log itself.

use serde::{Deserialize, Serialize};

use crate::emote::Emotes;

/// Longest settings document, as JSON, in bytes.
pub const SETTINGS_BYTES_MAX: usize = 64 * 1024;

/// A channel's settings in force from a window on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelSettings {
    /// Ascends with each change of the channel's settings; stored with each moment as the rule version.
    pub version: u64,
    /// What makes a moment.
    pub rule: MomentRule,
    /// Emotes that can make a moment, in canonical form; absent: every emote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_emotes: Option<Vec<String>>,
}

/// What makes a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MomentRule {
    /// System A's: a threshold that is exceeded.
    Plain(PlainRule),
}

/// System A's rule in its two forms, chosen by the threshold: below 1 it is a share of each interval, from 1 on a
/// count in a window. A moment is found where the value exceeds the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlainRule {
    /// Above 0. Below 1: share of an interval's reactions; from 1 on: count in a window.
    pub threshold: f64,
    /// Reactions after which a share is judged, at least 1.
    pub interval: u32,
}

/// Why settings were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {expected}")]
pub struct SettingsError {
    /// The field that is wrong.
    pub field: &'static str,
    /// What was expected.
    pub expected: String,
}

impl Default for PlainRule {
    /// System A's defaults: more than half of a hundred.
    fn default() -> Self {
        Self { threshold: 0.5, interval: 100 }
    }
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self { version: 0, rule: MomentRule::Plain(PlainRule::default()), allowed_emotes: None }
    }
}

impl MomentRule {
    /// The rule's name, as moments carry it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain(_) => "plain",
        }
    }
}

impl ChannelSettings {
    /// Checks every field and brings emotes into canonical form, sorted and unique.
    pub fn validated(mut self, emotes: &Emotes) -> Result<Self, SettingsError> {
        let MomentRule::Plain(rule) = &self.rule;
        if !(rule.threshold.is_finite() && rule.threshold > 0.0 && rule.threshold <= 1e12) {
            let expected = format!("expected a number above 0, got {}", rule.threshold);
            return Err(SettingsError { field: "rule.threshold", expected });
        }
        if !(1..=1_000_000_000).contains(&rule.interval) {
            let expected = format!("expected a whole number from 1 to 1000000000, got {}", rule.interval);
            return Err(SettingsError { field: "rule.interval", expected });
        }
        if let Some(allowed) = &mut self.allowed_emotes {
            for emote in allowed.iter_mut() {
                let id = emotes.resolve(emote).map_err(|error| SettingsError {
                    field: "allowed_emotes",
                    expected: format!("{emote:?}: {error}"),
                })?;
                *emote = emotes.name(id).to_string();
            }
            allowed.sort_unstable();
            allowed.dedup();
        }
        Ok(self)
    }
}
