//! The brokers' clock as seen from here: their append times are what processing goes by, whatever this machine's clock says.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{Clock, SystemClock, locks::lock};

/// How far two clocks may drift apart: 200 µs a second is more than quartz does.
const DRIFT_US_PER_S: i64 = 200;

/// Estimates the brokers' time: what an append was stamped with lay between its departure and its acknowledgement.
/// Goes on by this machine's steady clock, so steps of the wall clock do not reach it.
pub(super) struct BrokerClock {
    origin: Instant,
    estimate: Mutex<Estimate>,
}

/// Bounds of the difference between the brokers' time and the time since the origin, in microseconds.
#[derive(Clone, Copy)]
struct Estimate {
    low_us: i64,
    high_us: i64,
    /// When the bounds held, since the origin.
    at_us: i64,
    measured: bool,
}

impl Estimate {
    /// The same bounds later, when the clocks may have drifted.
    fn at(self, now_us: i64) -> Self {
        let drift_us = (now_us - self.at_us).max(0) / 1_000_000 * DRIFT_US_PER_S;
        Self { low_us: self.low_us - drift_us, high_us: self.high_us + drift_us, ..self }
    }

    fn middle_us(self) -> i64 {
        self.low_us + (self.high_us - self.low_us) / 2
    }
}

impl BrokerClock {
    /// A clock that shows this machine's time until the first append is acknowledged.
    pub(super) fn new() -> Self {
        let now_us = SystemClock.now_ms() * 1000;
        let estimate = Estimate { low_us: now_us, high_us: now_us, at_us: 0, measured: false };
        Self { origin: Instant::now(), estimate: Mutex::new(estimate) }
    }

    fn since_origin_us(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.origin).as_micros()).unwrap_or(i64::MAX)
    }

    /// Learns from an append that was sent and acknowledged at these times and bears this append time.
    pub(super) fn observe(&self, sent: Instant, acknowledged: Instant, append_time_ms: i64) {
        let (sent_us, acknowledged_us) = (self.since_origin_us(sent), self.since_origin_us(acknowledged));
        let stamped_us = append_time_ms.saturating_mul(1000);
        let seen = Estimate {
            low_us: stamped_us - acknowledged_us,
            // The stamp's millisecond may have been nearly over.
            high_us: stamped_us + 1000 - sent_us,
            at_us: acknowledged_us,
            measured: true,
        };
        let mut estimate = lock(&self.estimate);
        let known = estimate.at(acknowledged_us);
        let both = Estimate {
            low_us: known.low_us.max(seen.low_us),
            high_us: known.high_us.min(seen.high_us),
            ..seen
        };
        // Bounds that exclude each other: one of the clocks was set, or another broker leads. The newest counts.
        *estimate = if known.measured && both.low_us <= both.high_us { both } else { seen };
    }

    /// Half the distance between the bounds: how far off the estimate may be. `None` before the first measurement.
    pub(super) fn uncertainty(&self) -> Option<Duration> {
        let estimate = lock(&self.estimate).at(self.since_origin_us(Instant::now()));
        let us = u64::try_from((estimate.high_us - estimate.low_us) / 2).unwrap_or(0);
        estimate.measured.then(|| Duration::from_micros(us))
    }

    /// How long ago something was last learnt.
    pub(super) fn age(&self) -> Duration {
        let at_us = lock(&self.estimate).at_us;
        self.origin.elapsed().saturating_sub(Duration::from_micros(u64::try_from(at_us).unwrap_or(0)))
    }

    /// The brokers' time less this machine's, in milliseconds.
    pub(super) fn offset_ms(&self) -> i64 {
        // Between two looks at this machine's clock: of a few attempts the one that was interrupted the least.
        let attempt = || {
            let (before_ms, theirs_ms, after_ms) =
                (SystemClock.now_ms(), self.now_ms(), SystemClock.now_ms());
            (after_ms - before_ms, theirs_ms - before_ms)
        };
        let attempts = [attempt(), attempt(), attempt()];
        attempts
            .into_iter()
            .min_by_key(|(interrupted_ms, _)| interrupted_ms.abs())
            .map_or(0, |(_, offset_ms)| offset_ms)
    }
}

impl Clock for BrokerClock {
    fn now_ms(&self) -> i64 {
        let middle_us = lock(&self.estimate).middle_us();
        (self.since_origin_us(Instant::now()) + middle_us) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    /// What a clock shows that learnt from round trips `(sent, acknowledged, stamped)` in ms since its origin.
    fn learnt(trips: &[(u64, u64, i64)]) -> (Estimate, BrokerClock) {
        let clock = BrokerClock::new();
        for &(sent, acknowledged, stamped_ms) in trips {
            let at = |ms| clock.origin + Duration::from_millis(ms);
            clock.observe(at(sent), at(acknowledged), stamped_ms);
        }
        let estimate = *lock(&clock.estimate);
        (estimate, clock)
    }

    #[test]
    fn one_round_trip_bounds_the_difference() {
        let (estimate, _) = learnt(&[(100, 110, HOUR_MS + 104)]);
        assert_eq!((estimate.low_us, estimate.high_us), ((HOUR_MS - 6) * 1000, (HOUR_MS + 5) * 1000));
    }

    #[test]
    fn round_trips_narrow_each_other() {
        let (estimate, _) = learnt(&[(100, 110, HOUR_MS + 101), (200, 210, HOUR_MS + 209)]);
        assert_eq!((estimate.low_us, estimate.high_us), ((HOUR_MS - 1) * 1000, (HOUR_MS + 2) * 1000));
    }

    #[test]
    fn a_long_wait_teaches_little_and_harms_nothing() {
        let (estimate, _) = learnt(&[(100, 110, HOUR_MS + 105), (200, 20_200, HOUR_MS + 20_190)]);
        let drift_us = 20 * DRIFT_US_PER_S;
        assert_eq!(estimate.low_us, (HOUR_MS - 5) * 1000 - drift_us);
        assert_eq!(estimate.high_us, (HOUR_MS + 6) * 1000 + drift_us);
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        let (estimate, _) = learnt(&[(100, 110, HOUR_MS + 105), (200, 210, 205)]);
        assert_eq!((estimate.low_us, estimate.high_us), (-5000, 6000));
    }

    #[test]
    fn the_offset_is_against_this_machine() {
        let (_, clock) = learnt(&[]);
        assert_eq!(clock.uncertainty(), None);
        assert!(clock.offset_ms().abs() < 1000);
        let now = Instant::now();
        clock.observe(now, now, SystemClock.now_ms() - HOUR_MS);
        assert!((clock.offset_ms() + HOUR_MS).abs() < 1000, "an hour behind: {}", clock.offset_ms());
        assert_eq!(clock.uncertainty(), Some(Duration::from_micros(500)));
    }
}
