//! A partition as readers see it: its segments and its durable end. Reading takes no lock that a write waits for.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;

use super::{
    disk::{Disk, DiskFile, read_full},
    files::{
        frame::{self, Decoded, FRAME_HEADER_BYTES, frame_bytes},
        index::INDEX_INTERVAL_BYTES,
        segment::Segment,
    },
};
use crate::{Bounds, LogError, Offset, ReadBatch, Record, TopicPartition, locks};

/// Largest piece read at once: a slice of it keeps all of it in memory.
const READ_BYTES_MAX: usize = 4 << 20;

/// Bytes read at once when looking for a time.
const SEEK_BYTES: usize = 64 * 1024;

/// One partition. Segments ascend; only the writer changes the list.
pub(crate) struct Partition {
    pub(crate) name: TopicPartition,
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) segments: RwLock<Vec<Arc<Segment>>>,
    pub(crate) end: watch::Sender<Offset>,
    /// Nothing at or above it may be deleted; 0 until it is set.
    pub(crate) restore_point: AtomicU64,
    /// Bytes in all segments.
    pub(crate) bytes: AtomicU64,
}

impl Partition {
    pub(crate) fn new(
        name: TopicPartition,
        dir: PathBuf,
        disk: Arc<dyn Disk>,
        segments: Vec<Arc<Segment>>,
    ) -> Self {
        let end = segments.last().map_or(0, |segment| segment.end_offset());
        let bytes = segments.iter().map(|segment| segment.end_position()).sum();
        Self {
            name,
            dir,
            disk,
            segments: RwLock::new(segments),
            end: watch::Sender::new(end),
            restore_point: AtomicU64::new(0),
            bytes: AtomicU64::new(bytes),
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        let start = locks::read(&self.segments).first().map_or(0, |segment| segment.header.base);
        Bounds { start, end: *self.end.borrow() }
    }

    pub(crate) fn set_restore_point(&self, offset: Offset) {
        self.restore_point.fetch_max(offset, Ordering::SeqCst);
    }

    pub(crate) fn read(&self, offset: Offset, bytes_max: usize) -> Result<ReadBatch, LogError> {
        let bounds = self.bounds();
        if offset < bounds.start || offset > bounds.end {
            return Err(self.out_of_range(offset));
        }
        let mut reading = Reading { from: offset, records: Vec::new(), budget: bytes_max, full: false };
        let mut next = offset;
        while next < bounds.end && !reading.full {
            let read = self.read_segment(next, bounds.end, &mut reading);
            // Dense: what was read says where to go on.
            next = reading.records.last().map_or(bounds.end, |record| record.offset + 1);
            match read {
                Ok(()) => {}
                // What was read before the trouble is given first; the next read begins at the trouble.
                Err(_) if !reading.records.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(ReadBatch { records: reading.records, next })
    }

    pub(crate) fn offset_at(&self, append_time_ms: i64) -> Result<Offset, LogError> {
        let end = *self.end.borrow();
        let place = {
            let segments = locks::read(&self.segments);
            let first = segments.partition_point(|segment| segment.last_time_ms() < append_time_ms);
            segments.get(first).map(|segment| segment.seek_time(append_time_ms))
        };
        let Some(place) = place else { return Ok(end) };
        let mut next = place.offset;
        while next < end {
            for record in self.read(next, SEEK_BYTES)?.records {
                if record.append_time_ms >= append_time_ms {
                    return Ok(record.offset);
                }
                next = record.offset + 1;
            }
        }
        Ok(end)
    }

    /// Reads from `next` to the end of the segment that holds it, or until enough has been read.
    fn read_segment(&self, next: Offset, end: Offset, reading: &mut Reading) -> Result<(), LogError> {
        let segment = {
            let segments = locks::read(&self.segments);
            let after = segments.partition_point(|segment| segment.header.base <= next);
            after.checked_sub(1).and_then(|at| segments.get(at)).cloned()
        };
        let segment = segment.ok_or_else(|| self.out_of_range(next))?;
        let (place, end_position) = segment.seek(next);
        let file = match segment.file(&*self.disk) {
            Ok(file) => file,
            // Retention has been here since the bounds were read.
            Err(error) if error.kind() == io::ErrorKind::NotFound && next < self.bounds().start => {
                return Err(self.out_of_range(next));
            }
            Err(error) => return Err(LogError::io("open", &segment.path, &error)),
        };
        let mut cursor = Cursor {
            segment: &segment,
            offset: place.offset,
            position: place.position,
            until: segment.end_offset().min(end),
            end_position,
            want: INDEX_INTERVAL_BYTES as usize + reading.budget.min(READ_BYTES_MAX),
        };
        if cursor.until <= next {
            cursor.offset = next;
            return Err(self.damaged(&cursor, "a segment is missing"));
        }
        while cursor.offset < cursor.until && !reading.full {
            let bytes = cursor.load(&*file).map_err(|error| LogError::io("read", &segment.path, &error))?;
            cursor.take(&bytes, reading).map_err(|detail| self.damaged(&cursor, detail))?;
        }
        Ok(())
    }

    fn out_of_range(&self, offset: Offset) -> LogError {
        let Bounds { start, end } = self.bounds();
        LogError::OutOfRange { partition: self.name.clone(), offset, start, end }
    }

    fn damaged(&self, cursor: &Cursor<'_>, detail: &str) -> LogError {
        LogError::Damaged {
            partition: self.name.clone(),
            offset: cursor.offset,
            file: cursor.segment.path.display().to_string(),
            position: cursor.position,
            detail: detail.to_owned(),
        }
    }
}

/// A read under way.
struct Reading {
    from: Offset,
    records: Vec<Record>,
    budget: usize,
    full: bool,
}

impl Reading {
    /// Whether a value of this size still belongs to the answer; the first one always does.
    fn admits(&mut self, value: usize) -> bool {
        self.full = !self.records.is_empty() && value > self.budget;
        !self.full
    }
}

/// Where a read is in a segment.
struct Cursor<'a> {
    segment: &'a Segment,
    offset: Offset,
    position: u64,
    until: Offset,
    end_position: u64,
    want: usize,
}

impl Cursor<'_> {
    fn load(&self, file: &dyn DiskFile) -> io::Result<Bytes> {
        let rest = usize::try_from(self.end_position.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let mut bytes = BytesMut::zeroed(self.want.min(rest));
        let filled = read_full(file, &mut bytes, self.position)?;
        bytes.truncate(filled);
        Ok(bytes.freeze())
    }

    /// Takes the whole frames of a piece; fails with what is wrong at the cursor.
    fn take(&mut self, bytes: &Bytes, reading: &mut Reading) -> Result<(), &'static str> {
        let salt = self.segment.header.salt;
        let mut at = 0;
        while self.offset < self.until {
            match frame::decode(bytes.get(at..).unwrap_or_default(), salt) {
                Decoded::Whole(header, _) if header.offset != self.offset => {
                    return Err("frame has another offset");
                }
                Decoded::Whole(header, length) => {
                    if self.offset >= reading.from {
                        if !reading.admits(length) {
                            return Ok(());
                        }
                        let value = bytes.slice(at + FRAME_HEADER_BYTES..at + frame_bytes(length));
                        reading.budget = reading.budget.saturating_sub(length);
                        let append_time_ms = header.append_time_ms;
                        reading.records.push(Record {
                            offset: header.offset,
                            append_time_ms,
                            key: None,
                            value,
                        });
                    }
                    at += frame_bytes(length);
                    self.position += frame_bytes(length) as u64;
                    self.offset += 1;
                }
                Decoded::Incomplete(need) => {
                    if self.position + need as u64 > self.end_position {
                        return Err("the segment ends within the frame");
                    }
                    if at == 0 && self.want >= need {
                        return Err("the file is shorter than its records");
                    }
                    if need > FRAME_HEADER_BYTES && !reading.admits(need - FRAME_HEADER_BYTES) {
                        return Ok(());
                    }
                    self.want = self.want.max(need);
                    return Ok(());
                }
                Decoded::Bad(detail) => return Err(detail),
            }
        }
        Ok(())
    }
}
