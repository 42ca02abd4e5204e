//! Reads every byte of every segment and says what is there and what is not. For `log verify`.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    disk::{Disk, OsDisk},
    files::{
        scan::{Expect, scan},
        segment::{SegmentHeader, base_of_name, segment_name},
    },
    identity::Identity,
    recovery::partition_dir,
    snapshot::names,
};
use crate::{LogError, Offset, TopicPartition};

/// Scans of a newest segment before damage in it is believed: a writer at work can make a scan see early bytes
/// old and later bytes new.
const SCANS_MAX: usize = 5;

/// What one segment holds.
#[derive(Clone, Debug)]
pub struct SegmentReport {
    /// Whose segment it is.
    pub partition: TopicPartition,
    /// The file.
    pub file: PathBuf,
    /// Offset of its first record.
    pub base: Offset,
    /// One past its last record.
    pub end: Offset,
    /// Whole records.
    pub records: u64,
    /// Bytes up to the last record's end.
    pub bytes: u64,
    /// Bytes behind that: an append under way, or the remains of one that was never acknowledged.
    pub torn_bytes: u64,
    /// Append time of the last record, `None` if there is none.
    pub last_append_time_ms: Option<i64>,
    /// Places that were acknowledged and cannot be read, each a [`LogError::Damaged`]; the first comes first.
    pub damage: Vec<LogError>,
}

/// Verifies the log in a directory of the machine's disk, segment by segment as the iterator is driven. Takes no
/// lock: a server may be writing.
pub fn verify(
    dir: impl Into<PathBuf>,
) -> Result<impl Iterator<Item = Result<SegmentReport, LogError>>, LogError> {
    verify_on(Arc::new(OsDisk), dir)
}

/// As [`verify`], on the given disk.
pub fn verify_on(
    disk: Arc<dyn Disk>,
    dir: impl Into<PathBuf>,
) -> Result<impl Iterator<Item = Result<SegmentReport, LogError>>, LogError> {
    let dir = dir.into();
    let identity = Identity::load(&*disk, &dir)?
        .ok_or_else(|| LogError::Format(format!("there is no log in {}", dir.display())))?;
    let mut segments = Vec::new();
    for name in names(&identity) {
        let dir = partition_dir(&dir, &name);
        let files = disk.list(&dir).map_err(|error| LogError::io("list", &dir, &error))?;
        let mut bases: Vec<Offset> = files.iter().filter_map(|file| base_of_name(file)).collect();
        bases.sort_unstable();
        let nexts = bases.iter().skip(1).copied().map(Some).chain([None]);
        segments.extend(
            bases
                .iter()
                .copied()
                .zip(nexts)
                .map(|(base, next)| (name.clone(), dir.join(segment_name(base)), base, next)),
        );
    }
    Ok(segments.into_iter().filter_map(move |(name, file, base, next)| {
        verify_segment(&*disk, &name, &file, base, next).transpose()
    }))
}

/// Scans one segment. `None` if retention has deleted it in the meantime.
fn verify_segment(
    disk: &dyn Disk,
    partition: &TopicPartition,
    path: &Path,
    base: Offset,
    next: Option<Offset>,
) -> Result<Option<SegmentReport>, LogError> {
    let io = |error: io::Error| LogError::io("read", path, &error);
    let file = match disk.open(path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut report = SegmentReport {
        partition: partition.clone(),
        file: path.to_owned(),
        base,
        end: next.unwrap_or(base),
        records: 0,
        bytes: 0,
        torn_bytes: 0,
        last_append_time_ms: None,
        damage: Vec::new(),
    };
    let damaged = |offset, position, detail| LogError::Damaged {
        partition: partition.clone(),
        offset,
        file: path.display().to_string(),
        position,
        detail,
    };
    let header = match SegmentHeader::read(&*file, base).map_err(io)? {
        Ok(header) => header,
        Err(detail) => {
            report.damage.push(damaged(base, 0, detail));
            return Ok(Some(report));
        }
    };
    let expect = next.map_or(Expect::Newest(base), Expect::Sealed);
    let mut found = scan(&*file, &header, expect).map_err(io)?;
    for _ in 1..SCANS_MAX {
        if found.holes.is_empty() || next.is_some() {
            break;
        }
        found = scan(&*file, &header, expect).map_err(io)?;
    }
    report.end = found.extent.end_offset;
    report.records = found.records;
    report.bytes = found.extent.end_position;
    report.torn_bytes = found.torn_bytes;
    report.last_append_time_ms = (found.records > 0).then_some(found.extent.last_time_ms);
    let holes = found.holes.into_iter();
    report.damage = holes.map(|hole| damaged(hole.offset, hole.position, hole.detail)).collect();
    Ok(Some(report))
}
