//! A partial: what one raw partition counted for a channel and window, on its way to merge.

use emostream_protocol::{
    ChannelName, DecodeError, Emotes,
    codec::{Reader, Writer},
    limits::CHANNEL_NAME_BYTES_MAX,
};

use crate::{
    event_time::APPEND_MS_MAX,
    parameters::{BIN_MS, StreamParameters},
    tally::Tally,
};

/// Version byte of partials written by this release.
pub const PARTIAL_VERSION: u8 = 1;

/// One partition's final counts for a channel and window. A closed-through mark of the partition follows it and
/// promises that no more will come.
#[derive(Debug, Clone)]
pub struct Partial {
    /// Channel.
    pub channel: ChannelName,
    /// First event time in the window.
    pub window_start_ms: i64,
    /// The counts.
    pub tally: Tally,
}

impl Partial {
    /// Encodes the partial; equal counts give equal bytes.
    pub fn encode(&self, parameters: StreamParameters, emotes: &Emotes) -> Vec<u8> {
        let mut writer = Writer::with_capacity(512);
        writer.u8(PARTIAL_VERSION);
        writer.varint(parameters.window_ms() as u64);
        write_window(&mut writer, &self.channel, self.window_start_ms, &self.tally, emotes);
        writer.into_vec()
    }

    /// Decodes a partial of a stream with these parameters.
    pub fn decode(bytes: &[u8], parameters: StreamParameters, emotes: &Emotes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            PARTIAL_VERSION => {}
            version => return Err(DecodeError::Version(version)),
        }
        if reader.varint()? != parameters.window_ms() as u64 {
            return Err(DecodeError::Field("window_ms"));
        }
        let (channel, window_start_ms, tally) = read_window(&mut reader, parameters, emotes)?;
        reader.finish()?;
        Ok(Self { channel, window_start_ms, tally })
    }
}

pub(crate) fn write_window(
    writer: &mut Writer,
    channel: &ChannelName,
    start_ms: i64,
    tally: &Tally,
    emotes: &Emotes,
) {
    writer.bytes(channel.as_bytes());
    writer.zigzag(start_ms / BIN_MS);
    tally.encode(writer, emotes);
}

pub(crate) fn read_window(
    reader: &mut Reader<'_>,
    parameters: StreamParameters,
    emotes: &Emotes,
) -> Result<(ChannelName, i64, Tally), DecodeError> {
    let channel = read_channel(reader)?;
    let start_ms = reader.zigzag()?.checked_mul(BIN_MS).ok_or(DecodeError::Field("window_start"))?;
    let valid = start_ms.rem_euclid(parameters.window_ms()) == 0 && start_ms.abs() <= APPEND_MS_MAX;
    if !valid {
        return Err(DecodeError::Field("window_start"));
    }
    let tally = Tally::decode(reader, parameters.bins(), emotes)?;
    if tally.emotes().is_empty() {
        return Err(DecodeError::Field("emotes"));
    }
    Ok((channel, start_ms, tally))
}

pub(crate) fn read_channel(reader: &mut Reader<'_>) -> Result<ChannelName, DecodeError> {
    ChannelName::new(reader.text(CHANNEL_NAME_BYTES_MAX)?).map_err(|_| DecodeError::Field("channel"))
}
