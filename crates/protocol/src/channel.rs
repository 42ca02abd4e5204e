//! The name of a channel: one live event that people watch and react to.

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

use crate::limits::CHANNEL_NAME_BYTES_MAX;

/// A valid channel name: 1 to 64 of `a–z`, `A–Z`, `0–9`, `-`, `_` and `.`, beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

/// Why a text is no channel name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit")]
pub struct ChannelError;

impl ChannelName {
    /// Validates a name.
    pub fn new(name: &str) -> Result<Self, ChannelError> {
        let bytes = name.as_bytes();
        let valid = bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.len() <= CHANNEL_NAME_BYTES_MAX
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if valid { Ok(Self(name.into())) } else { Err(ChannelError) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for ChannelName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::ChannelName;

    #[test]
    fn names_are_checked() {
        for good in ["main", "match-1", "a.b_c", "7", &"x".repeat(64)] {
            assert!(ChannelName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(ChannelName::new(bad).is_err(), "{bad}");
        }
    }
}
