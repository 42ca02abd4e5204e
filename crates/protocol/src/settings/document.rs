//! A channel's whole settings as broadcasters read and write them; [`ChannelSettings`] is the part that the log carries.

use serde::{Deserialize, Serialize};

use super::{ChannelSettings, MomentRule, PlainRule, SettingsError};
use crate::{
    emote::Emotes,
    limits::{ACCEPTED_EMOTES_MAX, CUSTOM_EMOTES_PER_CHANNEL_MAX, PALETTE_FEATURED_MAX},
    palette::{FEATURED_BY_DEFAULT, Palette, PaletteError},
};

/// A channel's settings. Where it is stored, it is complete; see [`SettingsInput`] for what may be left out in a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettingsDocument {
    /// What makes a moment.
    pub rule: MomentRule,
    /// The plain rule's values: those in use, or those kept while the full rule is.
    pub plain: PlainRule,
    /// Emotes that can make a moment, in canonical form, ascending; `None`: every emote.
    pub allowed_emotes: Option<Vec<String>>,
    /// What viewers can send.
    pub palette: PaletteDocument,
    /// Whether people without an account may watch and react.
    #[serde(default, skip_serializing_if = "Guests::are_allowed")]
    pub guests: Guests,
}

/// Whether a channel is for members only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guests {
    /// Everybody may watch and react.
    #[default]
    Allowed,
    /// Only who is logged in: live connections need a ticket of an account.
    Refused,
}

impl Guests {
    /// Whether everybody may come.
    pub fn are_allowed(&self) -> bool {
        *self == Self::Allowed
    }
}

/// What a channel accepts and offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaletteDocument {
    /// Ascends with each change of the palette. Set by the server.
    #[serde(default)]
    pub version: u32,
    /// The emotes offered as buttons, in order.
    pub featured: Vec<String>,
    /// Emoji accepted besides those offered; `None`: every emoji.
    #[serde(default)]
    pub accepted_emotes: Option<Vec<String>>,
    /// The channel's own emotes, `:name:`.
    #[serde(default)]
    pub custom_emotes: Vec<String>,
}

/// A change of settings as a broadcaster sends it. What is absent stays as it is; fields that only the server sets are
/// ignored, so that an answer can be sent back as it came.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SettingsInput {
    /// The rule; the plain one may leave out values that are kept.
    pub rule: Option<RuleInput>,
    /// Values of the plain rule, in use or not.
    pub plain: Option<PlainInput>,
    /// The allowed list; `null` allows every emote.
    #[serde(deserialize_with = "present")]
    pub allowed_emotes: Option<Option<Vec<String>>>,
    /// The palette.
    pub palette: Option<PaletteInput>,
    /// See [`SettingsDocument::guests`].
    pub guests: Option<Guests>,
}

/// A rule as a broadcaster names it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RuleInput {
    /// The plain rule.
    Plain(PlainInput),
    /// The full rule.
    Full(super::FullRule),
}

/// Values of the plain rule; what is absent stays.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct PlainInput {
    /// See [`PlainRule::threshold`].
    pub threshold: Option<f64>,
    /// See [`PlainRule::interval`].
    pub interval: Option<u32>,
}

/// A palette as a broadcaster changes it; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PaletteInput {
    /// See [`PaletteDocument::featured`].
    pub featured: Option<Vec<String>>,
    /// See [`PaletteDocument::accepted_emotes`].
    #[serde(deserialize_with = "present")]
    pub accepted_emotes: Option<Option<Vec<String>>>,
    /// See [`PaletteDocument::custom_emotes`].
    pub custom_emotes: Option<Vec<String>>,
}

/// Tells `null` from absent.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl Default for PaletteDocument {
    /// Every emoji, with the default buttons.
    fn default() -> Self {
        Self {
            version: 1,
            featured: FEATURED_BY_DEFAULT.map(String::from).to_vec(),
            accepted_emotes: None,
            custom_emotes: Vec::new(),
        }
    }
}

impl Default for SettingsDocument {
    /// The full rule's `normal` preset, every emote.
    fn default() -> Self {
        Self {
            rule: ChannelSettings::default().rule,
            plain: PlainRule::default(),
            allowed_emotes: None,
            palette: PaletteDocument::default(),
            guests: Guests::default(),
        }
    }
}

impl PlainInput {
    fn over(self, kept: PlainRule) -> PlainRule {
        PlainRule {
            threshold: self.threshold.unwrap_or(kept.threshold),
            interval: self.interval.unwrap_or(kept.interval),
        }
    }
}

