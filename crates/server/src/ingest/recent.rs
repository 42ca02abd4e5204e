//! Ids that this node took recently, for the `duplicates` of its answers. Only a courtesy: counting drops every repeat,
//! so that forgetting here never changes a count.

use emostream_protocol::{ReactionId, limits};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, hash_map::Entry};

/// An id is refused at the door when it is older than this, so that two generations of this length cover all.
const GENERATION_MS: i64 = limits::ID_AGE_MS_MAX + limits::ID_AHEAD_MS_MAX;

/// Ids of one generation; at most 40 MiB together with the previous one.
const GENERATION_IDS_MAX: usize = 500_000;

type Ids = HashMap<(ReactionId, u32), u64, RandomState>;

/// Recent ids with the round of flushing that took each to the log.
#[derive(Debug, Default)]
pub(super) struct RecentIds {
    current: Ids,
    previous: Ids,
    began_ms: i64,
}

impl RecentIds {
    /// The round that took this id earlier; if none is known, notes that `round` takes it.
    pub(super) fn take(&mut self, id: ReactionId, channel: u32, round: u64, now_ms: i64) -> Option<u64> {
        if now_ms - self.began_ms > GENERATION_MS || self.current.len() >= GENERATION_IDS_MAX {
            self.previous = std::mem::take(&mut self.current);
            self.began_ms = now_ms;
        }
        let key = (id, channel);
        if let Some(taken_by) = self.previous.get(&key) {
            return Some(*taken_by);
        }
        match self.current.entry(key) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(new) => {
                new.insert(round);
                None
            }
        }
    }

    /// Forgets what a failed round took: a repeat of it is new.
    pub(super) fn forget_round(&mut self, round: u64) {
        self.current.retain(|_, taken_by| *taken_by != round);
        self.previous.retain(|_, taken_by| *taken_by != round);
    }
}
