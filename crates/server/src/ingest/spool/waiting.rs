//! What waits in a spool on disk, for those who look at it from outside.

use std::path::Path;

use emostream_log::{LogError, embedded::Snapshot};

use super::{GROUP, dir};

/// What Kafka is not known to have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Records, each of one or many reactions. A node that runs may have forwarded the newest second's already.
    pub records: u64,
    /// When the oldest was taken, ms.
    pub oldest_ms: Option<i64>,
}

/// Looks into the spool of a data directory, also while a node runs on it.
pub fn waiting(data_dir: &Path) -> Result<Waiting, LogError> {
    let spool = Snapshot::open(dir(data_dir))?;
    let mut waiting = Waiting::default();
    for partition in spool.partitions() {
        let bounds = spool.bounds(partition)?;
        let forwarded = spool.committed(GROUP, partition)?.map_or(0, |committed| committed.offset);
        let from = forwarded.clamp(bounds.start, bounds.end);
        if from == bounds.end {
            continue;
        }
        waiting.records += bounds.end - from;
        let oldest = spool.read(partition, from, 1)?.records.first().map(|record| record.append_time_ms);
        waiting.oldest_ms = match (waiting.oldest_ms, oldest) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    Ok(waiting)
}
