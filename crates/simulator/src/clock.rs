//! Wall time: the machine's clock, and the server's as far as its answers tell it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Where wall time comes from.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn unix_ms(&self) -> i64;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineClock;

impl Clock for MachineClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where this crate reads the machine's clock")]
    fn unix_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The server's time: ids of reactions are made in it, since the server refuses ids that are far from its own clock.
#[derive(Clone)]
pub(crate) struct ServerClock {
    machine: Arc<dyn Clock>,
    ahead_ms: Arc<AtomicI64>,
}

impl ServerClock {
    pub(crate) fn new(machine: Arc<dyn Clock>) -> Self {
        Self { machine, ahead_ms: Arc::default() }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.machine.unix_ms().saturating_add(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Learns from a time that the server has just said.
    pub(crate) fn learn(&self, server_ms: i64) {
        self.ahead_ms.store(server_ms.saturating_sub(self.machine.unix_ms()), Ordering::Relaxed);
    }
}
