//! The bounded queue between the plan of taps and the connections that send them.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{sync::Semaphore, time::Instant};

use crate::audience::Tap;

/// A tap whose time has come.
#[derive(Debug, Clone)]
pub(crate) struct DueTap {
    /// When it should have been sent: latency counts from here.
    pub(crate) due: Instant,
    pub(crate) user: u32,
    pub(crate) emote: Arc<str>,
    pub(crate) media_time_ms: Option<u64>,
    /// How far the phone's clock is ahead, where it is reported.
    pub(crate) skew_ms: Option<i64>,
}

impl DueTap {
    pub(crate) fn new(due: Instant, tap: Tap) -> Self {
        let Tap { user, emote, media_time_ms, skew_ms, .. } = tap;
        Self { due, user, emote, media_time_ms, skew_ms }
    }
}

/// Taps that are due and not yet taken by a connection. One planner puts in, many connections take out.
#[derive(Debug)]
pub(crate) struct Backlog {
    taps: Mutex<VecDeque<DueTap>>,
    /// One permit a tap.
    ready: Semaphore,
    capacity: usize,
    closed: AtomicBool,
}

impl Backlog {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.min(Semaphore::MAX_PERMITS);
        Self { taps: Mutex::default(), ready: Semaphore::new(0), capacity, closed: AtomicBool::new(false) }
    }

    /// Adds a tap, or says that there is no room.
    #[must_use]
    pub(crate) fn push(&self, tap: DueTap) -> bool {
        {
            let mut taps = self.lock();
            if taps.len() >= self.capacity {
                return false;
            }
            taps.push_back(tap);
        }
        self.ready.add_permits(1);
        true
    }

    /// Waits for a tap, and takes up to `max` that are there. `None` once closed and empty. Cancelling loses nothing.
    pub(crate) async fn take(&self, max: usize) -> Option<Vec<DueTap>> {
        if !self.closed.load(Ordering::Acquire)
            && let Ok(first) = self.ready.acquire().await
        {
            first.forget();
            let mut number = 1;
            while number < max {
                let Ok(more) = self.ready.try_acquire() else { break };
                more.forget();
                number += 1;
            }
            return Some(self.pop(number));
        }
        // A closed semaphore gives no permits: what is left is taken without.
        let rest = self.pop(max);
        (!rest.is_empty()).then_some(rest)
    }

    /// Lets the connections take what is left, and then end.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.ready.close();
    }

    /// Taps waiting.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Throws away what nobody has taken, and says how many that were.
    pub(crate) fn abandon(&self) -> usize {
        self.lock().drain(..).count()
    }

    fn pop(&self, number: usize) -> Vec<DueTap> {
        let mut taps = self.lock();
        let number = number.min(taps.len());
        taps.drain(..number).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<DueTap>> {
        self.taps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{Backlog, DueTap};

    fn tap(user: u32) -> DueTap {
        DueTap { due: Instant::now(), user, emote: "🔥".into(), media_time_ms: None, skew_ms: None }
    }

    #[tokio::test]
    async fn the_bound_refuses_and_closing_drains() {
        let backlog = Backlog::new(3);
        assert!((0..3).all(|user| backlog.push(tap(user))));
        assert!(!backlog.push(tap(3)), "a full backlog refuses");
        let first: Vec<u32> = backlog.take(2).await.unwrap().iter().map(|tap| tap.user).collect();
        assert_eq!((first, backlog.len()), (vec![0, 1], 1));
        backlog.close();
        assert_eq!(backlog.take(5).await.unwrap()[0].user, 2);
        assert!(backlog.take(5).await.is_none());
        assert_eq!(backlog.abandon(), 0);
    }
}
