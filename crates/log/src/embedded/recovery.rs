//! Opening a partition: finds its segments, reads the newest to its end, cuts a torn tail, reports damage.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    disk::{Disk, DiskFile, read_full, write_all},
    files::{
        index::Extent,
        scan::{Expect, Hole, Scan, scan},
        segment::{Segment, SegmentHeader, base_of_name, index_name, segment_name},
        stored::TEMPORARY,
    },
    partition::Partition,
};
use crate::{Bounds, LogError, Offset, TopicPartition};

/// What opening the log found and did.
#[derive(Clone, Debug, Default)]
pub struct RecoveryReport {
    /// The log did not exist before.
    pub created: bool,
    /// One entry for each partition.
    pub partitions: Vec<PartitionRecovery>,
}

/// What opening one partition found and did.
#[derive(Clone, Debug)]
pub struct PartitionRecovery {
    /// Which.
    pub partition: TopicPartition,
    /// What can be read now.
    pub bounds: Bounds,
    /// Number of segments.
    pub segments: usize,
    /// Bytes of unfinished, never acknowledged appends that were cut from the end.
    pub torn_bytes: u64,
    /// Places that were acknowledged and cannot be read ([`LogError::Damaged`]). Only segments without an index
    /// are read through at the start; `verify` reads all.
    pub damage: Vec<LogError>,
}

/// Directory of a partition.
pub(crate) fn partition_dir(dir: &Path, of: &TopicPartition) -> PathBuf {
    dir.join(of.to_string())
}

/// Whether recovery may repair, or only looks because another process may be writing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Repair,
    LookOnly,
}

/// A partition that has been opened.
pub(crate) struct Opened {
    pub(crate) partition: Partition,
    /// The newest segment's file, if it can be written on.
    pub(crate) file: Writable,
    pub(crate) report: PartitionRecovery,
}

/// Opens a partition whose directory exists.
pub(crate) fn open_partition(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    name: &TopicPartition,
    access: Access,
) -> Result<Opened, LogError> {
    let dir = partition_dir(dir, name);
    let mut opening = Opening { disk, dir: &dir, name, access, torn_bytes: 0, damage: Vec::new() };
    let bases = opening.bases()?;
    let mut segments = Vec::with_capacity(bases.len());
    for pair in bases.windows(2) {
        segments.extend(opening.sealed(pair[0], pair[1])?.map(Arc::new));
    }
    let mut file = None;
    if let Some(&newest) = bases.last()
        && let Some((segment, writable)) = opening.newest(newest)?
    {
        segments.push(Arc::new(segment));
        file = writable;
    }
    let Opening { torn_bytes, damage, .. } = opening;
    let count = segments.len();
    let partition = Partition::new(name.clone(), dir, Arc::clone(disk), segments);
    let report = PartitionRecovery {
        partition: name.clone(),
        bounds: partition.bounds(),
        segments: count,
        torn_bytes,
        damage,
    };
    Ok(Opened { partition, file, report })
}

/// The file of a segment that can be written on.
type Writable = Option<Arc<dyn DiskFile>>;

struct Opening<'a> {
    disk: &'a Arc<dyn Disk>,
    dir: &'a Path,
    name: &'a TopicPartition,
    access: Access,
    torn_bytes: u64,
    damage: Vec<LogError>,
}

