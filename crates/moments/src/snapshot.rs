//! The state of an aggregate as bytes: everything but remembered ids, which a replay of the horizon restores.

use std::sync::Arc;

use emostream_protocol::{
    DecodeError, Emotes,
    codec::{Reader, Writer},
    record::{self, LogRecord, SettingsChange, SpoolPosition},
    settings::SETTINGS_BYTES_MAX,
};

use crate::{
    aggregate::Aggregate,
    counter::Counter,
    event_time::{APPEND_MS_MAX, PartitionClock},
    merge::{ChannelState, Merge},
    parameters::StreamParameters,
    partial::{read_window, write_window},
    rule::RuleState,
    tally::{Tally, bounded},
    window::Windows,
};

/// Version byte of snapshots written by this release.
pub const SNAPSHOT_VERSION: u8 = 1;

/// Entries of one list in a snapshot: far beyond any real state, it keeps damaged lengths from taking memory.
const ENTRIES_MAX: usize = 1 << 24;

type Tallies = Windows<emostream_protocol::ChannelName, Tally>;

impl Aggregate {
    /// The state between two records. Equal states give equal bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(4096);
        writer.u8(SNAPSHOT_VERSION);
        write_parameters(&mut writer, self.parameters);
        writer.len(self.counters.len());
        for counter in &self.counters {
            write_counter(&mut writer, counter, &self.merge.emotes);
        }
        write_merge(&mut writer, &self.merge);
        writer.into_vec()
    }

    /// The state of a snapshot. It has to be of a log with the same parameters and partitions.
    pub fn restore(
        bytes: &[u8],
        parameters: StreamParameters,
        partitions: usize,
        emotes: Arc<Emotes>,
        id_seed: u64,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            SNAPSHOT_VERSION => {}
            version => return Err(DecodeError::Version(version)),
        }
        check_parameters(&mut reader, parameters)?;
        if reader.varint()? != partitions as u64 {
            return Err(DecodeError::Field("partitions"));
        }
        let counters = (0..partitions)
            .map(|_| read_counter(&mut reader, parameters, &emotes, id_seed))
            .collect::<Result<_, _>>()?;
        let merge = read_merge(&mut reader, parameters, partitions, emotes)?;
        reader.finish()?;
        Ok(Self { parameters, counters, merge })
    }
}

/// Writes what a state is only good for.
pub(crate) fn write_parameters(writer: &mut Writer, parameters: StreamParameters) {
    writer.varint(parameters.window_ms() as u64);
    writer.varint(parameters.lateness_ms() as u64);
    writer.varint(parameters.horizon_ms() as u64);
}

/// Refuses the state of a stream with other parameters.
pub(crate) fn check_parameters(
    reader: &mut Reader<'_>,
    parameters: StreamParameters,
) -> Result<(), DecodeError> {
    for expected in [parameters.window_ms(), parameters.lateness_ms(), parameters.horizon_ms()] {
        if reader.varint()? != expected as u64 {
            return Err(DecodeError::Field("parameters"));
        }
    }
    Ok(())
}

pub(crate) fn write_counter(writer: &mut Writer, counter: &Counter, emotes: &Emotes) {
    writer.varint(counter.clock.highest_ms().map_or(0, |ms| ms as u64 + 1));
    writer.len(counter.spools.iter().len());
    for (spool, offset) in counter.spools.iter() {
        writer.raw(spool);
        writer.varint(offset);
    }
    write_windows(writer, &counter.windows, emotes);
}

pub(crate) fn read_counter(
    reader: &mut Reader<'_>,
    parameters: StreamParameters,
    emotes: &Emotes,
    id_seed: u64,
) -> Result<Counter, DecodeError> {
    let mut counter = Counter::new(parameters, id_seed);
    let highest_ms =
        bounded(reader, APPEND_MS_MAX as u64 + 1, "append time")?.checked_sub(1).map(|ms| ms as i64);
    counter.clock = PartitionClock::at(parameters, highest_ms);
    counter.spools = (0..reader.len(ENTRIES_MAX)?)
        .map(|_| Ok(SpoolPosition { spool: reader.array()?, offset: reader.varint()? }))
        .collect::<Result<_, DecodeError>>()?;
    if let Some(watermark_ms) = counter.clock.watermark_ms() {
        counter.windows.close_through(watermark_ms, |_, _, _| {});
    }
    read_windows(reader, &mut counter.windows, parameters, emotes)?;
    Ok(counter)
}

