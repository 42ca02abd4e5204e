//! Count: one raw partition's records, turned into partials, closed-through marks, pulses and settings.

use std::collections::BTreeMap;

use emostream_protocol::{
    ChannelName, DecodeError, EmoteId,
    limits::ID_AHEAD_MS_MAX,
    record::{LogRecord, Reaction, ReactionBatch, SettingsChange, SpoolId, SpoolPosition},
};

pub use self::spools::SpoolPlaces;

use crate::{
    event_time::{PartitionClock, event_time_ms, is_late},
    ids::{IdMemory, Seat},
    parameters::{BIN_MS, StreamParameters},
    partial::Partial,
    sketch::Reactor,
    tally::{Counted, Tally},
    window::{Slot, Windows, start_of},
};

mod spools;

/// Reactions whose ids are looked up together: enough to overlap waits for memory, few enough to stay in the cache.
const BLOCK: usize = 32;

/// Takes what a counter finds. Calls come in an order that depends on the partition's records alone.
pub trait CountSink {
    /// Final counts of a window. Ascending by window, then channel; before the mark that covers them.
    fn partial(&mut self, partial: Partial);
    /// No further partial of a window that starts before this will come. Ascending.
    fn closed_through(&mut self, start_ms: i64);
    /// A channel's settings, in force for windows that start at or after `from_window_ms`.
    fn settings(&mut self, change: &SettingsChange, from_window_ms: i64);
    /// So many reactions of this record were new and not late: for pulses. At most one call for each emote of a
    /// channel and window.
    fn counted(&mut self, channel: &ChannelName, emote: EmoteId, count: u32);
}

/// Counts one raw partition.
#[derive(Debug)]
pub struct Counter {
    parameters: StreamParameters,
    pub(crate) clock: PartitionClock,
    pub(crate) windows: Windows<ChannelName, Tally>,
    pub(crate) spools: SpoolPlaces,
    ids: IdMemory,
    /// Small numbers of channels, for the memory of ids; emptied with it.
    channels: BTreeMap<ChannelName, u32>,
    scratch: Scratch,
}

/// Room that is used again for every batch.
#[derive(Debug, Default)]
struct Scratch {
    /// By the batch's channels.
    names: Vec<ChannelName>,
    places: Vec<Place>,
    /// Emotes with something for the next pulse: window, place in its tally, channel.
    fresh: Vec<(Slot, usize, usize)>,
    block: Vec<Ready>,
}

/// A reaction of the block at hand.
#[derive(Debug)]
struct Ready {
    /// Where its id belongs, if a client gave it.
    seat: Option<Seat>,
    unverified: bool,
    channel: u32,
    event_ms: i64,
    counted: Counted,
}

/// Where a batch's channel counts: its number in the memory of ids, and the window that its last reaction fell in.
#[derive(Debug, Clone, Copy)]
struct Place {
    channel: u32,
    start_ms: i64,
    slot: Option<Slot>,
}

/// What holds for all reactions of a record.
#[derive(Debug, Clone, Copy)]
struct Instant {
    append_ms: i64,
    now_ms: i64,
}

impl Counter {
    /// A counter that has seen no record. `id_seed` protects the memory of ids against ids chosen to collide: any
    /// value that clients cannot guess; results do not depend on it.
    pub fn new(parameters: StreamParameters, id_seed: u64) -> Self {
        Self {
            parameters,
            clock: PartitionClock::new(parameters),
            windows: Windows::new(parameters.window_ms()),
            spools: SpoolPlaces::default(),
            ids: IdMemory::new(parameters.horizon_ms(), id_seed),
            channels: BTreeMap::new(),
            scratch: Scratch::default(),
        }
    }

