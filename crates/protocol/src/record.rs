//! The versioned binary record of `emote-log`: a batch of one partition's reactions, a tick, or a settings change.
//!
//! Every record begins with a version byte and a kind byte. A batch names its channels and custom emotes once and then
//! holds its reactions one after the other; the layout stands at [`reactions`].
//! [`projected`] is what programs of other people read of it.

use bytes::Bytes;

use crate::{
    channel::ChannelName,
    codec::{DecodeError, Reader, Writer},
    emote::Emotes,
    limits::CHANNEL_NAME_BYTES_MAX,
    settings::{ChannelSettings, SETTINGS_BYTES_MAX},
};

pub mod projected;
pub mod reactions;

pub use reactions::{BatchBuilder, BatchHead, NewReaction, Reaction, ReactionBatch, SpoolId, SpoolPosition};

/// Version byte of all records written by this release.
pub const RECORD_VERSION: u8 = 1;

pub(crate) const KIND_REACTIONS: u8 = 1;
const KIND_TICK: u8 = 2;
const KIND_SETTINGS: u8 = 3;

/// A record of `emote-log`, decoded without copying.
#[derive(Debug)]
pub enum LogRecord<'a> {
    /// Reactions of one partition.
    Reactions(ReactionBatch<'a>),
    /// Nothing but the append time that it advances.
    Tick,
    /// New settings of a channel whose home partition this is.
    Settings(SettingsChange),
}

/// A change of a channel's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsChange {
    /// Whose settings.
    pub channel: ChannelName,
    /// The whole settings from now on.
    pub settings: ChannelSettings,
}

/// Decodes a record of `emote-log`. Custom emotes that it names are registered in `emotes`.
pub fn decode<'a>(bytes: &'a [u8], emotes: &Emotes) -> Result<LogRecord<'a>, DecodeError> {
    let mut reader = Reader::new(bytes);
    match read_head(&mut reader)? {
        KIND_REACTIONS => Ok(LogRecord::Reactions(ReactionBatch::decode(reader, emotes)?)),
        KIND_TICK => reader.finish().map(|()| LogRecord::Tick),
        KIND_SETTINGS => {
            let channel = ChannelName::new(reader.text(CHANNEL_NAME_BYTES_MAX)?)
                .map_err(|_| DecodeError::Field("channel"))?;
            let settings = serde_json::from_slice(reader.bytes(SETTINGS_BYTES_MAX)?)
                .map_err(|_| DecodeError::Field("settings"))?;
            reader.finish()?;
            Ok(LogRecord::Settings(SettingsChange { channel, settings }))
        }
        kind => Err(DecodeError::Kind(kind)),
    }
}

/// Encodes a tick.
pub fn encode_tick() -> Bytes {
    Bytes::from_static(&[RECORD_VERSION, KIND_TICK])
}

impl SettingsChange {
    /// Encodes the change as a record.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::new();
        write_head(&mut writer, KIND_SETTINGS);
        writer.bytes(self.channel.as_bytes());
        let json =
            serde_json::to_vec(&self.settings).expect("settings have only string keys and finite numbers");
        writer.bytes(&json);
        writer.into_vec().into()
    }
}

pub(crate) fn write_head(writer: &mut Writer, kind: u8) {
    writer.u8(RECORD_VERSION);
    writer.u8(kind);
}

pub(crate) fn read_head(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    match reader.u8()? {
        RECORD_VERSION => reader.u8(),
        version => Err(DecodeError::Version(version)),
    }
}
