//! The newest view of every channel, and the count of viewers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::watch;

use super::view::View;
use crate::channels::{Channel, PerChannel};

/// Views of all channels of a node.
#[derive(Debug)]
pub struct Hub {
    views: PerChannel<Newest>,
    moments_history: usize,
    viewers: AtomicUsize,
    caught_up: watch::Sender<bool>,
}

/// A channel's newest view, and those who wait for the next.
#[derive(Debug)]
struct Newest(watch::Sender<Arc<View>>);

impl Default for Newest {
    fn default() -> Self {
        Self(watch::Sender::new(Arc::default()))
    }
}

/// A viewer's place; freed on drop.
#[derive(Debug)]
pub struct Seat(Arc<Hub>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hub {
    /// Empty views.
    pub fn new(moments_history: usize) -> Self {
        Self {
            views: PerChannel::default(),
            moments_history,
            viewers: AtomicUsize::new(0),
            caught_up: watch::Sender::new(false),
        }
    }

    /// Follows a channel's view.
    pub fn follow(&self, channel: &Channel) -> watch::Receiver<Arc<View>> {
        self.views.of(channel).0.subscribe()
    }

    /// Replaces a channel's view.
    pub fn update(&self, channel: &Channel, change: impl FnOnce(&View) -> View) {
        self.views.of(channel).0.send_modify(|view| *view = Arc::new(change(view)));
    }

    /// Length of the history of moments.
    pub fn moments_history(&self) -> usize {
        self.moments_history
    }

    /// Takes a place for a viewer, if fewer than `max` are taken.
    pub fn seat(self: &Arc<Self>, max: usize) -> Option<Seat> {
        let taken =
            self.viewers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < max).then_some(n + 1));
        taken.is_ok().then(|| Seat(self.clone()))
    }

    /// Viewers connected.
    pub fn viewers(&self) -> usize {
        self.viewers.load(Ordering::Relaxed)
    }

    /// Whether the rows that were in the log at the start are loaded.
    pub fn is_caught_up(&self) -> bool {
        *self.caught_up.borrow()
    }

    /// Returns once they are.
    pub async fn caught_up(&self) {
        // The sender is in `self`: it cannot be gone.
        let mut caught_up = self.caught_up.subscribe();
        drop(caught_up.wait_for(|caught_up| *caught_up).await);
    }

    pub(super) fn set_caught_up(&self) {
        self.caught_up.send_if_modified(|caught_up| !std::mem::replace(caught_up, true));
    }
}
