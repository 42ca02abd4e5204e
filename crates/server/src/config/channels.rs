//! `channels`: the channels that exist from the start, their palettes, and the moment rule they start with.

use emostream_protocol::{
    ChannelName, Emotes,
    limits::CHANNELS_MAX,
    palette::FEATURED_BY_DEFAULT,
    settings::{
        FullRule, Guests, MomentRule, PaletteDocument, PlainRule, RulePreset, SettingsDocument, SettingsError,
    },
};
use serde::{Deserialize, Serialize};

use super::Findings;

/// One channel.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelConfig {
    /// Its name.
    pub name: String,
    /// What people call it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
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
    /// The moment rule: `easy`, `normal` or `hard` for the full rule, `plain` for a threshold. Absent: `plain` where a
    /// threshold or interval is given, else `normal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleChoice>,
    /// The plain rule's threshold, above 0. Below 1: share of an interval; from 1 on: count in a window. A moment is
    /// found above it. Absent: 0.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Reactions after which the plain rule judges a share. Absent: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<u32>,
    /// Whether people without an account may watch and react: `allowed` or `refused`.
    pub guests: Guests,
}

/// A moment rule by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum RuleChoice {
    /// The full rule, for small audiences.
    Easy,
    /// The full rule.
    Normal,
    /// The full rule, for what stands out far.
    Hard,
    /// A threshold.
    Plain,
}

impl TryFrom<String> for RuleChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "easy" => Ok(Self::Easy),
            "normal" => Ok(Self::Normal),
            "hard" => Ok(Self::Hard),
            "plain" => Ok(Self::Plain),
            _ => Err(format!("expected easy, normal, hard or plain, got {text:?}")),
        }
    }
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            name: "main".into(),
            title: String::new(),
            palette: FEATURED_BY_DEFAULT.map(String::from).to_vec(),
            accepted_emotes: None,
            custom_emotes: Vec::new(),
            allowed_emotes: None,
            rule: None,
            threshold: None,
            interval: None,
            guests: Guests::default(),
        }
    }
}

impl ChannelConfig {
    /// The settings that the channel starts with.
    pub fn settings(&self, emotes: &Emotes) -> Result<SettingsDocument, SettingsError> {
        let kept = PlainRule::default();
        let plain = PlainRule {
            threshold: self.threshold.unwrap_or(kept.threshold),
            interval: self.interval.unwrap_or(kept.interval),
        };
        let has_plain_values = self.threshold.is_some() || self.interval.is_some();
        let full = |preset| MomentRule::Full(FullRule::preset(preset));
        let rule = match self.rule {
            Some(RuleChoice::Easy) => full(RulePreset::Easy),
            Some(RuleChoice::Hard) => full(RulePreset::Hard),
            Some(RuleChoice::Plain) => MomentRule::Plain(plain),
            None if has_plain_values => MomentRule::Plain(plain),
            Some(RuleChoice::Normal) | None => full(RulePreset::Normal),
        };
        let palette = PaletteDocument {
            version: 1,
            featured: self.palette.clone(),
            accepted_emotes: self.accepted_emotes.clone(),
            custom_emotes: self.custom_emotes.clone(),
        };
        let allowed_emotes = self.allowed_emotes.clone();
        let document = SettingsDocument { rule, plain, allowed_emotes, palette, guests: self.guests };
        document.validated(None, emotes)
    }
}

pub(super) fn validate(channels: &[ChannelConfig], findings: &mut Findings) {
    let emotes = Emotes::new();
    let number = channels.len();
    findings.expect((1..=CHANNELS_MAX).contains(&number), "channels", format_args!("1 to {CHANNELS_MAX}"));
    for (index, channel) in channels.iter().enumerate() {
        let key = |field: &str| format!("channels[{index}].{field}");
        if let Err(error) = ChannelName::new(&channel.name) {
            findings.expect(false, &key("name"), error.to_string().trim_start_matches("expected "));
        }
        let twice = channels[..index].iter().any(|other| other.name == channel.name);
        findings.expect(!twice, &key("name"), "each name once");
        if let Err(error) = channel.settings(&emotes) {
            let field = match error.field {
                "palette.featured" => "palette",
                field => field.rsplit_once('.').map_or(field, |(_, last)| last),
            };
            findings.expect(false, &key(field), error.expected.trim_start_matches("expected "));
        }
    }
}
