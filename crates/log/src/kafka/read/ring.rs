//! The newest records of one followed partition, in memory.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{Offset, ReadBatch, Record, locks::lock};

/// Bytes that a record takes beside its key and value.
const RECORD_OVERHEAD_BYTES: usize = size_of::<Record>();

/// A bounded number of bytes of records: all from `first` up to the end.
pub(super) struct Ring {
    bytes_max: usize,
    state: Mutex<State>,
    arrived: Condvar,
    end: watch::Sender<Offset>,
}

struct State {
    records: VecDeque<Record>,
    bytes: usize,
    /// From here on every record is in memory.
    first: Offset,
    /// Up to here everything has come.
    end: Offset,
}

fn weight(record: &Record) -> usize {
    record.value.len() + record.key.as_ref().map_or(0, bytes::Bytes::len) + RECORD_OVERHEAD_BYTES
}

impl Ring {
    /// Empty, for what comes from an offset on.
    pub(super) fn new(from: Offset, bytes_max: usize) -> Self {
        Self {
            bytes_max,
            state: Mutex::new(State { records: VecDeque::new(), bytes: 0, first: from, end: from }),
            arrived: Condvar::new(),
            end: watch::Sender::new(from),
        }
    }

    pub(super) fn first(&self) -> Offset {
        lock(&self.state).first
    }

    pub(super) fn end(&self) -> Offset {
        lock(&self.state).end
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Offset> {
        self.end.subscribe()
    }

    pub(super) fn has_followers(&self) -> bool {
        self.end.receiver_count() > 0
    }

    /// Takes the next record. Followers are told by [`Ring::announce`].
    pub(super) fn push(&self, record: Record) {
        let mut state = lock(&self.state);
        state.end = record.offset + 1;
        state.bytes += weight(&record);
        state.records.push_back(record);
        while state.bytes > self.bytes_max {
            let Some(oldest) = state.records.pop_front() else { break };
            state.bytes -= weight(&oldest);
            state.first = oldest.offset + 1;
        }
    }

    /// Goes on to an offset before which there is nothing more to come.
    pub(super) fn advance(&self, end: Offset) {
        let mut state = lock(&self.state);
        state.end = state.end.max(end);
    }

    /// Forgets what it holds and goes on elsewhere.
    pub(super) fn restart(&self, from: Offset) {
        *lock(&self.state) = State { records: VecDeque::new(), bytes: 0, first: from, end: from };
        self.announce();
    }

    /// Tells followers and waiting readers what has come.
    pub(super) fn announce(&self) {
        let end = self.end();
        self.end.send_if_modified(|known| std::mem::replace(known, end) != end);
        self.arrived.notify_all();
    }

    /// Records from an offset on; `None` where that is not in memory, or nothing has come yet.
    pub(super) fn read(&self, offset: Offset, bytes_max: usize) -> Option<ReadBatch> {
        read(&lock(&self.state), offset, bytes_max)
    }

    /// The same, waiting for the first record to come.
    pub(super) fn wait(&self, offset: Offset, bytes_max: usize, timeout: Duration) -> Option<ReadBatch> {
        let deadline = Instant::now() + timeout;
        let mut state: MutexGuard<'_, State> = lock(&self.state);
        loop {
            if let Some(batch) = read(&state, offset, bytes_max) {
                return Some(batch);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn read(state: &State, offset: Offset, bytes_max: usize) -> Option<ReadBatch> {
    if offset < state.first || offset >= state.end {
        return None;
    }
    let at = state.records.partition_point(|record| record.offset < offset);
    let mut records = Vec::new();
    let mut left = bytes_max;
    for record in state.records.range(at..) {
        if !records.is_empty() && record.value.len() > left {
            return Some(ReadBatch { records, next: record.offset });
        }
        left = left.saturating_sub(record.value.len());
        records.push(record.clone());
    }
    Some(ReadBatch { records, next: state.end })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(offset: Offset, bytes: usize) -> Record {
        Record { offset, append_time_ms: 0, key: None, value: vec![0; bytes].into() }
    }

    fn offsets(batch: Option<ReadBatch>) -> Option<(Vec<Offset>, Offset)> {
        batch.map(|batch| (batch.records.iter().map(|record| record.offset).collect(), batch.next))
    }

    #[test]
    fn holds_the_newest_and_knows_what_it_has_forgotten() {
        let ring = Ring::new(5, 3 * (100 + RECORD_OVERHEAD_BYTES));
        assert_eq!(ring.read(5, 10), None);
        for offset in [5, 7, 8, 10] {
            ring.push(record(offset, 100));
        }
        ring.advance(12);
        assert_eq!((ring.first(), ring.end()), (6, 12));
        assert_eq!(offsets(ring.read(5, usize::MAX)), None, "forgotten");
        assert_eq!(offsets(ring.read(6, usize::MAX)), Some((vec![7, 8, 10], 12)));
        assert_eq!(offsets(ring.read(7, 150)), Some((vec![7], 8)));
        assert_eq!(offsets(ring.read(8, 0)), Some((vec![8], 10)), "one at least");
        assert_eq!(offsets(ring.read(11, 0)), Some((vec![], 12)), "nothing for readers, and forward");
        assert_eq!(offsets(ring.read(12, 0)), None);
    }

    #[test]
    fn a_record_larger_than_the_ring_passes_through() {
        let ring = Ring::new(0, 10);
        ring.push(record(0, 100));
        assert_eq!((ring.first(), ring.end()), (1, 1));
    }

    #[test]
    fn followers_are_told_once_for_all_that_came() {
        let ring = Ring::new(0, 1000);
        let mut end = ring.subscribe();
        ring.push(Record { key: Some(Bytes::from_static(b"k")), ..record(0, 1) });
        assert!(!end.has_changed().unwrap());
        ring.announce();
        assert_eq!(*end.borrow_and_update(), 1);
        ring.announce();
        assert!(!end.has_changed().unwrap());
        ring.restart(9);
        assert_eq!((*end.borrow(), ring.first()), (9, 9));
    }
}
