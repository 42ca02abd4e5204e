//! `channels`: the channels that exist, their palettes, and the moment rule they start with.

use emostream_protocol::{
    ChannelName, ChannelSettings, Emotes, Palette,
    limits::PALETTE_FEATURED_MAX,
    palette::FEATURED_BY_DEFAULT,
    settings::{MomentRule, PlainRule},
};
use serde::{Deserialize, Serialize};

use super::Findings;

/// One channel.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelConfig {
    /// Its name.
    pub name: String,
    /// Emotes offered as buttons.
    pub palette: Vec<String>,
    /// Emoji accepted; absent: every emoji.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_emotes: Option<Vec<String>>,
    /// The channel's own emotes, `:name:`.
    pub custom_emotes: Vec<String>,
    /// Emotes that can make a moment; absent: every emote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_emotes: Option<Vec<String>>,
    /// Above 0. Below 1: share of an interval; from 1 on: count in a window. A moment is found above it.
    pub threshold: f64,
    /// Reactions after which a share is judged.
    pub interval: u32,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        let rule = PlainRule::default();
        Self {
            name: "main".into(),
            palette: FEATURED_BY_DEFAULT.map(String::from).to_vec(),
            accepted_emotes: None,
            custom_emotes: Vec::new(),
            allowed_emotes: None,
            threshold: rule.threshold,
            interval: rule.interval,
        }
    }
}

impl ChannelConfig {
    /// The channel's palette.
    pub fn palette(&self, emotes: &Emotes) -> Result<Palette, emostream_protocol::palette::PaletteError> {
        Palette::new(1, &self.palette, self.accepted_emotes.as_deref(), &self.custom_emotes, emotes)
    }

    /// The settings that the channel starts with.
    pub fn settings(
        &self,
        emotes: &Emotes,
    ) -> Result<ChannelSettings, emostream_protocol::settings::SettingsError> {
        let rule = MomentRule::Plain(PlainRule { threshold: self.threshold, interval: self.interval });
        ChannelSettings { version: 1, rule, allowed_emotes: self.allowed_emotes.clone() }.validated(emotes)
    }
}

pub(super) fn validate(channels: &[ChannelConfig], findings: &mut Findings) {
    let emotes = Emotes::new();
    findings.expect(!channels.is_empty(), "channels", "at least one channel");
    for (index, channel) in channels.iter().enumerate() {
        let key = |field: &str| format!("channels[{index}].{field}");
        if let Err(error) = ChannelName::new(&channel.name) {
            findings.expect(false, &key("name"), error.to_string().trim_start_matches("expected "));
        }
        let twice = channels[..index].iter().any(|other| other.name == channel.name);
        findings.expect(!twice, &key("name"), "each name once");
        findings.expect(
            (1..=PALETTE_FEATURED_MAX).contains(&channel.palette.len()),
            &key("palette"),
            format_args!("1 to {PALETTE_FEATURED_MAX} emotes"),
        );
        if let Err(error) = channel.palette(&emotes) {
            findings.expect(false, &key("palette"), format_args!("emotes: {error}"));
        }
        if let Err(error) = channel.settings(&emotes) {
            findings.expect(false, &key(error.field), error.expected.trim_start_matches("expected "));
        }
    }
}
