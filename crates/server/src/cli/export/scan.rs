//! Reads the reactions of a channel out of the raw log, and tells repeats as counting does.
//!
//! Partitions are merged by append time. Event time and repeats follow the rules of counting (one clock a partition,
//! ids remembered for the horizon), so that what is exported of whole windows adds up to their counts.

use std::collections::VecDeque;

use anyhow::Context;
use emostream_log::{LogError, Offset, Record, TopicPartition, embedded::Snapshot};
use emostream_moments::{
    StreamParameters,
    counter::SpoolPlaces,
    event_time::{PartitionClock, event_time_ms, is_late},
    ids::IdMemory,
};
use emostream_protocol::{
    EmoteId, Emotes, ReactionId,
    record::{self, LogRecord, Reaction, ReactionBatch, SpoolPosition},
};

use crate::node::RAW_TOPIC;

const READ_BYTES: usize = 1 << 20;

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) channel: &'a str,
    /// First event time, ms.
    pub(super) from_ms: i64,
    /// End of event times, ms.
    pub(super) to_ms: i64,
}

/// A reaction of the channel within the span.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) partition: u32,
    pub(super) offset: Offset,
    /// Its place in the record.
    pub(super) place: usize,
    pub(super) appended_ms: i64,
    pub(super) event_ms: i64,
    pub(super) late: bool,
    /// Whether counting took it for a repeat.
    pub(super) duplicate: bool,
    pub(super) emote: EmoteId,
    pub(super) id: ReactionId,
    pub(super) id_from_client: bool,
    pub(super) user: &'a str,
    pub(super) received_ms: i64,
    pub(super) tapped_ms: i64,
    pub(super) media_time_ms: Option<u64>,
}

/// How far a scan is, in records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) done: u64,
    pub(super) total: u64,
    /// Records whose content cannot be read; what stands before the damage in them is exported.
    pub(super) unreadable: u64,
}

/// A scan under way.
pub(super) struct Scan<'a> {
    log: &'a Snapshot,
    emotes: &'a Emotes,
    wanted: Wanted<'a>,
    parameters: StreamParameters,
    lanes: Vec<Lane>,
    progress: Progress,
}

/// One partition: what is read of it, and what counting would know by now.
struct Lane {
    partition: TopicPartition,
    next: Offset,
    end: Offset,
    records: VecDeque<Record>,
    clock: PartitionClock,
    ids: IdMemory,
    spools: SpoolPlaces,
}

impl<'a> Scan<'a> {
    /// Prepares a scan of what the log holds now.
    pub(super) fn new(log: &'a Snapshot, emotes: &'a Emotes, wanted: Wanted<'a>) -> anyhow::Result<Self> {
        let parameters = parameters_of(log)?;
        let mut lanes = Vec::new();
        let mut total = 0;
        for partition in log.partitions().filter(|partition| &*partition.topic == RAW_TOPIC) {
            let bounds = log.bounds(partition)?;
            // Repeats are known from the horizon before.
            let first_ms = wanted.from_ms.saturating_sub(parameters.horizon_ms());
            let next = if first_ms <= 0 { bounds.start } else { log.offset_at(partition, first_ms)? };
            total += bounds.end - next;
            lanes.push(Lane {
                partition: partition.clone(),
                next,
                end: bounds.end,
                records: VecDeque::new(),
                clock: PartitionClock::new(parameters),
                ids: IdMemory::new(parameters.horizon_ms(), rand::random()),
                spools: SpoolPlaces::default(),
            });
        }
        let progress = Progress { total, ..Progress::default() };
        Ok(Self { log, emotes, wanted, parameters, lanes, progress })
    }

    /// How far it is.
    pub(super) fn progress(&self) -> Progress {
        self.progress
    }

    /// Takes the next record, in order of append; `false` when there is none.
    pub(super) fn step(
        &mut self,
        each: &mut impl FnMut(&Found<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let mut first: Option<(i64, usize)> = None;
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let Some(append_ms) = lane.peek(self.log)? else { continue };
            // Nothing from here on is before the end of the span: event time lags by the lateness at most.
            if append_ms.saturating_sub(self.parameters.lateness_ms()) >= self.wanted.to_ms {
                self.progress.done += lane.skip_rest();
                continue;
            }
            if first.is_none_or(|(earliest_ms, _)| append_ms < earliest_ms) {
                first = Some((append_ms, index));
            }
        }
        let Some((_, index)) = first else { return Ok(false) };
        let lane = &mut self.lanes[index];
        let Some(record) = lane.records.pop_front() else { return Ok(false) };
        self.progress.done += 1;
        self.progress.unreadable +=
            u64::from(!lane.take(&record, &self.wanted, self.parameters, self.emotes, each)?);
        Ok(true)
    }
}

