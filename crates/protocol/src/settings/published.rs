//! What all nodes need to know of a channel, as the compacted topic `settings` carries it: JSON, keyed by the channel.

use serde::{Deserialize, Serialize};

use super::{SETTINGS_BYTES_MAX, SettingsDocument};
use crate::{ChannelName, DecodeError};

/// Format of a channel that everybody may watch: releases that know nothing of members read it rightly.
const FORMAT_OPEN: u8 = 1;

/// Format of a channel for members, which those releases must not take for an open one.
const FORMAT_MEMBERS: u8 = 2;

/// Longest encoding, in bytes: the settings and what is around them.
pub const PUBLISHED_BYTES_MAX: usize = SETTINGS_BYTES_MAX + 1024;

/// The newest that control says of a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedChannel {
    /// Which channel.
    pub channel: ChannelName,
    /// Version of its settings; ascends.
    pub version: u64,
    /// Whether the event is over.
    pub closed: bool,
    /// Its settings.
    pub settings: SettingsDocument,
}

#[derive(Serialize, Deserialize)]
struct Encoded {
    format: u8,
    channel: String,
    version: u64,
    closed: bool,
    settings: SettingsDocument,
}

impl PublishedChannel {
    /// Encodes it; equal content gives equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let encoded = Encoded {
            format: if self.settings.guests.are_allowed() { FORMAT_OPEN } else { FORMAT_MEMBERS },
            channel: self.channel.to_string(),
            version: self.version,
            closed: self.closed,
            settings: self.settings.clone(),
        };
        serde_json::to_vec(&encoded).expect("settings have only string keys and finite numbers")
    }

    /// Decodes it. Fields that a later release of the same format adds are ignored.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct Format {
            format: u8,
        }
        if bytes.len() > PUBLISHED_BYTES_MAX {
            return Err(DecodeError::Field("length"));
        }
        let Format { format } = serde_json::from_slice(bytes).map_err(|_| DecodeError::Field("format"))?;
        if ![FORMAT_OPEN, FORMAT_MEMBERS].contains(&format) {
            return Err(DecodeError::Version(format));
        }
        let encoded: Encoded = serde_json::from_slice(bytes).map_err(|_| DecodeError::Field("settings"))?;
        let channel = ChannelName::new(&encoded.channel).map_err(|_| DecodeError::Field("channel"))?;
        let Encoded { version, closed, settings, .. } = encoded;
        Ok(Self { channel, version, closed, settings })
    }
}

#[cfg(test)]
mod tests {
    use super::PublishedChannel;
    use crate::{
        ChannelName, DecodeError,
        settings::{Guests, SettingsDocument},
    };

    #[test]
    fn a_channel_is_read_as_it_was_written_in_this_and_in_later_releases() {
        let channel = PublishedChannel {
            channel: ChannelName::new("main").unwrap(),
            version: 7,
            closed: true,
            settings: SettingsDocument::default(),
        };
        assert_eq!(PublishedChannel::decode(&channel.encode()).unwrap(), channel);
        let stored = include_bytes!("../../tests/fixtures/published-channel-v1.json");
        assert_eq!(
            PublishedChannel::decode(stored).unwrap(),
            channel,
            "the format changed: give it a new number"
        );
        assert_eq!(channel.encode(), stored.trim_ascii(), "releases without members-only channels read it");
        let members = SettingsDocument { guests: Guests::Refused, ..SettingsDocument::default() };
        let members = PublishedChannel { settings: members, ..channel };
        let stored = include_bytes!("../../tests/fixtures/published-channel-v2.json");
        assert_eq!(String::from_utf8_lossy(&members.encode()), String::from_utf8_lossy(stored.trim_ascii()));
        assert_eq!(PublishedChannel::decode(stored).unwrap(), members);
        let newer = br#"{"format": 3, "anything": "else"}"#;
        assert!(matches!(PublishedChannel::decode(newer), Err(DecodeError::Version(3))));
        assert!(PublishedChannel::decode(b"{}").is_err());
        assert!(PublishedChannel::decode(&vec![b' '; super::PUBLISHED_BYTES_MAX + 1]).is_err());
    }
}
