//! The one writer: takes what waits, writes it, syncs each file once, answers. Group commit over all partitions.

use std::{
    sync::{Arc, mpsc::SendError},
    time::Duration,
};

use self::{
    queue::{Append, Control, Queue},
    retention::TopicRetention,
    tail::Tail,
};
use super::config::{Chance, Durability};
use crate::{Clock, LogError};

pub(crate) mod queue;
pub(crate) mod retention;
pub(crate) mod tail;

/// Values written in one round: enough to spread a sync over many appends, little enough to stay in memory.
const ROUND_BYTES_MAX: usize = 8 << 20;

/// How often age is looked at and, without a sync for each append, files are synced.
const MAINTENANCE_MS: i64 = 1000;

/// The writer's state; runs on its own thread, or step by step in a simulation.
pub(crate) struct Writer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) tails: Vec<Tail>,
    pub(crate) topics: Vec<TopicRetention>,
    pub(crate) durability: Durability,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Chance,
    buffer: Vec<u8>,
    maintained_ms: i64,
    failed: Option<LogError>,
}

impl Writer {
    pub(crate) fn new(
        queue: Arc<Queue>,
        tails: Vec<Tail>,
        topics: Vec<TopicRetention>,
        durability: Durability,
        clock: Arc<dyn Clock>,
        chance: Chance,
    ) -> Self {
        let maintained_ms = clock.now_ms();
        Self {
            queue,
            tails,
            topics,
            durability,
            clock,
            chance,
            buffer: Vec::new(),
            maintained_ms,
            failed: None,
        }
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) -> Result<(), LogError> {
        let wait = Duration::from_millis(MAINTENANCE_MS.unsigned_abs());
        while self.step(wait) {}
        self.finish()
    }

    /// One round. `false` when there will be no more.
    pub(crate) fn step(&mut self, wait: Duration) -> bool {
        let drained = self.queue.drain(ROUND_BYTES_MAX, wait);
        self.commit(drained.appends);
        match drained.control {
            Some(Control::Barrier(reached)) => reached.send(()).unwrap_or_else(gave_up_waiting),
            Some(Control::Retain(done)) => {
                self.retain();
                done.send(()).unwrap_or_else(gave_up_waiting);
            }
            None => {}
        }
        let now_ms = self.clock.now_ms();
        if (now_ms - self.maintained_ms).abs() >= MAINTENANCE_MS {
            self.maintained_ms = now_ms;
            self.maintain();
        }
        !drained.closed
    }

    /// Syncs what is not yet durable and leaves indexes for a quick start.
    pub(crate) fn finish(&mut self) -> Result<(), LogError> {
        let mut first = Ok(());
        for tail in &mut self.tails {
            first = first.and(tail.finish());
        }
        first
    }

    fn commit(&mut self, appends: Vec<Append>) {
        let mut touched = Vec::new();
        for append in appends {
            let at = append.partition;
            let tail = &mut self.tails[at];
            if tail.pending.is_empty() {
                touched.push(at);
            }
            tail.pending.push(append);
        }
        for &at in &touched {
            self.tails[at].refuse_fenced();
        }
        touched.retain(|&at| !self.tails[at].pending.is_empty());
        touched.retain(|&at| match self.write(at) {
            Ok(()) => !self.tails[at].pending.is_empty(),
            Err(error) => {
                self.refuse(at, &error);
                false
            }
        });
        // All files are written before the first is synced, so that the disk has all of it to work on.
        for at in touched {
            let synced = match self.durability {
                Durability::Fsync => self.tails[at].sync(),
                Durability::Os => Ok(()),
            };
            match synced {
                Ok(()) => self.tails[at].publish(),
                Err(error) => self.refuse(at, &error),
            }
        }
    }

    fn write(&mut self, at: usize) -> Result<(), LogError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        if let Err(full) = self.admit(at) {
            // What may use the reserve is not held up by what may not.
            self.tails[at].refuse_common(&full);
            if self.tails[at].pending.is_empty() {
                return Ok(());
            }
            self.admit(at)?;
        }
        self.tails[at].write(self.clock.now_ms(), &mut self.chance, &mut self.buffer)
    }

    /// Makes room for a partition's pending appends.
    fn admit(&mut self, at: usize) -> Result<(), LogError> {
        let Tail { topic, .. } = self.tails[at];
        let (bytes, room) = (self.tails[at].pending_bytes(), self.tails[at].pending_room());
        self.topics[topic].admit(&self.tails, topic, bytes, room)
    }

    /// Answers a partition's appends with an error, and remembers one after which nothing can be promised.
    fn refuse(&mut self, at: usize, error: &LogError) {
        let tail = &mut self.tails[at];
        if self.failed.is_none() {
            self.failed = matches!(error, LogError::Failed(_)).then(|| error.clone());
        }
        tail.refuse(error);
    }

    fn maintain(&mut self) {
        if self.durability == Durability::Os {
            for tail in self.tails.iter_mut().filter(|tail| tail.is_dirty()) {
                // The records were acknowledged without the promise of a sync; new ones go to a new segment.
                if let Err(error) = tail.sync() {
                    tracing::error!(partition = %tail.partition.name, %error, "sync failed");
                }
            }
        }
        self.retain();
    }

    fn retain(&mut self) {
        let now_ms = self.clock.now_ms();
        for (topic, retention) in self.topics.iter_mut().enumerate() {
            retention.apply(&self.tails, topic, now_ms);
        }
    }
}

/// Whoever asked has ended in the meantime, which is no concern of the writer.
fn gave_up_waiting(_: SendError<()>) {}