    /// Takes the partition's next record: first advances the clock and closes windows, then counts.
    ///
    /// On an error the reactions before the damaged one count and the rest of the record does not, in every replay.
    pub fn observe(
        &mut self,
        append_ms: i64,
        record: &LogRecord<'_>,
        sink: &mut impl CountSink,
    ) -> Result<(), DecodeError> {
        let now_ms = self.clock.advance(append_ms);
        self.close(now_ms - self.parameters.lateness_ms(), sink);
        self.ids.sweep(now_ms);
        match record {
            LogRecord::Tick => Ok(()),
            LogRecord::Settings(change) => {
                sink.settings(change, self.windows.closed_through_ms());
                Ok(())
            }
            LogRecord::Reactions(batch) => {
                let instant = Instant { append_ms: append_ms.clamp(0, now_ms), now_ms };
                let counted = match (batch.spool, batch.placed) {
                    (Some(position), _) if !self.spools.is_new(position) => self.note_ids(instant, batch),
                    (_, Some(spool)) => self.count_placed(instant, batch, spool),
                    _ => self.count(instant, batch),
                };
                self.send_fresh(sink);
                counted
            }
        }
    }

    /// Takes a record of the horizon before the state's own place in the log: only ids are remembered.
    ///
    /// Replaying, in order, every record whose append time is at least the state's highest minus the horizon makes the
    /// memory what it was.
    pub fn restore_ids_only(&mut self, append_ms: i64, record: &LogRecord<'_>) -> Result<(), DecodeError> {
        let LogRecord::Reactions(batch) = record else { return Ok(()) };
        let append_ms = append_ms.clamp(0, crate::event_time::APPEND_MS_MAX);
        let now_ms = self.clock.highest_ms().unwrap_or(append_ms).max(append_ms);
        self.note_ids(Instant { append_ms, now_ms }, batch)
    }

    /// Ids in memory. The counter neither refuses nor forgets early: whoever feeds it watches this and refuses input.
    pub fn remembered_ids(&self) -> usize {
        self.ids.remembered()
    }

    /// Bytes that remembered ids take, estimated.
    pub fn remembered_bytes(&self) -> usize {
        self.ids.bytes()
    }

    /// Highest append time so far.
    pub fn highest_append_ms(&self) -> Option<i64> {
        self.clock.highest_ms()
    }

    /// Start of the first window that is not closed; `i64::MIN` before the first record.
    pub fn closed_through_ms(&self) -> i64 {
        self.windows.closed_through_ms()
    }

    fn close(&mut self, watermark_ms: i64, sink: &mut impl CountSink) {
        let start_ms = start_of(watermark_ms, self.parameters.window_ms());
        if start_ms <= self.windows.closed_through_ms() {
            return;
        }
        self.windows.close_through(watermark_ms, |window_start_ms, channel, tally| {
            sink.partial(Partial { channel, window_start_ms, tally });
        });
        sink.closed_through(start_ms);
    }

    fn prepare(&mut self, batch: &ReactionBatch<'_>) -> Result<(), DecodeError> {
        self.scratch.fresh.clear();
        self.scratch.places.clear();
        self.scratch.names.clear();
        if self.ids.remembered() == 0 {
            self.channels.clear();
        }
        for name in &batch.channels {
            let (name, channel) = match self.channels.get_key_value(*name) {
                Some((name, channel)) => (name.clone(), *channel),
                None => {
                    let name = ChannelName::new(name).map_err(|_| DecodeError::Field("channel"))?;
                    let channel = self.channels.len() as u32;
                    self.channels.insert(name.clone(), channel);
                    (name, channel)
                }
            };
            self.scratch.names.push(name);
            self.scratch.places.push(Place { channel, start_ms: 0, slot: None });
        }
        Ok(())
    }

    fn note_ids(&mut self, instant: Instant, batch: &ReactionBatch<'_>) -> Result<(), DecodeError> {
        self.prepare(batch)?;
        for reaction in batch.iter() {
            self.note_id(instant, &reaction?);
        }
        Ok(())
    }

    fn note_id(&mut self, instant: Instant, reaction: &Reaction<'_>) {
        if reaction.id_from_client {
            let channel = self.scratch.places[reaction.channel].channel;
            let seat = self.ids.seat(channel, &reaction.id, instant.append_ms);
            self.ids.note(&seat, instant.append_ms, instant.now_ms);
        }
    }

