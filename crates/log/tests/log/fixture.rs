//! Stored formats stay readable: a log written by format version 1, as committed.

use std::{fs, path::Path, sync::Arc};

use bytes::Bytes;
use emostream_log::{
    Committed, Log, ManualClock,
    embedded::{EmbeddedConfig, EmbeddedLog, verify},
};

use crate::setup::{START_MS, at, topic, values, wait};

fn config(dir: &Path) -> EmbeddedConfig {
    let mut config = EmbeddedConfig::new(dir, vec![topic("taps", 2)]);
    config.parameters.insert("window_ms".to_owned(), "2000".to_owned());
    config.clock = Arc::new(ManualClock::new(START_MS));
    config.segment_bytes = 256;
    config.seed = 42;
    config
}

fn fixture() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/version-1")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() { copy(&from, &to) } else { fs::copy(&from, &to).map(drop).unwrap() }
    }
}

/// Writes the fixture: only for a new format version, into a new folder.
fn write(dir: &Path) {
    let (log, _) = EmbeddedLog::open(&config(dir)).unwrap();
    for append in [&["eins", "zwei"][..], &[""], &["drei"], &["vier"], &["fünf 🎉"]] {
        wait(log.append(&at(0), values(append))).unwrap();
    }
    log.fenced_writer("merge-0").unwrap();
    let member = log.join("count", "taps", "a").unwrap();
    let position = Committed { offset: 3, metadata: Bytes::from_static(b"snapshot") };
    member.commit(member.assignments().borrow().generation, &at(0), position).unwrap();
    drop((member, log));
    fs::remove_file(dir.join("lock")).unwrap();
}

#[test]
fn the_bytes_written_are_those_of_version_1() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    if std::env::var_os("EMOSTREAM_WRITE_FIXTURE").is_some() {
        copy(dir.path(), &fixture());
    }
    for file in ["generation", "state/count.group", "state/merge-0.epoch", "taps-0/00000000000000000000.seg"]
    {
        let (new, old) = (fs::read(dir.path().join(file)).unwrap(), fs::read(fixture().join(file)).unwrap());
        assert!(new == old, "{file} is written differently: that needs a new format version");
    }
}

#[test]
fn a_log_of_version_1_stays_readable() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(), dir.path());
    // Git keeps no empty directories.
    fs::create_dir_all(dir.path().join("taps-1")).unwrap();
    for segment in verify(dir.path()).unwrap() {
        assert!(segment.unwrap().damage.is_empty());
    }
    let (log, report) = EmbeddedLog::open(&config(dir.path())).unwrap();
    assert!(!report.created && report.partitions.iter().all(|partition| partition.damage.is_empty()));
    let records = log.read(&at(0), 0, usize::MAX).unwrap().records;
    let texts: Vec<_> = records.iter().map(|record| std::str::from_utf8(&record.value).unwrap()).collect();
    assert_eq!(texts, ["eins", "zwei", "", "drei", "vier", "fünf 🎉"]);
    assert!(records.iter().all(|record| record.append_time_ms == START_MS));
    assert_eq!(log.committed("count", &at(0)).unwrap().unwrap().metadata, "snapshot");
    wait(log.append(&at(0), values(&["weiter"]))).unwrap();
}
