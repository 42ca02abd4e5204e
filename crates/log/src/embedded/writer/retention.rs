//! Deletes the oldest sealed segments of a topic once they are old or too many, never past a restore point.

use std::sync::{Arc, atomic::Ordering};

use super::{
    super::{config::Retention, files::segment::index_name, partition::Partition},
    queue::Room,
    tail::Tail,
};
use crate::{LogError, locks};

/// What may be deleted of one topic.
pub(crate) struct TopicRetention {
    pub(crate) name: String,
    pub(crate) retention: Retention,
    /// A deletion failed. Another one could then leave a gap after a crash, so there is none until a restart.
    stopped: bool,
}

impl TopicRetention {
    pub(crate) fn new(name: String, retention: Retention) -> Self {
        Self { name, retention, stopped: false }
    }

    /// Makes room for bytes more, or says that there is none.
    pub(crate) fn admit(
        &mut self,
        tails: &[Tail],
        topic: usize,
        bytes: u64,
        room: Room,
    ) -> Result<(), LogError> {
        let limit = match room {
            Room::Common => self.retention.common_bytes(),
            Room::Reserved => self.retention.bytes,
        };
        let Some(limit) = limit else { return Ok(()) };
        let total = || -> u64 {
            let own = tails.iter().filter(|tail| tail.topic == topic);
            own.map(|tail| tail.partition.bytes.load(Ordering::SeqCst)).sum()
        };
        while total() + bytes > limit {
            let oldest = tails.iter().filter(|tail| tail.topic == topic && deletable(&tail.partition));
            let oldest = oldest.min_by_key(|tail| oldest_time_ms(&tail.partition));
            let Some(oldest) = oldest.filter(|_| !self.stopped) else {
                return Err(LogError::Full(format!(
                    "topic {} has reached its limit of {limit} bytes and none below its restore points can go",
                    self.name
                )));
            };
            self.delete_oldest(&oldest.partition);
        }
        Ok(())
    }

    /// Deletes what is too old, and what the size limit no longer admits.
    pub(crate) fn apply(&mut self, tails: &[Tail], topic: usize, now_ms: i64) {
        if let Some(age_ms) = self.retention.age_ms {
            for tail in tails.iter().filter(|tail| tail.topic == topic) {
                let partition = &tail.partition;
                let expired = || oldest_time_ms(partition).is_some_and(|time| time < now_ms - age_ms);
                while !self.stopped && deletable(partition) && expired() {
                    self.delete_oldest(partition);
                }
            }
        }
        if let Err(full) = self.admit(tails, topic, 0, Room::Common) {
            tracing::debug!(%full, "retention");
        }
    }

    /// Oldest first and synced one by one: whatever a crash undoes, no gap appears between segments.
    fn delete_oldest(&mut self, partition: &Partition) {
        let segment = {
            let mut segments = locks::write(&partition.segments);
            if segments.is_empty() { return } else { segments.remove(0) }
        };
        partition.bytes.fetch_sub(segment.end_position(), Ordering::SeqCst);
        let disk = &*partition.disk;
        let removed = disk.remove(&segment.path).and_then(|()| disk.sync_dir(&partition.dir));
        if let Err(error) = removed {
            self.stopped = true;
            let file = segment.path.display();
            tracing::error!(%file, %error, "segment not deleted, retention rests until a restart");
        }
        // The index is of no use alone; what remains of it is removed at the next start.
        if let Err(error) = disk.remove(&partition.dir.join(index_name(segment.header.base))) {
            tracing::debug!(%error, "no index to delete");
        }
    }
}

/// Whether the oldest segment is sealed and below the restore point.
fn deletable(partition: &Partition) -> bool {
    let segments = locks::read(&partition.segments);
    let restore_point = partition.restore_point.load(Ordering::SeqCst);
    segments.len() > 1 && segments.first().is_some_and(|oldest| oldest.end_offset() <= restore_point)
}

fn oldest_time_ms(partition: &Arc<Partition>) -> Option<i64> {
    locks::read(&partition.segments).first().map(|oldest| oldest.last_time_ms())
}
