//! One raw partition that this node counts: from the newest snapshot on, through the replay of ids, to the present.

use std::task::{Context, Poll};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use emostream_log::{AppendFuture, LogError, Offset, Record, TopicPartition};
use emostream_moments::{StepCounter, StepOutput};
use emostream_protocol::{
    DecodeError,
    record::{self, LogRecord},
};
use tokio::sync::watch;

use super::{
    COUNT_GROUP, Components,
    assigned::{Assigned, changed},
    keeper::{Keeper, Needs, Outcome},
    pulses::Pulses,
    setback::Setback,
    snapshots::Snapshot,
    steps::Outbox,
};
use crate::aggregate::{damage, ticks};

/// Bytes read from a partition before the next one's turn.
const READ_BYTES: usize = 1 << 20;

/// A log that did not take a tick is asked again after so long.
const TICK_RETRY_MS: i64 = 1_000;

pub(super) struct RawPartition {
    number: u32,
    partition: TopicPartition,
    counter: StepCounter,
    /// The next record to read.
    next: Offset,
    /// Records below this were counted before the snapshot: only their ids are remembered.
    count_from: Offset,
    end: watch::Receiver<Offset>,
    last_append_ms: i64,
    tick: Option<AppendFuture>,
    tick_not_before_ms: i64,
    keeper: Keeper,
    counted_since_snapshot: bool,
    /// A snapshot that waits until what was found before it is durable.
    waiting: Option<Waiting>,
    /// End of the partition when the graceful stop began.
    stop_at: Option<Offset>,
}

/// How steps are cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) output_partitions: u32,
    pub(super) part_bytes: usize,
}

struct Waiting {
    snapshot: Snapshot,
    needs: Needs,
    /// Newest step and newest line of before.
    after: (u64, u64),
}

/// Where a partition's findings go.
pub(super) struct Findings {
    pub(super) steps: Outbox,
    pub(super) dead_letters: Outbox,
    pub(super) pulses: Pulses,
    /// Room that is used again for every record.
    pub(super) found: StepOutput,
}

impl RawPartition {
    /// Goes on from the best snapshot that is stored, or from the partition's beginning if there is none.
    pub(super) fn restore(
        components: &Components,
        number: u32,
        Cut { output_partitions, part_bytes }: Cut,
    ) -> Result<Self, Setback> {
        let partition = TopicPartition::new(components.topics.raw.clone(), number);
        let now_ms = components.clock.now_ms();
        let key = Bytes::from(format!("count/{number}"));
        let mut keeper = Keeper::new(partition.clone(), key, components.state(), now_ms);
        let bounds = components.log.bounds(&partition)?;
        let (log, parameters, emotes) = (&*components.log, components.parameters, &components.emotes);
        let mut restored = None;
        for snapshot in keeper.find(log, COUNT_GROUP)? {
            if snapshot.floor < bounds.start {
                tracing::error!(%partition, floor = snapshot.floor, ?bounds, "the snapshot needs records that are gone");
                continue;
            }
            let state = &snapshot.state;
            match StepCounter::restore(state, parameters, number, output_partitions, emotes, rand::random()) {
                Ok(counter) => {
                    restored = Some((counter, snapshot.floor, snapshot.next));
                    break;
                }
                Err(error @ (DecodeError::Version(_) | DecodeError::Kind(_))) => {
                    let error =
                        anyhow!("snapshot of {partition}: {error}; start that release or a newer one");
                    return Err(Setback::Fatal(error));
                }
                Err(error) => tracing::error!(%partition, %error, "the state in a snapshot cannot be read"),
            }
        }
        let (counter, floor, count_from) = match restored {
            Some(restored) => restored,
            None if bounds.start == 0 => {
                (StepCounter::new(parameters, number, output_partitions, rand::random()), 0, 0)
            }
            None => {
                return Err(Setback::Fatal(anyhow!(
                    "there is no readable snapshot of {partition} in {} and it begins at offset {}: windows before it \
                     cannot be counted again",
                    components.topics.state,
                    bounds.start
                )));
            }
        };
        let counter = counter.with_part_bytes(part_bytes);
        keeper.follow(vec![(partition.clone(), floor)]);
        let end = components.log.follow(&partition)?;
        tracing::info!(%partition, from = count_from, replayed_from = floor, "counting");
        Ok(Self {
            number,
            last_append_ms: counter.highest_append_ms().unwrap_or(0),
            partition,
            counter,
            next: floor.min(count_from),
            count_from,
            end,
            tick: None,
            tick_not_before_ms: i64::MIN,
            keeper,
            counted_since_snapshot: false,
            waiting: None,
            stop_at: None,
        })
    }

