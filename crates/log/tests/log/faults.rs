//! Single faults in slow motion: what is refused, what is kept, and how the log goes on.

use std::{path::Path, process::Command, sync::Arc};

use bytes::Bytes;
use emostream_log::{
    Appended, Log, LogError, ManualClock,
    embedded::{EmbeddedConfig, EmbeddedLog, Stepper, disk::Disk},
};

use crate::{
    model_disk::{Faults, ModelDisk},
    setup::{OnDisk, START_MS, at, ready, topic, values, wait},
};

struct Bench {
    disk: ModelDisk,
    config: EmbeddedConfig,
    log: EmbeddedLog,
    stepper: Stepper,
}

impl Bench {
    fn new() -> Self {
        let disk = ModelDisk::new(1);
        let mut config = EmbeddedConfig::new("/log", vec![topic("taps", 2)]);
        config.disk = Arc::new(disk.clone());
        config.clock = Arc::new(ManualClock::new(START_MS));
        let (log, stepper, _) = EmbeddedLog::open_stepped(&config).unwrap();
        Self { disk, config, log, stepper }
    }

    fn append(&mut self, text: &str) -> Result<Appended, LogError> {
        let answer = self.log.append(&at(0), values(&[text]));
        self.stepper.step();
        ready(answer).unwrap()
    }

    fn texts(&self) -> Vec<String> {
        let records = self.log.read(&at(0), 0, usize::MAX).unwrap().records;
        records.iter().map(|record| String::from_utf8(record.value.to_vec()).unwrap()).collect()
    }

    fn segments(&self) -> usize {
        let names = self.disk.list(Path::new("/log/taps-0")).unwrap();
        names.iter().filter(|name| name.ends_with(".seg")).count()
    }

    fn power_cycle(self) -> Self {
        let Self { disk, config, log, stepper } = self;
        disk.lose_power();
        drop((log, stepper));
        let (log, stepper, report) = EmbeddedLog::open_stepped(&config).unwrap();
        assert!(report.partitions.iter().all(|partition| partition.damage.is_empty()));
        Self { disk, config, log, stepper }
    }
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_leaves_the_segment() {
    let mut bench = Bench::new();
    bench.append("kept").unwrap();
    bench.disk.set_faults(Faults { sync_eio: 1000, ..Faults::default() });
    assert!(matches!(bench.append("lost"), Err(LogError::Io { .. })));
    assert_eq!(bench.texts(), ["kept"], "what was refused is not read");
    bench.disk.set_faults(Faults::default());
    assert_eq!(bench.append("next").unwrap().first_offset, 1);
    assert_eq!((bench.texts(), bench.segments()), (vec!["kept".to_owned(), "next".to_owned()], 2));
    assert_eq!(bench.power_cycle().texts(), ["kept", "next"]);
}

#[test]
fn when_no_new_segment_can_be_had_either_the_log_has_failed() {
    let mut bench = Bench::new();
    bench.append("kept").unwrap();
    bench.disk.set_faults(Faults { sync_eio: 1000, ..Faults::default() });
    assert!(matches!(bench.append("a"), Err(LogError::Io { .. })));
    assert!(matches!(bench.append("b"), Err(LogError::Failed(_))));
    bench.disk.set_faults(Faults::default());
    assert!(matches!(bench.append("c"), Err(LogError::Failed(_))), "until it is restarted");
    assert_eq!(bench.texts(), ["kept"]);
    let mut bench = bench.power_cycle();
    bench.append("d").unwrap();
    assert_eq!(bench.texts().first().map(String::as_str), Some("kept"));
}

#[test]
fn a_full_disk_refuses_keeps_serving_and_heals() {
    let full_write = Faults { write_full: 1000, ..Faults::default() };
    let full_sync = Faults { sync_full: 1000, ..Faults::default() };
    let full_entry = Faults { entry_full: 1000, sync_full: 1000, ..Faults::default() };
    for faults in [full_write, full_sync, full_entry] {
        let mut bench = Bench::new();
        bench.append("a").unwrap();
        bench.disk.set_faults(faults);
        for _ in 0..5 {
            assert!(matches!(bench.append("no"), Err(LogError::Full(_))));
            assert_eq!(bench.texts(), ["a"]);
        }
        bench.disk.set_faults(Faults::default());
        assert_eq!(bench.append("b").unwrap().first_offset, 1);
        assert_eq!(bench.power_cycle().texts(), ["a", "b"]);
    }
}

#[test]
fn a_disk_full_from_the_start_heals_too() {
    let mut bench = Bench::new();
    bench.disk.set_faults(Faults { entry_full: 1000, ..Faults::default() });
    assert!(matches!(bench.append("no"), Err(LogError::Full(_))));
    bench.disk.set_faults(Faults::default());
    assert_eq!(bench.append("a").unwrap().first_offset, 0);
    assert_eq!(bench.power_cycle().texts(), ["a"]);
}

#[test]
fn short_writes_are_continued() {
    let mut bench = Bench::new();
    bench.disk.set_faults(Faults { short_write: 900, ..Faults::default() });
    for text in ["a", "b", "c"] {
        bench.append(text).unwrap();
    }
    assert_eq!(bench.power_cycle().texts(), ["a", "b", "c"]);
}

#[test]
fn an_identity_that_cannot_be_stored_fences_nobody() {
    let bench = Bench::new();
    bench.disk.set_faults(Faults { entry_eio: 1000, ..Faults::default() });
    assert!(bench.log.fenced_writer("merge").is_err());
}

/// A file system of one mebibyte, gone with the value.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// `None` where mounting is not allowed; the model disk has then shown the same.
    fn mount(on: &Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(on).output();
        mounted.ok()?.status.success().then(|| Self(on.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).output().unwrap();
    }
}

#[test]
fn a_really_full_disk_refuses_keeps_serving_and_heals() {
    let mut disk = OnDisk::new();
    let Some(small) = SmallDisk::mount(disk.dir.path()) else {
        return println!("no right to mount a small disk here: only the model disk was full");
    };
    disk.config.segment_bytes = 64 << 10;
    let log = disk.open();
    let append = |bytes| wait(log.append(&at(0), vec![Bytes::from(vec![1; bytes])]));
    let refused = (0..10_000).find_map(|_| append(5000).err());
    assert!(matches!(refused, Some(LogError::Full(_))), "{refused:?}");
    assert!(matches!(append(60_000), Err(LogError::Full(_))));
    let end = log.bounds(&at(0)).unwrap().end;
    assert!(end > 100);
    assert_eq!(log.read(&at(0), 0, usize::MAX).unwrap().records.len() as u64, end);
    Command::new("mount").args(["-o", "remount,size=2m"]).arg(&small.0).output().unwrap();
    assert_eq!(append(60_000).unwrap().first_offset, end);
    drop(log);
    assert_eq!(disk.open().read(&at(0), 0, usize::MAX).unwrap().records.len() as u64, end + 1);
}
