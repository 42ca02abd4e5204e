//! A batch of reactions: names once, then 20 to 60 bytes a reaction.
//!
//! ```text
//! version, kind, header flags, [spool id: 16, spool offset: varint],
//! base received ms: varint, channels: varint × text, custom emotes: varint × text, reactions: varint ×
//!   flags, id: 16, emote: u16 (custom: 0x8000 + place in the batch's list), received − base: zigzag,
//!   [channel: varint], [tapped − received: zigzag], [user: bytes], [media time ms: varint]
//! ```

use bytes::Bytes;

use super::{KIND_REACTIONS, write_head};
use crate::{
    channel::ChannelName,
    codec::{DecodeError, Reader, Writer},
    emote::{EmoteId, Emotes},
    id::ReactionId,
    limits::{
        CHANNEL_NAME_BYTES_MAX, CHANNELS_PER_RECORD_MAX, CUSTOM_EMOTE_NAME_BYTES_MAX,
        REACTIONS_PER_RECORD_MAX, USER_ID_BYTES_MAX,
    },
};

const HEADER_SPOOLED: u8 = 1;

const CLIENT_ID: u8 = 1;
const USER: u8 = 2;
const TAPPED: u8 = 4;
const MEDIA: u8 = 8;
const CHANNEL: u8 = 16;
const KNOWN_FLAGS: u8 = CLIENT_ID | USER | TAPPED | MEDIA | CHANNEL;

const CUSTOM_FIRST: u16 = 0x8000;

/// A validated reaction on its way into the log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewReaction<'a> {
    /// What was tapped.
    pub emote: EmoteId,
    /// Idempotency key.
    pub id: ReactionId,
    /// Whether the client gave the id: only such ids can repeat.
    pub id_from_client: bool,
    /// Who tapped, empty when unknown; at most [`USER_ID_BYTES_MAX`] bytes.
    pub user: &'a str,
    /// When ingest received it, ms since the Unix epoch.
    pub received_ms: i64,
    /// When it was tapped by the client's word.
    pub tapped_ms: Option<i64>,
    /// Where the player was.
    pub media_time_ms: Option<u64>,
}

/// A reaction as read from a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reaction<'a> {
    /// Place of its channel in [`ReactionBatch::channels`].
    pub channel: usize,
    /// What was tapped.
    pub emote: EmoteId,
    /// Idempotency key.
    pub id: ReactionId,
    /// Whether the client gave the id.
    pub id_from_client: bool,
    /// Who tapped, UTF-8, empty when unknown.
    pub user: &'a [u8],
    /// When ingest received it.
    pub received_ms: i64,
    /// When it was tapped: the client's word, or when it was received.
    pub tapped_ms: i64,
    /// Where the player was.
    pub media_time_ms: Option<u64>,
}

/// Where a spooled record came from: count keeps the highest per spool and drops repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolPosition {
    /// The spool's random identity.
    pub spool: [u8; 16],
    /// The record's offset in it.
    pub offset: u64,
}

/// Builds a batch record. Reactions of one partition, in the order of their acceptance.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    channels: Vec<ChannelName>,
    custom: Vec<EmoteId>,
    base_ms: Option<i64>,
    body: Writer,
    count: usize,
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reactions so far.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the reactions so far.
    pub fn bytes(&self) -> usize {
        self.body.written()
    }

    /// Whether `more` reactions, each perhaps of another channel, still fit.
    pub fn has_room(&self, more: usize) -> bool {
        self.count + more <= REACTIONS_PER_RECORD_MAX && self.channels.len() < CHANNELS_PER_RECORD_MAX
    }

    /// Adds a reaction. The caller has checked [`Self::has_room`] and the reaction's limits.
    pub fn push(&mut self, channel: &ChannelName, reaction: &NewReaction<'_>) {
        let channel = self.channel_place(channel);
        let base_ms = *self.base_ms.get_or_insert(reaction.received_ms);
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        let tapped = reaction.tapped_ms.filter(|tapped| *tapped != reaction.received_ms);
        let flags = flag(reaction.id_from_client, CLIENT_ID)
            | flag(!reaction.user.is_empty(), USER)
            | flag(tapped.is_some(), TAPPED)
            | flag(reaction.media_time_ms.is_some(), MEDIA)
            | flag(channel != 0, CHANNEL);
        let emote = self.emote_number(reaction.emote);
        let body = &mut self.body;
        body.u8(flags);
        body.raw(reaction.id.as_bytes());
        body.u16(emote);
        body.zigzag(reaction.received_ms - base_ms);
        if channel != 0 {
            body.len(channel);
        }
        if let Some(tapped) = tapped {
            body.zigzag(tapped.wrapping_sub(reaction.received_ms));
        }
        if !reaction.user.is_empty() {
            body.bytes(reaction.user.as_bytes());
        }
        if let Some(media) = reaction.media_time_ms {
            body.varint(media);
        }
        self.count += 1;
    }

    fn channel_place(&mut self, channel: &ChannelName) -> usize {
        if let Some(place) = self.channels.iter().position(|known| known == channel) {
            return place;
        }
        self.channels.push(channel.clone());
        self.channels.len() - 1
    }

    fn emote_number(&mut self, emote: EmoteId) -> u16 {
        if !emote.is_custom() {
            return emote.get();
        }
        let place = self.custom.iter().position(|known| *known == emote).unwrap_or_else(|| {
            self.custom.push(emote);
            self.custom.len() - 1
        });
        CUSTOM_FIRST
            + u16::try_from(place).expect("a batch has at most 4096 reactions, so at most as many emotes")
    }

    /// The record of what was added; the builder is empty afterwards and keeps its room.
    pub fn finish(&mut self, spool: Option<SpoolPosition>, emotes: &Emotes) -> Bytes {
        let mut writer = Writer::with_capacity(self.body.written() + 128);
        write_head(&mut writer, KIND_REACTIONS);
        writer.u8(if spool.is_some() { HEADER_SPOOLED } else { 0 });
        if let Some(spool) = spool {
            writer.raw(&spool.spool);
            writer.varint(spool.offset);
        }
        writer.zigzag(self.base_ms.unwrap_or(0));
        writer.len(self.channels.len());
        for channel in self.channels.drain(..) {
            writer.bytes(channel.as_bytes());
        }
        writer.len(self.custom.len());
        for emote in self.custom.drain(..) {
            emotes.with_name(emote, |name| writer.bytes(name.as_bytes()));
        }
        writer.len(self.count);
        writer.raw(self.body.as_slice());
        self.body.clear();
        self.count = 0;
        self.base_ms = None;
        writer.into_vec().into()
    }
}

