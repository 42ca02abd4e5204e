//! Emotes: valid emoji in one canonical form and custom emotes, as small integer ids on the path.

pub mod palette;

use std::sync::{Arc, LazyLock, RwLock};

use emojis::{Emoji, SkinTone};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::limits::{CUSTOM_EMOTE_NAME_BYTES_MAX, CUSTOM_EMOTES_MAX, EMOTE_BYTES_MAX};

/// An emote as the path knows it. Ids of emoji are places in the committed list of the standard palette: the list only
/// ever grows at its end, so an id in an old log keeps its meaning. Ids of custom emotes hold within one [`Emotes`];
/// where they leave a process their names are written beside them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EmoteId(u16);

/// The first id of custom emotes.
const CUSTOM_FIRST: u16 = 0x8000;

/// Version of the standard palette: every emoji up to Emoji 15.1, in the order of the committed list.
pub const STANDARD_PALETTE_VERSION: u32 = 1;

static STANDARD: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("palette-v1.txt").lines().collect());

/// Canonical forms and their skin tones by text, so that nearly every lookup is one probe.
static BY_TEXT: LazyLock<HashMap<&'static str, EmoteId, FixedState>> = LazyLock::new(|| {
    let mut by_text = HashMap::with_capacity_and_hasher(4096, FixedState::default());
    for (index, text) in STANDARD.iter().enumerate() {
        let Ok(index) = u16::try_from(index) else { break };
        by_text.insert(*text, EmoteId(index));
        let tones = emojis::get(text).and_then(Emoji::skin_tones);
        for toned in tones.into_iter().flatten() {
            by_text.insert(toned.as_str(), EmoteId(index));
        }
    }
    by_text
});

/// Why an emote was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmoteError {
    /// Longer than any emote can be.
    #[error("expected an emoji, an alias or a custom emote of at most 40 bytes")]
    TooLong,
    /// Neither an emoji nor an alias nor a known custom emote.
    #[error(
        "expected an emoji up to Emoji 15.1, an alias such as happy, a shortcode such as :fire:, or a custom emote of the channel"
    )]
    Unknown,
    /// A custom emote's name is not well formed.
    #[error("expected a custom emote of the form :name: with 1 to 32 letters, digits, '-' or '_'")]
    BadCustomName,
    /// No more custom emotes fit.
    #[error("no more than 16384 custom emotes can be known at once")]
    TooManyCustom,
}

/// The emotes that a process knows: the standard palette and the custom emotes registered so far. Ids of custom emotes
/// are given in order of registration and are never taken back; the number is limited, the limit refuses.
#[derive(Debug, Default)]
pub struct Emotes {
    custom: RwLock<Custom>,
}

#[derive(Debug, Default)]
struct Custom {
    names: Vec<Arc<str>>,
    by_name: HashMap<Arc<str>, EmoteId, FixedState>,
}

impl EmoteId {
    /// The id as a number.
    pub fn get(self) -> u16 {
        self.0
    }

    /// Whether this is a custom emote.
    pub fn is_custom(self) -> bool {
        self.0 >= CUSTOM_FIRST
    }

    /// The emoji of a standard id; `None` for a custom one.
    pub fn emoji(self) -> Option<&'static str> {
        STANDARD.get(usize::from(self.0)).copied()
    }

    /// The standard emote of a number, if this version of the palette has it.
    pub fn standard(number: u16) -> Option<Self> {
        (usize::from(number) < STANDARD.len()).then_some(Self(number))
    }
}

impl Emotes {
    /// Knows the standard palette only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Finds the emote that a text means: an emoji in any of its forms (skin tones folded, presentation selector
    /// optional), the aliases `happy` and `sad`, a registered custom emote `:name:`, or a shortcode with or without colons.
    pub fn resolve(&self, text: &str) -> Result<EmoteId, EmoteError> {
        if let Some(id) = BY_TEXT.get(text) {
            return Ok(*id);
        }
        self.resolve_slowly(text)
    }

    #[cold]
    fn resolve_slowly(&self, text: &str) -> Result<EmoteId, EmoteError> {
        if text.len() > EMOTE_BYTES_MAX {
            return Err(EmoteError::TooLong);
        }
        if let Some(id) = self.custom.read().unwrap_or_else(|e| e.into_inner()).by_name.get(text) {
            return Ok(*id);
        }
        let emoji = match text {
            "happy" => emojis::get("😀"),
            "sad" => emojis::get("😢"),
            _ => emojis::get(text).or_else(|| emojis::get_by_shortcode(text.trim_matches(':'))),
        };
        let emoji = emoji.ok_or(EmoteError::Unknown)?;
        let folded = emoji.with_skin_tone(SkinTone::Default).unwrap_or(emoji);
        BY_TEXT.get(folded.as_str()).copied().ok_or(EmoteError::Unknown)
    }

