//! Looking at a log without owning it: a read-only view for the command line, also while a server writes.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    disk::{Disk, OsDisk},
    identity::Identity,
    partition::Partition,
    recovery::{Access, open_partition},
    state::{FOLDER, StateFolder},
};
use crate::{Bounds, Committed, Generation, LogError, Offset, ReadBatch, TopicPartition};

/// The log as it was on disk when the snapshot was opened. Takes no lock and changes nothing. The last records
/// may be such that the writer has not yet acknowledged.
pub struct Snapshot {
    identity: Identity,
    partitions: BTreeMap<TopicPartition, Partition>,
    damage: Vec<LogError>,
    state: StateFolder,
}

impl Snapshot {
    /// Opens the log in a directory of the machine's disk.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, LogError> {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        Self::open_on(&disk, dir)
    }

    /// Opens the log in a directory of the given disk.
    pub fn open_on(disk: &Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Result<Self, LogError> {
        let dir = dir.into();
        let identity = Identity::load(&**disk, &dir)?
            .ok_or_else(|| LogError::Format(format!("there is no log in {}", dir.display())))?;
        let mut partitions = BTreeMap::new();
        let mut damage = Vec::new();
        for name in names(&identity) {
            let opened = open_partition(disk, &dir, &name, Access::LookOnly)?;
            damage.extend(opened.report.damage);
            partitions.insert(name, opened.partition);
        }
        let state = StateFolder { disk: Arc::clone(disk), dir: dir.join(FOLDER) };
        Ok(Self { identity, partitions, damage, state })
    }

    /// The log's generation.
    pub fn generation(&self) -> &Generation {
        &self.identity.generation
    }

    /// All partitions, sorted.
    pub fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.keys()
    }

    /// Damage that opening has found; `verify` looks everywhere.
    pub fn damage(&self) -> &[LogError] {
        &self.damage
    }

    /// First and end offset.
    pub fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        Ok(self.partition(of)?.bounds())
    }

    /// As [`crate::Log::read`].
    pub fn read(
        &self,
        from: &TopicPartition,
        offset: Offset,
        bytes_max: usize,
    ) -> Result<ReadBatch, LogError> {
        self.partition(from)?.read(offset, bytes_max)
    }

    /// As [`crate::Log::offset_at`].
    pub fn offset_at(&self, of: &TopicPartition, append_time_ms: i64) -> Result<Offset, LogError> {
        self.partition(of)?.offset_at(append_time_ms)
    }

    /// A group's committed position, `None` before its first commit.
    pub fn committed(&self, group: &str, of: &TopicPartition) -> Result<Option<Committed>, LogError> {
        Ok(self.state.look(group)?.and_then(|saved| saved.commits.get(of).cloned()))
    }

    fn partition(&self, name: &TopicPartition) -> Result<&Partition, LogError> {
        self.partitions.get(name).ok_or_else(|| LogError::UnknownPartition(name.clone()))
    }
}

/// Names of all partitions of a log.
pub(crate) fn names(identity: &Identity) -> impl Iterator<Item = TopicPartition> {
    identity.topics.iter().flat_map(|(topic, &partitions)| {
        let topic: Arc<str> = topic.as_str().into();
        (0..partitions).map(move |partition| TopicPartition::new(Arc::clone(&topic), partition))
    })
}
