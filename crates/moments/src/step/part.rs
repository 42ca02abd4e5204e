//! A part of a step: consecutive items for one output partition, with their place.
//!
//! ```text
//! version, raw partition: varint, raw offset: varint, offset of the step before + 1 (0: none): varint,
//! flags (1: the step's last part), first item: varint, items: varint ×
//!   1, partial: bytes | 2, closed through: zigzag | 3, from window: zigzag, settings record: bytes
//! ```

use emostream_protocol::{
    DecodeError, Emotes,
    codec::{Reader, Writer},
    record::{self, LogRecord, SettingsChange},
    settings::SETTINGS_BYTES_MAX,
};

use crate::{event_time::APPEND_MS_MAX, parameters::StreamParameters, partial::Partial};

/// Version byte of parts written by this release.
pub const STEP_VERSION: u8 = 1;

/// A part is cut before it exceeds this, unless a single item does: far below what a message may have.
pub const PART_BYTES_DEFAULT: usize = 512 * 1024;

/// Longest partial that is read. A partial with every emoji and the registers of each has 4 MB.
const PARTIAL_BYTES_MAX: usize = 16 << 20;

/// More items than any step has: channels times the few windows that are open at once.
const ITEMS_MAX: usize = 1 << 24;

const LAST: u8 = 1;

const PARTIAL: u8 = 1;
const CLOSED_THROUGH: u8 = 2;
const SETTINGS: u8 = 3;

/// Consecutive items of one step for one output partition.
#[derive(Debug, Clone)]
pub struct StepPart {
    /// Whose step, and which part of it.
    pub place: PartPlace,
    /// At least one.
    pub items: Vec<StepItem>,
}

/// Where the items of a part belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartPlace {
    /// The raw partition that was counted.
    pub raw_partition: u32,
    /// Offset of the raw record that made the step.
    pub raw_offset: u64,
    /// Raw offset of the step before this one, of the same raw and output partition: who knows none that is as high
    /// misses something.
    pub previous: Option<u64>,
    /// Place of the part's first item among those of the step.
    pub first: u32,
    /// Whether the step has no further items.
    pub last: bool,
}

/// Something final.
#[derive(Debug, Clone)]
pub enum StepItem {
    /// Final counts of a window, before the mark that covers them.
    Partial(Box<Partial>),
    /// No further partial of a window that starts before this instant will come.
    ClosedThrough(i64),
    /// Settings that hold for windows from an instant on.
    Settings {
        /// Channel and settings.
        change: SettingsChange,
        /// Start of the first window for which they hold.
        from_window_ms: i64,
    },
}

pub(super) fn write_partial(writer: &mut Writer, bytes: &[u8]) {
    writer.u8(PARTIAL);
    writer.bytes(bytes);
}

pub(super) fn write_closed_through(writer: &mut Writer, start_ms: i64) {
    writer.u8(CLOSED_THROUGH);
    writer.zigzag(start_ms);
}

pub(super) fn write_settings(writer: &mut Writer, change: &SettingsChange, from_window_ms: i64) {
    writer.u8(SETTINGS);
    writer.zigzag(from_window_ms);
    writer.bytes(&change.encode());
}

/// Puts the place of items before their bytes.
pub(super) fn finish(place: &PartPlace, items: u32, body: &[u8]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(body.len() + 40);
    writer.u8(STEP_VERSION);
    writer.varint(place.raw_partition.into());
    writer.varint(place.raw_offset);
    write_offset(&mut writer, place.previous);
    writer.u8(if place.last { LAST } else { 0 });
    writer.varint(place.first.into());
    writer.varint(items.into());
    writer.raw(body);
    writer.into_vec()
}

impl StepPart {
    /// Encodes the part.
    pub fn encode(&self, parameters: StreamParameters, emotes: &Emotes) -> Vec<u8> {
        let mut body = Writer::new();
        for item in &self.items {
            match item {
                StepItem::Partial(partial) => write_partial(&mut body, &partial.encode(parameters, emotes)),
                StepItem::ClosedThrough(start_ms) => write_closed_through(&mut body, *start_ms),
                StepItem::Settings { change, from_window_ms } => {
                    write_settings(&mut body, change, *from_window_ms);
                }
            }
        }
        finish(&self.place, self.items.len() as u32, body.as_slice())
    }

    /// Decodes a part of a stream with these parameters and so many raw partitions.
    pub fn decode(
        bytes: &[u8],
        parameters: StreamParameters,
        raw_partitions: usize,
        emotes: &Emotes,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            STEP_VERSION => {}
            version => return Err(DecodeError::Version(version)),
        }
        let raw_partition = reader.varint()?;
        if raw_partition >= raw_partitions as u64 {
            return Err(DecodeError::Field("raw partition"));
        }
        let raw_offset = read_offset_value(&mut reader)?;
        let previous = read_offset(&mut reader)?;
        if previous.is_some_and(|previous| previous >= raw_offset) {
            return Err(DecodeError::Field("previous offset"));
        }
        let last = match reader.u8()? {
            0 => false,
            LAST => true,
            _ => return Err(DecodeError::Field("step flags")),
        };
        let first = reader.len(ITEMS_MAX)? as u32;
        let items = reader.len(ITEMS_MAX)?;
        if items == 0 {
            return Err(DecodeError::Field("items"));
        }
        let place = PartPlace { raw_partition: raw_partition as u32, raw_offset, previous, first, last };
        let items =
            (0..items).map(|_| read_item(&mut reader, parameters, emotes)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { place, items })
    }
}

fn read_item(
    reader: &mut Reader<'_>,
    parameters: StreamParameters,
    emotes: &Emotes,
) -> Result<StepItem, DecodeError> {
    match reader.u8()? {
        PARTIAL => Partial::decode(reader.bytes(PARTIAL_BYTES_MAX)?, parameters, emotes)
            .map(|partial| StepItem::Partial(Box::new(partial))),
        CLOSED_THROUGH => read_window_start(reader, parameters).map(StepItem::ClosedThrough),
        SETTINGS => {
            let from_window_ms = read_window_start(reader, parameters)?;
            match record::decode(reader.bytes(SETTINGS_BYTES_MAX + 128)?, emotes)? {
                LogRecord::Settings(change) => Ok(StepItem::Settings { change, from_window_ms }),
                _ => Err(DecodeError::Field("settings")),
            }
        }
        kind => Err(DecodeError::Kind(kind)),
    }
}

fn read_window_start(reader: &mut Reader<'_>, parameters: StreamParameters) -> Result<i64, DecodeError> {
    let start_ms = reader.zigzag()?;
    let valid = start_ms.rem_euclid(parameters.window_ms()) == 0
        && (-APPEND_MS_MAX..=APPEND_MS_MAX).contains(&start_ms);
    if valid { Ok(start_ms) } else { Err(DecodeError::Field("window start")) }
}

/// Writes an offset that may be missing.
pub(super) fn write_offset(writer: &mut Writer, offset: Option<u64>) {
    writer.varint(offset.map_or(0, |offset| offset + 1));
}

/// Reads an offset that may be missing.
pub(super) fn read_offset(reader: &mut Reader<'_>) -> Result<Option<u64>, DecodeError> {
    Ok(reader.varint()?.checked_sub(1))
}

/// Reads an offset; the highest number is none, so that one more can always be counted.
pub(super) fn read_offset_value(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match reader.varint()? {
        u64::MAX => Err(DecodeError::Field("raw offset")),
        offset => Ok(offset),
    }
}
