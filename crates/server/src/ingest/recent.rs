//! Ids that this node took recently, for the `duplicates` of its answers. Only a courtesy: counting drops every repeat,
//! so that forgetting here never changes a count.

use emostream_protocol::{ReactionId, limits};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet, hash_map::Entry};

/// An id is refused at the door when it is older than this, so that two generations of this length cover all.
const GENERATION_MS: i64 = limits::ID_AGE_MS_MAX + limits::ID_AHEAD_MS_MAX;

/// Ids of one generation in all partitions together: 17 MiB, and as much for the generation before it.
const GENERATION_IDS_MAX: usize = 450_000;

/// Recent ids with the round of flushing that took each to the log.
#[derive(Debug, Default)]
pub(super) struct RecentIds {
    current: Generation,
    previous: Generation,
    failed_rounds: HashSet<u64, RandomState>,
    ids_max: usize,
}

#[derive(Debug, Default)]
struct Generation {
    ids: HashMap<(ReactionId, u32), u64, RandomState>,
    began_ms: i64,
    first_round: u64,
}

impl RecentIds {
    /// The memory of one of so many partitions.
    pub(super) fn new(partitions: usize) -> Self {
        Self { ids_max: GENERATION_IDS_MAX / partitions.max(1), ..Self::default() }
    }

    /// The round that took this id earlier and has not failed; if none is known, notes that `round` takes it.
    pub(super) fn take(&mut self, id: ReactionId, channel: u32, round: u64, now_ms: i64) -> Option<u64> {
        if now_ms - self.current.began_ms > GENERATION_MS || self.current.ids.len() >= self.ids_max {
            let next = Generation { began_ms: now_ms, first_round: round, ..Generation::default() };
            self.previous = std::mem::replace(&mut self.current, next);
            let oldest = self.previous.first_round;
            self.failed_rounds.retain(|failed| *failed >= oldest);
        }
        let Self { current, previous, failed_rounds, .. } = self;
        let key = (id, channel);
        let earlier = previous.ids.get(&key).filter(|round| !failed_rounds.contains(*round));
        if let Some(taken_by) = earlier {
            return Some(*taken_by);
        }
        match current.ids.entry(key) {
            Entry::Occupied(known) if !failed_rounds.contains(known.get()) => Some(*known.get()),
            Entry::Occupied(mut failed) => {
                failed.insert(round);
                None
            }
            Entry::Vacant(new) => {
                new.insert(round);
                None
            }
        }
    }

    /// Forgets what a failed round took: a repeat of it is new.
    pub(super) fn forget_round(&mut self, round: u64) {
        self.failed_rounds.insert(round);
    }
}

#[cfg(test)]
mod tests {
    use emostream_protocol::ReactionId;

    use super::{GENERATION_MS, RecentIds};

    fn id(n: u8) -> ReactionId {
        ReactionId::from_parts(1_000, [n; 10])
    }

    #[test]
    fn ids_are_known_for_a_generation_at_least_and_not_after_their_round_failed() {
        let mut recent = RecentIds::new(1);
        let later = |generations: i64| 1_000_000 + generations * (GENERATION_MS + 1);
        assert_eq!(recent.take(id(1), 0, 1, later(0)), None);
        assert_eq!((recent.take(id(1), 0, 2, later(0)), recent.take(id(1), 1, 2, later(0))), (Some(1), None));
        assert_eq!(recent.take(id(2), 0, 2, later(0)), None);
        recent.forget_round(2);
        assert_eq!(recent.take(id(2), 0, 3, later(0)), None);
        assert_eq!(recent.take(id(2), 0, 4, later(0)), Some(3));
        assert_eq!(
            (recent.take(id(1), 0, 5, later(1)), recent.take(id(2), 0, 5, later(1))),
            (Some(1), Some(3))
        );
        assert_eq!(recent.take(id(1), 0, 6, later(2)), None);
        assert_eq!(recent.take(id(3), 0, 7, later(3)), None);
        assert!(recent.failed_rounds.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut recent = RecentIds::new(225_000);
        for n in 0..9 {
            assert_eq!(recent.take(id(n), 0, u64::from(n), 1_000_000), None);
            assert!(recent.current.ids.len() + recent.previous.ids.len() <= 4);
        }
        assert_eq!(recent.take(id(8), 0, 9, 1_000_000), Some(8));
    }
}
