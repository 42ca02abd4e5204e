//! What waits in the spool for Kafka: reactions, bytes, and since when.

use std::sync::{
    Mutex,
    atomic::{AtomicI64, Ordering},
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;

use crate::telemetry::Metrics;

/// What waits. Its figures are those of the metrics.
#[derive(Debug)]
pub(in crate::ingest) struct Backlog {
    reactions: Gauge,
    bytes: Gauge,
    /// Append times of the oldest records, by partition, ms.
    lanes: Mutex<Vec<Option<i64>>>,
    /// The least of them; `i64::MAX` when nothing waits.
    oldest_ms: AtomicI64,
    emptied: Notify,
}

impl Backlog {
    /// A backlog whose partitions hold records since those times.
    pub(super) fn new(metrics: &Metrics, oldest_ms: impl Iterator<Item = Option<i64>>) -> Self {
        let lanes: Vec<_> = oldest_ms.collect();
        Self {
            reactions: metrics.spool_reactions.clone(),
            bytes: metrics.spool_bytes.clone(),
            oldest_ms: AtomicI64::new(least(&lanes)),
            lanes: Mutex::new(lanes),
            emptied: Notify::new(),
        }
    }

    /// Adds what is about to be written. Before it is: it must be there when it is forwarded.
    pub(in crate::ingest) fn add(&self, reactions: usize, bytes: usize) {
        self.reactions.inc_by(reactions as i64);
        self.bytes.inc_by(bytes as i64);
    }

    /// Takes away what Kafka has, or what was not written after all.
    pub(in crate::ingest) fn take(&self, reactions: usize, bytes: usize) {
        self.reactions.dec_by(reactions as i64);
        if self.bytes.dec_by(bytes as i64) == bytes as i64 {
            self.emptied.notify_waiters();
        }
    }

    /// Reactions that wait.
    pub(super) fn reactions(&self) -> i64 {
        self.reactions.get()
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> i64 {
        self.bytes.get()
    }

    /// Append time of the oldest record of a partition that waits, if any does.
    pub(super) fn set_oldest_ms(&self, lane: usize, oldest_ms: Option<i64>) {
        let mut lanes = self.lanes.lock().unwrap_or_else(|e| e.into_inner());
        if lanes[lane] != oldest_ms {
            lanes[lane] = oldest_ms;
            self.oldest_ms.store(least(&lanes), Ordering::Relaxed);
        }
    }

    /// Append time of the oldest record that waits, if any does.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        Some(self.oldest_ms.load(Ordering::Relaxed)).filter(|oldest_ms| *oldest_ms != i64::MAX)
    }

    /// Waits until nothing waits.
    pub(super) async fn emptied(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            // What a start found counts as soon as it is known to be there.
            if self.bytes() == 0 && self.oldest_ms().is_none() {
                return;
            }
            emptied.await;
        }
    }
}

fn least(lanes: &[Option<i64>]) -> i64 {
    lanes.iter().flatten().copied().min().unwrap_or(i64::MAX)
}
