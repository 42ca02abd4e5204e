//! How long to wait before a failed append is tried again.

use std::time::Duration;

use super::SpoolLimits;

/// Waits that double, each somewhere in its upper half: forwarders that failed together do not come back together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Retry {
    pub(super) fn new(limits: &SpoolLimits) -> Self {
        Self { first: limits.retry_first, max: limits.retry_max, failures: 0 }
    }

    /// The wait after one more failure; `chance` is from 0 to 1.
    pub(super) fn after_failure(&mut self, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.max).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// Failures since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked; says after how many failures.
    pub(super) fn worked(&mut self) -> u32 {
        std::mem::take(&mut self.failures)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Retry;

    #[test]
    fn waits_double_up_to_a_limit_and_begin_anew_after_a_success() {
        let ms = Duration::from_millis;
        let mut retry = Retry { first: ms(50), max: ms(300), failures: 0 };
        let mut waits = |chance| (0..5).map(|_| retry.after_failure(chance)).collect::<Vec<_>>();
        assert_eq!(waits(1.0), [50, 100, 200, 300, 300].map(ms));
        assert_eq!(waits(0.0), [150; 5].map(ms));
        assert_eq!((retry.worked(), retry.worked()), (10, 0));
        assert_eq!(retry.after_failure(0.0), ms(25));
        retry.failures = u32::MAX;
        assert_eq!(retry.after_failure(1.0), ms(300));
    }
}
