//! The time by control's clock, as far as an edge knows it: tickets say in it when they were given out and until when they
//! hold.
//!
//! An answer of control says what time it was there, and came to be between the question and its arrival: what control's
//! clock is ahead by lies within half the round trip of the middle. What is taken for it moves only as far as it must to lie
//! there, so that clocks that agree are left alone, and a slow answer spoils nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use emostream_log::Clock;
use prometheus_client::metrics::gauge::Gauge;

/// A clock that is further off is not made up for: no ticket holds then. Time zones that were mixed up are within it.
const AHEAD_MAX_US: i64 = 24 * 3_600_000_000;

/// A clock is said to be off from here on …
const OFF_US: i64 = 2_000_000;

/// … and to be right again from here on, µs.
const RIGHT_US: i64 = 1_000_000;

/// The clock is read in whole milliseconds, here and there, µs.
const READING_US: i64 = 2_000;

/// Shared by all edges of a node.
pub(super) struct ControlTime {
    clock: Arc<dyn Clock>,
    /// What control's clock is ahead of this node's by.
    ahead_us: AtomicI64,
    is_off: AtomicBool,
    ahead_ms: Gauge,
}

impl ControlTime {
    /// Until control has answered, its clock is taken to agree. `ahead_ms`: where the difference is shown.
    pub(super) fn new(clock: Arc<dyn Clock>, ahead_ms: Gauge) -> Self {
        Self { clock, ahead_us: AtomicI64::new(0), is_off: AtomicBool::new(false), ahead_ms }
    }

    /// Now by control's clock, µs since the Unix epoch.
    pub(super) fn now_us(&self) -> i64 {
        (self.clock.now_ms() * 1_000).saturating_add(self.ahead_us.load(Ordering::Relaxed))
    }

    /// Takes note of an answer that has just come, so long after it was asked for, and says what time it was at control.
    pub(super) fn heard(&self, control_us: i64, round_trip: Duration) {
        let half_us = i64::try_from(round_trip.as_micros() / 2).unwrap_or(i64::MAX);
        let middle_us = (self.clock.now_ms() * 1_000).saturating_sub(half_us);
        let found_us = control_us.saturating_sub(middle_us);
        let error_us = half_us.saturating_add(READING_US);
        let known_us = self.ahead_us.load(Ordering::Relaxed);
        let (least_us, most_us) = (found_us.saturating_sub(error_us), found_us.saturating_add(error_us));
        let ahead_us = known_us.clamp(least_us, most_us);
        let used_us = ahead_us.clamp(-AHEAD_MAX_US, AHEAD_MAX_US);
        self.ahead_us.store(used_us, Ordering::Relaxed);
        self.ahead_ms.set(ahead_us / 1_000);
        self.tell(ahead_us, used_us);
    }

    /// Says once that the clock is off, and once that it is right again.
    fn tell(&self, ahead_us: i64, used_us: i64) {
        let off_us = ahead_us.saturating_abs();
        let ahead_ms = ahead_us / 1_000;
        if off_us >= OFF_US && !self.is_off.swap(true, Ordering::Relaxed) {
            if ahead_us == used_us {
                tracing::warn!(
                    ahead_ms,
                    "control's clock is ahead of this node's by so much (behind where negative): tickets are judged by \
                     control's; set the clocks by NTP"
                );
            } else {
                tracing::error!(
                    ahead_ms,
                    "control's clock is ahead of this node's by so much (behind where negative), more than a day: every ticket \
                     is refused until the clocks are set"
                );
            }
        } else if off_us < RIGHT_US && self.is_off.swap(false, Ordering::Relaxed) {
            tracing::info!(ahead_ms, "control's clock and this node's agree again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use emostream_log::ManualClock;
    use prometheus_client::metrics::gauge::Gauge;

    use super::{AHEAD_MAX_US, ControlTime};

    const NOW_MS: i64 = 1_750_000_000_000;

    /// What control's clock is taken to be ahead by, µs, after answers that were so many ms late in a round trip of as many,
    /// of a clock that is so many ms ahead.
    fn ahead_us(answers: &[(i64, u64, i64)]) -> i64 {
        let time = ControlTime::new(Arc::new(ManualClock::new(NOW_MS)), Gauge::default());
        for (late_ms, trip_ms, true_ms) in answers {
            time.heard((NOW_MS - late_ms + true_ms) * 1_000, Duration::from_millis(*trip_ms));
        }
        time.now_us() - NOW_MS * 1_000
    }

    #[test]
    fn clocks_that_agree_are_left_alone_however_slow_the_answer_is() {
        for late_ms in [0, 1, 700, 2_000, 5_000] {
            assert_eq!(ahead_us(&[(late_ms, 5_000, 0)]), 0, "{late_ms}");
        }
        assert_eq!(ahead_us(&[(0, 0, 2)]), 0, "as far apart as the clocks are read");
    }

    #[test]
    fn a_clock_that_is_off_is_known_within_half_a_round_trip_and_better_after_a_quick_one() {
        for true_ms in [600_000, -600_000, 30_000, -90_000_000 / 2] {
            for late_ms in [0, 100, 2_000] {
                let found_us = ahead_us(&[(late_ms, 2_000, true_ms)]);
                assert!((found_us - true_ms * 1_000).abs() <= 2_002_000, "{true_ms} {late_ms} {found_us}");
                let better_us = ahead_us(&[(late_ms, 2_000, true_ms), (3, 5, true_ms), (0, 5_000, true_ms)]);
                assert!((better_us - true_ms * 1_000).abs() <= 7_000, "{true_ms} {late_ms} {better_us}");
            }
        }
        // One that is set right is right again with the next answer.
        assert!(ahead_us(&[(1, 2, 600_000), (1, 2, 0)]).abs() <= 5_000);
    }

    #[test]
    fn nothing_that_control_says_goes_beyond_a_day() {
        for (late_ms, limit_us) in [(-90_000_000, AHEAD_MAX_US), (90_000_000, -AHEAD_MAX_US)] {
            assert_eq!(ahead_us(&[(late_ms, 10, 0)]), limit_us);
        }
        let time = ControlTime::new(Arc::new(ManualClock::new(NOW_MS)), Gauge::default());
        for control_us in [i64::MIN, i64::MAX] {
            time.heard(control_us, Duration::MAX);
            assert!((time.now_us() - NOW_MS * 1_000).abs() <= AHEAD_MAX_US);
        }
    }
}