    /// Counts a batch whose reactions have places of their own: those up to the highest of their spool came before,
    /// perhaps in a batch with other bounds.
    fn count_placed(
        &mut self,
        instant: Instant,
        batch: &ReactionBatch<'_>,
        spool: SpoolId,
    ) -> Result<(), DecodeError> {
        self.prepare(batch)?;
        for reaction in batch.iter() {
            let reaction = reaction?;
            let offset = reaction.place.ok_or(DecodeError::Field("place"))?;
            if self.spools.is_new(SpoolPosition { spool, offset }) {
                let ready = self.ready(instant, &reaction);
                self.count_one(instant, &ready);
            } else {
                self.note_id(instant, &reaction);
            }
        }
        Ok(())
    }

    /// Counts a batch in blocks of three short loops: decode, call for the ids' places in memory, count. The middle one
    /// is tight, so that the waits for many places overlap instead of adding up.
    fn count(&mut self, instant: Instant, batch: &ReactionBatch<'_>) -> Result<(), DecodeError> {
        self.prepare(batch)?;
        let mut block = std::mem::take(&mut self.scratch.block);
        let mut reactions = batch.iter();
        let mut ended = Ok(());
        loop {
            block.clear();
            for reaction in reactions.by_ref().take(BLOCK) {
                match reaction {
                    Ok(reaction) => block.push(self.ready(instant, &reaction)),
                    Err(error) => ended = Err(error),
                }
            }
            block.iter().filter_map(|ready| ready.seat.as_ref()).for_each(|seat| self.ids.touch(seat));
            block.iter().for_each(|ready| self.count_one(instant, ready));
            if block.len() < BLOCK {
                self.scratch.block = block;
                return ended;
            }
        }
    }

    /// All that counting needs to know of a reaction.
    #[inline(always)]
    fn ready(&mut self, instant: Instant, reaction: &Reaction<'_>) -> Ready {
        let Instant { append_ms, now_ms } = instant;
        let lateness_ms = self.parameters.lateness_ms();
        // An id older than this may have had a twin that is no longer remembered.
        let oldest_vouched_ms = now_ms - self.parameters.horizon_ms() + ID_AHEAD_MS_MAX;
        let channel = self.scratch.places[reaction.channel].channel;
        Ready {
            seat: reaction.id_from_client.then(|| self.ids.seat(channel, &reaction.id, append_ms)),
            unverified: reaction.id_from_client && reaction.id.unix_ms() < oldest_vouched_ms,
            event_ms: event_time_ms(reaction.tapped_ms, now_ms, lateness_ms),
            channel: reaction.channel as u32,
            counted: Counted {
                emote: reaction.emote,
                late: is_late(reaction.received_ms, now_ms, lateness_ms),
                reactor: Reactor::of(reaction.user, &reaction.id),
                media_time_ms: reaction.media_time_ms,
            },
        }
    }

    #[inline(always)]
    fn count_one(&mut self, instant: Instant, ready: &Ready) {
        if ready.seat.as_ref().is_some_and(|seat| self.ids.note(seat, instant.append_ms, instant.now_ms)) {
            return;
        }
        let window_ms = self.parameters.window_ms();
        let channel = ready.channel as usize;
        let place = &mut self.scratch.places[channel];
        let slot = match place.slot {
            Some(slot) if ready.event_ms >= place.start_ms && ready.event_ms - place.start_ms < window_ms => {
                slot
            }
            _ => {
                let name = &self.scratch.names[channel];
                let slot = self.windows.slot(ready.event_ms, name, || name.clone());
                let slot = slot.expect("event time is never behind the watermark that closed windows");
                *place = Place { start_ms: start_of(ready.event_ms, window_ms), slot: Some(slot), ..*place };
                slot
            }
        };
        let tally = self.windows.value(slot);
        let first =
            tally.add(&ready.counted, ((ready.event_ms - place.start_ms) as u32 / BIN_MS as u32) as usize);
        tally.unverified += u64::from(ready.unverified);
        if let Some(emote) = first {
            self.scratch.fresh.push((slot, emote, channel));
        }
    }

    fn send_fresh(&mut self, sink: &mut impl CountSink) {
        for (slot, emote, channel) in self.scratch.fresh.drain(..) {
            let (emote, count) = self.windows.value(slot).take_fresh(emote);
            sink.counted(&self.scratch.names[channel], emote, count);
        }
    }
}
