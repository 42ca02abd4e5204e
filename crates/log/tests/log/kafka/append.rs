//! Appends: order, keys, limits, and what is best effort.

use bytes::Bytes;
use emostream_log::{Clock as _, KeyedValue, Log, LogError, SystemClock, TopicPartition};

use super::setup::{Space, read_all, state, until};
use crate::setup::{at, values, wait};

#[test]
fn appends_take_effect_in_the_order_of_the_calls() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    let before_ms = log.clock().now_ms();
    let under_way: Vec<_> = (0..2000)
        .map(|i| (i, log.append(&at(i % 3), values(&[&format!("{i}a"), &format!("{i}b")]))))
        .collect();
    for (i, append) in under_way {
        let appended = wait(append).unwrap();
        assert_eq!(appended.first_offset, u64::from(i / 3) * 2);
        assert!((appended.append_time_ms - before_ms).abs() < 60_000);
    }
    for partition in 0..3 {
        let expected: Vec<_> =
            (partition..2000).step_by(3).flat_map(|i| [format!("{i}a"), format!("{i}b")]).collect();
        let read: Vec<_> =
            read_all(&log.log, &at(partition), 0).into_iter().map(|(_, value)| value).collect();
        assert_eq!(read, expected);
    }
    assert_eq!(log.waiting(), 0);
}

#[test]
fn the_newest_of_each_key_is_met() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    let keyed =
        |key: &str, value: &str| KeyedValue { key: key.to_owned().into(), value: value.to_owned().into() };
    let first =
        wait(log.append_keyed(&state(), vec![keyed("a", "1"), keyed("b", "1"), keyed("a", "2")])).unwrap();
    let read = log.read(&state(), first.first_offset, usize::MAX).unwrap();
    let seen: Vec<_> =
        read.records.iter().map(|record| (record.key.as_deref(), record.value.as_ref())).collect();
    assert_eq!(seen, [(Some(&b"a"[..]), &b"1"[..]), (Some(b"b"), b"1"), (Some(b"a"), b"2")]);
    let large = Bytes::from(vec![7; 15 << 20]);
    let place =
        wait(log.append_keyed(&state(), vec![KeyedValue { key: "big".into(), value: large.clone() }]))
            .unwrap();
    assert_eq!(log.read(&state(), place.first_offset, 1).unwrap().records[0].value, large);
}

#[test]
fn what_is_published_arrives_and_is_not_waited_for() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    let pulses = TopicPartition::new("pulses", 0);
    let mut end = log.follow(&pulses).unwrap();
    log.publish(&pulses, values(&["now", "and now"])).unwrap();
    wait(end.wait_for(|&end| end == 2)).unwrap();
    assert_eq!(log.read(&pulses, 0, usize::MAX).unwrap().records.len(), 2);
    let unknown = TopicPartition::new("pulses", 1);
    assert!(matches!(log.publish(&unknown, values(&["x"])), Err(LogError::UnknownPartition(_))));
}

#[test]
fn what_does_not_fit_is_refused_and_what_follows_waits_until_that_is_noticed() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    let too_large = log.append(&at(0), vec![Bytes::from(vec![0; 2 << 20])]);
    let too_early = log.append(&at(0), values(&["b"]));
    let elsewhere = log.append(&at(1), values(&["other"]));
    assert!(matches!(wait(too_large), Err(LogError::TooLarge { .. })));
    assert!(matches!(wait(too_early), Err(LogError::Unavailable(_))));
    assert_eq!(wait(elsewhere).unwrap().first_offset, 0);
    assert_eq!(wait(log.append(&at(0), values(&["c"]))).unwrap().first_offset, 0);
    assert!(matches!(wait(log.append(&at(0), Vec::new())), Err(LogError::Format(_))));
}

#[test]
fn a_refused_append_that_nobody_asks_about_holds_nobody_up_once_it_is_dropped() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    let refused = log.append(&at(0), vec![Bytes::from(vec![0; 2 << 20])]);
    assert!(wait(log.append(&at(0), values(&["too early"]))).is_err());
    drop(refused);
    wait(log.append(&at(0), values(&["in time"]))).unwrap();
    drop(log.append(&at(0), values(&["not waited for"])));
    until("an append that nobody waits for", || (log.bounds(&at(0)).unwrap().end == 2).then_some(()));
}

#[test]
fn the_brokers_clock_is_known() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    for _ in 0..50 {
        wait(log.append(&at(0), values(&["x"]))).unwrap();
    }
    let (before, sure) = (SystemClock.now_ms(), log.clock_uncertainty().as_millis() as i64 + 2);
    let now = log.clock().now_ms();
    // The brokers run on this machine, so their clock is its clock.
    assert!((before - sure..=SystemClock.now_ms() + sure).contains(&now), "{now} against {before} ± {sure}");
    assert!(log.clock_offset_ms().abs() < 1000, "{}", log.clock_offset_ms());
}