impl Lane {
    /// Append time of the next record.
    fn peek(&mut self, log: &Snapshot) -> anyhow::Result<Option<i64>> {
        while self.records.is_empty() && self.next < self.end {
            let read = log.read(&self.partition, self.next, READ_BYTES).map_err(explained)?;
            self.next = read.next;
            self.records.extend(read.records);
        }
        Ok(self.records.front().map(|record| record.append_time_ms))
    }

    fn skip_rest(&mut self) -> u64 {
        let skipped = self.records.len() as u64 + (self.end - self.next);
        self.records.clear();
        self.next = self.end;
        skipped
    }

    /// Goes through a record; `false` when it cannot be read to its end.
    fn take(
        &mut self,
        record: &Record,
        wanted: &Wanted<'_>,
        parameters: StreamParameters,
        emotes: &Emotes,
        each: &mut impl FnMut(&Found<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let now_ms = self.clock.advance(record.append_time_ms);
        self.ids.sweep(now_ms);
        let batch = match record::decode(&record.value, emotes) {
            Ok(LogRecord::Reactions(batch)) => batch,
            Ok(_) => return Ok(true),
            Err(_) => return Ok(false),
        };
        let record_is_repeat = batch.spool.is_some_and(|position| !self.spools.is_new(position));
        for (place, reaction) in batch.iter().enumerate() {
            let Ok(reaction) = reaction else { return Ok(false) };
            let forwarded_before = record_is_repeat || self.has_old_place(&batch, &reaction);
            if batch.channels.get(reaction.channel) != Some(&wanted.channel) {
                continue;
            }
            let duplicate = self.is_repeat(&reaction, record.append_time_ms, now_ms) || forwarded_before;
            let event_ms = event_time_ms(reaction.tapped_ms, now_ms, parameters.lateness_ms());
            if !(wanted.from_ms..wanted.to_ms).contains(&event_ms) {
                continue;
            }
            each(&Found {
                partition: self.partition.partition,
                offset: record.offset,
                place,
                appended_ms: record.append_time_ms,
                event_ms,
                late: is_late(reaction.received_ms, now_ms, parameters.lateness_ms()),
                duplicate,
                emote: reaction.emote,
                id: reaction.id,
                id_from_client: reaction.id_from_client,
                user: std::str::from_utf8(reaction.user).unwrap_or("\u{fffd}"),
                received_ms: reaction.received_ms,
                tapped_ms: reaction.tapped_ms,
                media_time_ms: reaction.media_time_ms,
            })?;
        }
        Ok(true)
    }

    fn has_old_place(&mut self, batch: &ReactionBatch<'_>, reaction: &Reaction<'_>) -> bool {
        let position = batch.placed.zip(reaction.place);
        position.is_some_and(|(spool, offset)| !self.spools.is_new(SpoolPosition { spool, offset }))
    }

    fn is_repeat(&mut self, reaction: &Reaction<'_>, append_ms: i64, now_ms: i64) -> bool {
        if !reaction.id_from_client {
            return false;
        }
        let append_ms = append_ms.clamp(0, now_ms);
        let seat = self.ids.seat(0, &reaction.id, append_ms);
        self.ids.note(&seat, append_ms, now_ms)
    }
}

/// The parameters that the log was counted with: they stand in its generation.
fn parameters_of(log: &Snapshot) -> anyhow::Result<StreamParameters> {
    let stored = &log.generation().parameters;
    let number = |name: &str| -> anyhow::Result<u32> {
        let text = stored.get(name).with_context(|| format!("the log does not say its {name}"))?;
        text.parse().with_context(|| format!("{name} of the log: expected a number, got {text:?}"))
    };
    let (window_ms, lateness_ms) = (number("windows.window_ms")?, number("windows.allowed_lateness_ms")?);
    Ok(StreamParameters::new(window_ms, lateness_ms, number("windows.horizon_ms")?)?)
}

fn explained(error: LogError) -> anyhow::Error {
    match error {
        LogError::OutOfRange { .. } => anyhow::Error::new(error)
            .context("the server's retention has deleted what was about to be read: try again"),
        error => error.into(),
    }
}
