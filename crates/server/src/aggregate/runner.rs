//! The thread that counts: reads every raw partition in order, feeds the pure aggregate, hands on rows and pulses, and
//! writes a tick where a quiet partition holds windows open.

use std::time::Duration;

use anyhow::Context;
use emostream_log::{Offset, Record, TopicPartition};
use emostream_moments::{Aggregate, AggregateOutput};
use emostream_protocol::{
    DecodeError,
    record::{self, LogRecord},
};
use futures_util::future::select_all;
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{
    Components, damage,
    output::{Item, Items},
    restore::Restored,
    snapshot::Place,
    ticks::{self, Ticker},
    written::{self, Written},
};
use crate::tasks::Tasks;

/// The state is stored so often, if anything has changed.
const SNAPSHOT_EVERY_MS: i64 = 10_000;

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
    snapshot_at_ms: i64,
    counted_since_snapshot: bool,
    /// Where replays for ids begin after the last two snapshots, the older first.
    restore_places: [Vec<Offset>; 2],
}

/// Where one raw partition is read.
struct Reading {
    partition: TopicPartition,
    next: Offset,
    end: watch::Receiver<Offset>,
    last_append_ms: i64,
    ticker: Ticker,
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
                Ok(Reading { partition, next: *next, end, last_append_ms: 0, ticker: Ticker::default() })
            })
            .collect::<anyhow::Result<_>>()?;
        let restore_of = |places: Option<Vec<Place>>| match places {
            Some(places) => places.iter().map(|place| place.restore).collect(),
            None => vec![0; restored.next.len()],
        };
        Ok(Self {
            snapshot_at_ms: components.clock.now_ms() + SNAPSHOT_EVERY_MS,
            components,
            aggregate: restored.aggregate,
            partitions,
            written: restored.written,
            items,
            found: AggregateOutput::default(),
            tasks,
            stop,
            counted_since_snapshot: false,
            restore_places: [restore_of(restored.stored.older), restore_of(restored.stored.current)],
        })
    }

    pub(super) fn run(mut self, runtime: &Handle) -> anyhow::Result<()> {
        loop {
            // Asked before reading: what was appended before the stop is counted.
            let stopping = self.stop.is_cancelled();
            let read = self.read_all()?;
            if self.components.clock.now_ms() >= self.snapshot_at_ms {
                self.snapshot()?;
            }
            if read > 0 {
                continue;
            }
            self.components.pressure.set_counting_behind(false);
            if stopping {
                return self.snapshot();
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
            if let Err(error) = self.observe(index, record) {
                self.set_aside(index, record, &error)?;
            }
            if now_ms - record.append_time_ms <= PULSE_AGE_MS_MAX {
                self.forward_pulses();
            }
            self.hand_over_rows()?;
        }
        Ok(())
    }

    /// Counts a record. After an error, the reactions before the damaged one are counted and its append time is taken.
    fn observe(&mut self, index: usize, record: &Record) -> Result<(), DecodeError> {
        let Self { aggregate, found, components, .. } = self;
        let mut observe = |decoded: &_| aggregate.observe(index, record.append_time_ms, decoded, found);
        match record::decode(&record.value, &components.emotes) {
            Ok(decoded) => observe(&decoded),
            Err(error) => observe(&LogRecord::Tick).and(Err(error)),
        }
    }

    fn set_aside(&self, index: usize, record: &Record, error: &DecodeError) -> anyhow::Result<()> {
        let partition = &self.partitions[index].partition;
        damage::refuse_newer(error, partition, record)?;
        tracing::error!(%partition, offset = record.offset, %error, "record set aside in dead-letter");
        self.components.metrics.records_set_aside.inc();
        let line = damage::dead_letter(error, partition, record);
        self.items.send(Item::DeadLetter(line)).context("the output has ended")
    }

    fn forward_pulses(&self) {
        for pulse in &self.found.pulses {
            // A channel that does not exist here is ignored: nobody watches it.
            if let Some(channel) = self.components.channels.get(&pulse.channel) {
                self.components.pulses.add(&channel, pulse.emote, pulse.count.into());
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
            written::note(&row, &self.components.metrics);
            if !self.written.holds(&row) {
                encoded.push(row.encode(&self.components.emotes));
            }
        }
        if encoded.is_empty() {
            return Ok(());
        }
        self.items.send(Item::Rows(encoded)).context("the output has ended")
    }

    fn snapshot(&mut self) -> anyhow::Result<()> {
        self.snapshot_at_ms = self.components.clock.now_ms() + SNAPSHOT_EVERY_MS;
        let partitions = self.places()?;
        let restore: Vec<_> = partitions.iter().map(|place| place.restore).collect();
        // Retention keeps what the older of two snapshots needs: it moves on only when both have.
        let moved = self.restore_places[0] != restore;
        if !std::mem::take(&mut self.counted_since_snapshot) && !moved {
            return Ok(());
        }
        self.restore_places.rotate_left(1);
        self.restore_places[1] = restore;
        let state = self.aggregate.snapshot();
        self.items.send(Item::Snapshot { partitions, state }).context("the output has ended")
    }

    fn places(&self) -> anyhow::Result<Vec<Place>> {
        let place = |(index, reading): (usize, &Reading)| {
            let restore = match self.aggregate.restore_from_ms(index) {
                Some(from_ms) => {
                    self.components.log.offset_at(&reading.partition, from_ms)?.min(reading.next)
                }
                None => reading.next,
            };
            Ok(Place { next: reading.next, restore })
        };
        self.partitions.iter().enumerate().map(place).collect()
    }

    /// Writes a tick to each quiet partition that has to move on in time.
    fn tick(&self) {
        let now_ms = self.components.clock.now_ms();
        let full = self.components.pressure.is_log_full();
        // A tick before this would close nothing.
        let is_due = self.aggregate.next_close_ms().is_some_and(|due_ms| now_ms >= due_ms);
        for (index, reading) in self.partitions.iter().enumerate() {
            let silence_ms = ticks::silence_ms(is_due && self.aggregate.needs_tick(index), full);
            if silence_ms.is_some_and(|silence_ms| now_ms - reading.last_append_ms >= silence_ms) {
                reading.ticker.tick(&*self.components.log, &reading.partition, &self.tasks);
            }
        }
    }

    /// Waits for a record, for the next tick to be due, or for the stop.
    async fn wait(&mut self) {
        let now_ms = self.components.clock.now_ms();
        let until_due_ms = self.aggregate.next_close_ms().map(|due_ms| (due_ms - now_ms).max(ticks::PACE_MS));
        let until_due = until_due_ms.map(|ms| Duration::from_millis(ms.unsigned_abs()));
        let longest = until_due.map_or(IDLE_WAIT, |until_due| until_due.min(IDLE_WAIT));
        let stop = self.stop.clone();
        let changes = self.partitions.iter_mut().map(|reading| Box::pin(reading.end.changed()));
        tokio::select! {
            _ = select_all(changes) => {}
            () = stop.cancelled() => {}
            () = tokio::time::sleep(longest) => {}
        }
    }
}
