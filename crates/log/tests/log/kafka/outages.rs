//! Brokers that die or freeze under load: everything is delayed, and nothing is lost, doubled or put out of order.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use emostream_log::{Appended, FencedWriter, Log, LogError, kafka::KafkaConfig};

use super::{
    broker::Broker,
    setup::{Space, read_all, row, until, until_visible},
};
use crate::setup::{at, values, wait};

/// Appends under way at a time, in each partition.
const WINDOW: usize = 50;

/// Appends numbers to a partition until told to stop; each with what was acknowledged for it.
fn append_until(log: &dyn Log, partition: u32, stop: &AtomicBool, acknowledged: &AtomicU64) -> Vec<Appended> {
    let mut under_way = VecDeque::new();
    let mut places = Vec::new();
    let mut number = 0;
    loop {
        let is_stopping = stop.load(Ordering::SeqCst);
        if !is_stopping {
            under_way.push_back(log.append(&at(partition), vec![Bytes::from(number.to_string())]));
            number += 1;
        }
        if under_way.len() >= WINDOW || is_stopping {
            let Some(oldest) = under_way.pop_front() else { return places };
            places.push(wait(oldest).unwrap());
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Has an audience tap, does something to the brokers, and compares what was acknowledged with what is there.
fn under_load(log: &dyn Log, disturb: impl FnOnce(&AtomicU64)) {
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let places: Vec<_> = std::thread::scope(|scope| {
        let (stop, acknowledged) = (&stop, &acknowledged);
        let taps: Vec<_> = (0..3)
            .map(|partition| scope.spawn(move || append_until(log, partition, stop, acknowledged)))
            .collect();
        go_on(acknowledged, "the audience taps");
        disturb(acknowledged);
        go_on(acknowledged, "appends go on after the disturbance");
        stop.store(true, Ordering::SeqCst);
        taps.into_iter().map(|tap| tap.join().unwrap()).collect()
    });
    for (partition, places) in (0..).zip(places) {
        let read = read_all(log, &at(partition), 0);
        assert_eq!(read.len(), places.len(), "nothing lost, nothing doubled");
        for (number, (place, (offset, value))) in places.iter().zip(read).enumerate() {
            assert_eq!((place.first_offset, number.to_string()), (offset, value));
        }
        assert!(places.windows(2).all(|pair| pair[0].append_time_ms <= pair[1].append_time_ms));
    }
}

/// Waits until many more appends were acknowledged than so far.
fn go_on(acknowledged: &AtomicU64, what: &str) {
    let before = acknowledged.load(Ordering::SeqCst);
    until(what, || (acknowledged.load(Ordering::SeqCst) > before + 1000).then_some(()));
}

#[test]
fn a_broker_that_dies_or_freezes_under_load_loses_and_doubles_nothing() {
    let Some(mut broker) = Broker::start() else { return };
    let space = Space::on(&broker.servers());
    let log = space.open();
    let mut end = log.follow(&at(0)).unwrap();
    under_load(&log.log, |acknowledged| {
        broker.kill();
        until("the loss of the broker is known", || (!log.is_connected()).then_some(()));
        broker.restart();
        go_on(acknowledged, "appends go on after a restart");
        until("the return of the broker is known", || log.is_connected().then_some(()));
        broker.freeze();
        until("a frozen broker is not taken for a live one", || (!log.is_connected()).then_some(()));
        broker.thaw();
    });
    // Whoever follows has arrived too, in memory that nothing is missing from.
    let last = log.bounds(&at(0)).unwrap().end;
    wait(end.wait_for(|&end| end == last)).unwrap();
    assert!(log.counters().reconnects > 0);
    assert_eq!(log.counters().writer_restarts, 0);
}

#[test]
fn a_broker_that_does_not_answer_fills_the_queue_and_no_more() {
    let Some(broker) = Broker::start() else { return };
    let space = Space::on(&broker.servers());
    let config = KafkaConfig {
        queue_bytes_max: 16 << 20,
        request_timeout: Duration::from_secs(1),
        close_timeout: Duration::from_secs(1),
        ..space.config.clone()
    };
    let log = space.open_with(&config);
    broker.freeze();
    let megabyte = Bytes::from(vec![1; 1_000_000]);
    let mut taken: Vec<_> = (0..16).map(|_| log.append(&at(2), vec![megabyte.clone()])).collect();
    let refused = log.append(&at(2), vec![megabyte.clone()]);
    let elsewhere = log.append(&at(1), vec![megabyte.clone()]);
    assert_eq!(log.waiting(), 16);
    assert!(matches!(wait(refused), Err(LogError::Overloaded(16))));
    assert!(matches!(wait(elsewhere), Err(LogError::Overloaded(16))));
    assert!(matches!(log.bounds(&at(2)), Err(LogError::Unavailable(_))));
    assert!(matches!(log.read(&at(2), 0, 1), Err(LogError::Unavailable(_))));
    broker.thaw();
    taken.drain(..8).for_each(|append| assert!(wait(append).is_ok()));
    until("the queue is empty", || (log.waiting() == 0).then_some(()));
    assert_eq!(log.bounds(&at(2)).unwrap().end, 16);

    broker.freeze();
    let lost = log.append(&at(0), values(&["x"]));
    assert!(matches!(log.close(), Err(LogError::Unavailable(_))), "what is left is told");
    assert!(matches!(wait(lost), Err(LogError::Unavailable(_))));
    broker.thaw();
}

#[test]
fn a_fenced_writer_lives_through_an_outage() {
    let Some(mut broker) = Broker::start() else { return };
    let space = Space::on(&broker.servers());
    let log = space.open();
    let writer = log.fenced_writer("merge-0").unwrap();
    let write =
        |writer: &dyn FencedWriter, text: String| wait(writer.append(&row(0), values(&[&text, &text])));
    let mut places = Vec::new();
    std::thread::scope(|scope| {
        let writing =
            scope.spawn(|| (0..200).map(|i| write(&*writer, i.to_string()).unwrap().first_offset).collect());
        std::thread::sleep(Duration::from_millis(50));
        broker.kill();
        broker.restart();
        places = writing.join().unwrap();
    });
    let expected: Vec<_> = places
        .iter()
        .enumerate()
        .flat_map(|(i, &at)| [(at, i.to_string()), (at + 1, i.to_string())])
        .collect();
    until_visible(&log.log, &row(0), places[199] + 1);
    assert_eq!(read_all(&log.log, &row(0), 0), expected, "each as a whole, and once");
}