impl Opening<'_> {
    /// Base offsets of the segments, ascending. Removes files that nothing refers to.
    fn bases(&self) -> Result<Vec<Offset>, LogError> {
        let names = self.disk.list(self.dir).map_err(|error| LogError::io("list", self.dir, &error))?;
        let mut bases: Vec<Offset> = names.iter().filter_map(|name| base_of_name(name)).collect();
        bases.sort_unstable();
        if self.access == Access::Repair {
            let orphan = |name: &&String| {
                let kept = |&base: &Offset| index_name(base) == **name;
                name.ends_with(TEMPORARY) || (name.ends_with(".index") && !bases.iter().any(kept))
            };
            for name in names.iter().filter(orphan) {
                let path = self.dir.join(name);
                self.disk.remove(&path).map_err(|error| LogError::io("remove", &path, &error))?;
            }
            // A segment that was created just before a crash may have its name only in memory.
            self.disk.sync_dir(self.dir).map_err(|error| LogError::io("sync", self.dir, &error))?;
        }
        Ok(bases)
    }

    /// A segment with another behind it. `None` if it is gone, which only a running writer can cause.
    fn sealed(&mut self, base: Offset, next: Offset) -> Result<Option<Segment>, LogError> {
        let path = self.dir.join(segment_name(base));
        let Some(file) = self.open(&path, false)? else { return Ok(None) };
        let header = match self.header(&*file, &path, base)? {
            Ok(header) => header,
            Err(detail) => {
                // Nothing in it can be verified without the header. Reading it fails at its first offset.
                self.report(&path, &Hole { offset: base, position: 0, detail });
                let header = SegmentHeader { salt: 0, base, base_time_ms: i64::MIN };
                let extent = Extent {
                    end_offset: next,
                    end_position: 0,
                    last_time_ms: i64::MIN,
                    index: Default::default(),
                };
                return Ok(Some(Segment::new(header, path, extent, None)));
            }
        };
        let len = file.len().map_err(|error| LogError::io("read", &path, &error))?;
        let index = Extent::load(&**self.disk, &self.dir.join(index_name(base)), header.salt);
        if let Some(extent) = index.filter(|index| index.end_offset == next && index.end_position <= len) {
            return Ok(Some(Segment::new(header, path, extent, None)));
        }
        let scan = self.scan(&*file, &path, &header, Expect::Sealed(next))?;
        let whole = scan.holes.is_empty();
        let segment = Segment::new(header, path, scan.extent, None);
        // A damaged segment is read through, and reported, at each start.
        if whole && self.access == Access::Repair {
            segment.save_index(&**self.disk);
        }
        Ok(Some(segment))
    }

    /// The newest segment, and its file if it can be written on.
    fn newest(&mut self, base: Offset) -> Result<Option<(Segment, Writable)>, LogError> {
        let path = self.dir.join(segment_name(base));
        let Some(file) = self.open(&path, self.access == Access::Repair)? else { return Ok(None) };
        let header = match self.header(&*file, &path, base)? {
            Ok(header) => header,
            // Where the log ends is unknown, so nothing can be written without risking an offset given twice.
            Err(detail) => return Err(self.damaged(&path, &Hole { offset: base, position: 0, detail })),
        };
        let index = Extent::load(&**self.disk, &self.dir.join(index_name(base)), header.salt);
        let proven = Expect::Newest(index.map_or(base, |index| index.end_offset));
        let mut scan = self.scan(&*file, &path, &header, proven)?;
        if self.access == Access::LookOnly {
            return Ok(Some((Segment::new(header, path, scan.extent, None), None)));
        }
        self.torn_bytes = scan.torn_bytes;
        let end_lost = scan.end_lost;
        if end_lost {
            scan.extent.last_time_ms = scan.extent.last_time_ms.max(header.base_time_ms);
        } else {
            make_durable(&*file, &scan).map_err(|error| LogError::io("repair", &path, &error))?;
        }
        // Otherwise the next append begins a new segment behind the lost records.
        let writable = (!end_lost).then_some(file);
        Ok(Some((Segment::new(header, path, scan.extent, writable.clone()), writable)))
    }

    fn open(&self, path: &Path, writable: bool) -> Result<Option<Arc<dyn DiskFile>>, LogError> {
        match self.disk.open(path, writable) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.access == Access::LookOnly => {
                Ok(None)
            }
            Err(error) => Err(LogError::io("open", path, &error)),
        }
    }

    fn header(
        &self,
        file: &dyn DiskFile,
        path: &Path,
        base: Offset,
    ) -> Result<Result<SegmentHeader, String>, LogError> {
        SegmentHeader::read(file, base).map_err(|error| LogError::io("read", path, &error))
    }

    fn scan(
        &mut self,
        file: &dyn DiskFile,
        path: &Path,
        header: &SegmentHeader,
        expect: Expect,
    ) -> Result<Scan, LogError> {
        let scan = scan(file, header, expect).map_err(|error| LogError::io("read", path, &error))?;
        for hole in &scan.holes {
            self.report(path, hole);
        }
        Ok(scan)
    }

    fn report(&mut self, path: &Path, hole: &Hole) {
        let damage = self.damaged(path, hole);
        tracing::error!(%damage, "acknowledged records cannot be read");
        self.damage.push(damage);
    }

    fn damaged(&self, path: &Path, hole: &Hole) -> LogError {
        LogError::Damaged {
            partition: self.name.clone(),
            offset: hole.offset,
            file: path.display().to_string(),
            position: hole.position,
            detail: hole.detail.clone(),
        }
    }
}

/// Cuts the torn tail and makes what is kept durable before anyone reads it. What no later frame proves durable
/// is written again: a sync that failed before the restart may have left it in memory as if it were on disk.
fn make_durable(file: &dyn DiskFile, scan: &Scan) -> io::Result<()> {
    let end = scan.extent.end_position;
    if scan.torn_bytes > 0 {
        file.truncate(end)?;
    }
    let mut position = scan.proven.position;
    let mut piece = vec![0; 1 << 20];
    while position < end {
        let want = usize::try_from(end - position).unwrap_or(usize::MAX).min(piece.len());
        let filled = read_full(file, &mut piece[..want], position)?;
        if filled == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        write_all(file, &piece[..filled], position)?;
        position += filled as u64;
    }
    file.sync_data()
}
