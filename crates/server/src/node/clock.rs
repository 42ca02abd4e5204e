//! The node's clock: the machine's, but it never steps back.
//!
//! When the machine's clock is set back, or was ahead when the log's tail was written, this one goes on at nine tenths of
//! the true speed until the machine has caught up (a slew, as NTP does it). A clock that stood still instead would keep
//! every window open for as long as the step was.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use emostream_log::Clock;

/// Never steps back; follows the machine's clock forwards.
pub(super) struct SteadyClock {
    machine: Arc<dyn Clock>,
    last_ms: AtomicI64,
    slewing_from: Mutex<Option<(Instant, i64)>>,
    elapsed_ms: fn(Instant) -> i64,
}

impl SteadyClock {
    /// A clock over the machine's.
    pub(super) fn new(machine: Arc<dyn Clock>) -> Self {
        let elapsed_ms = |since: Instant| i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
        Self { machine, last_ms: AtomicI64::new(i64::MIN), slewing_from: Mutex::new(None), elapsed_ms }
    }

    /// Continues from a time that was given out before, such as the log's newest append time.
    pub(super) fn not_before(&self, ms: i64) {
        self.last_ms.fetch_max(ms, Ordering::Relaxed);
        let ahead_ms = ms - self.machine.now_ms();
        if ahead_ms > 1_000 {
            tracing::warn!(
                ahead_ms,
                "the machine's clock is behind the log; time goes on slower until it has caught up"
            );
        }
    }

    #[cold]
    fn slewed(&self, last_ms: i64) -> i64 {
        let mut slewing_from = self.slewing_from.lock().unwrap_or_else(|e| e.into_inner());
        let slewed =
            |(since, from_ms): (Instant, i64)| from_ms.saturating_add((self.elapsed_ms)(since) / 10 * 9);
        let from = match *slewing_from {
            Some(from) if slewed(from) >= last_ms => from,
            // A new step back: what was slewed before has been overtaken by the machine's clock since.
            _ => *slewing_from.insert((Instant::now(), last_ms)),
        };
        let now_ms = slewed(from).max(last_ms);
        self.last_ms.fetch_max(now_ms, Ordering::Relaxed).max(now_ms)
    }
}

impl Clock for SteadyClock {
    fn now_ms(&self) -> i64 {
        let machine_ms = self.machine.now_ms();
        let last_ms = self.last_ms.fetch_max(machine_ms, Ordering::Relaxed);
        if machine_ms >= last_ms { machine_ms } else { self.slewed(last_ms) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use emostream_log::{Clock, ManualClock};

    use super::SteadyClock;

    #[test]
    fn time_goes_on_after_a_step_back_and_is_the_machines_again_in_the_end() {
        let machine = Arc::new(ManualClock::new(1_000_000));
        let mut clock = SteadyClock::new(machine.clone());
        assert_eq!(clock.now_ms(), 1_000_000);
        machine.set(900_000);
        clock.elapsed_ms = |_| 0;
        assert_eq!(clock.now_ms(), 1_000_000);
        clock.elapsed_ms = |_| 50_000;
        assert_eq!(clock.now_ms(), 1_045_000);
        clock.elapsed_ms = |_| 60_000;
        assert_eq!(clock.now_ms(), 1_054_000);
        machine.set(2_000_000);
        assert_eq!(clock.now_ms(), 2_000_000);
        machine.set(1_999_000);
        clock.elapsed_ms = |_| 0;
        assert_eq!(clock.now_ms(), 2_000_000);
    }

    #[test]
    fn it_continues_from_the_logs_tail() {
        let machine = Arc::new(ManualClock::new(5_000));
        let clock = SteadyClock::new(machine.clone());
        clock.not_before(7_000);
        assert!(clock.now_ms() >= 7_000);
        machine.set(8_000);
        assert_eq!(clock.now_ms(), 8_000);
    }

    proptest::proptest! {
        #[test]
        fn it_never_steps_back(steps: Vec<i32>) {
            let machine = Arc::new(ManualClock::new(1_700_000_000_000));
            let clock = SteadyClock::new(machine.clone());
            let mut last = clock.now_ms();
            for step in steps {
                machine.advance(i64::from(step));
                let now = clock.now_ms();
                proptest::prop_assert!(now >= last);
                last = now;
            }
        }
    }
}
