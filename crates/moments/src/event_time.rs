//! Event time and watermark of one partition, from the only clock that counts: append time.

use crate::parameters::StreamParameters;

/// Append times are clamped to 0..=this (the year 287396): sequences have room for it and no sum overflows.
pub const APPEND_MS_MAX: i64 = 1 << 53;

/// The clock of one raw partition: its highest append time so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionClock {
    lateness_ms: i64,
    highest_ms: Option<i64>,
}

impl PartitionClock {
    /// A clock that has seen no record.
    pub fn new(parameters: StreamParameters) -> Self {
        Self { lateness_ms: parameters.lateness_ms(), highest_ms: None }
    }

    /// A clock whose highest append time is known.
    pub fn at(parameters: StreamParameters, highest_ms: Option<i64>) -> Self {
        Self { lateness_ms: parameters.lateness_ms(), highest_ms }
    }

    /// Takes the next record's append time and returns the one that counts: a step back counts as the highest.
    pub fn advance(&mut self, append_ms: i64) -> i64 {
        let append_ms = append_ms.clamp(0, APPEND_MS_MAX);
        let now_ms = self.highest_ms.map_or(append_ms, |highest| highest.max(append_ms));
        self.highest_ms = Some(now_ms);
        now_ms
    }

    /// Highest append time, `None` before the first record.
    pub fn highest_ms(&self) -> Option<i64> {
        self.highest_ms
    }

    /// No later record has an event time below this. `None` before the first record.
    pub fn watermark_ms(&self) -> Option<i64> {
        self.highest_ms.map(|highest| highest - self.lateness_ms)
    }
}

/// Event time: the tapped time, brought into [now − lateness, now], where `now_ms` came from
/// [`PartitionClock::advance`] for the same record. Hence never behind the watermark.
#[inline]
pub fn event_time_ms(tapped_ms: i64, now_ms: i64, lateness_ms: i64) -> i64 {
    tapped_ms.clamp(now_ms - lateness_ms, now_ms)
}

/// Whether a reaction is late: it was received more than the lateness before its append (it waited in a spool).
#[inline]
pub fn is_late(received_ms: i64, now_ms: i64, lateness_ms: i64) -> bool {
    received_ms < now_ms - lateness_ms
}

#[cfg(test)]
mod tests {
    use super::{PartitionClock, event_time_ms};
    use crate::parameters::StreamParameters;

    proptest::proptest! {
        #[test]
        fn nothing_is_behind_the_watermark(records: Vec<(i64, i64)>) {
            let mut clock = PartitionClock::new(StreamParameters::default());
            for (append, tapped) in records {
                let now = clock.advance(append);
                let event = event_time_ms(tapped, now, 500);
                proptest::prop_assert!(event >= clock.watermark_ms().unwrap() && event <= now);
            }
        }
    }
}
