//! The thread that counts: reads every raw partition in order, feeds the pure aggregate, hands on rows and pulses, and
//! writes a tick where a quiet partition holds windows open.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use emostream_log::{LogError, Offset, Record, TopicPartition};
use emostream_moments::{Aggregate, AggregateOutput};
use emostream_protocol::{
    record::{self, SettingsChange},
    row::Row,
};
use futures_util::future::select_all;
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{
    Components,
    output::{Item, Items},
    restore::{Restored, Written},
    snapshot::Place,
};
use crate::tasks::Tasks;

/// A partition is quiet after so long.
const SILENCE_MS: i64 = 100;

/// The state is stored so often, if anything was counted.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(10);

/// Bytes read from a partition before the next one's turn.
const READ_BYTES: usize = 1 << 20;

/// Pulses show the present: older records, as after a restart, make none.
const PULSE_AGE_MS_MAX: i64 = 1_000;

/// Longest wait for something to happen.
const IDLE_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Runner {
    components: Components,
    aggregate: Aggregate,
    partitions: Vec<Reading>,
    written: Written,
    items: Items,
    found: AggregateOutput,
    tasks: Tasks,
    stop: CancellationToken,
    snapshot_at: Instant,
    counted_since_snapshot: bool,
    configured: bool,
}

/// Where one raw partition is read.
struct Reading {
    partition: TopicPartition,
    next: Offset,
    end: watch::Receiver<Offset>,
    last_append_ms: i64,
    ticking: Arc<AtomicBool>,
}

impl Runner {
    pub(super) fn new(
        components: Components,
        restored: Restored,
        items: Items,
        tasks: Tasks,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let partitions = restored
            .next
            .iter()
            .enumerate()
            .map(|(index, next)| {
                let partition = TopicPartition::new(components.raw_topic.clone(), u32::try_from(index)?);
                let end = components.log.follow(&partition)?;
                Ok(Reading { partition, next: *next, end, last_append_ms: 0, ticking: Arc::default() })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            components,
            aggregate: restored.aggregate,
            partitions,
            written: restored.written,
            items,
            found: AggregateOutput::default(),
            tasks,
            stop,
            snapshot_at: Instant::now() + SNAPSHOT_EVERY,
            counted_since_snapshot: false,
            configured: false,
        })
    }

    pub(super) fn run(mut self, runtime: &Handle) -> anyhow::Result<()> {
        loop {
            // Asked before reading: what was appended before the stop is counted.
            let stopping = self.stop.is_cancelled();
            let read = self.read_all()?;
            if Instant::now() >= self.snapshot_at {
                self.snapshot()?;
            }
            if read > 0 {
                continue;
            }
            if stopping {
                return self.snapshot();
            }
            if !std::mem::replace(&mut self.configured, true) {
                self.apply_configured_settings();
            }
            self.tick();
            runtime.block_on(self.wait());
        }
    }

    /// Reads a share of every partition; how many records there were.
    fn read_all(&mut self) -> anyhow::Result<usize> {
        let mut read = 0;
        let mut lag = 0;
        for index in 0..self.partitions.len() {
            let reading = &mut self.partitions[index];
            let end = *reading.end.borrow_and_update();
            if reading.next >= end {
                continue;
            }
            let batch = self.components.log.read(&reading.partition, reading.next, READ_BYTES)?;
            reading.next = batch.next;
            let records = batch.records;
            if let Some(last) = records.last() {
                reading.last_append_ms = last.append_time_ms;
            }
            lag += end.saturating_sub(reading.next);
            read += records.len();
            self.count(index, &records)?;
        }
        if read > 0 {
            self.counted_since_snapshot = true;
            self.components.metrics.records_counted.inc_by(read as u64);
            let ids = self.aggregate.remembered_ids() as u64;
            self.components.pressure.set_remembered_ids(ids);
            self.components.metrics.remembered_ids.set(i64::try_from(ids).unwrap_or(i64::MAX));
        }
        self.components.metrics.count_lag_records.set(i64::try_from(lag).unwrap_or(i64::MAX));
        Ok(read)
    }

    fn count(&mut self, index: usize, records: &[Record]) -> anyhow::Result<()> {
        let now_ms = self.components.clock.now_ms();
        for record in records {
            self.found.clear();
            let place = || format!("record {} of {}", record.offset, self.partitions[index].partition);
            let decoded = record::decode(&record.value, &self.components.emotes).with_context(place)?;
            self.aggregate
                .observe(index, record.append_time_ms, &decoded, &mut self.found)
                .with_context(place)?;
            if now_ms - record.append_time_ms <= PULSE_AGE_MS_MAX {
                self.forward_pulses();
            }
            self.hand_over_rows()?;
        }
        Ok(())
    }

