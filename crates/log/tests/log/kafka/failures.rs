//! What a failed append leaves: no gap, for whoever goes on at the first that failed. The brokers refuse for good here, by a
//! limit that was lowered behind the log's back.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use emostream_log::{AppendFuture, Log, LogError};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
};

use super::setup::{Opened, Space, read_all, until};
use crate::{
    dice::Dice,
    setup::{at, values, wait},
};

/// Appends under way at a time.
const WINDOW: usize = 8;

/// Lowers what the brokers accept, and waits until they go by it.
fn lower_limit(space: &Space) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &space.config.bootstrap_servers).create().unwrap();
    let topic = format!("{}taps", space.config.namespace);
    let settings = [
        ("max.message.bytes", "1000"),
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
    ];
    let change =
        settings.iter().fold(AlterConfig::new(ResourceSpecifier::Topic(&topic)), |change, (name, value)| {
            change.set(name, value)
        });
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(10)));
    wait(admin.alter_configs([&change], &options)).unwrap().remove(0).unwrap();
}

/// A value that brokers refuse after that, however it is compressed.
fn large() -> Bytes {
    let mut dice = Dice(3);
    (0..5000).map(|_| dice.draw() as u8).collect()
}

/// A caller as the trait has it in mind: appends numbers 0.. in order, several under way, and goes on at the first that
/// failed. `is_bad` numbers are too large for the brokers at their first attempt.
fn append_all(log: &Opened, count: u64, is_bad: impl Fn(u64) -> bool) -> usize {
    let mut failures = 0;
    let mut tried = 0;
    let mut next = 0;
    let mut under_way: VecDeque<(u64, AppendFuture)> = VecDeque::new();
    while next < count || !under_way.is_empty() {
        while under_way.len() < WINDOW && next < count {
            let value = if is_bad(next) && next >= tried { large() } else { next.to_string().into() };
            tried = tried.max(next + 1);
            under_way.push_back((next, log.append(&at(0), vec![value])));
            next += 1;
        }
        let Some((number, append)) = under_way.pop_front() else { break };
        match wait(append) {
            Ok(_) => {}
            Err(LogError::Unavailable(_)) => {
                failures += 1;
                under_way.clear();
                next = number;
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(other) => panic!("{other}"),
        }
    }
    failures
}

#[test]
fn whoever_goes_on_at_the_first_failed_append_leaves_no_gap() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    wait(log.append(&at(0), values(&["begin"]))).unwrap();
    lower_limit(&space);
    until("the lower limit", || {
        let refused = wait(log.append(&at(1), vec![large()]));
        matches!(refused, Err(LogError::Unavailable(_))).then_some(())
    });
    let mut dice = Dice(7);
    let bad: Vec<_> = (0..3).map(|_| dice.below(300)).collect();
    let failures = append_all(&log, 300, |number| bad.contains(&number));
    assert!(failures > 0 && log.counters().writer_restarts > 1);
    let mut highest = -1;
    for (offset, text) in read_all(&log.log, &at(0), 1) {
        let number: i64 = text.parse().unwrap();
        assert!(number <= highest + 1, "{number} at {offset} follows {highest}: a gap");
        highest = highest.max(number);
    }
    assert_eq!(highest, 299);
}

#[test]
fn a_failure_that_nobody_has_noticed_lets_nothing_pass() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    wait(log.append(&at(0), values(&["begin"]))).unwrap();
    lower_limit(&space);
    until("the lower limit", || wait(log.append(&at(1), vec![large()])).is_err().then_some(()));
    // The writer has been made anew when another partition takes an append again.
    let works = |partition| until("the writer", || wait(log.append(&at(partition), values(&["y"]))).ok());
    works(0);
    let end = log.bounds(&at(0)).unwrap().end;
    let refused = log.append(&at(0), vec![large()]);
    let behind = log.append(&at(0), values(&["behind"]));
    until("the failure", || wait(log.append(&at(2), values(&["z"]))).is_err().then_some(()));
    works(2);
    for _ in 0..3 {
        assert!(matches!(wait(log.append(&at(0), values(&["passing"]))), Err(LogError::Unavailable(_))));
    }
    assert!(wait(refused).is_err());
    assert!(matches!(wait(log.append(&at(0), values(&["still too early"]))), Err(LogError::Unavailable(_))));
    assert!(wait(behind).is_err());
    assert_eq!(wait(log.append(&at(0), values(&["in time"]))).unwrap().first_offset, end);
}
