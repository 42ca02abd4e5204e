//! A disk in memory that keeps no more than it must: on power loss any subset of what was not synced is gone,
//! sector by sector and name by name, and on the way it fails, runs full and writes less than asked.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use emostream_log::embedded::disk::{Disk, DiskFile, DiskLock, LockRefused};

use self::file::{Change, FileState, ModelFile};
use crate::dice::Dice;

mod file;

/// Chances in a thousand that an operation fails, and how.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) short_write: u64,
    pub(crate) write_eio: u64,
    pub(crate) write_full: u64,
    pub(crate) sync_eio: u64,
    pub(crate) sync_full: u64,
    pub(crate) entry_eio: u64,
    pub(crate) entry_full: u64,
}

#[derive(Clone)]
pub(crate) struct ModelDisk(Arc<Mutex<World>>);

struct World {
    files: BTreeMap<u64, FileState>,
    dirs: BTreeMap<PathBuf, DirState>,
    files_seen: u64,
    dice: Dice,
    faults: Faults,
    /// Operations until the power goes.
    operations_left: Option<u64>,
    dead: bool,
    /// Handles of an earlier life no longer work.
    life: u64,
    locked: bool,
    /// Says that it has synced, and has not.
    lies: bool,
}

#[derive(Default)]
struct DirState {
    durable: BTreeMap<String, Entry>,
    cache: BTreeMap<String, Entry>,
    pending: Vec<(String, Option<Entry>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(u64),
    Dir,
}

impl ModelDisk {
    pub(crate) fn new(seed: u64) -> Self {
        let root = (PathBuf::from("/"), DirState::default());
        Self(Arc::new(Mutex::new(World {
            files: BTreeMap::new(),
            dirs: BTreeMap::from([root]),
            files_seen: 0,
            dice: Dice(seed),
            faults: Faults::default(),
            operations_left: None,
            dead: false,
            life: 0,
            locked: false,
            lies: false,
        })))
    }

    pub(crate) fn lie(&self) {
        self.world().lies = true;
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.world().faults = faults;
    }

    /// The machine dies during the n-th operation from now.
    pub(crate) fn die_after(&self, operations: Option<u64>) {
        self.world().operations_left = operations;
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.world().dead
    }

    /// The process is gone; the operating system still has everything.
    pub(crate) fn kill(&self) {
        self.world().restart();
    }

    /// The power is gone.
    pub(crate) fn lose_power(&self) {
        let mut world = self.world();
        let world = &mut *world;
        let kept = [0, 100, 500, 900, 1000][world.dice.below(5) as usize];
        for file in world.files.values_mut() {
            file.settle(&mut world.dice, kept);
            file.cache.clone_from(&file.durable);
        }
        for dir in world.dirs.values_mut() {
            for (name, entry) in std::mem::take(&mut dir.pending) {
                if world.dice.happens(kept) {
                    set(&mut dir.durable, &name, entry);
                }
            }
            dir.cache.clone_from(&dir.durable);
        }
        world.restart();
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

fn set(entries: &mut BTreeMap<String, Entry>, name: &str, entry: Option<Entry>) {
    match entry {
        Some(entry) => entries.insert(name.to_owned(), entry),
        None => entries.remove(name),
    };
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn full() -> io::Error {
    io::Error::from_raw_os_error(28)
}

fn split(path: &Path) -> (PathBuf, String) {
    (path.parent().unwrap().to_owned(), path.file_name().unwrap().to_str().unwrap().to_owned())
}

impl World {
    fn restart(&mut self) {
        self.life += 1;
        self.dead = false;
        self.locked = false;
        self.operations_left = None;
    }

    /// Counts an operation that changes something. `true` if it is the last one.
    fn last_operation(&mut self) -> io::Result<bool> {
        if self.dead {
            return Err(eio());
        }
        let Some(left) = &mut self.operations_left else { return Ok(false) };
        *left = left.saturating_sub(1);
        self.dead = *left == 0;
        Ok(self.dead)
    }

    /// Whether an operation on a directory fails, before or after it has had its effect.
    fn entry_operation(&mut self) -> io::Result<()> {
        let faults = self.faults;
        if self.last_operation()? || self.dice.happens(faults.entry_eio) {
            return Err(eio());
        }
        if self.dice.happens(faults.entry_full) { Err(full()) } else { Ok(()) }
    }

    fn entry(&self, path: &Path) -> Option<Entry> {
        let (dir, name) = split(path);
        self.dirs.get(&dir)?.cache.get(&name).copied()
    }

    fn change(&mut self, path: &Path, entry: Option<Entry>) -> io::Result<()> {
        let (dir, name) = split(path);
        let dir = self.dirs.get_mut(&dir).ok_or(io::ErrorKind::NotFound)?;
        set(&mut dir.cache, &name, entry);
        dir.pending.push((name, entry));
        Ok(())
    }
}

impl Disk for ModelDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.entry(path).is_none() {
            world.entry_operation()?;
            world.change(path, Some(Entry::Dir))?;
            world.dirs.insert(path.to_owned(), DirState::default());
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        world.entry_operation()?;
        let inode = match world.entry(path) {
            Some(Entry::File(inode)) => inode,
            _ => {
                world.files_seen += 1;
                let inode = world.files_seen;
                world.files.insert(inode, FileState::default());
                world.change(path, Some(Entry::File(inode)))?;
                inode
            }
        };
        let file = world.files.get_mut(&inode).unwrap();
        file.cache.clear();
        file.pending.push(Change::Truncate(0));
        Ok(Arc::new(ModelFile { disk: self.clone(), inode, life: world.life }))
    }

    fn open(&self, path: &Path, _writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        let world = self.world();
        match world.entry(path) {
            Some(Entry::File(inode)) => {
                Ok(Arc::new(ModelFile { disk: self.clone(), inode, life: world.life }))
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        let (parent_has_it, dir) =
            (path == Path::new("/") || world.entry(path).is_some(), world.dirs.get(path));
        match dir.filter(|_| parent_has_it) {
            Some(dir) => Ok(dir.cache.keys().cloned().collect()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.entry(path).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.entry_operation()?;
        world.change(path, None)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let entry = world.entry(from).ok_or(io::ErrorKind::NotFound)?;
        let failed = world.entry_operation();
        // The new name and the loss of the old one may survive one without the other.
        world.change(to, Some(entry))?;
        world.change(from, None)?;
        failed
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.entry_operation()?;
        let dir = world.dirs.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        dir.pending.clear();
        dir.durable.clone_from(&dir.cache);
        Ok(())
    }

    fn lock(&self, _path: &Path, _holder: &str) -> Result<DiskLock, LockRefused> {
        let mut world = self.world();
        if std::mem::replace(&mut world.locked, true) {
            return Err(LockRefused::Held("1".to_owned()));
        }
        Ok(Box::new(Lock { disk: self.clone(), life: world.life }))
    }
}

struct Lock {
    disk: ModelDisk,
    life: u64,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut world = self.disk.world();
        if world.life == self.life {
            world.locked = false;
        }
    }
}
