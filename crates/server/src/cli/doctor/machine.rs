//! What the machine gives a node: a directory that it may write to, room, open files.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::report::Report;
use crate::{
    config::{Config, LogKind, Role},
    ingest::spool,
    node::log_dir,
};

/// Below this a node is soon without room, whatever it is for.
const ROOM_MIN: u64 = 256 << 20;

/// Open files that a node needs beside its viewers: connections of other clients, files of the log, brokers.
const FILES_BESIDE_VIEWERS: u64 = 1_000;

/// The data directory: there, ours, with room, and whose.
pub(super) fn data_dir(config: &Config, report: &mut Report) {
    const CHECK: &str = "data directory";
    let dir = &config.data_dir;
    let there = existing(dir);
    if let Err(error) = is_writable(&there) {
        let place = there.display();
        let advice = "give the directory to the user that runs the node, or name another with --data-dir";
        report.wrong(CHECK, &format!("{place} cannot be written to: {error}"), advice);
        return;
    }
    if there != *dir {
        report.fine(CHECK, &format!("{} does not exist yet and will be made", dir.display()));
    } else {
        report.fine(CHECK, &format!("{} can be written to", dir.display()));
        holder(config, report);
    }
    room(config, &there, report);
}

/// The directory, or the nearest one above it that exists.
fn existing(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let found = absolute.ancestors().find(|path| path.exists()).map(Path::to_owned);
    match found {
        Some(found) if found == absolute => dir.to_owned(),
        Some(found) => found,
        None => PathBuf::from("/"),
    }
}

/// Writes a file and removes it: permissions alone do not tell of a file system that is full or read-only.
fn is_writable(dir: &Path) -> std::io::Result<()> {
    let probe = dir.join(format!(".emostream-doctor-{}", std::process::id()));
    let written = fs::OpenOptions::new().write(true).create_new(true).open(&probe);
    written.and_then(|_| fs::remove_file(&probe))
}

/// Which process runs on the directory.
fn holder(config: &Config, report: &mut Report) {
    let lock = match config.log.kind {
        LogKind::Embedded => log_dir(&config.data_dir),
        LogKind::Kafka => spool::dir(&config.data_dir),
    };
    let lock = lock.join("lock");
    let Ok(metadata) = fs::metadata(&lock) else { return };
    let pid = fs::read_to_string(&lock).unwrap_or_default();
    match is_locked(metadata.ino()) {
        Some(true) => report.fine("lock", &format!("a node runs on it (pid {})", pid.trim())),
        Some(false) => report.fine("lock", "no node runs on it"),
        None => {}
    }
}

/// Whether somebody holds a lock on a file, by the kernel's list: taking it to find out could keep a node from starting.
fn is_locked(inode: u64) -> Option<bool> {
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let ending = format!(":{inode}");
    let is_held = |line: &str| {
        line.contains("FLOCK") && line.split_whitespace().nth(5).is_some_and(|file| file.ends_with(&ending))
    };
    Some(locks.lines().any(is_held))
}

fn room(config: &Config, dir: &Path, report: &mut Report) {
    const CHECK: &str = "room";
    let Ok(disk) = rustix::fs::statvfs(dir) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let (needed, key) = match config.log.kind {
        LogKind::Embedded => (config.log.retention_bytes, "log.retention_bytes"),
        LogKind::Kafka if config.effective_roles().contains(&Role::Ingest) => {
            (config.spool.max_bytes, "spool.max_bytes")
        }
        LogKind::Kafka => (0, ""),
    };
    let used = used(&config.data_dir);
    let text = format!("{} free, {} used", mebibytes(free), mebibytes(used));
    if free < ROOM_MIN {
        let advice = "make room: a node without it refuses reactions with 503";
        report.wrong(CHECK, &text, advice);
    } else if free + used < needed {
        let text = format!("{text}, and {key} allows {}", mebibytes(needed));
        report.doubt(CHECK, &text, &format!("make room, or lower {key}"));
    } else {
        report.fine(CHECK, &text);
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Bytes of all files below a directory; what cannot be read is left out.
pub(super) fn used(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => used(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |file| file.len()),
        _ => 0,
    };
    entries.flatten().map(size).sum()
}

/// How many files a process may open, against what viewers need.
pub(super) fn open_files(config: &Config, report: &mut Report) {
    use rustix::process::{Resource, getrlimit};
    const CHECK: &str = "open files";
    if !config.effective_roles().contains(&Role::Edge) {
        return;
    }
    let needed = config.edge.viewers_max as u64 + FILES_BESIDE_VIEWERS;
    match getrlimit(Resource::Nofile).maximum {
        None => report.fine(CHECK, "no limit here"),
        Some(limit) if limit >= needed => {
            let viewers = config.edge.viewers_max;
            report.fine(CHECK, &format!("up to {limit} here, enough for edge.viewers_max = {viewers}"));
        }
        Some(limit) => {
            let viewers = config.edge.viewers_max;
            report.doubt(
                CHECK,
                &format!("up to {limit} here, too few for edge.viewers_max = {viewers}"),
                &format!("raise the hard limit to {needed} (LimitNOFILE= of the unit, ulimit -Hn), or lower edge.viewers_max"),
            );
        }
    }
}
