//! The newest view of every channel, and the count of viewers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::sync::watch;

use super::view::View;
use crate::channels::{Channel, Channels};

/// Views of all channels of a node.
#[derive(Debug)]
pub struct Hub {
    views: Vec<watch::Sender<Arc<View>>>,
    moments_history: usize,
    viewers: AtomicUsize,
    caught_up: AtomicBool,
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
    pub fn new(channels: &Channels, moments_history: usize) -> Self {
        Self {
            views: channels.iter().map(|_| watch::Sender::new(Arc::default())).collect(),
            moments_history,
            viewers: AtomicUsize::new(0),
            caught_up: AtomicBool::new(false),
        }
    }

    /// Follows a channel's view.
    pub fn follow(&self, channel: &Channel) -> watch::Receiver<Arc<View>> {
        self.views[channel.index as usize].subscribe()
    }

    /// Replaces a channel's view.
    pub fn update(&self, channel: &Channel, change: impl FnOnce(&View) -> View) {
        self.views[channel.index as usize].send_modify(|view| *view = Arc::new(change(view)));
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
        self.caught_up.load(Ordering::Acquire)
    }

    pub(super) fn set_caught_up(&self) {
        self.caught_up.store(true, Ordering::Release);
    }
}
