//! The versioned binary rows of `emote-output`: windows, moments and settings of a channel, in sequence order.

use bytes::Bytes;

use crate::{
    channel::ChannelName,
    codec::{DecodeError, Reader, Writer},
    emote::{EmoteId, Emotes},
    limits::{CHANNEL_NAME_BYTES_MAX, EMOTE_BYTES_MAX},
    record::{SettingsChange, read_head, write_head},
    settings::SETTINGS_BYTES_MAX,
};

const KIND_WINDOW: u8 = 16;
const KIND_MOMENT: u8 = 17;
const KIND_SETTINGS: u8 = 18;

/// A row of `emote-output`.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// Final counts of a window.
    Window(WindowRow),
    /// A moment.
    Moment(MomentRow),
    /// Settings in force from here on.
    Settings(SettingsRow),
}

/// Final counts of one channel in one tumbling window. A window without reactions has no row.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowRow {
    /// Channel.
    pub channel: ChannelName,
    /// Sequence.
    pub seq: u64,
    /// First event time in the window, ms since the Unix epoch.
    pub window_start_ms: i64,
    /// Length in ms.
    pub window_ms: u32,
    /// Counts per emote, ascending by the emote's text; none is 0.
    pub emotes: Vec<EmoteCount>,
    /// Estimated distinct users over all emotes.
    pub reactors: u64,
    /// Reactions counted although a repeat of their id could no longer be ruled out.
    pub unverified: u64,
}

/// One emote's part of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmoteCount {
    /// Which emote.
    pub emote: EmoteId,
    /// Reactions, exact, late ones included.
    pub count: u64,
    /// Of these, how many were late by spool.
    pub late: u64,
    /// Estimated distinct users.
    pub reactors: u64,
}

/// A burst that passed the channel's moment rule.
#[derive(Debug, Clone, PartialEq)]
pub struct MomentRow {
    /// Channel.
    pub channel: ChannelName,
    /// Sequence.
    pub seq: u64,
    /// Which emote.
    pub emote: EmoteId,
    /// Begin of what was judged, ms since the Unix epoch: a window, or the first bin of an interval.
    pub window_start_ms: i64,
    /// Length of what was judged, in ms.
    pub window_ms: u32,
    /// Reactions with this emote in it, without late ones.
    pub count: u64,
    /// How far beyond the rule: count ÷ threshold for the plain rule, z for the full one.
    pub strength: f64,
    /// Estimated distinct users who sent the emote in it.
    pub reactors: u64,
    /// Name of the rule.
    pub rule: RuleName,
    /// Version of the settings that held.
    pub rule_version: u64,
    /// Mean media position of the reactions that carried one, in ms.
    pub media_time_ms: Option<u64>,
}

/// Names of moment rules as rows carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RuleName {
    /// Plain threshold on a window's count.
    PlainCount = 1,
    /// Plain threshold on an interval's share.
    PlainShare = 2,
    /// The full rule.
    Full = 3,
}

/// Settings of a channel in force from an instant on.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsRow {
    /// Sequence.
    pub seq: u64,
    /// Channel and settings.
    pub change: SettingsChange,
}

impl RuleName {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PlainCount => "plain-count",
            Self::PlainShare => "plain-share",
            Self::Full => "full",
        }
    }
}

impl MomentRow {
    /// The moment's id, the same wherever it is computed: `channel:seq`.
    pub fn id(&self) -> String {
        format!("{}:{}", self.channel, self.seq)
    }
}

impl WindowRow {
    /// All reactions of the window.
    pub fn total(&self) -> u64 {
        self.emotes.iter().map(|emote| emote.count).sum()
    }

    /// All late reactions of the window.
    pub fn late(&self) -> u64 {
        self.emotes.iter().map(|emote| emote.late).sum()
    }
}

impl Row {
    /// The row's channel.
    pub fn channel(&self) -> &ChannelName {
        match self {
            Self::Window(row) => &row.channel,
            Self::Moment(row) => &row.channel,
            Self::Settings(row) => &row.change.channel,
        }
    }

    /// The row's sequence.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Window(row) => row.seq,
            Self::Moment(row) => row.seq,
            Self::Settings(row) => row.seq,
        }
    }

    /// Encodes the row; emotes are written by name.
    pub fn encode(&self, emotes: &Emotes) -> Bytes {
        let mut writer = Writer::with_capacity(256);
        match self {
            Self::Window(row) => encode_window(&mut writer, row, emotes),
            Self::Moment(row) => encode_moment(&mut writer, row, emotes),
            Self::Settings(row) => {
                write_head(&mut writer, KIND_SETTINGS);
                writer.varint(row.seq);
                writer.bytes(&row.change.encode());
            }
        }
        writer.into_vec().into()
    }

    /// Decodes a row.
    pub fn decode(bytes: &[u8], emotes: &Emotes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let row = match read_head(&mut reader)? {
            KIND_WINDOW => Self::Window(decode_window(&mut reader, emotes)?),
            KIND_MOMENT => Self::Moment(decode_moment(&mut reader, emotes)?),
            KIND_SETTINGS => Self::Settings(decode_settings(&mut reader, emotes)?),
            kind => return Err(DecodeError::Kind(kind)),
        };
        reader.finish()?;
        Ok(row)
    }
}

