//! What the trait promises, held against all implementations; against Apache Kafka where time does not stand still for it and
//! nothing is asked that it decides by itself. Its own tests are in `kafka/`.

use std::sync::Arc;

use bytes::Bytes;
use emostream_log::{Bounds, Committed, Log, LogError, ManualClock, TopicPartition};

use crate::setup::{OnDisk, START_MS, at, in_memory, values, wait};

/// Runs a check on every implementation.
fn on_each(check: impl Fn(&dyn Log, &ManualClock)) {
    let clock = Arc::new(ManualClock::new(START_MS));
    check(&in_memory(&clock), &clock);
    let disk = OnDisk::new();
    check(&disk.open(), &disk.clock);
}

/// Runs a check that needs no clock on every implementation, Kafka included.
fn on_all(check: impl Fn(&dyn Log)) {
    on_each(|log, _| check(log));
    #[cfg(feature = "kafka")]
    crate::kafka::on_kafka(check);
}

#[test]
fn records_come_back_in_order_with_one_time_per_append() {
    on_each(|log, clock| {
        let first = wait(log.append(&at(0), values(&["a", "b"]))).unwrap();
        clock.advance(5);
        let second = wait(log.append(&at(0), values(&["c"]))).unwrap();
        assert_eq!((first.first_offset, first.append_time_ms), (0, START_MS));
        assert_eq!((second.first_offset, second.append_time_ms), (2, START_MS + 5));
        let records = log.read(&at(0), 0, usize::MAX).unwrap().records;
        let seen: Vec<_> =
            records.iter().map(|r| (r.offset, r.append_time_ms - START_MS, r.value.as_ref())).collect();
        assert_eq!(seen, [(0, 0, &b"a"[..]), (1, 0, b"b"), (2, 5, b"c")]);
        assert_eq!(log.bounds(&at(0)).unwrap(), Bounds { start: 0, end: 3 });
        assert_eq!(log.bounds(&at(1)).unwrap(), Bounds { start: 0, end: 0 });
    });
}

#[test]
fn append_time_never_steps_back() {
    on_each(|log, clock| {
        wait(log.append(&at(0), values(&["a"]))).unwrap();
        clock.set(START_MS - 500);
        let second = wait(log.append(&at(0), values(&["b"]))).unwrap();
        assert_eq!(second.append_time_ms, START_MS);
    });
}

