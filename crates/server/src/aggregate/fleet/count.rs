//! The thread that counts the raw partitions which the group gives this node, and tells merge in steps.

use std::{collections::BTreeMap, future::poll_fn, task::Context, time::Duration};

use emostream_log::TopicPartition;
use emostream_moments::{MemoryFull, step::part::PART_BYTES_DEFAULT};
use futures_util::future::{FutureExt, select_all};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    COUNT_GROUP, Components, Turn,
    assigned::{Assigned, changed, in_passing, woken},
    pulses::Pulses,
    raw::{Cut, Findings, RawPartition},
    setback::{RETRY_MS, Remedy},
    steps::Outbox,
};
use crate::telemetry::{Labelled, Metrics};

/// Counting pauses while so many bytes of steps wait for the log.
const STEPS_BYTES_MAX: usize = 16 << 20;

/// Longest wait for something to happen.
const IDLE_WAIT_MS: i64 = 1_000;

/// How often a node says that it can remember no more ids, while that is so.
const MEMORY_FULL_EVERY_MS: i64 = 1_000;

pub(super) struct Count {
    components: Components,
    cut: Cut,
    assigned: Assigned,
    partitions: BTreeMap<u32, Slot>,
    findings: Findings,
    /// When to say again that this node's memory is full, if it is.
    memory_full_due_ms: i64,
    is_stopping: bool,
}

/// A raw partition of this node.
enum Slot {
    /// To be restored, from some time on.
    Waiting { not_before_ms: i64 },
    /// Counted; after a setback, from some time on.
    Counting { partition: Box<RawPartition>, not_before_ms: i64 },
}

impl Slot {
    fn counting(&self) -> Option<&RawPartition> {
        match self {
            Self::Waiting { .. } => None,
            Self::Counting { partition, .. } => Some(partition),
        }
    }

    fn counting_mut(&mut self) -> Option<&mut RawPartition> {
        match self {
            Self::Waiting { .. } => None,
            Self::Counting { partition, .. } => Some(partition),
        }
    }
}

impl Count {
    /// Joins the group.
    pub(super) fn new(components: &Components) -> anyhow::Result<Self> {
        let Components { log, topics, member, emotes, .. } = components;
        let output_partitions = components.partitions(&topics.partials)?;
        let pulses = components.partitions(&topics.pulses)?;
        let assigned = Assigned::join(&**log, COUNT_GROUP, &topics.raw, member)?;
        Ok(Self {
            cut: Cut { output_partitions, part_bytes: PART_BYTES_DEFAULT },
            assigned,
            partitions: BTreeMap::new(),
            findings: Findings {
                steps: Outbox::new(log.clone(), &topics.partials, output_partitions),
                dead_letters: Outbox::new(log.clone(), &topics.dead_letter, 1),
                pulses: Pulses::new(log.clone(), &topics.pulses, pulses, emotes.clone()),
                found: emostream_moments::StepOutput::default(),
            },
            memory_full_due_ms: i64::MIN,
            components: components.clone(),
            is_stopping: false,
        })
    }

    /// Cuts the steps of partitions that are assigned from now on at another size.
    #[cfg(test)]
    pub(super) fn cut_at(mut self, part_bytes: usize) -> Self {
        self.cut.part_bytes = part_bytes;
        self
    }

    /// Counts until the graceful stop is done.
    pub(super) fn run(&mut self, runtime: &Handle, stop: &CancellationToken) -> anyhow::Result<()> {
        loop {
            match self.turn(stop.is_cancelled())? {
                Turn::Busy => {}
                Turn::Idle => runtime.block_on(self.wait(stop))?,
                Turn::Ended => return Ok(()),
            }
        }
    }

    /// Does what can be done now, a share of each partition.
    pub(super) fn turn(&mut self, stopping: bool) -> anyhow::Result<Turn> {
        let now_ms = self.components.clock.now_ms();
        self.follow_assignment(now_ms);
        if stopping && !self.is_stopping {
            self.is_stopping = true;
            self.partitions.values_mut().filter_map(Slot::counting_mut).for_each(RawPartition::stop);
        }
        let mut is_busy = self.settle(&mut in_passing(), now_ms)?;
        is_busy |= self.restore_one(now_ms)?;
        is_busy |= self.read(now_ms)?;
        self.findings.steps.send(now_ms);
        self.findings.dead_letters.send(now_ms);
        self.findings.pulses.publish(now_ms);
        for partition in self.partitions.values_mut().filter_map(Slot::counting_mut) {
            partition.tick(&self.components, now_ms);
        }
        // Answers that were there at once.
        is_busy |= self.settle(&mut in_passing(), now_ms)?;
        self.publish_figures(now_ms);
        let mut counting = self.partitions.values().filter_map(Slot::counting);
        Ok(match is_busy {
            true => Turn::Busy,
            false if self.is_stopping && counting.all(RawPartition::has_stopped) => Turn::Ended,
            false => Turn::Idle,
        })
    }

    fn follow_assignment(&mut self, now_ms: i64) {
        let Some(change) = self.assigned.look() else { return };
        let metrics = &self.components.metrics;
        metrics.rebalances.get_or_create(&COUNT).inc();
        metrics.partitions_owned.get_or_create(&COUNT).set(self.assigned.owned() as i64);
        for lost in change.lost {
            tracing::info!(partition = lost, "no longer counting");
            self.partitions.remove(&lost);
            self.findings.steps.forget(lost);
            self.findings.dead_letters.forget(lost);
        }
        for gained in change.gained {
            self.partitions.insert(gained, Slot::Waiting { not_before_ms: now_ms });
        }
    }

