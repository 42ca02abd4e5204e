//! The thread that merges the output partitions which the group gives this node.

use std::{collections::BTreeMap, future::poll_fn, task::Context, time::Duration};

use emostream_log::{LogError, TopicPartition};
use futures_util::future::{FutureExt, select_all};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    Components, MERGE_GROUP, Turn,
    assigned::{Assigned, changed, in_passing, woken},
    output::OutputPartition,
    setback::{RETRY_MS, Remedy, Setback},
    steps::Outbox,
};
use crate::telemetry::Labelled;

/// A partition that another node has taken over is taken back after so long if it is still assigned to this one: then the
/// other node was mistaken, and whoever was mistaken has heard of it by then.
const TAKE_BACK_MS: i64 = 3_000;

/// Longest wait for something to happen.
const IDLE_WAIT_MS: i64 = 1_000;

pub(super) struct Merging {
    components: Components,
    raw_partitions: u32,
    assigned: Assigned,
    partitions: BTreeMap<u32, Slot>,
    dead_letters: Outbox,
    is_stopping: bool,
}

/// An output partition of this node.
enum Slot {
    /// To be taken over, from some time on.
    Waiting { not_before_ms: i64 },
    /// Merged; after a setback, from some time on.
    Merging { partition: Box<OutputPartition>, not_before_ms: i64 },
}

impl Slot {
    fn merging(&self) -> Option<&OutputPartition> {
        match self {
            Self::Waiting { .. } => None,
            Self::Merging { partition, .. } => Some(partition),
        }
    }
}

impl Merging {
    /// Joins the group.
    pub(super) fn new(components: &Components) -> anyhow::Result<Self> {
        let Components { log, topics, member, .. } = components;
        let raw_partitions = components.partitions(&topics.raw)?;
        let assigned = Assigned::join(&**log, MERGE_GROUP, &topics.partials, member)?;
        Ok(Self {
            raw_partitions,
            assigned,
            partitions: BTreeMap::new(),
            dead_letters: Outbox::new(log.clone(), &topics.dead_letter, 1),
            components: components.clone(),
            is_stopping: false,
        })
    }

