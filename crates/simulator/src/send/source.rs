//! Where connections get their taps: from the backlog of an open loop, or one after the other in a closed loop.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, DueTap};
use crate::audience::Tap;

/// The taps of a run.
pub(crate) enum Source {
    /// Open loop: taps come when they are due, whether or not the server keeps up.
    Open(Backlog),
    /// Closed loop: a connection takes the next ones when it has its answer, so that the server sets the pace.
    Closed(ClosedLoop),
}

/// A supply until its end, shared by all connections, or one for each.
pub(crate) struct ClosedLoop {
    lanes: Vec<Mutex<Lane>>,
    /// Average rest of a connection between its taps.
    pause: Duration,
    end: CancellationToken,
}

struct Lane {
    taps: Box<dyn Iterator<Item = Tap> + Send>,
    /// Chance of the rests.
    rng: Xoshiro256PlusPlus,
    begun: bool,
}

impl Source {
    pub(crate) fn open(capacity: usize) -> Self {
        Self::Open(Backlog::new(capacity))
    }

    pub(crate) fn closed(taps: impl Iterator<Item = Tap> + Send + 'static) -> Self {
        Self::closed_by_lane([taps], Duration::ZERO)
    }

    /// Each connection has taps of its own; connections beyond their number share them in turn.
    pub(crate) fn closed_by_lane<T: Iterator<Item = Tap> + Send + 'static>(
        taps: impl IntoIterator<Item = T>,
        pause: Duration,
    ) -> Self {
        let lane = |(number, taps): (u64, T)| {
            let rng = Xoshiro256PlusPlus::seed_from_u64(number);
            Mutex::new(Lane { taps: Box::new(taps), rng, begun: false })
        };
        let lanes = (0..).zip(taps).map(lane).collect();
        Self::Closed(ClosedLoop { lanes, pause, end: CancellationToken::new() })
    }

    /// The next taps for a connection, at most `max`; `None` when there are no more. Cancelling loses nothing.
    pub(crate) async fn take(&self, lane: u64, max: usize) -> Option<Vec<DueTap>> {
        match self {
            Self::Open(backlog) => backlog.take(max).await,
            Self::Closed(closed) => {
                closed.rest(lane).await;
                closed.take(lane, max)
            }
        }
    }

    /// Whether the server sets the pace.
    pub(crate) fn is_closed_loop(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// Adds a tap to an open loop, or says that there is no room.
    #[must_use]
    pub(crate) fn push(&self, tap: DueTap) -> bool {
        match self {
            Self::Open(backlog) => backlog.push(tap),
            Self::Closed(_) => false,
        }
    }

    /// No more taps come.
    pub(crate) fn close(&self) {
        match self {
            Self::Open(backlog) => backlog.close(),
            Self::Closed(closed) => closed.end.cancel(),
        }
    }

    /// Taps that are due and not taken.
    pub(crate) fn waiting(&self) -> usize {
        match self {
            Self::Open(backlog) => backlog.len(),
            Self::Closed(_) => 0,
        }
    }

    /// Throws away what nobody has taken, and says how many that were.
    pub(crate) fn abandon(&self) -> usize {
        match self {
            Self::Open(backlog) => backlog.abandon(),
            Self::Closed(_) => 0,
        }
    }
}

impl ClosedLoop {
    /// Waits for as long as a client waits before its next message, and less before its first, so that not all begin at
    /// the same instant.
    async fn rest(&self, number: u64) {
        if self.pause.is_zero() {
            return;
        }
        let rest = self.with_lane(number, |lane| {
            let rest = self.pause.mul_f64(lane.rng.random_range(0.5..=1.5));
            if lane.begun { rest } else { rest.mul_f64(lane.rng.random_range(0.0..=1.0)) }
        });
        tokio::select! {
            () = sleep(rest.unwrap_or_default()) => {}
            () = self.end.cancelled() => {}
        }
    }

    fn take(&self, number: u64, max: usize) -> Option<Vec<DueTap>> {
        if self.end.is_cancelled() {
            return None;
        }
        let due = Instant::now();
        let next = self.with_lane(number, |lane| {
            lane.begun = true;
            lane.taps.by_ref().take(max).map(|tap| DueTap::new(due, tap)).collect::<Vec<_>>()
        });
        next.filter(|next| !next.is_empty())
    }

    fn with_lane<R>(&self, number: u64, work: impl FnOnce(&mut Lane) -> R) -> Option<R> {
        let lane = self.lanes.get(number as usize % self.lanes.len().max(1))?;
        Some(work(&mut lane.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
