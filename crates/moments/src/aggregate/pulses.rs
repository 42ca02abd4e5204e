//! What was counted just now, for pulses: sums per channel and emote, and their bytes on the way to edges.
//!
//! ```text
//! version, custom emotes: varint × text, channels: varint × name, counts: varint ×
//!   emote: u16 (custom: 0x8000 + place in the list), count: varint
//! ```

use emostream_protocol::{
    ChannelName, DecodeError, EmoteId, Emotes,
    codec::{Reader, Writer},
    limits::{CHANNELS_PER_RECORD_MAX, CUSTOM_EMOTE_NAME_BYTES_MAX},
};

use crate::partial::read_channel;

/// Version byte of batches written by this release.
pub const PULSE_BATCH_VERSION: u8 = 1;

/// Sums in one batch: 16 bytes each at most, so that a batch stays small. Whoever has more writes several.
pub const PULSE_COUNTS_MAX: usize = 4_096;

const CUSTOM_FIRST: u16 = 0x8000;

/// New reactions with one emote that are not late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulseCount {
    /// Channel.
    pub channel: ChannelName,
    /// Which emote.
    pub emote: EmoteId,
    /// How many.
    pub count: u32,
}

/// Sums on their way from a counting node to edges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PulseBatch {
    /// At most [`PULSE_COUNTS_MAX`], of at most [`CHANNELS_PER_RECORD_MAX`] channels; those of one channel together.
    pub counts: Vec<PulseCount>,
}

impl PulseBatch {
    /// Encodes the batch; custom emotes by name.
    pub fn encode(&self, emotes: &Emotes) -> Vec<u8> {
        let mut custom: Vec<EmoteId> = Vec::new();
        let mut body = Writer::with_capacity(self.counts.len() * 8);
        let channels = self.counts.chunk_by(|a, b| a.channel == b.channel);
        body.len(channels.clone().count());
        for of_channel in channels {
            body.bytes(of_channel[0].channel.as_bytes());
            body.len(of_channel.len());
            for count in of_channel {
                body.u16(number(count.emote, &mut custom));
                body.varint(count.count.into());
            }
        }
        let mut writer = Writer::with_capacity(body.written() + 64);
        writer.u8(PULSE_BATCH_VERSION);
        writer.len(custom.len());
        for emote in custom {
            emotes.with_name(emote, |name| writer.bytes(name.as_bytes()));
        }
        writer.raw(body.as_slice());
        writer.into_vec()
    }

    /// Decodes a batch. Custom emotes that it names are registered in `emotes`.
    pub fn decode(bytes: &[u8], emotes: &Emotes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            PULSE_BATCH_VERSION => {}
            version => return Err(DecodeError::Version(version)),
        }
        let custom = (0..reader.len(PULSE_COUNTS_MAX)?)
            .map(|_| {
                let name = reader.text(CUSTOM_EMOTE_NAME_BYTES_MAX + 2)?;
                emotes.register_custom(name).map_err(|_| DecodeError::TooManyCustomEmotes)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut counts = Vec::new();
        for _ in 0..reader.len(CHANNELS_PER_RECORD_MAX)? {
            let channel = read_channel(&mut reader)?;
            for _ in 0..reader.len(PULSE_COUNTS_MAX - counts.len())? {
                let emote = read_emote(reader.u16()?, &custom)?;
                let count = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Field("count"))?;
                counts.push(PulseCount { channel: channel.clone(), emote, count });
            }
        }
        reader.finish()?;
        Ok(Self { counts })
    }
}

fn number(emote: EmoteId, custom: &mut Vec<EmoteId>) -> u16 {
    if !emote.is_custom() {
        return emote.get();
    }
    let place = custom.iter().position(|known| *known == emote).unwrap_or_else(|| {
        custom.push(emote);
        custom.len() - 1
    });
    // At most as many emotes as counts.
    CUSTOM_FIRST | place as u16
}

fn read_emote(number: u16, custom: &[EmoteId]) -> Result<EmoteId, DecodeError> {
    let emote = match number.checked_sub(CUSTOM_FIRST) {
        None => EmoteId::standard(number),
        Some(place) => custom.get(usize::from(place)).copied(),
    };
    emote.ok_or(DecodeError::Field("emote"))
}