    pub(super) fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// Reads a share of the partition and counts it; how many records there were.
    pub(super) fn read(&mut self, components: &Components, to: &mut Findings) -> Result<usize, Setback> {
        let end = *self.end.borrow_and_update();
        if self.next >= end {
            return Ok(0);
        }
        let batch = components.log.read(&self.partition, self.next, READ_BYTES)?;
        let now_ms = components.clock.now_ms();
        for record in &batch.records {
            if record.offset < self.count_from {
                self.note_ids(components, record)?;
            } else {
                self.count(components, record, now_ms, to)?;
                components.metrics.records_counted.inc();
                self.counted_since_snapshot = true;
            }
            self.last_append_ms = self.last_append_ms.max(record.append_time_ms);
        }
        self.next = batch.next;
        Ok(batch.records.len())
    }

    fn note_ids(&mut self, components: &Components, record: &Record) -> anyhow::Result<()> {
        let noted = record::decode(&record.value, &components.emotes)
            .and_then(|decoded| self.counter.restore_ids_only(record.append_time_ms, &decoded));
        // Damaged content was reported when it was counted.
        noted.or_else(|error| damage::refuse_newer(&error, &self.partition, record))
    }

    /// Counts a record. After an error, the reactions before the damaged one are counted and its append time is taken.
    fn count(
        &mut self,
        components: &Components,
        record: &Record,
        now_ms: i64,
        to: &mut Findings,
    ) -> anyhow::Result<()> {
        let emotes = &components.emotes;
        let Self { counter, .. } = self;
        let mut observe = |decoded: &_| {
            counter.observe(record.offset, record.append_time_ms, decoded, emotes, &mut to.found)
        };
        let observed = match record::decode(&record.value, emotes) {
            Ok(decoded) => observe(&decoded),
            Err(error) => observe(&LogRecord::Tick).and(Err(error)),
        };
        if let Err(error) = observed {
            damage::refuse_newer(&error, &self.partition, record)?;
            tracing::error!(partition = %self.partition, offset = record.offset, %error, "record set aside in dead-letter");
            components.metrics.records_set_aside.inc();
            let line = damage::dead_letter(&error, &self.partition, record);
            to.dead_letters.push(self.number, 0, line);
        }
        to.pulses.add(&mut to.found.pulses, record.append_time_ms, now_ms);
        for (output, part) in to.found.parts.drain(..) {
            to.steps.push(self.number, output, part.into());
        }
        Ok(())
    }

    /// Takes a snapshot if one is due, and stores the one that waits once everything before it is durable.
    pub(super) fn store(
        &mut self,
        components: &Components,
        to: &Findings,
        now_ms: i64,
    ) -> Result<(), Setback> {
        let is_due = now_ms >= self.keeper.due_ms() || self.has_reached_stop();
        let is_free = self.waiting.is_none() && !self.keeper.is_storing();
        if is_due && is_free && self.counted_since_snapshot && self.next >= self.count_from {
            // If it cannot be taken now.
            self.keeper.postpone(now_ms);
            let floor = match self.counter.restore_from_ms() {
                Some(from_ms) => components.log.offset_at(&self.partition, from_ms)?.min(self.next),
                None => self.next,
            };
            let snapshot = Snapshot {
                generation: components.log.generation().id,
                next: self.next,
                floor,
                state: self.counter.snapshot(&components.emotes).into(),
            };
            let needs = vec![(self.partition.clone(), floor)];
            self.waiting =
                Some(Waiting { snapshot, needs, after: (to.steps.newest(), to.dead_letters.newest()) });
            self.counted_since_snapshot = false;
        }
        let are_durable = |waiting: &mut Waiting| {
            let (step, line) = waiting.after;
            to.steps.is_durable(self.number, step) && to.dead_letters.is_durable(self.number, line)
        };
        if let Some(Waiting { snapshot, needs, .. }) = self.waiting.take_if(are_durable) {
            self.keeper.store(&*components.log, &snapshot, needs, now_ms);
        }
        Ok(())
    }

