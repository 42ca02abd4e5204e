//! The live bypass from counting to edges: sums per channel and emote since the last pulse, in memory, best effort.

use std::sync::Mutex;

use emostream_protocol::EmoteId;

use crate::channels::Channels;

/// Sums that wait for the next pulse. Bounded by the emotes that exist.
#[derive(Debug)]
pub struct PulsePath {
    by_channel: Vec<Mutex<Vec<(EmoteId, u64)>>>,
}

impl PulsePath {
    /// One slot a channel.
    pub fn new(channels: &Channels) -> Self {
        Self { by_channel: channels.iter().map(|_| Mutex::default()).collect() }
    }

    /// Adds what was counted just now. A channel that does not exist here is ignored: nobody watches it.
    pub fn add(&self, channel_index: u32, emote: EmoteId, count: u64) {
        let Some(slot) = self.by_channel.get(channel_index as usize) else { return };
        let mut sums = slot.lock().unwrap_or_else(|e| e.into_inner());
        match sums.iter_mut().find(|(known, _)| *known == emote) {
            Some((_, sum)) => *sum += count,
            None => sums.push((emote, count)),
        }
    }

    /// Takes a channel's sums, largest first.
    pub fn take(&self, channel_index: u32) -> Vec<(EmoteId, u64)> {
        let Some(slot) = self.by_channel.get(channel_index as usize) else { return Vec::new() };
        let mut sums = std::mem::take(&mut *slot.lock().unwrap_or_else(|e| e.into_inner()));
        sums.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        sums
    }
}