impl SettingsInput {
    /// The document after this change of `old`; not validated yet.
    pub fn applied_to(self, old: &SettingsDocument) -> SettingsDocument {
        let mut new = old.clone();
        new.plain = self.plain.unwrap_or_default().over(new.plain);
        match self.rule {
            Some(RuleInput::Plain(plain)) => {
                new.plain = plain.over(new.plain);
                new.rule = MomentRule::Plain(new.plain);
            }
            Some(RuleInput::Full(full)) => new.rule = MomentRule::Full(full),
            None if matches!(new.rule, MomentRule::Plain(_)) => new.rule = MomentRule::Plain(new.plain),
            None => {}
        }
        if let Some(allowed) = self.allowed_emotes {
            new.allowed_emotes = allowed;
        }
        let palette = self.palette.unwrap_or_default();
        if let Some(featured) = palette.featured {
            new.palette.featured = featured;
        }
        if let Some(accepted) = palette.accepted_emotes {
            new.palette.accepted_emotes = accepted;
        }
        if let Some(custom) = palette.custom_emotes {
            new.palette.custom_emotes = custom;
        }
        new.guests = self.guests.unwrap_or(new.guests);
        new
    }
}

impl SettingsDocument {
    /// The part that decides what moments are, as it goes into the log with this version.
    pub fn for_log(&self, version: u64) -> ChannelSettings {
        ChannelSettings { version, rule: self.rule.clone(), allowed_emotes: self.allowed_emotes.clone() }
    }

    /// Checks every field, brings emotes into canonical form, and gives the palette the version after `old`'s where it
    /// differs. Registers the palette's own emotes.
    pub fn validated(mut self, old: Option<&Self>, emotes: &Emotes) -> Result<Self, SettingsError> {
        self.palette = self.palette.validated(emotes)?;
        let version = old.map_or(1, |old| {
            let same =
                PaletteDocument { version: old.palette.version, ..self.palette.clone() } == old.palette;
            old.palette.version.saturating_add(u32::from(!same))
        });
        self.palette.version = version.max(1);
        let ChannelSettings { rule, allowed_emotes, .. } = self.for_log(0).validated(emotes)?;
        MomentRule::Plain(self.plain).validated().map_err(|error| SettingsError {
            field: if error.field == "rule.threshold" { "plain.threshold" } else { "plain.interval" },
            ..error
        })?;
        if let MomentRule::Plain(plain) = &rule {
            self.plain = *plain;
        }
        Ok(Self { rule, allowed_emotes, ..self })
    }
}

impl PaletteDocument {
    /// The palette, its own emotes registered.
    pub fn resolve(&self, emotes: &Emotes) -> Result<Palette, SettingsError> {
        Palette::new(
            self.version,
            &self.featured,
            self.accepted_emotes.as_deref(),
            &self.custom_emotes,
            emotes,
        )
        .map_err(|error| self.wrong(&error))
    }

    fn wrong(&self, error: &PaletteError) -> SettingsError {
        let is_in = |emotes: &[String]| emotes.contains(&error.emote);
        let field = if is_in(&self.custom_emotes) {
            "palette.custom_emotes"
        } else if is_in(&self.featured) {
            "palette.featured"
        } else {
            "palette.accepted_emotes"
        };
        SettingsError { field, expected: format!("{:?}: {}", error.emote, error.source) }
    }

    fn validated(self, emotes: &Emotes) -> Result<Self, SettingsError> {
        let limit = |field: &'static str, range: std::ops::RangeInclusive<usize>, given: usize| {
            let (least, most) = (range.start(), range.end());
            if range.contains(&given) {
                return Ok(());
            }
            let expected = format!("expected {least} to {most} emotes, got {given}");
            Err(SettingsError { field, expected })
        };
        limit("palette.featured", 1..=PALETTE_FEATURED_MAX, self.featured.len())?;
        let accepted = self.accepted_emotes.as_ref().map_or(0, Vec::len);
        limit("palette.accepted_emotes", 0..=ACCEPTED_EMOTES_MAX, accepted)?;
        limit("palette.custom_emotes", 0..=CUSTOM_EMOTES_PER_CHANNEL_MAX, self.custom_emotes.len())?;
        self.resolve(emotes)?;
        // Resolved just now, so that every text has a name; one emote in two spellings is one button.
        let canonical = |texts: Vec<String>, ordered: bool| {
            let mut names: Vec<String> = Vec::with_capacity(texts.len());
            for text in texts {
                let name = emotes.resolve(&text).map_or(text, |id| emotes.name(id).to_string());
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            if !ordered {
                names.sort_unstable();
            }
            names
        };
        Ok(Self {
            version: self.version,
            featured: canonical(self.featured, true),
            accepted_emotes: self.accepted_emotes.map(|texts| canonical(texts, false)),
            custom_emotes: canonical(self.custom_emotes, false),
        })
    }
}
