//! Where connections get their taps: from the backlog of an open loop, or one after the other in a closed loop.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
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

/// An endless supply until its end.
pub(crate) struct ClosedLoop {
    taps: Mutex<Box<dyn Iterator<Item = Tap> + Send>>,
    end: CancellationToken,
}

impl Source {
    pub(crate) fn open(capacity: usize) -> Self {
        Self::Open(Backlog::new(capacity))
    }

    pub(crate) fn closed(taps: impl Iterator<Item = Tap> + Send + 'static) -> Self {
        Self::Closed(ClosedLoop { taps: Mutex::new(Box::new(taps)), end: CancellationToken::new() })
    }

    /// The next taps, at most `max`; `None` when there are no more. Cancelling loses nothing.
    pub(crate) async fn take(&self, max: usize) -> Option<Vec<DueTap>> {
        match self {
            Self::Open(backlog) => backlog.take(max).await,
            Self::Closed(closed) => closed.take(max),
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
    fn take(&self, max: usize) -> Option<Vec<DueTap>> {
        if self.end.is_cancelled() {
            return None;
        }
        let due = Instant::now();
        let mut taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        let next = taps.by_ref().take(max).map(|tap| DueTap {
            due,
            user: tap.user,
            emote: tap.emote,
            media_time_ms: tap.media_time_ms,
        });
        let next: Vec<DueTap> = next.collect();
        (!next.is_empty()).then_some(next)
    }
}
