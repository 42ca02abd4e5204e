//! A topic at its size limit: ordinary appends are refused, those that let time move on are not, so that it heals.

use bytes::Bytes;
use emostream_log::{Log, LogError, TopicPartition, embedded::EmbeddedLog};

use crate::setup::{OnDisk, at, ready, values, wait};

const LIMIT: u64 = 256 * 1024;

/// How long a record is needed for a replay, in these tests.
const HORIZON_MS: i64 = 5 * 60_000;

fn limited() -> OnDisk {
    let mut disk = OnDisk::new();
    disk.config.topics[0].retention.bytes = Some(LIMIT);
    disk
}

fn tap(log: &dyn Log, partition: u32) -> Result<(), LogError> {
    wait(log.append(&at(partition), vec![Bytes::from(vec![1; 400])])).map(drop)
}

fn fill(log: &dyn Log) {
    let full = (0..2 * LIMIT / 400).find_map(|_| tap(log, 0).err());
    assert!(matches!(full, Some(LogError::Full(_))), "{full:?}");
}

/// What the reader of the log does: replays begin where the horizon begins.
fn move_restore_points(log: &dyn Log, now_ms: i64) {
    for partition in (0..3).map(at) {
        let needed = log.offset_at(&partition, now_ms - HORIZON_MS).unwrap();
        log.set_restore_point(&partition, needed).unwrap();
    }
}

#[test]
fn a_full_topic_frees_itself_by_records_in_the_reserve() {
    let disk = limited();
    let log = disk.open();
    fill(&log);
    let mut ticks = 0;
    while tap(&log, 0).is_err() {
        ticks += 1;
        assert!(ticks < 10_000, "still full");
        disk.clock.advance(1_000);
        for partition in 0..3 {
            wait(log.append_reserved(&at(partition), values(&["tick"]))).unwrap();
        }
        let newest = log.bounds(&at(0)).unwrap().end - 1;
        let now_ms = log.read(&at(0), newest, 1).unwrap().records[0].append_time_ms;
        move_restore_points(&log, now_ms);
    }
    assert!(ticks * 1_000 <= HORIZON_MS + 1_000, "{ticks} ticks of a second");
    for partition in 0..3 {
        tap(&log, partition).unwrap();
    }
}

#[test]
fn an_append_in_the_reserve_is_not_held_up_by_a_refused_one_in_the_same_round() {
    let disk = limited();
    let (log, mut stepper, _) = EmbeddedLog::open_stepped(&disk.config).unwrap();
    let mut round = |reserved: bool| {
        let large = log.append(&at(0), vec![Bytes::from(vec![1; 4_000])]);
        let small = if reserved {
            log.append_reserved(&at(0), values(&["tick"]))
        } else {
            log.append(&at(0), values(&["tick"]))
        };
        stepper.step();
        (ready(large).unwrap().map(drop), ready(small).unwrap().map(drop))
    };
    while round(false).0.is_ok() {}
    assert!(matches!(round(false), (Err(LogError::Full(_)), Err(LogError::Full(_)))));
    assert!(matches!(round(true), (Err(LogError::Full(_)), Ok(()))));
}

#[test]
fn the_reserve_ends_too_and_stays_after_a_restart() {
    let disk = limited();
    let log = disk.open();
    fill(&log);
    drop(log);
    let log = disk.open();
    assert!(matches!(tap(&log, 1), Err(LogError::Full(_))));
    let large = || vec![Bytes::from(vec![2; 1_000])];
    let taken = (0..1_000).take_while(|_| wait(log.append_reserved(&at(1), large())).is_ok()).count();
    assert!((32..80).contains(&taken), "{taken} KB of the 64 KiB kept back");
    wait(log.append_reserved(&TopicPartition::new("rows", 0), large())).unwrap();
}
