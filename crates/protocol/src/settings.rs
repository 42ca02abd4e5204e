//! The part of a channel's settings that decides what its moments are; it travels in the log itself.

use serde::{Deserialize, Serialize};

use crate::emote::Emotes;

pub mod document;
pub mod published;
pub mod rule;

pub use document::{Guests, PaletteDocument, SettingsDocument, SettingsInput};
pub use published::PublishedChannel;
pub use rule::{FullRule, MomentRule, PlainRule, RulePreset};

/// Longest settings document, as JSON, in bytes.
pub const SETTINGS_BYTES_MAX: usize = 64 * 1024;

/// Bytes of the allowed list, as JSON: the rest of the document is left [`SETTINGS_BYTES_MAX`] − this.
pub const ALLOWED_BYTES_MAX: usize = SETTINGS_BYTES_MAX - 4 * 1024;

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

/// Why settings were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {expected}")]
pub struct SettingsError {
    /// The field that is wrong.
    pub field: &'static str,
    /// What was expected.
    pub expected: String,
}

impl Default for ChannelSettings {
    /// Those of a new channel: the full rule's preset `normal`, every emote.
    fn default() -> Self {
        Self { version: 0, rule: MomentRule::Full(FullRule::default()), allowed_emotes: None }
    }
}

impl ChannelSettings {
    /// Checks every field and brings emotes into canonical form, sorted and unique.
    pub fn validated(mut self, emotes: &Emotes) -> Result<Self, SettingsError> {
        self.rule = self.rule.validated()?;
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
            // Each with its quotes and a comma; what is beside the list is short.
            let bytes: usize = allowed.iter().map(|emote| emote.len() + 3).sum();
            if bytes > ALLOWED_BYTES_MAX {
                let expected = format!("expected emotes of at most {ALLOWED_BYTES_MAX} bytes in all");
                return Err(SettingsError { field: "allowed_emotes", expected });
            }
        }
        Ok(self)
    }
}
