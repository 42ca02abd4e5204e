//! Drops what has been dead for long: leases of which nothing will be heard, and edges that are gone.

use super::LeaseTimes;
use crate::{
    Store, StoreError,
    database::Area,
    limits::{DROPPED_AFTER_TTLS, EDGE_FORGOTTEN_AFTER_US, HEARD_WITHIN_TTLS, SWEEP_ROWS_MAX},
    sql::{Statement, sql},
};

impl Store {
    /// Drops leases of earlier starts of their edges, those that were never opened, and those whose edges have been silent for
    /// long; of these, what has ended stays for a day, so that an edge that comes back still learns of it. Forgets edges
    /// that have been silent for a day, save those that are being emptied: one that comes back stays empty. Only keeps tables small: nothing that is dropped counts. How many leases were.
    pub async fn sweep_leases(&self, times: &LeaseTimes) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let mut change = self.database.change(Area::Leases).await?;
            let some = change.execute(drop_leases(times)).await?;
            let forgotten_us = silent_since(times, EDGE_FORGOTTEN_AFTER_US);
            let forget = sql("DELETE FROM edges WHERE heard_us < $1 AND is_draining = 0");
            change.execute(forget.bind(forgotten_us)).await?;
            change.commit().await?;
            dropped += some;
            if some < u64::from(SWEEP_ROWS_MAX) {
                return Ok(dropped);
            }
        }
    }
}

/// The time before which an edge was heard last that has been silent for so long, and still was when it could be heard again.
/// Not for so long after that: control may start anew, or lose its store, more often.
fn silent_since(times: &LeaseTimes, long_us: i64) -> i64 {
    let before = times.now_us.saturating_sub(long_us);
    let fair_us = times.ttl_us.saturating_mul(HEARD_WITHIN_TTLS);
    if times.grace_from_us.saturating_add(fair_us) < times.now_us { before } else { i64::MIN }
}

fn drop_leases(times: &LeaseTimes) -> Statement {
    let long_us = times.ttl_us.saturating_mul(DROPPED_AFTER_TTLS);
    sql("DELETE FROM leases WHERE id IN (
             SELECT l.id FROM leases l LEFT JOIN edges e ON e.name = l.edge
             WHERE (e.generation <> l.generation AND (l.is_open = 1 OR l.since_us <= $5))
                OR (l.is_open = 0 AND l.since_us < e.heard_us - $1)
                OR COALESCE(e.heard_us, l.since_us) < CASE WHEN l.ended IS NULL THEN $2 ELSE $3 END
             LIMIT $4)")
    .bind(times.ticket_us.saturating_add(long_us))
    .bind(silent_since(times, long_us))
    .bind(silent_since(times, EDGE_FORGOTTEN_AFTER_US))
    .bind(i64::from(SWEEP_ROWS_MAX))
    .bind(times.now_us.saturating_sub(times.ticket_us).saturating_sub(times.ttl_us))
}
