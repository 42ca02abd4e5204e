//! Brings planned taps into real time: each is put into the backlog when it is due.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    audience::Tap,
    send::{DueTap, Shared},
};

/// How taps are laid into time.
pub(crate) struct Pace {
    /// The instant of the scenario's beginning.
    pub(crate) start: Instant,
    /// Seconds of the scenario in a second.
    pub(crate) speed: f64,
    /// Real time after which no tap is sent.
    pub(crate) duration: Option<Duration>,
    /// Ends the plan early.
    pub(crate) stop: CancellationToken,
}

/// What the status line reads.
#[derive(Debug, Default)]
pub(crate) struct Position {
    /// The phase being played.
    pub(crate) phase: AtomicUsize,
}

/// How long a stop may go unnoticed.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// Runs on a thread of its own: a thread sleeps to within 0.1 ms, a timer of the runtime only to the millisecond, and
/// that error would be part of every latency.
pub(crate) fn pace(taps: impl Iterator<Item = Tap>, pace: &Pace, shared: &Shared, position: &Position) {
    for tap in taps {
        let after = tap.due.div_f64(pace.speed);
        if pace.duration.is_some_and(|duration| after >= duration) {
            break;
        }
        let due = pace.start + after;
        if !sleep_until(due, &pace.stop) {
            return;
        }
        position.phase.store(tap.phase, Ordering::Relaxed);
        shared.counters.planned.add(1);
        if !shared.source.push(DueTap::new(due, tap)) {
            shared.counters.overflowed.add(1);
        }
    }
    // A quiet end belongs to the duration.
    if let Some(duration) = pace.duration {
        sleep_until(pace.start + duration, &pace.stop);
    }
}

/// Whether the time came before the stop.
fn sleep_until(due: Instant, stop: &CancellationToken) -> bool {
    loop {
        if stop.is_cancelled() {
            return false;
        }
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return true;
        }
        std::thread::sleep(wait.min(SLEEP_MAX));
    }
}
