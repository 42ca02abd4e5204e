//! A channel's palette: what input is accepted, and which emotes are offered as buttons.

use crate::emote::{EmoteError, EmoteId, Emotes};

/// What a channel accepts and offers. Immutable; a change is a new palette with a higher version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    version: u32,
    featured: Vec<EmoteId>,
    /// `None`: every emoji. Sorted.
    accepted_emoji: Option<Vec<EmoteId>>,
    /// Sorted.
    custom: Vec<EmoteId>,
}

/// The emotes that a channel offers unless configured otherwise.
pub const FEATURED_BY_DEFAULT: [&str; 12] =
    ["🔥", "👏", "❤️", "😂", "😮", "😢", "😡", "🎉", "⚽", "💯", "👍", "👎"];

/// Why a palette was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("emote {emote:?}: {source}")]
pub struct PaletteError {
    /// The text that is no emote.
    pub emote: String,
    /// What was expected.
    #[source]
    pub source: EmoteError,
}

impl Palette {
    /// Builds a palette. `featured` are the buttons, `accepted` the emoji taken (`None`: every one; the featured ones
    /// always), `custom` the channel's own emotes, `:name:`.
    pub fn new(
        version: u32,
        featured: &[impl AsRef<str>],
        accepted: Option<&[impl AsRef<str>]>,
        custom: &[impl AsRef<str>],
        emotes: &Emotes,
    ) -> Result<Self, PaletteError> {
        let mut custom = resolve_all(custom, |text| emotes.register_custom(text))?;
        let featured = resolve_all(featured, |text| emotes.resolve(text))?;
        let mut accepted_emoji = match accepted {
            Some(accepted) => Some(resolve_all(accepted, |text| emotes.resolve(text))?),
            None => None,
        };
        custom.sort_unstable();
        custom.dedup();
        if let Some(accepted) = &mut accepted_emoji {
            accepted.extend(featured.iter().filter(|id| !id.is_custom()));
            accepted.sort_unstable();
            accepted.dedup();
        }
        Ok(Self { version, featured, accepted_emoji, custom })
    }

    /// Every emoji, with the default buttons.
    pub fn every_emoji(emotes: &Emotes) -> Self {
        let none: Option<&[&str]> = None;
        Self::new(1, &FEATURED_BY_DEFAULT, none, &[] as &[&str], emotes)
            .expect("the default buttons are emoji, as the tests show")
    }

    /// Ascends with each change.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The emotes offered as buttons, in order.
    pub fn featured(&self) -> &[EmoteId] {
        &self.featured
    }

    /// Whether a reaction with this emote is taken.
    pub fn accepts(&self, emote: EmoteId) -> bool {
        if emote.is_custom() {
            return self.custom.binary_search(&emote).is_ok();
        }
        self.accepted_emoji.as_ref().is_none_or(|accepted| accepted.binary_search(&emote).is_ok())
    }
}

fn resolve_all(
    texts: &[impl AsRef<str>],
    resolve: impl Fn(&str) -> Result<EmoteId, EmoteError>,
) -> Result<Vec<EmoteId>, PaletteError> {
    texts
        .iter()
        .map(|text| {
            let text = text.as_ref();
            resolve(text).map_err(|source| PaletteError { emote: text.to_owned(), source })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Palette;
    use crate::emote::Emotes;

    #[test]
    fn a_palette_accepts_what_it_names_and_what_it_features() {
        let emotes = Emotes::new();
        let other = emotes.register_custom(":other:").unwrap();
        let palette = Palette::new(3, &["🔥", ":goal:"], Some(&["👏"]), &[":goal:"], &emotes).unwrap();
        let accepts = |text: &str| palette.accepts(emotes.resolve(text).unwrap());
        assert!(accepts("🔥") && accepts("👏") && accepts(":goal:"));
        assert!(!accepts("😀") && !palette.accepts(other));
        assert!(Palette::every_emoji(&emotes).accepts(emotes.resolve("😀").unwrap()));
        assert!(!Palette::every_emoji(&emotes).accepts(other));
    }

    #[test]
    fn what_is_no_emote_is_named() {
        let error = Palette::new(1, &["nope"], None::<&[&str]>, &[] as &[&str], &Emotes::new()).unwrap_err();
        assert_eq!(error.emote, "nope");
    }
}
