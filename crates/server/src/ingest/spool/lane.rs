//! One partition of the spool: up to where Kafka has it, and what was found in it at the start.

use std::sync::atomic::{AtomicU64, Ordering};

use emostream_log::{Committed, Log, LogError, Membership, Offset, TopicPartition};
use emostream_protocol::record::BatchHead;

use super::{GROUP, positions};

/// A partition of the spool.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) partition: TopicPartition,
    /// Place of the first record that this process writes.
    pub(super) first_place: u64,
    /// First offset that Kafka is not known to have, when the process started …
    pub(super) from: Offset,
    /// … the end at that time …
    pub(super) end_at_open: Offset,
    /// … and the append time of what lay between, ms.
    oldest_at_open_ms: Option<i64>,
    /// First offset that Kafka is not known to have.
    forwarded: AtomicU64,
    /// Place of the record before it.
    place: AtomicU64,
    /// What of it is durable.
    stored: AtomicU64,
}

/// How far a partition is forwarded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// First offset that Kafka is not known to have.
    pub(super) offset: Offset,
    /// Place of the record before it.
    pub(super) place: u64,
}

impl Lane {
    /// Finds out where a partition stands.
    pub(super) fn open(
        log: &dyn Log,
        membership: &dyn Membership,
        partition: TopicPartition,
        now_ms: i64,
    ) -> Result<Self, LogError> {
        let bounds = log.bounds(&partition)?;
        let committed = log.committed(GROUP, &partition)?;
        let stored_place = committed.as_ref().and_then(|committed| committed.metadata[..].try_into().ok());
        let stored_place = stored_place.map(u64::from_le_bytes);
        let stored = committed.map_or(0, |committed| committed.offset);
        let from = stored.clamp(bounds.start, bounds.end);
        if stored > bounds.end {
            // The end went back behind what Kafka has: a loss of power, or a backup. What is written there now is new.
            tracing::warn!(%partition, stored, end = bounds.end, "the spool is shorter than what was forwarded of it");
            let metadata = stored_place.unwrap_or(0).to_le_bytes().to_vec().into();
            let generation = membership.assignments().borrow().generation;
            membership.commit(generation, &partition, Committed { offset: from, metadata })?;
        }
        log.set_restore_point(&partition, from)?;
        let oldest =
            if from < bounds.end { log.read(&partition, from, 1)?.records.into_iter().next() } else { None };
        let last = if bounds.start < bounds.end {
            log.read(&partition, bounds.end - 1, 1)?.records.pop()
        } else {
            None
        };
        let last_place = last.and_then(|last| BatchHead::read(&last.value).ok()).and_then(|head| head.spool);
        let last_place = last_place.map(|position| position.offset).max(stored_place);
        Ok(Self {
            partition,
            first_place: positions::first_place(now_ms, last_place),
            from,
            end_at_open: bounds.end,
            oldest_at_open_ms: oldest.map(|record| record.append_time_ms),
            forwarded: AtomicU64::new(from),
            place: AtomicU64::new(stored_place.unwrap_or(0)),
            stored: AtomicU64::new(from),
        })
    }

    /// Append time of the oldest record that waited at the start.
    pub(super) fn oldest_at_open_ms(&self) -> Option<i64> {
        self.oldest_at_open_ms
    }

    /// First offset that Kafka is not known to have.
    pub(super) fn forwarded(&self) -> Offset {
        self.forwarded.load(Ordering::Acquire)
    }

    /// Kafka has everything below an offset; the last record of it has that place.
    pub(super) fn has_forwarded(&self, progress: Progress) {
        // In this order: progress that is stored may name a place that is too high by what is under way, never too low.
        self.place.store(progress.place, Ordering::Release);
        self.forwarded.store(progress.offset, Ordering::Release);
    }

    /// Progress that is not durable yet.
    pub(super) fn to_be_stored(&self) -> Option<Progress> {
        let offset = self.forwarded();
        let place = self.place.load(Ordering::Acquire);
        (offset > self.stored.load(Ordering::Relaxed)).then_some(Progress { offset, place })
    }

    /// Progress up to an offset is durable.
    pub(super) fn stored(&self, offset: Offset) {
        self.stored.store(offset, Ordering::Relaxed);
    }
}
