//! What was counted just now, on its way to the edges of all nodes: summed per channel and emote, published every few ms.

use std::sync::Arc;

use emostream_log::{Log, LogError, TopicPartition};
use emostream_moments::{MemoryFull, PulseBatch, PulseCount, aggregate::pulses::PULSE_COUNTS_MAX};
use emostream_protocol::{ChannelName, EmoteId, Emotes, id::home_partition, limits::CHANNELS_PER_RECORD_MAX};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Sums wait at most so long: a quarter of an edge's beat.
const PUBLISH_EVERY_MS: i64 = 25;

/// Pulses show the present: older records, as after a restart, make none.
const AGE_MS_MAX: i64 = 1_000;

/// Sums that wait to be published. Bounded by the channels and emotes that one read of the log can name.
pub(super) struct Pulses {
    log: Arc<dyn Log>,
    partitions: Vec<TopicPartition>,
    emotes: Arc<Emotes>,
    sums: HashMap<ChannelName, Vec<(EmoteId, u32)>, FixedState>,
    due_ms: i64,
    /// Whether the failure that lasts has been reported.
    reported: bool,
}

impl Pulses {
    pub(super) fn new(log: Arc<dyn Log>, topic: &Arc<str>, partitions: u32, emotes: Arc<Emotes>) -> Self {
        let partitions =
            (0..partitions).map(|partition| TopicPartition::new(topic.clone(), partition)).collect();
        Self { log, partitions, emotes, sums: HashMap::default(), due_ms: i64::MIN, reported: false }
    }

    /// Adds what a record made known that was appended at a time.
    pub(super) fn add(&mut self, counts: &mut Vec<PulseCount>, append_ms: i64, now_ms: i64) {
        let counts = counts.drain(..);
        if now_ms - append_ms > AGE_MS_MAX {
            return;
        }
        for PulseCount { channel, emote, count } in counts {
            let sums = self.sums.entry(channel).or_default();
            match sums.iter_mut().find(|(known, _)| *known == emote) {
                Some((_, sum)) => *sum = sum.saturating_add(count),
                None => sums.push((emote, count)),
            }
        }
    }

    /// Says that this node can remember no more ids, where those who take reactions hear it.
    pub(super) fn publish_memory_full(&self, said: &MemoryFull) {
        match self.log.publish(&self.partitions[0], vec![said.encode().into()]) {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "not published that counting remembers too many ids"),
        }
    }

    /// Publishes the sums, if it is time.
    pub(super) fn publish(&mut self, now_ms: i64) {
        if self.sums.is_empty() || now_ms < self.due_ms {
            return;
        }
        self.due_ms = now_ms + PUBLISH_EVERY_MS;
        let mut homes: Vec<Vec<Batch>> = self.partitions.iter().map(|_| Vec::new()).collect();
        for (channel, sums) in self.sums.drain() {
            let home = home_partition(&channel, self.partitions.len() as u32) as usize;
            for share in sums.chunks(PULSE_COUNTS_MAX) {
                let count = |&(emote, count)| PulseCount { channel: channel.clone(), emote, count };
                let batch = batch_with_room(&mut homes[home], share.len());
                batch.channels += 1;
                batch.pulses.counts.extend(share.iter().map(count));
            }
        }
        for (partition, batches) in self.partitions.iter().zip(homes) {
            let values: Vec<_> =
                batches.iter().map(|batch| batch.pulses.encode(&self.emotes).into()).collect();
            if values.is_empty() {
                continue;
            }
            match self.log.publish(partition, values) {
                Ok(()) => self.reported = false,
                // Nobody shall wait for a pulse.
                Err(LogError::Overloaded(_)) => {}
                Err(error) if std::mem::replace(&mut self.reported, true) => {
                    tracing::debug!(%partition, %error, "pulses not published");
                }
                Err(error) => tracing::warn!(%partition, %error, "pulses not published"),
            }
        }
    }

    /// When the sums that wait are to be published.
    pub(super) fn due_ms(&self) -> Option<i64> {
        (!self.sums.is_empty()).then_some(self.due_ms)
    }
}

/// A batch that grows.
#[derive(Default)]
struct Batch {
    pulses: PulseBatch,
    channels: usize,
}

/// The last batch if it has room for the sums of one more channel, else a new one.
fn batch_with_room(batches: &mut Vec<Batch>, counts: usize) -> &mut Batch {
    let has_room = |batch: &Batch| {
        batch.pulses.counts.len() + counts <= PULSE_COUNTS_MAX && batch.channels < CHANNELS_PER_RECORD_MAX
    };
    if !batches.last().is_some_and(has_room) {
        batches.push(Batch::default());
    }
    let last = batches.len() - 1;
    &mut batches[last]
}
