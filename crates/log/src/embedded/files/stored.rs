//! Small files that are replaced as a whole: version byte, magic, content, checksum.

use std::{io, path::Path};

use bytes::Bytes;

use super::super::disk::{Disk, read_full, write_all};
use crate::LogError;

/// Version of the small files, and of segments and indexes.
pub(crate) const FORMAT_VERSION: u8 = 1;

/// Ending of files that are being written; whatever bears it after a crash is worthless.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Seven bytes that name a kind of file.
pub(crate) type Magic = [u8; 7];

/// Whether a small file must be on the disk when the call returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Synced, renamed, directory synced.
    Durable,
    /// Renamed only: can be rebuilt, and its checksum tells.
    Rebuildable,
}

/// Replaces a file, or leaves the one before it in place.
pub(crate) fn replace(
    disk: &dyn Disk,
    dir: &Path,
    name: &str,
    magic: Magic,
    content: &Fields,
    keep: Keep,
) -> Result<(), LogError> {
    let path = dir.join(name);
    let mut bytes = vec![FORMAT_VERSION];
    bytes.extend_from_slice(&magic);
    bytes.extend_from_slice(&content.0);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    let attempt = || -> io::Result<()> {
        let temporary = dir.join(format!("{name}{TEMPORARY}"));
        let file = disk.create(&temporary)?;
        write_all(&*file, &bytes, 0)?;
        if keep == Keep::Durable {
            file.sync_data()?;
        }
        disk.rename(&temporary, &path)?;
        if keep == Keep::Durable {
            disk.sync_dir(dir)?;
        }
        Ok(())
    };
    attempt().map_err(|error| LogError::io("replace", &path, &error))
}

/// Reads a file's content, `None` when there is no such file.
pub(crate) fn load(disk: &dyn Disk, path: &Path, magic: Magic) -> Result<Option<Parser>, LogError> {
    let bytes = match read_file(disk, path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::io("read", path, &error)),
    };
    let refuse = |what: &str| Err(LogError::Format(format!("{} {what}", path.display())));
    let Some((covered, crc)) = bytes.split_last_chunk::<4>() else {
        return refuse("is too short to be a file of this log");
    };
    if covered.get(1..8) != Some(&magic) {
        return refuse("is not a file of this log");
    }
    if covered[0] != FORMAT_VERSION {
        return refuse(&format!("has format version {}, known is {FORMAT_VERSION}", covered[0]));
    }
    if crc32c::crc32c(covered) != u32::from_le_bytes(*crc) {
        return refuse("is damaged: its checksum does not match");
    }
    Ok(Some(Parser(Bytes::copy_from_slice(&covered[8..]))))
}

fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, false)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    let filled = read_full(&*file, &mut bytes, 0)?;
    bytes.truncate(filled);
    Ok(bytes)
}

/// Content being put together.
#[derive(Default)]
pub(crate) struct Fields(Vec<u8>);

impl Fields {
    pub(crate) fn number(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }
}

/// Content being taken apart; `None` when there is less than asked for.
pub(crate) struct Parser(Bytes);

impl Parser {
    pub(crate) fn number(&mut self) -> Option<u64> {
        let bytes = *self.0.first_chunk::<8>()?;
        self.0 = self.0.slice(8..);
        Some(u64::from_le_bytes(bytes))
    }

    pub(crate) fn bytes(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.number()?).ok()?;
        if length > self.0.len() {
            return None;
        }
        Some(self.0.split_to(length))
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }
}
