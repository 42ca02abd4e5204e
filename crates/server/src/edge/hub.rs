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
    /// Partitions of the output whose recent rows are not loaded yet.
    loading: watch::Sender<usize>,
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
    /// Empty views, to be filled from so many partitions.
    pub fn new(moments_history: usize, partitions: usize) -> Self {
        Self {
            views: PerChannel::default(),
            moments_history,
            viewers: AtomicUsize::new(0),
            loading: watch::Sender::new(partitions),
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
        *self.loading.borrow() == 0
    }

    /// Returns once they are.
    pub async fn caught_up(&self) {
        // The sender is in `self`: it cannot be gone.
        let mut loading = self.loading.subscribe();
        drop(loading.wait_for(|loading| *loading == 0).await);
    }

    /// To be called once for each partition.
    pub(super) fn partition_is_loaded(&self) {
        self.loading.send_modify(|loading| *loading = loading.saturating_sub(1));
    }
}
