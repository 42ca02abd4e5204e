//! When to try again, and when to give up.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
use tokio::time::Instant;

use super::reaction::Reaction;

/// The server finds repeats of ids for two minutes; a retry later than this might count twice or be refused.
const GIVE_UP_AFTER: Duration = Duration::from_secs(100);

/// First and longest pause between attempts.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The longest `Retry-After` that is obeyed: beyond it the run would be over.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Pauses that double and are drawn by chance, so that many clients do not come back at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
    rng: Xoshiro256PlusPlus,
}

impl Backoff {
    /// The pauses of one connection: each has a seed of its own.
    pub(crate) fn new(seed: u64) -> Self {
        Self { failures: 0, rng: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    /// The pause after another failure.
    pub(crate) fn pause(&mut self) -> Duration {
        let longest = PAUSE_MIN.saturating_mul(1 << self.failures.min(10)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        longest.mul_f64(self.rng.random_range(0.5..=1.0))
    }

    /// The pause that the server asked for, plus a little, so that not all come at the same instant.
    pub(crate) fn asked_for(&mut self, retry_after: Option<Duration>) -> Duration {
        match retry_after {
            Some(asked) => asked.min(RETRY_AFTER_MAX) + PAUSE_MIN.mul_f64(self.rng.random_range(0.0..=1.0)),
            None => self.pause(),
        }
    }

    /// After a success the next failure starts from the beginning.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Whether a reaction may be sent once more at `at`.
pub(crate) fn may_retry(reaction: &Reaction, at: Instant) -> bool {
    at.saturating_duration_since(reaction.made) < GIVE_UP_AFTER
}

/// Reads `Retry-After` in seconds; its form as a date is not used by the server.
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    let seconds: f64 = value.trim().parse().ok()?;
    (0.0..=86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, PAUSE_MAX, PAUSE_MIN, retry_after};

    #[test]
    fn pauses_grow_to_a_limit_and_are_never_short_of_what_was_asked() {
        let mut backoff = Backoff::new(1);
        let pauses: Vec<Duration> = (0..40).map(|_| backoff.pause()).collect();
        assert!(pauses[0] <= PAUSE_MIN && pauses[39] >= PAUSE_MAX / 2);
        assert!(pauses.iter().all(|pause| *pause <= PAUSE_MAX));
        assert!(backoff.asked_for(Some(Duration::from_secs(1))) >= Duration::from_secs(1));
        backoff.reset();
        assert!(backoff.pause() <= PAUSE_MIN);
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        assert_eq!(retry_after(" 2 "), Some(Duration::from_secs(2)));
        for bad in ["", "-1", "soon", "NaN", "1e99"] {
            assert_eq!(retry_after(bad), None, "{bad}");
        }
    }
}
