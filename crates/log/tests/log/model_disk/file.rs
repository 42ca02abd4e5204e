//! A file of the model disk: what is durable, what is read, and what lies between.

use std::io;

use emostream_log::embedded::disk::DiskFile;

use super::{ModelDisk, World, eio, full};
use crate::dice::Dice;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Default)]
pub(super) struct FileState {
    /// What survives in any case.
    pub(super) durable: Vec<u8>,
    /// What is read.
    pub(super) cache: Vec<u8>,
    /// Since the last sync.
    pub(super) pending: Vec<Change>,
}

pub(super) enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

impl FileState {
    /// Makes any subset of the pending sectors durable and forgets the others.
    pub(super) fn settle(&mut self, dice: &mut Dice, kept: u64) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Truncate(len) if dice.happens(kept) => self.durable.resize(len as usize, 0),
                Change::Truncate(_) => {}
                Change::Write(position, bytes) => {
                    let mut at = 0;
                    while at < bytes.len() {
                        let place = position as usize + at;
                        let end = bytes.len().min(at + SECTOR_BYTES - place % SECTOR_BYTES);
                        if dice.happens(kept) {
                            put(&mut self.durable, place, &bytes[at..end]);
                        }
                        at = end;
                    }
                }
            }
        }
    }
}

fn put(into: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    let end = position + bytes.len();
    if into.len() < end {
        into.resize(end, 0);
    }
    into[position..end].copy_from_slice(bytes);
}

pub(super) struct ModelFile {
    pub(super) disk: ModelDisk,
    pub(super) inode: u64,
    pub(super) life: u64,
}

impl ModelFile {
    /// Runs an operation on the file, unless the handle or the machine is dead.
    fn with<T>(&self, operation: impl FnOnce(&mut FileState, &mut World) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.disk.world();
        if world.dead || world.life != self.life {
            return Err(eio());
        }
        let mut file = world.files.remove(&self.inode).unwrap();
        let result = operation(&mut file, &mut world);
        world.files.insert(self.inode, file);
        result
    }
}

impl DiskFile for ModelFile {
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        self.with(|file, _| {
            let rest = file.cache.get(position as usize..).unwrap_or_default();
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.with(|file, world| {
            let faults = world.faults;
            let last = world.last_operation()?;
            let failure = if last || world.dice.happens(faults.write_eio) {
                Some(eio())
            } else if world.dice.happens(faults.write_full) {
                Some(full())
            } else {
                None
            };
            let short = failure.is_some() || world.dice.happens(faults.short_write);
            let count = if short { 1 + world.dice.below(bytes.len() as u64) as usize } else { bytes.len() };
            put(&mut file.cache, position as usize, &bytes[..count]);
            file.pending.push(Change::Write(position, bytes[..count].to_vec()));
            failure.map_or(Ok(count), Err)
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|file, world| {
            let faults = world.faults;
            let last = world.last_operation()?;
            if last {
                return Err(eio());
            }
            let failure = match () {
                () if world.dice.happens(faults.sync_eio) => Some(eio()),
                () if world.dice.happens(faults.sync_full) => Some(full()),
                () => None,
            };
            if let Some(failure) = failure {
                // The kernel marks what it could not write as clean: it is read as before, and never written.
                file.settle(&mut world.dice, 500);
                return Err(failure);
            }
            if !world.lies {
                file.settle(&mut world.dice, 1000);
            }
            Ok(())
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|file, world| {
            let last = world.last_operation()?;
            file.cache.resize(len as usize, 0);
            file.pending.push(Change::Truncate(len));
            if last { Err(eio()) } else { Ok(()) }
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|file, _| Ok(file.cache.len() as u64))
    }
}
