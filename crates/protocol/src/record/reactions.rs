//! A batch of reactions: names once, then 20 to 60 bytes a reaction.
//!
//! ```text
//! version, kind, header flags, [spool id: 16, [spool offset: varint]],
//! base received ms: varint, channels: varint × text, custom emotes: varint × text, reactions: varint ×
//!   flags, [place − place before: varint], id: 16, emote: u16 (custom: 0x8000 + place in the batch's list),
//!   received − base: zigzag, [channel: varint], [tapped − received: zigzag], [user: bytes], [media time ms: varint]
//! ```
//!
//! A batch comes from nowhere else (header flags 0), as a whole from one place of a spool (1: id and offset), or each of
//! its reactions from a place of its own (2: id alone; then every reaction has its place, the first counted from 0).

use bytes::Bytes;

use super::{KIND_REACTIONS, read_head, write_head};
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

const HEADER_PLAIN: u8 = 0;
const HEADER_SPOOLED: u8 = 1;
const HEADER_PLACED: u8 = 2;

const CLIENT_ID: u8 = 1;
const USER: u8 = 2;
const TAPPED: u8 = 4;
const MEDIA: u8 = 8;
const CHANNEL: u8 = 16;
const PLAIN_FLAGS: u8 = CLIENT_ID | USER | TAPPED | MEDIA | CHANNEL;
const PLACE: u8 = 32;

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
    /// Its own place in the spool of a [placed](ReactionBatch::placed) batch. Ascends within the batch.
    pub place: Option<u64>,
}

/// Where a spooled record came from: count keeps the highest per spool and drops repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolPosition {
    /// The spool's identity.
    pub spool: SpoolId,
    /// The record's place in it: each is beyond the one before, and not every one is used.
    pub offset: u64,
}

/// Identity of a spool: a sequence whose places ascend and each mean one thing for ever. Random, or a hash of the name of
/// what is copied.
pub type SpoolId = [u8; 16];

/// What a batch says of itself before its first reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHead {
    /// Where it came from as a whole.
    pub spool: Option<SpoolPosition>,
    /// The spool that each of its reactions has a place in.
    pub placed: Option<SpoolId>,
    /// How many reactions follow.
    pub reactions: usize,
}

impl BatchHead {
    /// Reads the head of an encoded batch, and nothing behind it. Fails when the bytes begin as no batch does.
    pub fn read(record: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(record);
        match read_head(&mut reader)? {
            KIND_REACTIONS => {}
            kind => return Err(DecodeError::Kind(kind)),
        }
        let (spool, placed) = read_origin(&mut reader)?;
        reader.zigzag()?;
        for _ in 0..reader.len(CHANNELS_PER_RECORD_MAX)? {
            reader.bytes(CHANNEL_NAME_BYTES_MAX)?;
        }
        for _ in 0..reader.len(REACTIONS_PER_RECORD_MAX)? {
            reader.bytes(CUSTOM_EMOTE_NAME_BYTES_MAX + 2)?;
        }
        Ok(Self { spool, placed, reactions: reader.len(REACTIONS_PER_RECORD_MAX)? })
    }
}

fn read_origin(reader: &mut Reader<'_>) -> Result<(Option<SpoolPosition>, Option<SpoolId>), DecodeError> {
    match reader.u8()? {
        HEADER_PLAIN => Ok((None, None)),
        HEADER_SPOOLED => {
            Ok((Some(SpoolPosition { spool: reader.array()?, offset: reader.varint()? }), None))
        }
        HEADER_PLACED => Ok((None, Some(reader.array()?))),
        _ => Err(DecodeError::Field("header flags")),
    }
}

