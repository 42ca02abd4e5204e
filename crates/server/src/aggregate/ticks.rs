//! Ticks: records that carry nothing but their append time, written where a quiet partition must move on in time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use emostream_log::{Log, LogError, TopicPartition};
use emostream_protocol::record;

use crate::tasks::Tasks;

/// A partition is quiet after so long.
pub(super) const SILENCE_MS: i64 = 100;

/// How often a partition that holds something open is looked at when its time has come.
pub(super) const PACE_MS: i64 = 20;

/// While the log refuses reactions for being full, time moves on in steps of about a second: without records the
/// horizon would stand still, and with it the place below which retention may delete.
const FULL_SILENCE_MS: i64 = 900;

/// A full disk is not asked ten times a second.
const RETRY: Duration = Duration::from_secs(1);

/// How long a partition must have been silent to be sent a tick; `None` if it needs none.
pub(super) fn silence_ms(would_close_something: bool, log_full: bool) -> Option<i64> {
    match (would_close_something, log_full) {
        (true, _) => Some(SILENCE_MS),
        (false, true) => Some(FULL_SILENCE_MS),
        (false, false) => None,
    }
}

/// Writes ticks to one partition, one at a time.
#[derive(Debug, Default)]
pub(super) struct Ticker {
    under_way: Arc<AtomicBool>,
}

impl Ticker {
    /// Writes a tick unless one is on the way.
    pub(super) fn tick(&self, log: &dyn Log, to: &TopicPartition, tasks: &Tasks) {
        if self.under_way.swap(true, Ordering::AcqRel) {
            return;
        }
        let append = log.append_reserved(to, vec![record::encode_tick()]);
        let under_way = self.under_way.clone();
        let essential = tasks.clone();
        tasks.spawn(async move {
            match append.await {
                Ok(_) | Err(LogError::Closed) => {}
                // Windows would stay open for ever: the node ends.
                Err(error @ LogError::Failed(_)) => {
                    essential.spawn_essential("tick", async { Err(error.into()) });
                }
                Err(error) => {
                    tracing::debug!(%error, "tick not written");
                    tokio::time::sleep(RETRY).await;
                }
            }
            under_way.store(false, Ordering::Release);
        });
    }
}
