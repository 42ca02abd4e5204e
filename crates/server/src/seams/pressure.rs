//! What ingest and counting tell each other: how much counting remembers, and whether the log refuses input.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// How long a node elsewhere counts as full after it has said so. It says so every second.
const FULL_ELSEWHERE_MS: i64 = 5_000;

/// Figures that counting publishes so that ingest can refuse early instead of counting having to forget, and one that
/// ingest publishes so that counting keeps the time of a full log moving.
#[derive(Debug, Default)]
pub struct Pressure {
    remembered_ids: AtomicU64,
    /// Until when another node's memory for ids counts as full, ms since the Unix epoch.
    full_elsewhere_until_ms: AtomicI64,
    log_full: AtomicBool,
    counting_behind: AtomicBool,
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

    /// Notes that a node elsewhere has said that it can remember no more ids; it says so again while it lasts.
    pub fn set_full_elsewhere(&self, now_ms: i64) {
        self.full_elsewhere_until_ms.fetch_max(now_ms + FULL_ELSEWHERE_MS, Ordering::Relaxed);
    }

    /// Whether a node elsewhere can remember no more ids.
    pub fn is_full_elsewhere(&self, now_ms: i64) -> bool {
        now_ms < self.full_elsewhere_until_ms.load(Ordering::Relaxed)
    }

    /// Whether counting, here or elsewhere, can remember no more ids.
    pub fn is_memory_full(&self, limit: u64, now_ms: i64) -> bool {
        self.remembered_ids() >= limit || self.is_full_elsewhere(now_ms)
    }

    /// Publishes whether counting has yet to reach what was in the log at its start.
    pub fn set_counting_behind(&self, behind: bool) {
        self.counting_behind.store(behind, Ordering::Release);
    }

    /// Whether counting has yet to reach what was in the log at its start; false where it does not run.
    pub fn is_counting_behind(&self) -> bool {
        self.counting_behind.load(Ordering::Acquire)
    }

    /// Publishes whether the log refused the newest reactions for being full.
    pub fn set_log_full(&self, full: bool) {
        self.log_full.store(full, Ordering::Relaxed);
    }

    /// Whether the log refused the newest reactions for being full.
    pub fn is_log_full(&self) -> bool {
        self.log_full.load(Ordering::Relaxed)
    }
}