/// Builds a batch record. Reactions of one partition, in the order of their acceptance.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    channels: Vec<ChannelName>,
    custom: Vec<EmoteId>,
    base_ms: Option<i64>,
    /// Place of the last reaction, where they have places.
    place: Option<u64>,
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
        debug_assert!(self.place.is_none(), "either all reactions of a batch have places or none");
        self.add(channel, reaction, None);
    }

    /// Adds a reaction with its own place in a spool, beyond that of the one before; for
    /// [`finish_placed`](Self::finish_placed). Otherwise as [`Self::push`].
    pub fn push_at(&mut self, channel: &ChannelName, reaction: &NewReaction<'_>, place: u64) {
        debug_assert!(self.is_empty() || self.place.is_some_and(|before| place > before), "places ascend");
        self.add(channel, reaction, Some(place - self.place.unwrap_or(0)));
        self.place = Some(place);
    }

    fn add(&mut self, channel: &ChannelName, reaction: &NewReaction<'_>, place_delta: Option<u64>) {
        let channel = self.channel_place(channel);
        let base_ms = *self.base_ms.get_or_insert(reaction.received_ms);
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        let tapped = reaction.tapped_ms.filter(|tapped| *tapped != reaction.received_ms);
        let flags = flag(reaction.id_from_client, CLIENT_ID)
            | flag(!reaction.user.is_empty(), USER)
            | flag(tapped.is_some(), TAPPED)
            | flag(reaction.media_time_ms.is_some(), MEDIA)
            | flag(channel != 0, CHANNEL)
            | flag(place_delta.is_some(), PLACE);
        let emote = self.emote_number(reaction.emote);
        let body = &mut self.body;
        body.u8(flags);
        if let Some(delta) = place_delta {
            body.varint(delta);
        }
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
        debug_assert!(self.place.is_none(), "reactions with places belong to finish_placed");
        let mut writer = self.begin();
        match spool {
            None => writer.u8(HEADER_PLAIN),
            Some(spool) => {
                writer.u8(HEADER_SPOOLED);
                writer.raw(&spool.spool);
                writer.varint(spool.offset);
            }
        }
        self.end(writer, emotes)
    }

    /// The record of what was added with [`Self::push_at`], each reaction from its own place in one spool.
    pub fn finish_placed(&mut self, spool: SpoolId, emotes: &Emotes) -> Bytes {
        debug_assert!(self.is_empty() || self.place.is_some(), "reactions without places belong to finish");
        let mut writer = self.begin();
        writer.u8(HEADER_PLACED);
        writer.raw(&spool);
        self.end(writer, emotes)
    }

    fn begin(&self) -> Writer {
        let mut writer = Writer::with_capacity(self.body.written() + 128);
        write_head(&mut writer, KIND_REACTIONS);
        writer
    }

    fn end(&mut self, mut writer: Writer, emotes: &Emotes) -> Bytes {
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
        self.place = None;
        writer.into_vec().into()
    }
}

/// A decoded batch; its reactions are decoded one by one while iterating.
#[derive(Debug, Clone)]
pub struct ReactionBatch<'a> {
    /// Names of the channels, each valid.
    pub channels: Vec<&'a str>,
    /// Where a batch came from as a whole.
    pub spool: Option<SpoolPosition>,
    /// The spool that each reaction has its own [place](Reaction::place) in.
    pub placed: Option<SpoolId>,
    custom: Vec<EmoteId>,
    base_ms: i64,
    count: usize,
    body: Reader<'a>,
}

impl<'a> ReactionBatch<'a> {
    pub(super) fn decode(mut reader: Reader<'a>, emotes: &Emotes) -> Result<Self, DecodeError> {
        let (spool, placed) = read_origin(&mut reader)?;
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
        Ok(Self { channels, spool, placed, custom, base_ms, count, body: reader })
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
        let place_flag = if self.placed.is_some() { PLACE } else { 0 };
        Reactions { batch: self, reader: self.body, place_flag, place: None, left: self.count, failed: false }
    }
}

/// Iterator over a batch's reactions.
#[derive(Debug)]
pub struct Reactions<'b, 'a> {
    batch: &'b ReactionBatch<'a>,
    reader: Reader<'a>,
    /// The flag that every reaction must have or must not have.
    place_flag: u8,
    /// Place of the reaction before, where they have places.
    place: Option<u64>,
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
        let reaction = self.read();
        self.failed = reaction.is_err();
        Some(reaction)
    }
}

impl<'a> Reactions<'_, 'a> {
    #[inline(always)]
    fn read(&mut self) -> Result<Reaction<'a>, DecodeError> {
        let Self { batch, reader, .. } = self;
        let flags = reader.u8()?;
        // One branch for both unknown flags and places: plain batches pay for neither.
        if (flags & !PLAIN_FLAGS) | self.place_flag != 0 {
            (self.place, *reader) = read_place(flags, self.place_flag, self.place, *reader)?;
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
        Ok(Reaction {
            channel,
            emote,
            id,
            id_from_client: flags & CLIENT_ID != 0,
            user,
            received_ms,
            tapped_ms,
            media_time_ms,
            place: self.place,
        })
    }
}

/// Reads a reaction's place. The reader goes by value: a reference would keep it out of registers in every batch.
#[cold]
#[inline(never)]
fn read_place(
    flags: u8,
    place_flag: u8,
    before: Option<u64>,
    mut reader: Reader<'_>,
) -> Result<(Option<u64>, Reader<'_>), DecodeError> {
    if flags & !PLAIN_FLAGS != place_flag {
        return Err(DecodeError::Field("reaction flags"));
    }
    let delta = reader.varint()?;
    let place = match before {
        None => Some(delta),
        Some(before) => before.checked_add(delta).filter(|_| delta > 0),
    };
    match place {
        None => Err(DecodeError::Field("place")),
        place => Ok((place, reader)),
    }
}