fn encode_window(writer: &mut Writer, row: &WindowRow, emotes: &Emotes) {
    write_head(writer, KIND_WINDOW);
    writer.bytes(row.channel.as_bytes());
    writer.varint(row.seq);
    writer.zigzag(row.window_start_ms);
    writer.varint(u64::from(row.window_ms));
    writer.varint(row.reactors);
    writer.varint(row.unverified);
    writer.len(row.emotes.len());
    for emote in &row.emotes {
        emotes.with_name(emote.emote, |name| writer.bytes(name.as_bytes()));
        writer.varint(emote.count);
        writer.varint(emote.late);
        writer.varint(emote.reactors);
    }
}

fn decode_window(reader: &mut Reader<'_>, emotes: &Emotes) -> Result<WindowRow, DecodeError> {
    Ok(WindowRow {
        channel: channel(reader)?,
        seq: reader.varint()?,
        window_start_ms: reader.zigzag()?,
        window_ms: length_ms(reader)?,
        reactors: reader.varint()?,
        unverified: reader.varint()?,
        emotes: (0..reader.len(usize::from(u16::MAX))?)
            .map(|_| {
                Ok(EmoteCount {
                    emote: read_emote(reader, emotes)?,
                    count: reader.varint()?,
                    late: reader.varint()?,
                    reactors: reader.varint()?,
                })
            })
            .collect::<Result<_, DecodeError>>()?,
    })
}

fn encode_moment(writer: &mut Writer, row: &MomentRow, emotes: &Emotes) {
    write_head(writer, KIND_MOMENT);
    writer.bytes(row.channel.as_bytes());
    writer.varint(row.seq);
    emotes.with_name(row.emote, |name| writer.bytes(name.as_bytes()));
    writer.zigzag(row.window_start_ms);
    writer.varint(u64::from(row.window_ms));
    writer.varint(row.count);
    writer.f64(row.strength);
    writer.varint(row.reactors);
    writer.u8(row.rule as u8);
    writer.varint(row.rule_version);
    writer.varint(row.media_time_ms.map_or(0, |ms| ms.saturating_add(1)));
}

fn decode_moment(reader: &mut Reader<'_>, emotes: &Emotes) -> Result<MomentRow, DecodeError> {
    Ok(MomentRow {
        channel: channel(reader)?,
        seq: reader.varint()?,
        emote: read_emote(reader, emotes)?,
        window_start_ms: reader.zigzag()?,
        window_ms: length_ms(reader)?,
        count: reader.varint()?,
        strength: reader.f64()?,
        reactors: reader.varint()?,
        rule: match reader.u8()? {
            1 => RuleName::PlainCount,
            2 => RuleName::PlainShare,
            3 => RuleName::Full,
            _ => return Err(DecodeError::Field("rule")),
        },
        rule_version: reader.varint()?,
        media_time_ms: reader.varint()?.checked_sub(1),
    })
}

fn decode_settings(reader: &mut Reader<'_>, emotes: &Emotes) -> Result<SettingsRow, DecodeError> {
    let seq = reader.varint()?;
    let record = reader.bytes(SETTINGS_BYTES_MAX + 128)?;
    match crate::record::decode(record, emotes)? {
        crate::record::LogRecord::Settings(change) => Ok(SettingsRow { seq, change }),
        _ => Err(DecodeError::Field("settings")),
    }
}

fn channel(reader: &mut Reader<'_>) -> Result<ChannelName, DecodeError> {
    ChannelName::new(reader.text(CHANNEL_NAME_BYTES_MAX)?).map_err(|_| DecodeError::Field("channel"))
}

fn length_ms(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    u32::try_from(reader.varint()?).map_err(|_| DecodeError::Field("window_ms"))
}

/// Reads an emote by name; a custom one is registered.
pub fn read_emote(reader: &mut Reader<'_>, emotes: &Emotes) -> Result<EmoteId, DecodeError> {
    let name = reader.text(EMOTE_BYTES_MAX)?;
    if crate::emote::is_custom_name(name) {
        return emotes.register_custom(name).map_err(|_| DecodeError::TooManyCustomEmotes);
    }
    emotes.resolve(name).map_err(|_| DecodeError::Field("emote"))
}
