//! Stores a partition's snapshots: appends one, commits its place, and lets the log go of what the one before it needed.

use std::task::{Context, Poll};

use bytes::Bytes;
use emostream_log::{AppendFuture, Committed, KeyedValue, Log, LogError, Offset, TopicPartition};

use super::{
    assigned::Assigned,
    setback::{RETRY_MS, Setback},
    snapshots::{self, Snapshot},
};
use crate::telemetry::Metrics;

/// A partition's state is stored so often, if anything has changed.
const SNAPSHOT_EVERY_MS: i64 = 10_000;

/// What a replay from a snapshot needs: records from these places on.
pub(super) type Needs = Vec<(TopicPartition, Offset)>;

pub(super) struct Keeper {
    /// The partition whose position is committed.
    of: TopicPartition,
    key: Bytes,
    state: TopicPartition,
    due_ms: i64,
    storing: Option<Storing>,
    /// What the newest snapshot needs that is stored and committed.
    newest: Option<Needs>,
}

struct Storing {
    next: Offset,
    needs: Needs,
    append: AppendFuture,
}

/// What became of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is stored, and its place committed if the partition is still this node's.
    Stored,
    /// It will never fit.
    TooLarge,
    /// It is to be tried again.
    Failed,
}

impl Keeper {
    pub(super) fn new(of: TopicPartition, key: Bytes, state: TopicPartition, now_ms: i64) -> Self {
        Self { of, key, state, due_ms: now_ms + SNAPSHOT_EVERY_MS, storing: None, newest: None }
    }

    /// The stored snapshots that a new owner can go on from, the best first.
    pub(super) fn find(&self, log: &dyn Log, group: &str) -> Result<Vec<Snapshot>, Setback> {
        let committed = log.committed(group, &self.of)?;
        let from = committed.and_then(|committed| snapshots::snapshot_offset(&committed.metadata));
        snapshots::find(log, &self.state, &self.key, from)
    }

    /// Goes on after a snapshot with such needs.
    pub(super) fn follow(&mut self, needs: Needs) {
        self.newest = Some(needs);
    }

    /// When the next snapshot is due.
    pub(super) fn due_ms(&self) -> i64 {
        self.due_ms
    }

    /// Puts off the next snapshot, after something that it needs has failed.
    pub(super) fn postpone(&mut self, now_ms: i64) {
        self.due_ms = now_ms + RETRY_MS;
    }

    /// Whether a snapshot is on its way.
    pub(super) fn is_storing(&self) -> bool {
        self.storing.is_some()
    }

    /// Starts to store a snapshot. Everything that it takes for written is durable.
    pub(super) fn store(&mut self, log: &dyn Log, snapshot: &Snapshot, needs: Needs, now_ms: i64) {
        let value = KeyedValue { key: self.key.clone(), value: snapshot.encode() };
        let append = log.append_keyed(&self.state, vec![value]);
        self.storing = Some(Storing { next: snapshot.next, needs, append });
        self.due_ms = now_ms + SNAPSHOT_EVERY_MS;
    }

    /// What became of the snapshot on its way, once that is known.
    pub(super) fn settle(
        &mut self,
        context: &mut Context<'_>,
        (log, assigned, metrics): (&dyn Log, &Assigned, &Metrics),
        now_ms: i64,
    ) -> anyhow::Result<Option<Outcome>> {
        let Some(storing) = &mut self.storing else { return Ok(None) };
        let Poll::Ready(answer) = storing.append.as_mut().poll(context) else { return Ok(None) };
        let Some(Storing { next, needs, .. }) = self.storing.take() else { return Ok(None) };
        let place = match answer {
            Ok(appended) => appended.first_offset,
            Err(LogError::TooLarge { bytes, limit }) => {
                metrics.snapshots_too_large.inc();
                tracing::error!(of = %self.of, bytes, limit, "snapshot is too large: a restart replays more");
                return Ok(Some(Outcome::TooLarge));
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(of = %self.of, %error, "snapshot not written");
                self.postpone(now_ms);
                return Ok(Some(Outcome::Failed));
            }
            Err(error) => return Err(error.into()),
        };
        metrics.snapshots_written.inc();
        match assigned.commit(&self.of, Committed { offset: next, metadata: snapshots::metadata(place) }) {
            Ok(()) => self.let_go(log, needs),
            // Another node's by now: whoever it is finds this snapshot or a better one.
            Err(error @ (LogError::StaleGeneration { .. } | LogError::UnknownPartition(_))) => {
                tracing::debug!(of = %self.of, %error, "position not committed");
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(of = %self.of, %error, "position not committed");
                self.postpone(now_ms);
                return Ok(Some(Outcome::Failed));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Some(Outcome::Stored))
    }

    /// Retention keeps what the older of the last two snapshots needs.
    fn let_go(&mut self, log: &dyn Log, needs: Needs) {
        for (partition, offset) in self.newest.replace(needs).into_iter().flatten() {
            if let Err(error) = log.set_restore_point(&partition, offset) {
                tracing::warn!(%partition, %error, "restore point not set");
            }
        }
    }
}