#[test]
fn reads_are_bounded_but_always_advance() {
    on_all(|log| {
        let large = Bytes::from(vec![7; 100_000]);
        wait(log.append(&at(0), vec![large.clone(), Bytes::from_static(b"x"), Bytes::new(), large])).unwrap();
        let lengths = |offset, bytes_max| {
            let read = log.read(&at(0), offset, bytes_max).unwrap();
            assert_eq!(read.next, offset + read.records.len() as u64);
            read.records.iter().map(|record| record.value.len()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(0, 0), [100_000]);
        assert_eq!(lengths(0, 100_001), [100_000, 1, 0]);
        assert_eq!(lengths(1, 0), [1, 0]);
        assert_eq!(lengths(1, 99_999), [1, 0]);
        assert_eq!(lengths(0, 1_000_000), [100_000, 1, 0, 100_000]);
        assert_eq!(lengths(4, 10), [0; 0]);
        assert!(matches!(log.read(&at(0), 5, 10), Err(LogError::OutOfRange { start: 0, end: 4, .. })));
    });
}

#[test]
fn many_records_over_many_segments_read_back_from_anywhere() {
    on_each(|log, clock| {
        let value = |i: u32| Bytes::from(format!("{i:0>width$}", width = i as usize % 300));
        for i in 0..500 {
            wait(log.append(&at(2), vec![value(i)])).unwrap();
            clock.advance(i64::from(i % 3));
        }
        for from in [0, 1, 17, 250, 499] {
            let records = log.read(&at(2), from, usize::MAX).unwrap().records;
            assert_eq!(records.len() as u64, 500 - from);
            for (i, record) in (from..).zip(records) {
                assert_eq!((record.offset, record.value), (i, value(i as u32)));
            }
        }
    });
}

#[test]
fn an_offset_is_found_by_time() {
    on_each(|log, clock| {
        assert_eq!(log.offset_at(&at(0), START_MS).unwrap(), 0);
        for _ in 0..200 {
            wait(log.append(&at(0), vec![Bytes::from(vec![1; 90]), Bytes::from(vec![2; 90])])).unwrap();
            clock.advance(10);
        }
        for (after_ms, offset) in [(-5, 0), (0, 0), (1, 2), (10, 2), (995, 200), (1990, 398), (1991, 400)] {
            assert_eq!(log.offset_at(&at(0), START_MS + after_ms).unwrap(), offset, "{after_ms}");
        }
    });
}

#[test]
fn followers_see_the_end_move() {
    on_all(|log| {
        let mut end = log.follow(&at(0)).unwrap();
        assert_eq!(*end.borrow_and_update(), 0);
        wait(log.append(&at(0), values(&["a", "b"]))).unwrap();
        wait(end.changed()).unwrap();
        assert_eq!(*end.borrow(), 2);
    });
}

#[test]
fn unknown_partitions_are_named() {
    on_all(|log| {
        let unknown = TopicPartition::new("taps", 9);
        assert!(
            matches!(wait(log.append(&unknown, values(&["a"]))), Err(LogError::UnknownPartition(p)) if p == unknown)
        );
        assert!(matches!(log.read(&unknown, 0, 1), Err(LogError::UnknownPartition(_))));
        assert!(matches!(log.join("g", "nothing", "m").err(), Some(LogError::UnknownPartition(_))));
        assert_eq!((log.partitions("taps"), log.partitions("nothing")), (Some(3), None));
    });
}

#[test]
fn taking_an_identity_fences_its_holder() {
    on_each(|log, _| {
        let first = log.fenced_writer("merge-0").unwrap();
        let other = log.fenced_writer("merge-1").unwrap();
        assert_eq!(wait(first.append(&at(0), values(&["a"]))).unwrap().first_offset, 0);
        let under_way = first.append(&at(0), values(&["b"]));
        let second = log.fenced_writer("merge-0").unwrap();
        let end = log.bounds(&at(0)).unwrap().end;
        assert_eq!(
            wait(under_way).is_ok(),
            end == 2,
            "what was under way is settled when the takeover returns"
        );
        assert!(
            matches!(wait(first.append(&at(0), values(&["c"]))), Err(LogError::Fenced(owner)) if owner == "merge-0")
        );
        assert_eq!(wait(second.append(&at(0), values(&["d"]))).unwrap().first_offset, end);
        wait(other.append(&at(0), values(&["e"]))).unwrap();
    });
}

#[test]
fn a_group_divides_its_partitions_and_notices_each_change() {
    on_each(|log, _| {
        let a = log.join("count", "taps", "a").unwrap();
        let alone = a.assignments().borrow().clone();
        assert_eq!(alone.partitions, [at(0), at(1), at(2)]);
        let b = log.join("count", "taps", "b").unwrap();
        let shared = a.assignments().borrow().clone();
        assert!(shared.generation > alone.generation);
        assert_eq!(shared.partitions, [at(0), at(2)]);
        assert_eq!(b.assignments().borrow().partitions, [at(1)]);
        let position = Committed { offset: 5, metadata: Bytes::from_static(b"snapshot") };
        let stale = a.commit(alone.generation, &at(0), position.clone());
        assert!(matches!(stale, Err(LogError::StaleGeneration { given, current, .. })
            if given == alone.generation && current == shared.generation));
        assert!(a.commit(shared.generation, &at(1), position.clone()).is_err(), "it is b's");
        a.commit(shared.generation, &at(0), position.clone()).unwrap();
        assert_eq!(log.committed("count", &at(0)).unwrap(), Some(position));
        assert_eq!(log.committed("count", &at(1)).unwrap(), None);
        assert_eq!(log.committed("other", &at(0)).unwrap(), None);
        drop(b);
        let again = a.assignments().borrow().clone();
        assert!(again.generation > shared.generation);
        assert_eq!(again.partitions.len(), 3);
    });
}

#[test]
fn metadata_has_a_limit() {
    on_each(|log, _| {
        let member = log.join("count", "taps", "a").unwrap();
        let generation = member.assignments().borrow().generation;
        let position = Committed { offset: 0, metadata: Bytes::from(vec![0; 4097]) };
        assert!(matches!(
            member.commit(generation, &at(0), position),
            Err(LogError::TooLarge { bytes: 4097, limit: 4096 })
        ));
    });
}

#[test]
fn a_closed_log_takes_no_more_and_still_reads() {
    on_all(|log| {
        let queued = log.append(&at(0), values(&["a"]));
        log.close().unwrap();
        log.close().unwrap();
        wait(queued).unwrap();
        assert!(matches!(wait(log.append(&at(0), values(&["b"]))), Err(LogError::Closed)));
        assert_eq!(log.read(&at(0), 0, 10).unwrap().records.len(), 1);
    });
}
