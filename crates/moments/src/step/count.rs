//! Count for a fleet: a counter whose output is cut into parts of steps.

use emostream_protocol::{
    ChannelName, DecodeError, EmoteId, Emotes,
    codec::{Reader, Writer},
    id::home_partition,
    record::{LogRecord, SettingsChange},
};

use super::part::{self, PART_BYTES_DEFAULT, PartPlace, read_offset, write_offset};
use crate::{
    aggregate::pulses::PulseCount,
    counter::{CountSink, Counter},
    parameters::StreamParameters,
    partial::Partial,
    snapshot::{check_parameters, read_counter, write_counter, write_parameters},
};

/// Version byte of snapshots of count written by this release.
pub const COUNT_SNAPSHOT_VERSION: u8 = 1;

/// Counts one raw partition for the merges of a fleet.
#[derive(Debug)]
pub struct StepCounter {
    parameters: StreamParameters,
    raw_partition: u32,
    counter: Counter,
    outputs: Vec<Output>,
    part_bytes: usize,
}

/// What goes to one output partition.
#[derive(Debug, Default)]
struct Output {
    /// Raw offset of the newest step for it.
    previous: Option<u64>,
    /// Items of the step at hand that were cut into parts.
    cut: u32,
    /// Items in `body`.
    items: u32,
    body: Writer,
}

/// What records made known; the caller takes it and may use the value again.
#[derive(Debug, Default)]
pub struct StepOutput {
    /// Encoded parts with their output partition, in the order in which each output partition is to have them.
    pub parts: Vec<(u32, Vec<u8>)>,
    /// New reactions that are not late, for pulses: sums per record, channel and emote.
    pub pulses: Vec<PulseCount>,
}

impl StepCounter {
    /// A counter of a raw partition that has seen no record. `id_seed` is any value that clients cannot guess: no
    /// result depends on it.
    pub fn new(
        parameters: StreamParameters,
        raw_partition: u32,
        output_partitions: u32,
        id_seed: u64,
    ) -> Self {
        assert!(output_partitions > 0, "an output has partitions");
        Self {
            parameters,
            raw_partition,
            counter: Counter::new(parameters, id_seed),
            outputs: (0..output_partitions).map(|_| Output::default()).collect(),
            part_bytes: PART_BYTES_DEFAULT,
        }
    }

    /// Cuts parts at another size than [`PART_BYTES_DEFAULT`]. What merge makes of them does not depend on it.
    #[must_use]
    pub fn with_part_bytes(mut self, part_bytes: usize) -> Self {
        self.part_bytes = part_bytes;
        self
    }

    /// Takes the partition's next record and appends what it makes known to `found`.
    ///
    /// On an error the reactions before the damaged one count and the rest of the record does not, in every replay.
    pub fn observe(
        &mut self,
        offset: u64,
        append_ms: i64,
        record: &LogRecord<'_>,
        emotes: &Emotes,
        found: &mut StepOutput,
    ) -> Result<(), DecodeError> {
        let place = PartPlace {
            raw_partition: self.raw_partition,
            raw_offset: offset,
            previous: None,
            first: 0,
            last: false,
        };
        let Self { counter, outputs, parameters, part_bytes, .. } = self;
        let mut sink =
            Cutter { place, outputs, parameters: *parameters, part_bytes: *part_bytes, emotes, found };
        let observed = counter.observe(append_ms, record, &mut sink);
        sink.finish();
        observed
    }

    /// Takes a record of the horizon before the state's own place in the log: only ids are remembered.
    pub fn restore_ids_only(&mut self, append_ms: i64, record: &LogRecord<'_>) -> Result<(), DecodeError> {
        self.counter.restore_ids_only(append_ms, record)
    }

    /// Append time from which on ids are remembered: records before this need no replay. `None` before the first record.
    pub fn restore_from_ms(&self) -> Option<i64> {
        self.counter.highest_append_ms().map(|highest| highest - self.parameters.horizon_ms())
    }

    /// Append time from which on a record closes the next window for whoever waits for this partition. `None` before
    /// the first record: any record would.
    pub fn next_close_ms(&self) -> Option<i64> {
        let through_ms = self.counter.closed_through_ms();
        let is_known = through_ms > i64::MIN;
        is_known.then(|| through_ms + self.parameters.window_ms() + self.parameters.lateness_ms())
    }

