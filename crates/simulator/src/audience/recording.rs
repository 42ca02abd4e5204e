//! A scenario as the log would have it: its reactions in virtual time, as records with append times.

use std::time::Duration;

use bytes::Bytes;
use emostream_protocol::{
    ChannelName, Emotes, ReactionId,
    record::{BatchBuilder, NewReaction, SpoolPosition, encode_tick},
};
use rand::{Rng as _, rngs::Xoshiro256PlusPlus};

use super::{Audience, Tap, Timeline, timeline::chance};
use crate::scenario::Scenario;

/// Where a recording is laid down.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Channel of all reactions.
    pub channel: ChannelName,
    /// Unix time of the scenario's beginning, in ms.
    pub start_ms: i64,
    /// Partitions of the raw log.
    pub partitions: u32,
    /// Seconds that are recorded; the whole scenario where it ends before.
    pub seconds: f64,
}

/// One record of the raw log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEntry {
    /// The partition.
    pub partition: usize,
    /// When the log took it, Unix time in ms; ascends.
    pub append_ms: i64,
    /// What it took.
    pub record: Bytes,
}

/// What an audience leaves in the log, until every window has closed. The same arguments give the same recording.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The records in the order in which they were appended.
    pub entries: Vec<RecordedEntry>,
    /// Reactions in them, all with ids of their own.
    pub reactions: u64,
}

/// One round of appending: what came meanwhile is in one record a partition, as with group commit under load. Ticks come
/// with every fifth, in every partition.
const ROUND_MS: i64 = 20;
const TICK_EVERY_ROUNDS: i64 = 5;

/// Ticks go on for so long after the end, so that every window of at most 10 s and lateness of at most 5 s closes.
const AFTER_MS: i64 = 15_000;

struct Recorder<'a> {
    layout: &'a Layout,
    emotes: &'a Emotes,
    rng: Xoshiro256PlusPlus,
    batches: Vec<BatchBuilder>,
    /// Received and not yet appended.
    spooled: Vec<Tap>,
    spool_offset: u64,
    recording: Recording,
}

impl Recording {
    /// Records a scenario. `seed` and `scale` are those of [`Audience::new`].
    pub fn of(scenario: &Scenario, seed: u64, scale: f64, layout: &Layout, emotes: &Emotes) -> Self {
        let mut recorder = Recorder {
            layout,
            emotes,
            rng: chance(seed, 0, 0, 5),
            batches: (0..layout.partitions).map(|_| BatchBuilder::new()).collect(),
            spooled: Vec::new(),
            spool_offset: 0,
            recording: Self { entries: Vec::new(), reactions: 0 },
        };
        let within = |due: &Duration| due.as_secs_f64() < layout.seconds;
        let mut taps = Audience::new(scenario, seed, scale).take_while(|tap| within(&tap.due)).peekable();
        let mut drains = drains(scenario, seed, layout.seconds).into_iter().peekable();
        let length_s = Timeline::new(scenario, seed).length_s().unwrap_or(f64::INFINITY).min(layout.seconds);
        let rounds = ((length_s * 1_000.0) as i64 + AFTER_MS) / ROUND_MS;
        for round in 1..=rounds {
            let now_ms = round * ROUND_MS;
            while let Some(tap) = taps.next_if(|tap| tap.due.as_millis() as i64 <= now_ms) {
                if scenario.phases.get(tap.phase).is_some_and(|phase| phase.spooled) {
                    recorder.spooled.push(tap);
                } else {
                    recorder.push(&tap);
                }
            }
            recorder.append(now_ms, false);
            if drains.next_if(|drain_ms| *drain_ms <= now_ms).is_some() {
                recorder.drain(now_ms);
            }
            if round % TICK_EVERY_ROUNDS == 0 {
                recorder.tick(now_ms);
            }
        }
        recorder.recording
    }
}

/// When spools are drained, in ms since the start: at the ends of their phases.
fn drains(scenario: &Scenario, seed: u64, seconds: f64) -> Vec<i64> {
    let spooled = |phase: usize| scenario.phases.get(phase).is_some_and(|phase| phase.spooled);
    let ends = Timeline::new(scenario, seed)
        .take_while(|played| played.start_s < seconds)
        .filter(|played| spooled(played.phase))
        .map(|played| ((played.start_s + played.length_s) * 1_000.0) as i64);
    ends.collect()
}

impl Recorder<'_> {
    fn push(&mut self, tap: &Tap) {
        let received_ms = self.layout.start_ms + tap.due.as_millis() as i64;
        let mut random = [0; 10];
        self.rng.fill_bytes(&mut random);
        let id = ReactionId::from_parts(received_ms, random);
        // Scenarios name emotes in canonical form; a custom one is registered as its channel would have.
        let Ok(emote) = self.emotes.register_custom(&tap.emote).or_else(|_| self.emotes.resolve(&tap.emote))
        else {
            return;
        };
        let reaction = NewReaction {
            emote,
            id,
            id_from_client: true,
            user: &format!("fan-{}", tap.user),
            received_ms,
            tapped_ms: tap.skew_ms.map(|skew_ms| received_ms + skew_ms),
            media_time_ms: tap.media_time_ms,
        };
        let partition = id.partition(&self.layout.channel, self.layout.partitions) as usize;
        if let Some(batch) = self.batches.get_mut(partition) {
            batch.push(&self.layout.channel, &reaction);
            self.recording.reactions += 1;
        }
    }

    fn append(&mut self, now_ms: i64, from_spool: bool) {
        for (partition, batch) in self.batches.iter_mut().enumerate().filter(|(_, batch)| !batch.is_empty()) {
            let spool = from_spool.then(|| {
                self.spool_offset += 1;
                SpoolPosition { spool: [7; 16], offset: self.spool_offset }
            });
            let record = batch.finish(spool, self.emotes);
            let append_ms = self.layout.start_ms + now_ms;
            self.recording.entries.push(RecordedEntry { partition, append_ms, record });
        }
    }

    /// What waited goes to the log in records as large as those of a busy round.
    fn drain(&mut self, now_ms: i64) {
        for taps in std::mem::take(&mut self.spooled).chunks(500) {
            for tap in taps {
                self.push(tap);
            }
            self.append(now_ms, true);
        }
    }

    fn tick(&mut self, now_ms: i64) {
        let append_ms = self.layout.start_ms + now_ms;
        let tick = |partition| RecordedEntry { partition, append_ms, record: encode_tick() };
        self.recording.entries.extend((0..self.layout.partitions as usize).map(tick));
    }
}
