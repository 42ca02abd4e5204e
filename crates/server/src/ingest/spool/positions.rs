//! Positions of records in the spool: places that ascend for ever, whatever happens to the disk.
//!
//! Counting drops places up to the highest that it has seen, so that a place used twice would silently lose what has it
//! the second time. The spool's own offsets are used again when its end goes back: after a loss of power with
//! `log.durability = "os"`, or from a backup. So places begin, at each start of the process, at the time in seconds
//! × 2³², or beyond the last place in the spool if that is higher.

use emostream_protocol::record::{SpoolId, SpoolPosition};

/// Places in a second: far more than records.
const PLACES_PER_S_LOG2: u32 = 32;

/// Gives positions to the records of one partition.
#[derive(Debug, Clone, Copy)]
pub(in crate::ingest) struct Positions {
    spool: SpoolId,
    next: u64,
}

impl Positions {
    /// Positions from a place on.
    pub(super) fn new(spool: SpoolId, first: u64) -> Self {
        Self { spool, next: first }
    }

    /// The position of the next record.
    pub(in crate::ingest) fn next(&mut self) -> SpoolPosition {
        let position = SpoolPosition { spool: self.spool, offset: self.next };
        self.next += 1;
        position
    }
}

/// The first place for a process that starts at `now_ms`, beyond the last one known.
pub(super) fn first_place(now_ms: i64, last: Option<u64>) -> u64 {
    let seconds = u64::from(u32::try_from(now_ms / 1_000).unwrap_or(0));
    last.map_or(0, |last| last + 1).max(seconds << PLACES_PER_S_LOG2)
}

#[cfg(test)]
mod tests {
    use super::{Positions, first_place};

    #[test]
    fn places_ascend_over_starts_with_any_clock_and_any_spool() {
        let mut last = None;
        for (now_ms, spool_has_it) in [
            (1_700_000_000_000, true),
            (1_700_000_000_400, true),
            (0, true),
            (1_800_000_000_000, false),
            (-1, true),
        ] {
            let known = last.filter(|_| spool_has_it);
            let mut positions = Positions::new([1; 16], first_place(now_ms, known));
            for _ in 0..3 {
                let place = positions.next().offset;
                assert!(last.is_none_or(|last| place > last), "at {now_ms}");
                last = Some(place);
            }
        }
    }
}