    fn forward_pulses(&self) {
        for pulse in &self.found.pulses {
            if let Some(channel) = self.components.channels.get(&pulse.channel) {
                self.components.pulses.add(channel.index, pulse.emote, pulse.count.into());
            }
        }
    }

    /// Hands rows to the output, without those that were written before a restart.
    fn hand_over_rows(&mut self) -> anyhow::Result<()> {
        if self.found.rows.is_empty() {
            return Ok(());
        }
        let mut encoded = Vec::with_capacity(self.found.rows.len());
        for row in self.found.rows.drain(..) {
            match &row {
                Row::Window(window) => {
                    self.components.metrics.windows_closed.inc();
                    self.components.metrics.reactions_counted.inc_by(window.total());
                }
                Row::Moment(_) => drop(self.components.metrics.moments_found.inc()),
                Row::Settings(_) => {}
            }
            let is_written = self.written.get(row.channel()).is_some_and(|newest| row.seq() <= *newest);
            if !is_written {
                encoded.push(row.encode(&self.components.emotes));
            }
        }
        if encoded.is_empty() {
            return Ok(());
        }
        self.items.send(Item::Rows(encoded)).context("the output has ended")
    }

    fn snapshot(&mut self) -> anyhow::Result<()> {
        self.snapshot_at = Instant::now() + SNAPSHOT_EVERY;
        if !std::mem::take(&mut self.counted_since_snapshot) {
            return Ok(());
        }
        let mut partitions = Vec::with_capacity(self.partitions.len());
        for (index, reading) in self.partitions.iter().enumerate() {
            let restore = match self.aggregate.restore_from_ms(index) {
                Some(from_ms) => {
                    self.components.log.offset_at(&reading.partition, from_ms)?.min(reading.next)
                }
                None => reading.next,
            };
            partitions.push(Place { next: reading.next, restore });
        }
        let state = self.aggregate.snapshot();
        self.items.send(Item::Snapshot { partitions, state }).context("the output has ended")
    }

    /// Puts the configured settings into the stream where others are in force.
    fn apply_configured_settings(&self) {
        let partitions = u32::try_from(self.partitions.len()).unwrap_or(u32::MAX);
        for channel in self.components.channels.iter() {
            let in_force = self.aggregate.settings_of(&channel.name);
            let same = in_force.is_some_and(|settings| {
                settings.rule == channel.configured.rule
                    && settings.allowed_emotes == channel.configured.allowed_emotes
            });
            if same {
                continue;
            }
            let version = in_force.map_or(0, |settings| settings.version) + 1;
            let mut settings = channel.configured.clone();
            settings.version = version;
            let change = SettingsChange { channel: channel.name.clone(), settings };
            let home = emostream_protocol::id::home_partition(&channel.name, partitions);
            let target = TopicPartition::new(self.components.raw_topic.clone(), home);
            let append = self.components.log.append(&target, vec![change.encode()]);
            self.tasks.spawn(async move {
                if let Err(error) = append.await {
                    tracing::warn!(channel = %change.channel, %error, "configured settings not written");
                }
            });
        }
    }

    /// Writes a tick to each quiet partition that holds something open.
    fn tick(&self) {
        let now_ms = self.components.clock.now_ms();
        for (index, reading) in self.partitions.iter().enumerate() {
            let quiet = now_ms - reading.last_append_ms >= SILENCE_MS;
            if !quiet || !self.aggregate.needs_tick(index) || reading.ticking.swap(true, Ordering::AcqRel) {
                continue;
            }
            let append = self.components.log.append(&reading.partition, vec![record::encode_tick()]);
            let ticking = reading.ticking.clone();
            let tasks = self.tasks.clone();
            self.tasks.spawn(async move {
                match append.await {
                    Ok(_) | Err(LogError::Closed) => {}
                    // Windows would stay open for ever: the node ends.
                    Err(error @ LogError::Failed(_)) => {
                        tasks.spawn_essential("tick", async { Err(error.into()) });
                    }
                    Err(error) => {
                        tracing::debug!(%error, "tick not written");
                        // A full disk is not asked ten times a second.
                        tokio::time::sleep(IDLE_WAIT).await;
                    }
                }
                ticking.store(false, Ordering::Release);
            });
        }
    }

    /// Waits for a record, for the next tick to be due, or for the stop.
    async fn wait(&mut self) {
        let needs_tick = (0..self.partitions.len()).any(|index| self.aggregate.needs_tick(index));
        let until_tick = Duration::from_millis(SILENCE_MS.unsigned_abs());
        let longest = if needs_tick { until_tick } else { IDLE_WAIT };
        let stop = self.stop.clone();
        let changes = self.partitions.iter_mut().map(|reading| Box::pin(reading.end.changed()));
        tokio::select! {
            _ = select_all(changes) => {}
            () = stop.cancelled() => {}
            () = tokio::time::sleep(longest) => {}
        }
    }
}
