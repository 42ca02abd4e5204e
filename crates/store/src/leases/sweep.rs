//! Drops what has been dead for long: leases of which nothing will be heard, and edges that are gone.

use super::LeaseTimes;
use crate::{
    Store, StoreError,
    database::Area,
    limits::{DROPPED_AFTER_TTLS, EDGE_FORGOTTEN_AFTER_US, SWEEP_ROWS_MAX},
    sql::{Statement, sql},
};

impl Store {
    /// Drops leases of earlier starts of their edges, those whose edges have been silent for long, and those that were
    /// never opened; forgets edges that have been silent for a day. Only keeps tables small: none of them counts. How many leases
    /// were dropped.
    pub async fn sweep_leases(&self, times: &LeaseTimes) -> Result<u64, StoreError> {
        let long_us = times.ttl_us.saturating_mul(DROPPED_AFTER_TTLS);
        let silent_us = silent_since(times, long_us);
        let mut dropped = 0;
        loop {
            let mut change = self.database.change(Area::Leases).await?;
            let statement = drop_leases(silent_us, times.now_us.saturating_sub(long_us + times.ticket_us));
            let some = change.execute(statement).await?;
            let forgotten_us = silent_since(times, EDGE_FORGOTTEN_AFTER_US);
            change.execute(sql("DELETE FROM edges WHERE heard_us < $1").bind(forgotten_us)).await?;
            change.commit().await?;
            dropped += some;
            if some < u64::from(SWEEP_ROWS_MAX) {
                return Ok(dropped);
            }
        }
    }
}

/// The time before which an edge was heard last that has been silent for so long, although it could have been heard.
fn silent_since(times: &LeaseTimes, long_us: i64) -> i64 {
    let before = times.now_us.saturating_sub(long_us);
    if times.grace_from_us < before { before } else { i64::MIN }
}

fn drop_leases(silent_us: i64, reserved_us: i64) -> Statement {
    sql("DELETE FROM leases WHERE id IN (
             SELECT l.id FROM leases l LEFT JOIN edges e ON e.name = l.edge
             WHERE (e.name IS NULL AND l.since_us < $2) OR e.generation <> l.generation OR e.heard_us < $1
                OR (l.is_open = 0 AND l.since_us < $2)
             LIMIT $3)")
    .bind(silent_us)
    .bind(reserved_us)
    .bind(i64::from(SWEEP_ROWS_MAX))
}
