//! How fast the log on Kafka is here: measured, said, and held to nothing.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use emostream_log::{AppendFuture, Log, TopicPartition};

use super::setup::{Space, row};
use crate::{
    dice::Dice,
    setup::{at, wait},
};

/// Appends under way at a time.
const WINDOW: usize = 200;

fn append_many(log: &dyn Log, to: &TopicPartition, count: usize, value: &Bytes) {
    let mut under_way: VecDeque<AppendFuture> = VecDeque::new();
    for _ in 0..count {
        if under_way.len() == WINDOW {
            wait(under_way.pop_front().unwrap()).unwrap();
        }
        under_way.push_back(log.append(to, vec![value.clone()]));
    }
    under_way.into_iter().for_each(|append| {
        wait(append).unwrap();
    });
}

fn read_many(log: &dyn Log, from: &TopicPartition) -> usize {
    let end = log.bounds(from).unwrap().end;
    let (mut next, mut count) = (0, 0);
    while next < end {
        let batch = log.read(from, next, 1 << 20).unwrap();
        next = batch.next;
        count += batch.records.len();
    }
    count
}

fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn median_and_p99(mut took: Vec<Duration>) -> (Duration, Duration) {
    took.sort();
    (took[took.len() / 2], took[took.len() * 99 / 100])
}

#[test]
#[ignore = "measures"]
fn how_fast_it_is() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    let mut dice = Dice(1);
    for (partition, count, bytes) in [(0, 1_000_000, 107), (1, 3000, 100 << 10)] {
        let value: Bytes = (0..bytes).map(|_| b"0123456789abcdef"[dice.below(16) as usize]).collect();
        let start = Instant::now();
        append_many(&log.log, &at(partition), count, &value);
        let appended = per_second(count, start.elapsed());
        let start = Instant::now();
        assert_eq!(read_many(&log.log, &at(partition)), count);
        let read = per_second(count, start.elapsed());
        let mib = |per_second: f64| per_second * bytes as f64 / f64::from(1 << 20);
        println!(
            "soak: kafka: records of {bytes} bytes: appended {appended:.0}/s ({:.0} MiB/s), caught up {read:.0}/s ({:.0} MiB/s)",
            mib(appended),
            mib(read)
        );
    }
    let value = Bytes::from(vec![7; 1000]);
    let mut end = log.follow(&at(2)).unwrap();
    let writer = log.fenced_writer("merge-0").unwrap();
    let (mut acknowledged, mut seen, mut committed) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=1000 {
        let start = Instant::now();
        wait(log.append(&at(2), vec![value.clone()])).unwrap();
        acknowledged.push(start.elapsed());
        wait(end.wait_for(|&end| end >= number)).unwrap();
        seen.push(start.elapsed());
        let start = Instant::now();
        wait(writer.append(&row(0), vec![value.clone()])).unwrap();
        committed.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(1));
    }
    for (what, took) in [
        ("acknowledged", acknowledged),
        ("with the reader, from the append on,", seen),
        ("committed", committed),
    ] {
        let (median, p99) = median_and_p99(took);
        println!("soak: kafka: an append is {what} after {median:.1?} (median), {p99:.1?} (p99)");
    }
}
