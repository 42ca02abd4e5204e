//! What the log asks of a disk, so that tests can put a treacherous one in its place.

use std::{io, path::Path, sync::Arc};

mod os;
pub use os::OsDisk;

/// A directory tree. Nothing that was created, renamed or removed in a directory is durable before
/// [`Disk::sync_dir`] of that directory.
pub trait Disk: Send + Sync + 'static {
    /// Creates a directory and its parents; fine when it exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates a file for reading and writing, emptying one that exists.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file, for reading and, where asked, writing.
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>>;
    /// Names of a directory's entries, in any order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Renames a file within its directory, replacing what has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes a directory's entries durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes the exclusive lock of a lock file and writes `holder` into it. Held until the guard is dropped.
    fn lock(&self, path: &Path, holder: &str) -> Result<DiskLock, LockRefused>;
}

/// Keeps a lock while it lives.
pub type DiskLock = Box<dyn Send + Sync>;

/// Why a lock was not given.
#[derive(Debug)]
pub enum LockRefused {
    /// Another process has it, and this is what it wrote into the file.
    Held(String),
    /// The attempt failed.
    Io(io::Error),
}

/// An open file. Written bytes are visible to readers at once and durable after [`DiskFile::sync_data`].
pub trait DiskFile: Send + Sync {
    /// Reads at a position; fewer bytes than asked for, or 0 at the end.
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes at a position, possibly fewer bytes than given.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize>;
    /// Makes the written bytes and the length durable.
    fn sync_data(&self) -> io::Result<()>;
    /// Sets the length.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Writes all bytes, however many calls it takes.
pub(crate) fn write_all(file: &dyn DiskFile, mut bytes: &[u8], mut position: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = bytes.get(n..).unwrap_or_default();
                position += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until the buffer is full or the file ends; says how many bytes came.
pub(crate) fn read_full(file: &dyn DiskFile, into: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(&mut into[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
