//! Merge for a fleet: a merge that is fed by parts of steps and applies each item once.

use std::sync::Arc;

use emostream_protocol::{
    DecodeError, Emotes,
    codec::{Reader, Writer},
    row::Row,
};

use super::part::{PartPlace, StepItem, StepPart};
use crate::{
    merge::Merge,
    parameters::StreamParameters,
    snapshot::{check_parameters, read_merge, write_merge, write_parameters},
};

/// Version byte of snapshots of merge written by this release.
pub const MERGE_SNAPSHOT_VERSION: u8 = 1;

/// The merge of one output partition, and how far it has come in the steps of each raw partition.
#[derive(Debug)]
pub struct StepMerge {
    parameters: StreamParameters,
    merge: Merge,
    /// By raw partition; `None` before its first step.
    applied: Vec<Option<Applied>>,
}

/// How far the steps of a raw partition are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Applied {
    /// The newest step of which something is applied.
    raw_offset: u64,
    /// How many of its items are.
    items: u32,
    /// Whether these are all.
    whole: bool,
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was the next one, at least in part.
    Applied,
    /// All of it was known.
    Repeat,
    /// Something before it is missing: it was left out and will come again after that.
    Early,
}

impl StepMerge {
    /// A merge of so many raw partitions, at least one, that has seen no step.
    pub fn new(parameters: StreamParameters, raw_partitions: usize, emotes: Arc<Emotes>) -> Self {
        let merge = Merge::new(parameters, raw_partitions, emotes);
        Self { parameters, merge, applied: vec![None; raw_partitions] }
    }

    /// Applies what of a part is next, and appends the rows that this makes final. The part was decoded for the same
    /// number of raw partitions.
    pub fn apply(&mut self, part: StepPart, rows: &mut Vec<Row>) -> Taken {
        let StepPart { place, items } = part;
        let raw_partition = place.raw_partition as usize;
        let skip = match known_items(self.applied[raw_partition], &place) {
            Ok(known) => known as usize,
            Err(left_out) => return left_out,
        };
        if skip >= items.len() {
            return Taken::Repeat;
        }
        let end = place.first + items.len() as u32;
        for item in items.into_iter().skip(skip) {
            match item {
                StepItem::Partial(partial) => self.merge.add(raw_partition, *partial),
                StepItem::ClosedThrough(start_ms) => {
                    self.merge.closed_through(raw_partition, start_ms, rows);
                }
                StepItem::Settings { change, from_window_ms } => {
                    self.merge.settings(&change, from_window_ms, rows);
                }
            }
        }
        let applied = Applied { raw_offset: place.raw_offset, items: end, whole: place.last };
        self.applied[raw_partition] = Some(applied);
        Taken::Applied
    }

    /// Sequence of a channel's newest row that the state has made; 0 before its first.
    pub fn newest_seq(&self, channel: &str) -> u64 {
        self.merge.newest_seq(channel)
    }

    /// Number of raw partitions.
    pub fn raw_partitions(&self) -> usize {
        self.applied.len()
    }

    /// Every raw partition has closed through this; `i64::MIN` while one was never heard of.
    pub fn closed_through_ms(&self) -> i64 {
        self.merge.closed_through_ms()
    }

    /// The state between two parts. Equal states give equal bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(4096);
        writer.u8(MERGE_SNAPSHOT_VERSION);
        write_parameters(&mut writer, self.parameters);
        writer.len(self.applied.len());
        for applied in &self.applied {
            match applied {
                None => writer.u8(0),
                Some(Applied { raw_offset, items, whole }) => {
                    writer.u8(if *whole { 2 } else { 1 });
                    writer.varint(*raw_offset);
                    writer.varint((*items).into());
                }
            }
        }
        write_merge(&mut writer, &self.merge);
        writer.into_vec()
    }

    /// The state of a snapshot. It has to be of the same parameters and number of raw partitions.
    pub fn restore(
        bytes: &[u8],
        parameters: StreamParameters,
        raw_partitions: usize,
        emotes: Arc<Emotes>,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            MERGE_SNAPSHOT_VERSION => {}
            version => return Err(DecodeError::Version(version)),
        }
        check_parameters(&mut reader, parameters)?;
        if reader.varint()? != raw_partitions as u64 {
            return Err(DecodeError::Field("raw partitions"));
        }
        let applied = (0..raw_partitions).map(|_| read_applied(&mut reader)).collect::<Result<_, _>>()?;
        let merge = read_merge(&mut reader, parameters, raw_partitions, emotes)?;
        reader.finish()?;
        Ok(Self { parameters, merge, applied })
    }
}

fn read_applied(reader: &mut Reader<'_>) -> Result<Option<Applied>, DecodeError> {
    let whole = match reader.u8()? {
        0 => return Ok(None),
        1 => false,
        2 => true,
        _ => return Err(DecodeError::Field("applied step")),
    };
    let raw_offset = reader.varint()?;
    let items = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Field("applied items"))?;
    Ok(Some(Applied { raw_offset, items, whole }))
}

/// How many items of a part, from its first on, are applied already; or why all of it is left out.
fn known_items(applied: Option<Applied>, part: &PartPlace) -> Result<u32, Taken> {
    match applied {
        Some(applied) if part.raw_offset < applied.raw_offset => Err(Taken::Repeat),
        Some(applied) if part.raw_offset == applied.raw_offset => {
            if applied.whole {
                return Err(Taken::Repeat);
            }
            applied.items.checked_sub(part.first).ok_or(Taken::Early)
        }
        _ => {
            let is_between_steps = applied.is_none_or(|applied| applied.whole);
            let knows_previous = part.previous <= applied.map(|applied| applied.raw_offset);
            if is_between_steps && knows_previous && part.first == 0 { Ok(0) } else { Err(Taken::Early) }
        }
    }
}