/// A decoded batch; its reactions are decoded one by one while iterating.
#[derive(Debug, Clone)]
pub struct ReactionBatch<'a> {
    /// Names of the channels, each valid.
    pub channels: Vec<&'a str>,
    /// Where a spooled batch came from.
    pub spool: Option<SpoolPosition>,
    custom: Vec<EmoteId>,
    base_ms: i64,
    count: usize,
    body: Reader<'a>,
}

impl<'a> ReactionBatch<'a> {
    pub(super) fn decode(mut reader: Reader<'a>, emotes: &Emotes) -> Result<Self, DecodeError> {
        let spool = match reader.u8()? {
            0 => None,
            HEADER_SPOOLED => Some(SpoolPosition { spool: reader.array()?, offset: reader.varint()? }),
            _ => return Err(DecodeError::Field("header flags")),
        };
        let base_ms = reader.zigzag()?;
        let channels = (0..reader.len(CHANNELS_PER_RECORD_MAX)?)
            .map(|_| reader.text(CHANNEL_NAME_BYTES_MAX))
            .collect::<Result<Vec<_>, _>>()?;
        let custom = (0..reader.len(REACTIONS_PER_RECORD_MAX)?)
            .map(|_| {
                let name = reader.text(CUSTOM_EMOTE_NAME_BYTES_MAX + 2)?;
                emotes.register_custom(name).map_err(|_| DecodeError::TooManyCustomEmotes)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let count = reader.len(REACTIONS_PER_RECORD_MAX)?;
        Ok(Self { channels, spool, custom, base_ms, count, body: reader })
    }

    /// Number of reactions.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The reactions in order. Ends after the first error.
    pub fn iter(&self) -> Reactions<'_, 'a> {
        Reactions { batch: self, reader: self.body, left: self.count, failed: false }
    }
}

/// Iterator over a batch's reactions.
#[derive(Debug)]
pub struct Reactions<'b, 'a> {
    batch: &'b ReactionBatch<'a>,
    reader: Reader<'a>,
    left: usize,
    failed: bool,
}

impl<'a> Iterator for Reactions<'_, 'a> {
    type Item = Result<Reaction<'a>, DecodeError>;

    // Counting is this loop: inlined it costs a quarter less.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        if self.left == 0 {
            self.failed = true;
            return self.reader.finish().err().map(Err);
        }
        self.left -= 1;
        let reaction = read_reaction(&mut self.reader, self.batch);
        self.failed = reaction.is_err();
        Some(reaction)
    }
}

#[inline(always)]
fn read_reaction<'a>(
    reader: &mut Reader<'a>,
    batch: &ReactionBatch<'a>,
) -> Result<Reaction<'a>, DecodeError> {
    let flags = reader.u8()?;
    if flags & !KNOWN_FLAGS != 0 {
        return Err(DecodeError::Field("reaction flags"));
    }
    let id = ReactionId::from_bytes(reader.array()?);
    let number = reader.u16()?;
    let emote = match number.checked_sub(CUSTOM_FIRST) {
        None => EmoteId::standard(number),
        Some(place) => batch.custom.get(usize::from(place)).copied(),
    };
    let emote = emote.ok_or(DecodeError::Field("emote"))?;
    let received_ms = batch.base_ms.wrapping_add(reader.zigzag()?);
    let channel = if flags & CHANNEL == 0 { 0 } else { reader.len(CHANNELS_PER_RECORD_MAX)? };
    if channel >= batch.channels.len() {
        return Err(DecodeError::Field("channel"));
    }
    let tapped_ms =
        if flags & TAPPED == 0 { received_ms } else { received_ms.wrapping_add(reader.zigzag()?) };
    let user = if flags & USER == 0 { &[][..] } else { reader.bytes(USER_ID_BYTES_MAX)? };
    let media_time_ms = if flags & MEDIA == 0 { None } else { Some(reader.varint()?) };
    let id_from_client = flags & CLIENT_ID != 0;
    Ok(Reaction { channel, emote, id, id_from_client, user, received_ms, tapped_ms, media_time_ms })
}
