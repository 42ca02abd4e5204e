//! The live bypass from counting to edges: sums per channel and emote since the last pulse, in memory, best effort.

use std::sync::Mutex;

use emostream_protocol::EmoteId;

use crate::channels::{Channel, PerChannel};

/// Sums that wait for the next pulse. Bounded by the emotes that exist.
#[derive(Debug, Default)]
pub struct PulsePath {
    sums: PerChannel<Mutex<Vec<(EmoteId, u64)>>>,
}

impl PulsePath {
    /// Adds what was counted just now.
    pub fn add(&self, channel: &Channel, emote: EmoteId, count: u64) {
        let mut sums = self.sums.of(channel).lock().unwrap_or_else(|e| e.into_inner());
        match sums.iter_mut().find(|(known, _)| *known == emote) {
            Some((_, sum)) => *sum += count,
            None => sums.push((emote, count)),
        }
    }

    /// Takes a channel's sums, largest first.
    pub fn take(&self, channel: &Channel) -> Vec<(EmoteId, u64)> {
        let slot = self.sums.of(channel);
        let mut sums = std::mem::take(&mut *slot.lock().unwrap_or_else(|e| e.into_inner()));
        sums.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        sums
    }
}