    /// Takes answers to appends under way, and stores the snapshots that waited for them; whether there were any.
    fn settle(&mut self, context: &mut Context<'_>, now_ms: i64) -> anyhow::Result<bool> {
        let Self { components, assigned, partitions, findings, .. } = self;
        let steps = findings.steps.settle(context, now_ms)?;
        components.metrics.steps_appended.inc_by(steps.durable);
        let lines = findings.dead_letters.settle(context, now_ms)?;
        let mut is_busy = steps.answers + lines.answers > 0;
        for slot in partitions.values_mut() {
            let Some(partition) = slot.counting_mut() else { continue };
            if let Err(setback) = partition.store(components, findings, now_ms) {
                setback.remedy(partition.partition())?;
            }
            is_busy |= partition.settle(context, components, assigned, now_ms)?;
        }
        Ok(is_busy)
    }

    /// Restores a partition that waits for it, one a turn: the assignment may change meanwhile. Whether there was one.
    fn restore_one(&mut self, now_ms: i64) -> anyhow::Result<bool> {
        let is_due =
            |slot: &Slot| matches!(slot, Slot::Waiting { not_before_ms } if now_ms >= *not_before_ms);
        let Some((number, slot)) = self.partitions.iter_mut().find(|(_, slot)| is_due(slot)) else {
            return Ok(false);
        };
        if self.is_stopping {
            return Ok(false);
        }
        *slot = match RawPartition::restore(&self.components, *number, self.cut) {
            Ok(partition) => Slot::Counting { partition: Box::new(partition), not_before_ms: now_ms },
            Err(setback) => {
                setback.remedy(&TopicPartition::new(self.components.topics.raw.clone(), *number))?;
                Slot::Waiting { not_before_ms: now_ms + RETRY_MS }
            }
        };
        Ok(true)
    }

    /// Reads a share of every partition while steps have room; whether there was any.
    fn read(&mut self, now_ms: i64) -> anyhow::Result<bool> {
        let mut read = 0;
        for (number, slot) in &mut self.partitions {
            let Slot::Counting { partition, not_before_ms } = slot else { continue };
            let waiting = self.findings.steps.bytes() + self.findings.dead_letters.bytes();
            if now_ms < *not_before_ms || waiting > STEPS_BYTES_MAX {
                continue;
            }
            let before = partition.lag();
            match partition.read(&self.components, &mut self.findings) {
                Ok(records) => read += records + usize::from(partition.lag() < before),
                Err(setback) => match setback.remedy(partition.partition())? {
                    Remedy::Pause => *not_before_ms = now_ms + RETRY_MS,
                    Remedy::Restart | Remedy::GiveUp => {
                        self.findings.steps.forget(*number);
                        self.findings.dead_letters.forget(*number);
                        *slot = Slot::Waiting { not_before_ms: now_ms };
                    }
                },
            }
        }
        Ok(read > 0)
    }

    fn publish_figures(&mut self, now_ms: i64) {
        let Metrics { remembered_ids, count_lag_records, .. } = &*self.components.metrics;
        let counting = || self.partitions.values().filter_map(Slot::counting);
        let ids: usize = counting().map(RawPartition::remembered_ids).sum();
        self.components.pressure.set_remembered_ids(ids as u64);
        remembered_ids.set(ids as i64);
        count_lag_records.set(counting().map(RawPartition::lag).sum::<u64>() as i64);
        let limit = self.components.remembered_ids_max;
        if ids as u64 >= limit && now_ms >= self.memory_full_due_ms {
            self.memory_full_due_ms = now_ms + MEMORY_FULL_EVERY_MS;
            let node = self.components.member.to_string();
            self.findings.pulses.publish_memory_full(&MemoryFull { node, remembered: ids as u64, limit });
        }
        let counting = || self.partitions.values().filter_map(Slot::counting);
        let is_waiting = self.partitions.values().any(|slot| slot.counting().is_none());
        if self.assigned.is_known() && !is_waiting && !counting().any(RawPartition::is_behind) {
            self.components.pressure.set_counting_behind(false);
        }
    }

    /// Waits for an assignment, a record, an answer, the stop, or for the next thing to be due.
    async fn wait(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        let now_ms = self.components.clock.now_ms();
        let wait_ms = (self.due_ms(now_ms).unwrap_or(i64::MAX).saturating_sub(now_ms)).clamp(1, IDLE_WAIT_MS);
        let stop = stop.clone();
        let is_stopping = self.is_stopping;
        let assignment = changed(self.assigned.follow()).boxed();
        let grown = self.partitions.values().filter_map(Slot::counting).map(|one| one.grown().boxed());
        let happened = select_all(grown.chain([assignment]));
        tokio::select! {
            _ = happened => Ok(()),
            answers = poll_fn(|context| woken(self.settle(context, now_ms))) => answers,
            () = stop.cancelled(), if !is_stopping => Ok(()),
            () = tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())) => Ok(()),
        }
    }

    fn due_ms(&self, now_ms: i64) -> Option<i64> {
        let Findings { steps, dead_letters, pulses, .. } = &self.findings;
        let of_slot = |slot: &Slot| match slot {
            Slot::Waiting { not_before_ms } => Some(*not_before_ms),
            Slot::Counting { partition, not_before_ms } => {
                let paused = (*not_before_ms > now_ms).then_some(*not_before_ms);
                paused.into_iter().chain(partition.tick_due_ms()).chain(partition.store_due_ms()).min()
            }
        };
        let slots = self.partitions.values().filter_map(of_slot);
        slots.chain(steps.due_ms()).chain(dead_letters.due_ms()).chain(pulses.due_ms()).min()
    }
}

/// The label of this stage's figures.
const COUNT: Labelled = Labelled { kind: "count" };
