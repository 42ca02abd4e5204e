//! How full counting is, so that ingest can refuse early instead of counting having to forget.

use std::sync::atomic::{AtomicU64, Ordering};

/// Figures that counting publishes and ingest reads.
#[derive(Debug, Default)]
pub struct Pressure {
    remembered_ids: AtomicU64,
}

impl Pressure {
    /// Publishes how many ids are remembered.
    pub fn set_remembered_ids(&self, ids: u64) {
        self.remembered_ids.store(ids, Ordering::Relaxed);
    }

    /// How many ids are remembered.
    pub fn remembered_ids(&self) -> u64 {
        self.remembered_ids.load(Ordering::Relaxed)
    }
}
