//! What the embedded log promises beyond the trait: restarts, one owner, retention, a look from outside.

use bytes::Bytes;
use emostream_log::{
    Bounds, Committed, Log, LogError,
    embedded::{Durability, EmbeddedLog, Snapshot, verify},
};

use crate::setup::{OnDisk, START_MS, at, topic, values, wait};

fn append_many(log: &EmbeddedLog, count: u32) {
    for _ in 0..count {
        wait(log.append(&at(0), vec![Bytes::from(vec![1; 200])])).unwrap();
    }
}

#[test]
fn a_restart_continues_where_the_log_ended() {
    for durability in [Durability::Fsync, Durability::Os] {
        let mut disk = OnDisk::new();
        disk.config.durability = durability;
        let log = disk.open();
        append_many(&log, 50);
        let generation = log.generation().clone();
        let before = log.read(&at(0), 0, usize::MAX).unwrap();
        drop(log);
        disk.clock.set(5);
        let (log, report) = EmbeddedLog::open(&disk.config).unwrap();
        assert!(!report.created);
        assert_eq!(log.generation(), &generation);
        assert_eq!(log.read(&at(0), 0, usize::MAX).unwrap(), before);
        let next = wait(log.append(&at(0), values(&["a"]))).unwrap();
        assert_eq!(
            (next.first_offset, next.append_time_ms),
            (50, START_MS),
            "the clock continues from the tail"
        );
    }
}

#[test]
fn groups_and_identities_continue_after_a_restart() {
    let disk = OnDisk::new();
    let log = disk.open();
    let old_writer = log.fenced_writer("merge").unwrap();
    let member = log.join("count", "taps", "a").unwrap();
    let assignment = member.assignments().borrow().clone();
    let position = Committed { offset: 7, metadata: Bytes::from_static(b"m") };
    member.commit(assignment.generation, &at(1), position.clone()).unwrap();
    drop((member, log));
    assert!(wait(old_writer.append(&at(0), values(&["a"]))).is_err());
    let log = disk.open();
    assert_eq!(log.committed("count", &at(1)).unwrap(), Some(position));
    let member = log.join("count", "taps", "a").unwrap();
    assert!(member.assignments().borrow().generation > assignment.generation);
}

#[test]
fn a_second_owner_is_turned_away_with_the_holder_named() {
    let disk = OnDisk::new();
    let log = disk.open();
    let refused = EmbeddedLog::open(&disk.config).err();
    let pid = format!(" (pid {})", std::process::id());
    assert!(matches!(&refused, Some(LogError::Locked { holder, .. }) if *holder == pid), "{refused:?}");
    drop(log);
    disk.open();
}

#[test]
fn what_belongs_to_the_generation_cannot_change() {
    let mut disk = OnDisk::new();
    disk.config.parameters.insert("window_ms".to_owned(), "2000".to_owned());
    drop(disk.open());
    let mut other = disk.config.clone();
    other.parameters.insert("window_ms".to_owned(), "1000".to_owned());
    let refused = EmbeddedLog::open(&other).err();
    assert!(
        matches!(&refused, Some(LogError::Mismatch { name, stored, configured, .. })
        if (name.as_str(), stored.as_str(), configured.as_str()) == ("window_ms", "2000", "1000")),
        "{refused:?}"
    );
    let mut other = disk.config.clone();
    other.topics[0].partitions = 4;
    let refused = EmbeddedLog::open(&other).err();
    assert!(matches!(&refused, Some(LogError::Mismatch { name, .. }) if name == "partitions of taps"));
    let mut other = disk.config.clone();
    other.topics.pop();
    assert!(matches!(EmbeddedLog::open(&other).err(), Some(LogError::Mismatch { .. })));
    disk.config.topics.push(topic("settings", 2));
    assert_eq!(disk.open().partitions("settings"), Some(2), "a topic may be added");
    assert_eq!(disk.open().partitions("settings"), Some(2));
}

#[test]
fn age_deletes_whole_segments_below_the_restore_point_only() {
    let mut disk = OnDisk::new();
    disk.config.topics[0].retention.age_ms = Some(1000);
    let log = disk.open();
    append_many(&log, 60);
    disk.clock.advance(5000);
    append_many(&log, 1);
    log.retain().unwrap();
    assert_eq!(log.bounds(&at(0)).unwrap().start, 0, "nothing is deleted before a restore point is set");
    log.set_restore_point(&at(0), 40).unwrap();
    log.retain().unwrap();
    let Bounds { start, end } = log.bounds(&at(0)).unwrap();
    assert!(start > 0 && start <= 40, "{start}");
    assert_eq!(end, 61);
    assert!(matches!(log.read(&at(0), 0, 10), Err(LogError::OutOfRange { .. })));
    assert_eq!(log.read(&at(0), start, usize::MAX).unwrap().records.len() as u64, end - start);
    log.set_restore_point(&at(0), 10).unwrap();
    drop(log);
    assert_eq!(disk.open().bounds(&at(0)).unwrap(), Bounds { start, end });
}