    /// Highest append time so far.
    pub fn highest_append_ms(&self) -> Option<i64> {
        self.counter.highest_append_ms()
    }

    /// Ids in memory.
    pub fn remembered_ids(&self) -> usize {
        self.counter.remembered_ids()
    }

    /// The state between two records, but for remembered ids, which a replay of the horizon restores. Equal states give
    /// equal bytes.
    pub fn snapshot(&self, emotes: &Emotes) -> Vec<u8> {
        let mut writer = Writer::with_capacity(4096);
        writer.u8(COUNT_SNAPSHOT_VERSION);
        write_parameters(&mut writer, self.parameters);
        writer.varint(self.raw_partition.into());
        writer.len(self.outputs.len());
        self.outputs.iter().for_each(|output| write_offset(&mut writer, output.previous));
        write_counter(&mut writer, &self.counter, emotes);
        writer.into_vec()
    }

    /// The state of a snapshot. It has to be of the same parameters, raw partition and number of output partitions.
    pub fn restore(
        bytes: &[u8],
        parameters: StreamParameters,
        raw_partition: u32,
        output_partitions: u32,
        emotes: &Emotes,
        id_seed: u64,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            COUNT_SNAPSHOT_VERSION => {}
            version => return Err(DecodeError::Version(version)),
        }
        check_parameters(&mut reader, parameters)?;
        if reader.varint()? != u64::from(raw_partition) {
            return Err(DecodeError::Field("raw partition"));
        }
        if reader.varint()? != u64::from(output_partitions) {
            return Err(DecodeError::Field("output partitions"));
        }
        let mut restored = Self::new(parameters, raw_partition, output_partitions, id_seed);
        for output in &mut restored.outputs {
            output.previous = read_offset(&mut reader)?;
        }
        restored.counter = read_counter(&mut reader, parameters, emotes, id_seed)?;
        reader.finish()?;
        Ok(restored)
    }
}

/// Cuts what one record makes final into parts.
struct Cutter<'a> {
    place: PartPlace,
    outputs: &'a mut [Output],
    parameters: StreamParameters,
    part_bytes: usize,
    emotes: &'a Emotes,
    found: &'a mut StepOutput,
}

impl Cutter<'_> {
    fn home(&self, channel: &ChannelName) -> usize {
        home_partition(channel, self.outputs.len() as u32) as usize
    }

    fn finish(&mut self) {
        for index in 0..self.outputs.len() {
            if self.outputs[index].items > 0 {
                self.cut(index, true);
                let output = &mut self.outputs[index];
                output.cut = 0;
                output.previous = Some(self.place.raw_offset);
            }
        }
    }

    /// Makes room for an item of so many bytes. What is left for the end is never empty, so that the last part is known.
    fn make_room(&mut self, index: usize, bytes: usize) {
        let output = &self.outputs[index];
        if output.items > 0 && output.body.written() + bytes > self.part_bytes {
            self.cut(index, false);
        }
    }

    fn cut(&mut self, index: usize, last: bool) {
        let output = &mut self.outputs[index];
        let place = PartPlace { previous: output.previous, first: output.cut, last, ..self.place };
        self.found.parts.push((index as u32, part::finish(&place, output.items, output.body.as_slice())));
        output.cut += output.items;
        output.items = 0;
        output.body.clear();
    }
}

impl CountSink for Cutter<'_> {
    fn partial(&mut self, partial: Partial) {
        let index = self.home(&partial.channel);
        let bytes = partial.encode(self.parameters, self.emotes);
        self.make_room(index, bytes.len());
        part::write_partial(&mut self.outputs[index].body, &bytes);
        self.outputs[index].items += 1;
    }

    fn closed_through(&mut self, start_ms: i64) {
        for output in self.outputs.iter_mut() {
            part::write_closed_through(&mut output.body, start_ms);
            output.items += 1;
        }
    }

    fn settings(&mut self, change: &SettingsChange, from_window_ms: i64) {
        let output = &mut self.outputs[home_partition(&change.channel, self.outputs.len() as u32) as usize];
        part::write_settings(&mut output.body, change, from_window_ms);
        output.items += 1;
    }

    fn counted(&mut self, channel: &ChannelName, emote: EmoteId, count: u32) {
        self.found.pulses.push(PulseCount { channel: channel.clone(), emote, count });
    }
}
