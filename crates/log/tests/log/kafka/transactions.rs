//! Writers that can be fenced, and what readers see of transactions.

use emostream_log::{FencedWriter, Log, LogError};

use super::setup::{Space, read_all, row, until_visible};
use crate::setup::{at, values, wait};

#[test]
fn taking_an_identity_fences_its_holder() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    let other_node = space.open();
    let first = log.fenced_writer("merge-0").unwrap();
    let other = log.fenced_writer("merge-1").unwrap();
    wait(first.append(&row(0), values(&["a"]))).unwrap();
    let under_way = first.append(&row(0), values(&["b"]));
    let second = other_node.fenced_writer("merge-0").unwrap();
    let end = log.bounds(&row(0)).unwrap().end;
    let is_there = read_all(&log.log, &row(0), 0).iter().any(|(_, value)| value == "b");
    assert_eq!(wait(under_way).is_ok(), is_there, "what was under way is settled when the takeover returns");
    for _ in 0..2 {
        let late = wait(first.append(&row(0), values(&["c"])));
        assert!(matches!(late, Err(LogError::Fenced(owner)) if owner == "merge-0"));
    }
    assert!(wait(second.append(&row(0), values(&["d"]))).unwrap().first_offset >= end);
    let last = wait(other.append(&row(0), values(&["e"]))).unwrap();
    until_visible(&log.log, &row(0), last.first_offset);
    let read: Vec<_> =
        read_all(&log.log, &row(0), 0).into_iter().map(|(_, value)| value).filter(|v| v != "b").collect();
    assert_eq!(read, ["a", "d", "e"]);
    assert_eq!((log.counters().fenced, other_node.counters().fenced), (1, 0));
}

#[test]
fn markers_take_offsets_and_readers_pass_them() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    let mut end = log.follow(&row(0)).unwrap();
    let writer = log.fenced_writer("merge-0").unwrap();
    let write =
        |writer: &dyn FencedWriter, text: &str| wait(writer.append(&row(0), values(&[text, text]))).unwrap();
    let places: Vec<_> = (0..20).map(|i| write(&*writer, &i.to_string()).first_offset).collect();
    assert!(places.windows(2).all(|pair| pair[1] > pair[0] + 1));
    until_visible(&log.log, &row(0), places[19] + 1);
    let bounds = log.bounds(&row(0)).unwrap();
    assert!(bounds.end > places[19] + 2, "the last marker is behind the last record: {bounds:?}");
    // Whoever follows arrives at the end, markers or not.
    wait(end.wait_for(|&end| end == bounds.end)).unwrap();
    for from in [0, places[3], places[3] + 1, places[3] + 2, places[19] + 1, places[19] + 2] {
        let expected = places.iter().flat_map(|&at| [at, at + 1]).filter(|&at| at >= from).count();
        assert_eq!(read_all(&log.log, &row(0), from).len(), expected, "from memory, {from}");
        assert_eq!(read_all(&space.open().log, &row(0), from).len(), expected, "from brokers, {from}");
    }
    let last = log.read(&row(0), bounds.end, 10).unwrap();
    assert_eq!((last.records.len(), last.next), (0, bounds.end));
}

#[test]
fn many_appends_at_once_are_committed_in_order() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    let writer = log.fenced_writer("merge-0").unwrap();
    let under_way: Vec<_> = (0..300).map(|i| writer.append(&row(0), values(&[&i.to_string()]))).collect();
    let places: Vec<_> = under_way.into_iter().map(|append| wait(append).unwrap().first_offset).collect();
    until_visible(&log.log, &row(0), places[299]);
    let expected: Vec<_> = places.iter().enumerate().map(|(i, &at)| (at, i.to_string())).collect();
    assert_eq!(read_all(&log.log, &row(0), 0), expected);
    let wrong = wait(writer.append(&at(0), values(&["x"])));
    assert!(matches!(wrong, Err(LogError::Unsupported(_))), "not a topic for transactions");
    log.close().unwrap();
    assert!(matches!(wait(writer.append(&row(0), values(&["x"]))), Err(LogError::Closed)));
}