    /// Registers a custom emote `:name:`, or finds it if it is known.
    pub fn register_custom(&self, name: &str) -> Result<EmoteId, EmoteError> {
        if !is_custom_name(name) {
            return Err(EmoteError::BadCustomName);
        }
        let mut custom = self.custom.write().unwrap_or_else(|e| e.into_inner());
        if let Some(id) = custom.by_name.get(name) {
            return Ok(*id);
        }
        if custom.names.len() >= CUSTOM_EMOTES_MAX {
            return Err(EmoteError::TooManyCustom);
        }
        let number = u16::try_from(custom.names.len()).map_err(|_| EmoteError::TooManyCustom)?;
        let id = EmoteId(CUSTOM_FIRST + number);
        let name: Arc<str> = name.into();
        custom.names.push(name.clone());
        custom.by_name.insert(name, id);
        Ok(id)
    }

    /// The canonical text of an emote. Empty for an id that this value never gave.
    pub fn name(&self, id: EmoteId) -> Arc<str> {
        match id.emoji() {
            Some(emoji) => emoji.into(),
            None => self.custom_name(id).unwrap_or_else(|| "".into()),
        }
    }

    /// Calls `f` with the canonical text of an emote, without copying that of an emoji.
    pub fn with_name<T>(&self, id: EmoteId, f: impl FnOnce(&str) -> T) -> T {
        match id.emoji() {
            Some(emoji) => f(emoji),
            None => f(self.custom_name(id).as_deref().unwrap_or("")),
        }
    }

    fn custom_name(&self, id: EmoteId) -> Option<Arc<str>> {
        let index = usize::from(id.0.checked_sub(CUSTOM_FIRST)?);
        self.custom.read().unwrap_or_else(|e| e.into_inner()).names.get(index).cloned()
    }
}

/// Whether a text has the form of a custom emote, `:name:`.
pub fn is_custom_name(text: &str) -> bool {
    let Some(name) = text.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')) else { return false };
    (1..=CUSTOM_EMOTE_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::{CUSTOM_FIRST, EmoteError, Emotes, STANDARD};

    #[test]
    fn every_form_of_an_emoji_is_one_emote() {
        let emotes = Emotes::new();
        let groups: [&[&str]; 5] = [
            &["👍", "👍🏻", "👍🏿", ":+1:", "+1", "thumbsup"],
            &["❤️", "❤", ":heart:"],
            &["😀", "happy", "grinning"],
            &["😢", "sad"],
            &["👫", "👩🏻‍🤝‍👨🏿"],
        ];
        for group in groups {
            let ids: Vec<_> = group.iter().map(|text| emotes.resolve(text)).collect();
            assert!(ids[0].is_ok() && ids.iter().all(|id| *id == ids[0]), "{group:?}: {ids:?}");
            assert_eq!(&*emotes.name(ids[0].unwrap()), group[0]);
        }
    }

    #[test]
    fn what_is_no_emote_is_refused() {
        let emotes = Emotes::new();
        for bad in ["", "zz", "🔥🔥", ":nosuchthing:", "1", "é", "\u{200d}", "fire!"] {
            assert_eq!(emotes.resolve(bad), Err(EmoteError::Unknown), "{bad:?}");
        }
        assert_eq!(emotes.resolve(&"🔥".repeat(11)), Err(EmoteError::TooLong));
    }

    #[test]
    fn the_committed_list_is_canonical_unique_and_below_custom_ids() {
        let emotes = Emotes::new();
        assert!(STANDARD.len() > 1_800 && STANDARD.len() < usize::from(CUSTOM_FIRST));
        for (index, text) in STANDARD.iter().enumerate() {
            let id = emotes.resolve(text).unwrap();
            assert_eq!((usize::from(id.get()), &*emotes.name(id)), (index, *text));
        }
    }

    #[test]
    fn places_in_the_list_never_change() {
        let pinned = [(0, "😀"), (1, "😃"), (100, STANDARD[100]), (STANDARD.len() - 1, "🏴󠁧󠁢󠁷󠁬󠁳󠁿")];
        for (index, text) in pinned {
            assert_eq!(STANDARD[index], text);
        }
        assert_eq!(
            crc(include_str!("palette-v1.txt").as_bytes()),
            PINNED_HASH,
            "palette-v1.txt is frozen: append to a version 2"
        );
    }

    const PINNED_HASH: u64 = 4_169_202_845_795_040_853;
    fn crc(bytes: &[u8]) -> u64 {
        rapidhash::v3::rapidhash_v3(bytes)
    }

    #[test]
    fn custom_emotes_are_registered_once_and_come_before_shortcodes() {
        let emotes = Emotes::new();
        assert_eq!(emotes.resolve(":goal_home:"), Err(EmoteError::Unknown));
        let goal = emotes.register_custom(":goal_home:").unwrap();
        assert_eq!(emotes.register_custom(":goal_home:"), Ok(goal));
        assert_eq!(emotes.resolve(":goal_home:"), Ok(goal));
        let fire = emotes.register_custom(":fire:").unwrap();
        assert_eq!(emotes.resolve(":fire:"), Ok(fire));
        for bad in ["goal", ":", "::", ":a b:", ":ä:", &format!(":{}:", "x".repeat(33))] {
            assert_eq!(emotes.register_custom(bad), Err(EmoteError::BadCustomName), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_resolved_to_a_known_name_or_refused(text in "\\PC{0,12}") {
            let emotes = Emotes::new();
            if let Ok(id) = emotes.resolve(&text) {
                proptest::prop_assert_eq!(emotes.resolve(&emotes.name(id)), Ok(id));
            }
        }
    }
}