#[test]
fn the_size_limit_refuses_what_the_restore_point_keeps_and_heals() {
    let mut disk = OnDisk::new();
    disk.config.topics[0].retention.bytes = Some(48 * 1024);
    let log = disk.open();
    let append = || wait(log.append(&at(0), vec![Bytes::from(vec![1; 200])]));
    let full = (0..1000).find_map(|_| append().err());
    assert!(matches!(full, Some(LogError::Full(_))), "{full:?}");
    wait(log.append(&emostream_log::TopicPartition::new("rows", 0), values(&["other topic"]))).unwrap();
    let end = log.bounds(&at(0)).unwrap().end;
    assert_eq!(log.read(&at(0), 0, usize::MAX).unwrap().records.len() as u64, end, "readers keep working");
    log.set_restore_point(&at(0), end).unwrap();
    for _ in 0..500 {
        append().unwrap();
        log.set_restore_point(&at(0), log.bounds(&at(0)).unwrap().end).unwrap();
    }
    let verified = verify(&disk.config.dir).unwrap().map(|segment| segment.unwrap());
    assert!(verified.map(|segment| segment.bytes).sum::<u64>() <= 49 * 1024);
}

#[test]
fn the_queue_is_bounded_in_appends_and_bytes() {
    let mut disk = OnDisk::new();
    disk.config.queue_appends_max = 3;
    disk.config.queue_bytes_max = 1000;
    disk.config.record_bytes_max = 600;
    let (log, mut stepper, _) = EmbeddedLog::open_stepped(&disk.config).unwrap();
    let large = |bytes| vec![Bytes::from(vec![0; bytes])];
    assert!(matches!(
        wait(log.append(&at(0), large(601))),
        Err(LogError::TooLarge { bytes: 601, limit: 600 })
    ));
    let too_many = [large(600), large(600)].concat();
    assert!(matches!(
        wait(log.append(&at(0), too_many)),
        Err(LogError::TooLarge { bytes: 1200, limit: 1000 })
    ));
    let first = log.append(&at(0), large(600));
    assert!(matches!(wait(log.append(&at(0), large(401))), Err(LogError::Overloaded(1))));
    let more = [log.append(&at(0), large(1)), log.append(&at(0), large(1))];
    assert!(matches!(wait(log.append(&at(0), large(1))), Err(LogError::Overloaded(3))));
    stepper.step();
    wait(first).unwrap();
    for append in more {
        wait(append).unwrap();
    }
    drop(log.append(&at(0), large(600)));
    drop((log, stepper));
}

#[test]
fn a_snapshot_and_a_verification_need_no_lock() {
    let disk = OnDisk::new();
    let log = disk.open();
    append_many(&log, 50);
    let snapshot = Snapshot::open(&disk.config.dir).unwrap();
    assert_eq!(snapshot.generation(), log.generation());
    assert_eq!(snapshot.partitions().count(), 4);
    assert_eq!(snapshot.bounds(&at(0)).unwrap(), Bounds { start: 0, end: 50 });
    assert_eq!(snapshot.read(&at(0), 0, usize::MAX).unwrap(), log.read(&at(0), 0, usize::MAX).unwrap());
    append_many(&log, 1);
    assert_eq!(snapshot.bounds(&at(0)).unwrap().end, 50);
    let segments: Vec<_> = verify(&disk.config.dir).unwrap().map(|segment| segment.unwrap()).collect();
    assert_eq!(segments.iter().map(|segment| segment.records).sum::<u64>(), 51);
    assert!(segments.iter().all(|segment| segment.damage.is_empty() && segment.torn_bytes == 0));
    assert!(verify(disk.dir.path()).is_err(), "there is no log");
}

#[test]
fn verification_beside_a_busy_writer_finds_no_damage() {
    let disk = OnDisk::new();
    let log = disk.open();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| append_many(&log, 500));
        while !writer.is_finished() {
            for segment in verify(&disk.config.dir).unwrap() {
                assert!(segment.unwrap().damage.is_empty());
            }
        }
    });
}

#[test]
fn records_without_their_generation_file_are_not_adopted() {
    let disk = OnDisk::new();
    let log = disk.open();
    append_many(&log, 1);
    drop(log);
    std::fs::remove_file(disk.config.dir.join("generation")).unwrap();
    assert!(matches!(EmbeddedLog::open(&disk.config).err(), Some(LogError::Format(_))));
}

#[test]
fn callers_on_many_threads_get_every_offset_once() {
    let disk = OnDisk::new();
    let log = disk.open();
    let mut given: Vec<u64> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let append = || wait(log.append(&at(0), values(&["a", "b"]))).unwrap().first_offset;
                scope.spawn(move || (0..100).map(|_| append()).collect::<Vec<_>>())
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    given.sort_unstable();
    assert_eq!(given, (0..400).map(|append| append * 2).collect::<Vec<_>>());
}

#[test]
fn a_large_segment_is_read_from_anywhere_through_its_index() {
    let mut disk = OnDisk::new();
    disk.config.segment_bytes = 1 << 20;
    let log = disk.open();
    let value = |i: u64| Bytes::from(format!("{i:0>width$}", width = (i as usize * 7) % 900));
    for round in 0..100 {
        wait(log.append(&at(0), (round * 40..round * 40 + 40).map(value).collect())).unwrap();
        disk.clock.advance(10);
    }
    let check = |log: &EmbeddedLog| {
        for from in (0..4000).step_by(37) {
            let records = log.read(&at(0), from, 3000).unwrap().records;
            assert!(records.iter().map(|record| record.value.len()).sum::<usize>() > 2000 || from > 3990);
            for (offset, record) in (from..).zip(records) {
                assert_eq!((record.offset, record.value), (offset, value(offset)));
            }
            let time_ms = START_MS + from as i64 / 4;
            assert_eq!(log.offset_at(&at(0), time_ms).unwrap(), (from / 4).div_ceil(10) * 40);
        }
    };
    check(&log);
    drop(log);
    check(&disk.open());
}
