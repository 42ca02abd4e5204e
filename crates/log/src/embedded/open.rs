//! Opening a log: lock, generation, state, partitions, and the writer that continues them.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use super::{
    Appender, EmbeddedLog,
    config::{Chance, EmbeddedConfig, TopicConfig},
    disk::{Disk, DiskLock, LockRefused},
    identity::Identity,
    recovery::{Access, RecoveryReport, open_partition, partition_dir},
    snapshot::names,
    state::{FOLDER, StateFolder},
    writer::{Writer, queue::Queue, retention::TopicRetention, tail::Tail},
};
use crate::{LogError, TopicPartition, fencing::Owners, groups::Groups};

/// Opens or creates a log, its writer not yet running.
pub(crate) fn open(config: &EmbeddedConfig) -> Result<(EmbeddedLog, Writer, RecoveryReport), LogError> {
    config.check()?;
    let (disk, dir) = (&config.disk, config.dir.as_path());
    let io = |action: &'static str| move |error: io::Error| LogError::io(action, dir, &error);
    disk.create_dir(dir).map_err(io("create"))?;
    let lock = take_lock(&**disk, dir)?;
    let mut chance = Chance(config.seed);
    let (identity, created) = identity(config, &mut chance)?;

    let state = StateFolder { disk: Arc::clone(disk), dir: dir.join(FOLDER) };
    let stored = state.load()?;
    let mut report = RecoveryReport { created, partitions: Vec::new() };
    let topics: BTreeMap<&str, (usize, &TopicConfig)> =
        config.topics.iter().enumerate().map(|(at, topic)| (topic.name.as_str(), (at, topic))).collect();
    let mut tails = Vec::new();
    let mut positions = HashMap::new();
    for name in names(&identity) {
        let opened = open_partition(disk, dir, &name, Access::Repair)?;
        let Some(&(topic, settings)) = topics.get(&*name.topic) else { continue };
        positions.insert(name, tails.len());
        report.partitions.push(opened.report);
        let partition = Arc::new(opened.partition);
        tails.push(Tail::new(partition, topic, config.segment_bytes_of(settings), opened.file));
    }

    let queue = Arc::new(Queue::new(config.queue_appends_max, config.queue_bytes_max));
    let retention = |topic: &TopicConfig| TopicRetention::new(topic.name.clone(), topic.retention);
    let log = EmbeddedLog {
        appender: Appender {
            queue: Arc::clone(&queue),
            positions: Arc::new(positions),
            record_bytes_max: config.record_bytes_max,
        },
        identity,
        partitions: tails.iter().map(|tail| Arc::clone(&tail.partition)).collect(),
        owners: Owners::new(Box::new(state.clone()), stored.epochs),
        groups: Groups::new(Arc::new(state), stored.groups),
        thread: Mutex::new(None),
        _lock: lock,
    };
    let retentions = config.topics.iter().map(retention).collect();
    let writer = Writer::new(queue, tails, retentions, config.durability, Arc::clone(&config.clock), chance);
    Ok((log, writer, report))
}

fn take_lock(disk: &dyn Disk, dir: &Path) -> Result<DiskLock, LogError> {
    let path = dir.join("lock");
    disk.lock(&path, &std::process::id().to_string()).map_err(|refused| match refused {
        LockRefused::Held(holder) => {
            let holder = holder.trim();
            let holder = if holder.is_empty() { String::new() } else { format!(" (pid {holder})") };
            LogError::Locked { path: dir.display().to_string(), holder }
        }
        LockRefused::Io(error) => LogError::io("lock", &path, &error),
    })
}

/// Reads the generation file and holds the configuration against it, or creates both it and the directories.
fn identity(config: &EmbeddedConfig, chance: &mut Chance) -> Result<(Identity, bool), LogError> {
    let (disk, dir) = (&*config.disk, config.dir.as_path());
    let (identity, created, changed) = match Identity::load(disk, dir)? {
        Some(mut identity) => {
            let known = identity.clone();
            let added = identity.reconcile(config)?;
            check_directories(disk, dir, &known)?;
            (identity, false, added)
        }
        None => {
            refuse_orphans(disk, dir)?;
            (Identity::create(config, chance), true, true)
        }
    };
    if changed {
        // The directories are durable before the file that promises them.
        for name in names(&identity) {
            create_dir(disk, &partition_dir(dir, &name))?;
        }
        create_dir(disk, &dir.join(FOLDER))?;
    }
    disk.sync_dir(dir).map_err(|error| LogError::io("sync", dir, &error))?;
    sync_ancestors(disk, dir)?;
    if changed {
        identity.save(disk, dir)?;
    }
    Ok((identity, created))
}

/// The way to the log must be as durable as the log. Not told apart are directories that were there all along.
fn sync_ancestors(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    for ancestor in dir.ancestors().skip(1) {
        let ancestor = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        match disk.sync_dir(ancestor) {
            Ok(()) => {}
            // Where we may not look, we have not created anything either.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            Err(error) => return Err(LogError::io("sync", ancestor, &error)),
        }
    }
    Ok(())
}

fn create_dir(disk: &dyn Disk, path: &Path) -> Result<(), LogError> {
    disk.create_dir(path).map_err(|error| LogError::io("create", path, &error))
}

/// A log that has lost a partition's directory has lost acknowledged records.
fn check_directories(disk: &dyn Disk, dir: &Path, identity: &Identity) -> Result<(), LogError> {
    let entries = disk.list(dir).map_err(|error| LogError::io("list", dir, &error))?;
    let lost = |name: &TopicPartition| !entries.contains(&name.to_string());
    match names(identity).find(lost) {
        Some(name) => Err(LogError::Format(format!("directory {} is missing in {}", name, dir.display()))),
        None => Ok(()),
    }
}

/// Records without the generation file that belongs to them are nobody's to overwrite.
fn refuse_orphans(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    for entry in disk.list(dir).map_err(|error| LogError::io("list", dir, &error))? {
        let has_segments = |names: Vec<String>| names.iter().any(|name| name.ends_with(".seg"));
        if disk.list(&dir.join(&entry)).is_ok_and(has_segments) {
            return Err(LogError::Format(format!(
                "{} holds records in {entry} but no generation file",
                dir.display()
            )));
        }
    }
    Ok(())
}