fn write_windows(writer: &mut Writer, windows: &Tallies, emotes: &Emotes) {
    writer.len(windows.iter().count());
    for (start_ms, channel, tally) in windows.iter() {
        write_window(writer, channel, start_ms, tally, emotes);
    }
}

fn read_windows(
    reader: &mut Reader<'_>,
    windows: &mut Tallies,
    parameters: StreamParameters,
    emotes: &Emotes,
) -> Result<(), DecodeError> {
    for _ in 0..reader.len(ENTRIES_MAX)? {
        let (channel, start_ms, tally) = read_window(reader, parameters, emotes)?;
        let slot =
            windows.slot(start_ms, &channel, || channel.clone()).ok_or(DecodeError::Field("window"))?;
        if !windows.value(slot).emotes().is_empty() {
            return Err(DecodeError::Field("window"));
        }
        *windows.value(slot) = tally;
    }
    Ok(())
}

pub(crate) fn write_merge(writer: &mut Writer, merge: &Merge) {
    write_windows(writer, &merge.windows, &merge.emotes);
    writer.len(merge.pending.values().map(Vec::len).sum());
    for (from_ms, changes) in &merge.pending {
        for change in changes {
            writer.zigzag(*from_ms);
            writer.bytes(&change.encode());
        }
    }
    writer.len(merge.channels.len());
    for (channel, state) in &merge.channels {
        let change = SettingsChange { channel: channel.clone(), settings: state.settings.clone() };
        writer.bytes(&change.encode());
        writer.varint(state.last_seq);
        state.rule.encode(writer, &merge.emotes);
    }
    merge.marks.iter().for_each(|mark| writer.zigzag(*mark));
}

pub(crate) fn read_merge(
    reader: &mut Reader<'_>,
    parameters: StreamParameters,
    partitions: usize,
    emotes: Arc<Emotes>,
) -> Result<Merge, DecodeError> {
    let mut merge = Merge::new(parameters, partitions, emotes);
    let emotes = merge.emotes.clone();
    read_windows(reader, &mut merge.windows, parameters, &emotes)?;
    for _ in 0..reader.len(ENTRIES_MAX)? {
        let from_ms = instant(reader.zigzag()?)?;
        merge.pending.entry(from_ms).or_default().push(read_change(reader, &emotes)?);
    }
    for _ in 0..reader.len(ENTRIES_MAX)? {
        let SettingsChange { channel, settings } = read_change(reader, &emotes)?;
        let mut state = ChannelState::new(settings, &emotes);
        state.last_seq = bounded(reader, u64::MAX / 2, "sequence")?;
        state.rule = RuleState::decode(reader, &emotes)?.carried_to(&state.settings.rule);
        merge.channels.insert(channel, state);
    }
    for mark in &mut merge.marks {
        *mark = instant(reader.zigzag()?)?;
    }
    let through_ms = merge.closed_through_ms();
    let open_ms = merge.windows.first_end_ms().into_iter().chain(merge.pending.keys().next().copied()).min();
    if open_ms.is_some_and(|open_ms| open_ms <= through_ms) {
        return Err(DecodeError::Field("mark"));
    }
    Ok(merge)
}

fn read_change(reader: &mut Reader<'_>, emotes: &Emotes) -> Result<SettingsChange, DecodeError> {
    match record::decode(reader.bytes(SETTINGS_BYTES_MAX + 128)?, emotes)? {
        LogRecord::Settings(change) => Ok(change),
        _ => Err(DecodeError::Field("settings")),
    }
}

fn instant(ms: i64) -> Result<i64, DecodeError> {
    if ms == i64::MIN || (-APPEND_MS_MAX..=APPEND_MS_MAX).contains(&ms) {
        Ok(ms)
    } else {
        Err(DecodeError::Field("instant"))
    }
}