    /// Takes answers to appends under way; whether there were any.
    pub(super) fn settle(
        &mut self,
        context: &mut Context<'_>,
        components: &Components,
        assigned: &Assigned,
        now_ms: i64,
    ) -> anyhow::Result<bool> {
        let with = (&*components.log, assigned, &*components.metrics);
        let outcome = self.keeper.settle(context, with, now_ms)?;
        self.counted_since_snapshot |= outcome == Some(Outcome::Failed);
        let answer = match self.tick.as_mut().map(|tick| tick.as_mut().poll(context)) {
            Some(Poll::Ready(answer)) => answer,
            _ => return Ok(outcome.is_some()),
        };
        self.tick = None;
        match answer {
            Ok(_) | Err(LogError::Closed) => {}
            Err(error) if error.is_transient() => {
                tracing::debug!(partition = %self.partition, %error, "tick not written");
                self.tick_not_before_ms = now_ms + TICK_RETRY_MS;
            }
            // Windows would stay open for ever: the node ends.
            Err(error) => return Err(error).context("tick"),
        }
        Ok(true)
    }

    /// Writes a tick if the partition is silent and its next window is due: whoever merges waits for it, wherever that is.
    pub(super) fn tick(&mut self, components: &Components, now_ms: i64) {
        if self.tick_due_ms().is_some_and(|due_ms| now_ms >= due_ms) {
            self.tick_not_before_ms = now_ms + ticks::SILENCE_MS;
            self.tick = Some(components.log.append_reserved(&self.partition, vec![record::encode_tick()]));
        }
    }

    /// When a tick is due if nothing is appended until then. `None` while others come first.
    pub(super) fn tick_due_ms(&self) -> Option<i64> {
        if self.is_behind() || self.tick.is_some() || self.stop_at.is_some() {
            return None;
        }
        let silent_ms = self.last_append_ms + ticks::SILENCE_MS;
        // Before its first record, merge waits for any.
        let close_ms = self.counter.next_close_ms().unwrap_or(i64::MIN);
        Some(silent_ms.max(close_ms).max(self.tick_not_before_ms))
    }

    /// When a snapshot is due.
    pub(super) fn store_due_ms(&self) -> Option<i64> {
        let is_free = self.waiting.is_none() && !self.keeper.is_storing();
        (is_free && self.counted_since_snapshot).then(|| self.keeper.due_ms())
    }

    /// Records that are not counted yet.
    pub(super) fn lag(&self) -> u64 {
        self.end.borrow().saturating_sub(self.next)
    }

    /// Whether there are records to read.
    pub(super) fn is_behind(&self) -> bool {
        self.lag() > 0
    }

    pub(super) fn remembered_ids(&self) -> usize {
        self.counter.remembered_ids()
    }

    /// Counts what is in the partition by now, and stores a snapshot of it.
    pub(super) fn stop(&mut self) {
        self.stop_at = Some(*self.end.borrow());
    }

    fn has_reached_stop(&self) -> bool {
        self.stop_at.is_some_and(|stop_at| self.next >= stop_at)
    }

    /// Whether everything is counted and stored that was to be before the stop.
    pub(super) fn has_stopped(&self) -> bool {
        let is_stored = !self.counted_since_snapshot && self.waiting.is_none() && !self.keeper.is_storing();
        self.has_reached_stop() && is_stored
    }

    /// Waits for a record.
    pub(super) fn grown(&self) -> impl Future<Output = ()> + Send + use<> {
        changed(self.end.clone())
    }
}
