//! One file of a partition: its header, its name, and what readers know about its frames.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
};

use super::{
    super::disk::{Disk, DiskFile, read_full, write_all},
    index::{Extent, Place, SparseIndex},
    stored::{FORMAT_VERSION, TEMPORARY},
};
use crate::{LogError, Offset, locks};

const ENDING: &str = ".seg";
const MAGIC: &[u8; 7] = b"EMOSEGM";
/// One copy of the header: version, magic, salt, base offset, base time, checksum.
const HEADER_COPY_BYTES: usize = 32;
/// The header is there twice, because without its salt no frame of the file can be verified.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = 2 * HEADER_COPY_BYTES as u64;

/// What the file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) salt: u32,
    pub(crate) base: Offset,
    /// Append times in this segment are not below it: the clock's floor when the segment is empty.
    pub(crate) base_time_ms: i64,
}

impl SegmentHeader {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT_VERSION];
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.base.to_le_bytes());
        bytes.extend_from_slice(&self.base_time_ms.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes.repeat(2)
    }

    /// Takes whichever copy is whole; the base must be the one in the file's name.
    pub(crate) fn read(file: &dyn DiskFile, base: Offset) -> io::Result<Result<Self, String>> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        let filled = read_full(file, &mut bytes, 0)?;
        for copy in bytes[..filled].chunks_exact(HEADER_COPY_BYTES) {
            let Some((covered, crc)) = copy.split_last_chunk::<4>() else { continue };
            if covered[1..8] != *MAGIC || crc32c::crc32c(covered) != u32::from_le_bytes(*crc) {
                continue;
            }
            if covered[0] != FORMAT_VERSION {
                return Ok(Err(format!("format version {} is unknown", covered[0])));
            }
            let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| covered[at + i]));
            let salt = u32::from_le_bytes(std::array::from_fn(|i| covered[8 + i]));
            let header = Self { salt, base: long(12), base_time_ms: long(20).cast_signed() };
            if header.base != base {
                return Ok(Err(format!("header is of the segment with base {}", header.base)));
            }
            return Ok(Ok(header));
        }
        Ok(Err("header is not readable".to_owned()))
    }
}

/// File name of a segment.
pub(crate) fn segment_name(base: Offset) -> String {
    format!("{base:020}{ENDING}")
}

/// File name of a segment's index.
pub(crate) fn index_name(base: Offset) -> String {
    format!("{base:020}.index")
}

/// Base offset in a segment's file name, `None` for other files.
pub(crate) fn base_of_name(name: &str) -> Option<Offset> {
    let digits = name.strip_suffix(ENDING)?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// A segment as readers see it: only what is durable.
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) path: PathBuf,
    extent: RwLock<Extent>,
    /// Kept open while it is written; a sealed one is opened for each read, so that a long log needs few files.
    open: Mutex<Option<Arc<dyn DiskFile>>>,
}

impl Segment {
    pub(crate) fn new(
        header: SegmentHeader,
        path: PathBuf,
        extent: Extent,
        open: Option<Arc<dyn DiskFile>>,
    ) -> Self {
        Self { header, path, extent: RwLock::new(extent), open: Mutex::new(open) }
    }

    /// Creates the file under a temporary name, syncs its header, gives it its name and syncs the directory: a
    /// segment that has its name has its header.
    pub(crate) fn create(disk: &dyn Disk, dir: &Path, header: SegmentHeader) -> Result<Self, LogError> {
        let name = segment_name(header.base);
        let path = dir.join(&name);
        let attempt = || -> io::Result<Arc<dyn DiskFile>> {
            let temporary = dir.join(format!("{name}{TEMPORARY}"));
            let file = disk.create(&temporary)?;
            write_all(&*file, &header.encode(), 0)?;
            file.sync_data()?;
            disk.rename(&temporary, &path)?;
            disk.sync_dir(dir)?;
            Ok(file)
        };
        let file = attempt().map_err(|error| LogError::io("create segment", &path, &error))?;
        let extent = Extent {
            end_offset: header.base,
            end_position: SEGMENT_HEADER_BYTES,
            last_time_ms: header.base_time_ms,
            index: SparseIndex::default(),
        };
        Ok(Self::new(header, path, extent, Some(file)))
    }

    /// The file, for reading.
    pub(crate) fn file(&self, disk: &dyn Disk) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = &*locks::lock(&self.open) {
            return Ok(Arc::clone(file));
        }
        disk.open(&self.path, false)
    }

    /// Takes note of frames that have become durable.
    pub(crate) fn publish(&self, places: &[Place], end_offset: Offset, end_position: u64, last_time_ms: i64) {
        let mut extent = locks::write(&self.extent);
        for place in places {
            extent.index.note(*place, false);
        }
        extent.end_offset = end_offset;
        extent.end_position = end_position;
        extent.last_time_ms = last_time_ms;
    }

    /// Closes the file for writing and keeps its extent in an index file. The index saves a scan at the next
    /// start and no more, so a failure to write it is only told.
    pub(crate) fn seal(&self, disk: &dyn Disk) {
        *locks::lock(&self.open) = None;
        self.save_index(disk);
    }

    /// Writes the index file.
    pub(crate) fn save_index(&self, disk: &dyn Disk) {
        let Some(dir) = self.path.parent() else { return };
        let saved =
            locks::read(&self.extent).save(disk, dir, &index_name(self.header.base), self.header.salt);
        if let Err(error) = saved {
            tracing::warn!(%error, "index not written, the segment will be scanned at the next start");
        }
    }

    /// One past the last durable record.
    pub(crate) fn end_offset(&self) -> Offset {
        locks::read(&self.extent).end_offset
    }

    /// Bytes that hold durable records, header included.
    pub(crate) fn end_position(&self) -> u64 {
        locks::read(&self.extent).end_position
    }

    /// Append time of the last durable record.
    pub(crate) fn last_time_ms(&self) -> i64 {
        locks::read(&self.extent).last_time_ms
    }

    /// A place to begin reading for an offset, and where durable bytes end.
    pub(crate) fn seek(&self, offset: Offset) -> (Place, u64) {
        let extent = locks::read(&self.extent);
        (extent.index.before_offset(offset).unwrap_or(self.first()), extent.end_position)
    }

    /// A place before everything of a time.
    pub(crate) fn seek_time(&self, append_time_ms: i64) -> Place {
        locks::read(&self.extent).index.before_time(append_time_ms).unwrap_or(self.first())
    }

    fn first(&self) -> Place {
        Place {
            offset: self.header.base,
            position: SEGMENT_HEADER_BYTES,
            append_time_ms: self.header.base_time_ms,
        }
    }
}
