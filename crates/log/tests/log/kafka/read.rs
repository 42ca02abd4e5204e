//! Reading: from memory and from brokers, at ends and beyond, and what trimming leaves.

use bytes::Bytes;
use emostream_log::{
    Log, LogError,
    kafka::{KafkaConfig, TopicKind},
};

use super::setup::{PATIENCE, Space, read_all, until};
use crate::setup::{at, values, wait};

fn fill(log: &dyn Log, partition: u32, numbers: std::ops::Range<u64>) {
    let appends: Vec<_> =
        numbers.map(|i| log.append(&at(partition), vec![Bytes::from(format!("{i:0>200}"))])).collect();
    for append in appends {
        wait(append).unwrap();
    }
}

#[test]
fn readers_at_many_places_each_get_their_own() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    for partition in 0..3 {
        fill(&log.log, partition, 0..3000);
    }
    // More readers than there are clients, in turns, with and without a follower that keeps the newest in memory.
    let _followed = log.follow(&at(1)).unwrap();
    fill(&log.log, 1, 3000..4000);
    std::thread::scope(|scope| {
        for reader in 0..12 {
            let log = &log.log;
            scope.spawn(move || {
                let partition = reader % 3;
                let start = u64::from(reader) * 113;
                let mut next = start;
                let end = log.bounds(&at(partition)).unwrap().end;
                while next < end {
                    let batch = log.read(&at(partition), next, 10_000 + 1000 * reader as usize).unwrap();
                    for record in &batch.records {
                        assert_eq!(
                            (record.offset, &record.value),
                            (next, &Bytes::from(format!("{next:0>200}")))
                        );
                        next += 1;
                    }
                    assert_eq!(batch.next, next);
                }
                assert_eq!(next, end);
            });
        }
    });
}

#[test]
fn what_a_small_memory_has_forgotten_comes_from_brokers() {
    let Some(space) = Space::new() else { return };
    let log = space.open_with(&KafkaConfig { ring_bytes: 20_000, ..space.config.clone() });
    let mut end = log.follow(&at(0)).unwrap();
    fill(&log.log, 0, 0..500);
    wait(end.wait_for(|&end| end == 500)).unwrap();
    let read = read_all(&log.log, &at(0), 0);
    assert_eq!(read.len(), 500);
    assert!(
        read.iter()
            .enumerate()
            .all(|(i, (offset, value))| (*offset, value.clone()) == (i as u64, format!("{i:0>200}")))
    );
}

#[test]
fn an_offset_is_found_by_time_and_out_of_range_is_told() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    let appended: Vec<_> = (0..5)
        .map(|i| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            wait(log.append(&at(0), values(&[&i.to_string()]))).unwrap()
        })
        .collect();
    assert_eq!(log.offset_at(&at(0), 0).unwrap(), 0);
    assert_eq!(log.offset_at(&at(0), -5).unwrap(), 0);
    for append in &appended {
        assert_eq!(log.offset_at(&at(0), append.append_time_ms).unwrap(), append.first_offset);
    }
    assert_eq!(log.offset_at(&at(0), appended[4].append_time_ms + 1).unwrap(), 5);
    assert_eq!(log.offset_at(&at(1), 0).unwrap(), 0);
    let read = log.read(&at(0), 5, 10).unwrap();
    assert_eq!((read.records.len(), read.next), (0, 5));
    assert!(matches!(log.read(&at(0), 6, 10), Err(LogError::OutOfRange { start: 0, end: 5, offset: 6, .. })));
}

#[test]
fn what_is_old_and_not_needed_is_deleted_and_nothing_else() {
    let Some(mut space) = Space::new() else { return };
    space.config.topics[0].kind = TopicKind::Log { retention_ms: 0 };
    let log = space.open();
    fill(&log.log, 0, 0..10);
    fill(&log.log, 1, 0..10);
    log.retain().unwrap();
    assert_eq!(log.bounds(&at(0)).unwrap().start, 0, "nobody has said that a replay does not need it");
    // A reader stands in the middle of what goes.
    assert_eq!(log.read(&at(0), 0, 1).unwrap().next, 1);
    log.set_restore_point(&at(0), 7).unwrap();
    log.set_restore_point(&at(0), 3).unwrap();
    until("the age of the records", || {
        (log.offset_at(&at(0), log.clock().now_ms()).unwrap() == 10).then_some(())
    });
    log.retain().unwrap();
    assert_eq!(log.bounds(&at(0)).unwrap().start, 7, "a promise is not taken back");
    assert_eq!(log.bounds(&at(1)).unwrap().start, 0);
    assert!(matches!(log.read(&at(0), 2, 1), Err(LogError::OutOfRange { start: 7, end: 10, offset: 2, .. })));
    assert_eq!(read_all(&log.log, &at(0), 7).len(), 3);

    space.config.topics[0].kind = TopicKind::Log { retention_ms: PATIENCE.as_millis() as u64 * 60 };
    drop(log);
    let log = space.open();
    log.set_restore_point(&at(1), 10).unwrap();
    log.retain().unwrap();
    assert_eq!(log.bounds(&at(1)).unwrap().start, 0, "younger than what is kept in any case");
}

#[test]
fn a_partition_is_followed_again_after_its_last_follower_left() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    drop(log.follow(&at(0)).unwrap());
    std::thread::sleep(std::time::Duration::from_millis(1500));
    fill(&log.log, 0, 0..5);
    let mut end = log.follow(&at(0)).unwrap();
    assert_eq!(*end.borrow_and_update(), 5);
    fill(&log.log, 0, 5..6);
    wait(end.wait_for(|&end| end == 6)).unwrap();
    assert_eq!(read_all(&log.log, &at(0), 0).len(), 6);
}
