//! The machine's disk, with a count of what is written and synced.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use emostream_log::embedded::disk::{Disk, DiskFile, DiskLock, LockRefused, OsDisk};

/// What a disk was asked to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) syncs: u64,
    pub(super) bytes: u64,
}

#[derive(Debug, Default)]
struct Counters {
    syncs: AtomicU64,
    bytes: AtomicU64,
}

/// Passes everything on.
#[derive(Debug, Default)]
pub(super) struct CountedDisk(Arc<Counters>);

impl CountedDisk {
    /// Since the beginning.
    pub(super) fn counts(&self) -> Counts {
        let Counters { syncs, bytes } = &*self.0;
        Counts { syncs: syncs.load(Ordering::Relaxed), bytes: bytes.load(Ordering::Relaxed) }
    }

    fn counted(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(CountedFile { file, counters: self.0.clone() })
    }
}

impl Disk for CountedDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.counted(OsDisk.create(path)?))
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.counted(OsDisk.open(path, writable)?))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        OsDisk.list(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.sync_dir(path)
    }

    fn lock(&self, path: &Path, holder: &str) -> Result<DiskLock, LockRefused> {
        OsDisk.lock(path, holder)
    }
}

struct CountedFile {
    file: Arc<dyn DiskFile>,
    counters: Arc<Counters>,
}

impl DiskFile for CountedFile {
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(into, position)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        let written = self.file.write_at(bytes, position)?;
        self.counters.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