    /// Merges until the graceful stop is done.
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
            for slot in self.partitions.values_mut() {
                if let Slot::Merging { partition, .. } = slot {
                    partition.stop();
                }
            }
        }
        let mut is_busy = self.take_over_one(now_ms)?;
        is_busy |= self.settle(&mut in_passing(), now_ms)?;
        is_busy |= self.read(now_ms)?;
        self.dead_letters.send(now_ms);
        // Answers that were there at once.
        is_busy |= self.settle(&mut in_passing(), now_ms)?;
        let lag: u64 = self.partitions.values().filter_map(Slot::merging).map(OutputPartition::lag).sum();
        self.components.metrics.merge_lag_records.set(lag as i64);
        let mut merging = self.partitions.values().filter_map(Slot::merging);
        Ok(match is_busy {
            true => Turn::Busy,
            false if self.is_stopping && merging.all(OutputPartition::has_stopped) => Turn::Ended,
            false => Turn::Idle,
        })
    }

    fn follow_assignment(&mut self, now_ms: i64) {
        let Some(change) = self.assigned.look() else { return };
        let metrics = &self.components.metrics;
        metrics.rebalances.get_or_create(&MERGE).inc();
        metrics.partitions_owned.get_or_create(&MERGE).set(self.assigned.owned() as i64);
        for lost in change.lost {
            tracing::info!(partition = lost, "no longer merging");
            self.partitions.remove(&lost);
            self.dead_letters.forget(lost);
        }
        // What was given up may be taken back at once: the group has decided again.
        for slot in self.partitions.values_mut() {
            if let Slot::Waiting { not_before_ms } = slot {
                *not_before_ms = now_ms;
            }
        }
        for gained in change.gained {
            self.partitions.insert(gained, Slot::Waiting { not_before_ms: now_ms });
        }
    }

    /// Takes over a partition that waits for it, one a turn: the assignment may change meanwhile. Whether there was one.
    fn take_over_one(&mut self, now_ms: i64) -> anyhow::Result<bool> {
        let is_due =
            |slot: &Slot| matches!(slot, Slot::Waiting { not_before_ms } if now_ms >= *not_before_ms);
        let Some((number, slot)) = self.partitions.iter_mut().find(|(_, slot)| is_due(slot)) else {
            return Ok(false);
        };
        if self.is_stopping {
            return Ok(false);
        }
        *slot = match OutputPartition::take_over(&self.components, *number, self.raw_partitions) {
            Ok(partition) => Slot::Merging { partition: Box::new(partition), not_before_ms: now_ms },
            Err(setback) => {
                setback.remedy(&TopicPartition::new(self.components.topics.partials.clone(), *number))?;
                Slot::Waiting { not_before_ms: now_ms + RETRY_MS }
            }
        };
        Ok(true)
    }

    /// Takes answers to appends under way, and sends and stores what waited for them; whether there were any.
    fn settle(&mut self, context: &mut Context<'_>, now_ms: i64) -> anyhow::Result<bool> {
        let Self { components, assigned, partitions, dead_letters, .. } = self;
        let mut is_busy = dead_letters.settle(context, now_ms)?.answers > 0;
        for (number, slot) in partitions {
            let Slot::Merging { partition, .. } = slot else { continue };
            let mut settle = || -> Result<bool, Setback> {
                partition.store(components, dead_letters, now_ms)?;
                partition.send(now_ms);
                partition.settle(context, components, assigned, now_ms)
            };
            match settle() {
                Ok(busy) => is_busy |= busy,
                Err(setback) => {
                    let is_fenced = matches!(setback, Setback::Lost(LogError::Fenced(_)));
                    components.metrics.writers_fenced.inc_by(is_fenced.into());
                    let remedy = setback.remedy(partition.partition())?;
                    give_way(dead_letters, *number, slot, remedy, now_ms);
                }
            }
        }
        Ok(is_busy)
    }

    /// Reads a share of every partition; whether there was any.
    fn read(&mut self, now_ms: i64) -> anyhow::Result<bool> {
        let Self { components, partitions, dead_letters, .. } = self;
        let mut read = 0;
        for (number, slot) in partitions {
            let Slot::Merging { partition, not_before_ms } = slot else { continue };
            if now_ms < *not_before_ms {
                continue;
            }
            let before = partition.lag();
            match partition.read(components, dead_letters, now_ms) {
                Ok(records) => {
                    read += records + usize::from(partition.lag() < before);
                    partition.send(now_ms);
                }
                Err(setback) => {
                    let remedy = setback.remedy(partition.partition())?;
                    give_way(dead_letters, *number, slot, remedy, now_ms);
                }
            }
        }
        Ok(read > 0)
    }

    /// Waits for an assignment, a step, an answer, the stop, or for the next thing to be due.
    async fn wait(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        let now_ms = self.components.clock.now_ms();
        let wait_ms = (self.due_ms(now_ms).unwrap_or(i64::MAX).saturating_sub(now_ms)).clamp(1, IDLE_WAIT_MS);
        let stop = stop.clone();
        let is_stopping = self.is_stopping;
        let assignment = changed(self.assigned.follow()).boxed();
        let grown = self.partitions.values().filter_map(Slot::merging).map(|one| one.grown().boxed());
        let happened = select_all(grown.chain([assignment]));
        tokio::select! {
            _ = happened => Ok(()),
            answers = poll_fn(|context| woken(self.settle(context, now_ms))) => answers,
            () = stop.cancelled(), if !is_stopping => Ok(()),
            () = tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())) => Ok(()),
        }
    }

    fn due_ms(&self, now_ms: i64) -> Option<i64> {
        let of_slot = |slot: &Slot| match slot {
            Slot::Waiting { not_before_ms } => Some(*not_before_ms),
            Slot::Merging { partition, not_before_ms } => {
                let paused = (*not_before_ms > now_ms).then_some(*not_before_ms);
                paused.into_iter().chain(partition.due_ms()).min()
            }
        };
        self.partitions.values().filter_map(of_slot).chain(self.dead_letters.due_ms()).min()
    }
}

/// Does what a setback of a partition asks for.
fn give_way(dead_letters: &mut Outbox, number: u32, slot: &mut Slot, remedy: Remedy, now_ms: i64) {
    match remedy {
        Remedy::Pause => {
            if let Slot::Merging { not_before_ms, .. } = slot {
                *not_before_ms = now_ms + RETRY_MS;
            }
            return;
        }
        Remedy::Restart => *slot = Slot::Waiting { not_before_ms: now_ms },
        Remedy::GiveUp => *slot = Slot::Waiting { not_before_ms: now_ms + TAKE_BACK_MS },
    }
    dead_letters.forget(number);
}

/// The label of this stage's figures.
const MERGE: Labelled = Labelled { kind: "merge" };
