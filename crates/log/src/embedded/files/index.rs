//! The sparse index of a segment: a known place every few kilobytes, in memory and, once sealed, in a small file.

use std::path::Path;

use super::{
    super::disk::Disk,
    stored::{self, Fields, Keep, Magic},
};
use crate::{LogError, Offset};

/// Bytes of frames between two places: a read wastes half of it on average, memory is 24 bytes for each.
pub(crate) const INDEX_INTERVAL_BYTES: u64 = 16 * 1024;

const MAGIC: Magic = *b"EMOINDX";

/// A frame whose place is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: Offset,
    pub(crate) position: u64,
    pub(crate) append_time_ms: i64,
}

/// Places in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SparseIndex(Vec<Place>);

impl SparseIndex {
    /// Keeps a place if it is far enough from the last one, or must be known.
    pub(crate) fn note(&mut self, place: Place, must: bool) {
        let far = |last: &Place| place.position >= last.position + INDEX_INTERVAL_BYTES;
        if must || self.0.last().is_none_or(far) {
            self.0.push(place);
        }
    }

    /// The last known place at or before an offset.
    pub(crate) fn before_offset(&self, offset: Offset) -> Option<Place> {
        let after = self.0.partition_point(|place| place.offset <= offset);
        self.0.get(after.checked_sub(1)?).copied()
    }

    /// The last known place before everything of a time.
    pub(crate) fn before_time(&self, append_time_ms: i64) -> Option<Place> {
        let after = self.0.partition_point(|place| place.append_time_ms < append_time_ms);
        self.0.get(after.saturating_sub(1)).copied()
    }

    /// Forgets places from an offset on.
    pub(crate) fn cut(&mut self, end: Offset) {
        self.0.truncate(self.0.partition_point(|place| place.offset < end));
    }
}

/// What is known about a segment that is no longer written: enough to read it without a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) end_offset: Offset,
    pub(crate) end_position: u64,
    pub(crate) last_time_ms: i64,
    pub(crate) index: SparseIndex,
}

impl Extent {
    /// Writes the index file of a segment. The salt ties it to this very segment.
    pub(crate) fn save(&self, disk: &dyn Disk, dir: &Path, name: &str, salt: u32) -> Result<(), LogError> {
        let mut fields = Fields::default();
        fields.number(u64::from(salt)).number(self.end_offset).number(self.end_position);
        fields.number(self.last_time_ms.cast_unsigned()).number(self.index.0.len() as u64);
        for place in &self.index.0 {
            fields.number(place.offset).number(place.position).number(place.append_time_ms.cast_unsigned());
        }
        stored::replace(disk, dir, name, MAGIC, &fields, Keep::Rebuildable)
    }

    /// Reads an index file; `None` when it is missing, damaged or of another segment: all three only mean a scan.
    pub(crate) fn load(disk: &dyn Disk, path: &Path, salt: u32) -> Option<Self> {
        let mut parser = stored::load(disk, path, MAGIC).ok()??;
        if parser.number()? != u64::from(salt) {
            return None;
        }
        let mut extent = Self {
            end_offset: parser.number()?,
            end_position: parser.number()?,
            last_time_ms: parser.number()?.cast_signed(),
            index: SparseIndex::default(),
        };
        for _ in 0..parser.number()? {
            extent.index.0.push(Place {
                offset: parser.number()?,
                position: parser.number()?,
                append_time_ms: parser.number()?.cast_signed(),
            });
        }
        Some(extent)
    }
}
