//! Count and merge of all partitions in one value, for one process.

use std::sync::Arc;

use emostream_protocol::{
    ChannelName, ChannelSettings, DecodeError, EmoteId, Emotes,
    record::{LogRecord, SettingsChange},
    row::Row,
};

use crate::{
    counter::{CountSink, Counter},
    merge::Merge,
    parameters::StreamParameters,
    partial::Partial,
};

pub mod pulses;

use pulses::PulseCount;

/// The aggregation of a whole log: feed it each partition's records in their order, partitions interleaved at will.
#[derive(Debug)]
pub struct Aggregate {
    pub(crate) parameters: StreamParameters,
    pub(crate) counters: Vec<Counter>,
    pub(crate) merge: Merge,
}

/// What an aggregate found; the caller takes it and may use the value again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AggregateOutput {
    /// Final rows: per channel ascending by sequence.
    pub rows: Vec<Row>,
    /// New reactions that are not late, for pulses: sums per record, channel and emote.
    pub pulses: Vec<PulseCount>,
}

impl AggregateOutput {
    /// Empties the output and keeps its room.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.pulses.clear();
    }
}

/// Hands what one partition's counter finds straight to merge.
struct Through<'a> {
    partition: usize,
    merge: &'a mut Merge,
    output: &'a mut AggregateOutput,
}

impl CountSink for Through<'_> {
    fn partial(&mut self, partial: Partial) {
        self.merge.add(self.partition, partial);
    }

    fn closed_through(&mut self, start_ms: i64) {
        self.merge.closed_through(self.partition, start_ms, &mut self.output.rows);
    }

    fn settings(&mut self, change: &SettingsChange, from_window_ms: i64) {
        self.merge.settings(change, from_window_ms, &mut self.output.rows);
    }

    fn counted(&mut self, channel: &ChannelName, emote: EmoteId, count: u32) {
        self.output.pulses.push(PulseCount { channel: channel.clone(), emote, count });
    }
}

impl Aggregate {
    /// An aggregate that has seen nothing. `emotes` is the one that records were decoded with; `id_seed` any value
    /// that clients cannot guess: no result depends on it.
    pub fn new(parameters: StreamParameters, partitions: usize, emotes: Arc<Emotes>, id_seed: u64) -> Self {
        Self {
            parameters,
            counters: (0..partitions).map(|_| Counter::new(parameters, id_seed)).collect(),
            merge: Merge::new(parameters, partitions, emotes),
        }
    }

    /// Takes a partition's next record and appends what it makes known to `output`.
    ///
    /// On an error the reactions before the damaged one count and the rest of the record does not, in every replay.
    pub fn observe(
        &mut self,
        partition: usize,
        append_ms: i64,
        record: &LogRecord<'_>,
        output: &mut AggregateOutput,
    ) -> Result<(), DecodeError> {
        let Self { counters, merge, .. } = self;
        counters[partition].observe(append_ms, record, &mut Through { partition, merge, output })
    }

    /// Takes a record from before the snapshot's place in the log, to remember its ids. After
    /// [`restore`](Self::restore), feed every record from [`restore_from_ms`](Self::restore_from_ms) on.
    pub fn restore_ids_only(
        &mut self,
        partition: usize,
        append_ms: i64,
        record: &LogRecord<'_>,
    ) -> Result<(), DecodeError> {
        self.counters[partition].restore_ids_only(append_ms, record)
    }

    /// Append time from which on a partition's ids are remembered: its records before this need no replay. `None`
    /// before its first record.
    pub fn restore_from_ms(&self, partition: usize) -> Option<i64> {
        self.counters[partition].highest_append_ms().map(|highest| highest - self.parameters.horizon_ms())
    }

    /// The parameters.
    pub fn parameters(&self) -> StreamParameters {
        self.parameters
    }

    /// Number of raw partitions.
    pub fn partitions(&self) -> usize {
        self.counters.len()
    }

    /// Whether anything waits for time to pass. Without it no partition needs a tick.
    pub fn has_open_windows(&self) -> bool {
        self.merge.is_waiting() || self.counters.iter().any(|counter| !counter.windows.is_empty())
    }

    /// Whether a tick at this partition, late enough, would help to close something that is open now.
    pub fn needs_tick(&self, partition: usize) -> bool {
        let mark = self.counters[partition].closed_through_ms();
        self.last_open_ms().is_some_and(|end| mark < end)
    }

    /// The append time from which on a record in every partition closes the earliest open window (or brings waiting
    /// settings into force). `None` when nothing is open.
    pub fn next_close_ms(&self) -> Option<i64> {
        let ends = self.counters.iter().filter_map(|counter| counter.windows.first_end_ms());
        let merge = [self.merge.windows.first_end_ms(), self.merge.pending.keys().next().copied()];
        ends.chain(merge.into_iter().flatten()).min().map(|end| end + self.parameters.lateness_ms())
    }

    /// Ids that are remembered in all partitions.
    pub fn remembered_ids(&self) -> usize {
        self.counters.iter().map(Counter::remembered_ids).sum()
    }

    /// Bytes that remembered ids take, estimated.
    pub fn remembered_bytes(&self) -> usize {
        self.counters.iter().map(Counter::remembered_bytes).sum()
    }

    /// Settings in force for a channel, once it had a reaction or a change.
    pub fn settings_of(&self, channel: &str) -> Option<&ChannelSettings> {
        self.merge.settings_of(channel)
    }

    /// Newest settings known for a channel, whether in force yet or not: what a further change comes after.
    pub fn newest_settings_of(&self, channel: &str) -> Option<&ChannelSettings> {
        self.merge.newest_settings_of(channel)
    }

    fn last_open_ms(&self) -> Option<i64> {
        let ends = self.counters.iter().filter_map(|counter| counter.windows.last_end_ms());
        let merge = [self.merge.windows.last_end_ms(), self.merge.pending.keys().next_back().copied()];
        ends.chain(merge.into_iter().flatten()).max()
    }
}
