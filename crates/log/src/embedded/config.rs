//! What an embedded log is opened with.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    path::PathBuf,
    sync::Arc,
};

use super::disk::{Disk, OsDisk};
use crate::{Clock, LogError, SystemClock, fencing::check_name};

/// When an append counts as durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// Once `fdatasync` has returned: survives power loss.
    #[default]
    Fsync,
    /// Once the operating system has the bytes: survives the end of the process, and power loss up to the last
    /// second or so.
    Os,
}

/// How long records are kept below the restore point. `None` means without limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retention {
    /// Segments whose newest record is older are deleted.
    pub age_ms: Option<i64>,
    /// Bytes of the whole topic. Oldest segments are deleted beyond it; while the restore point forbids that,
    /// appends to the topic are refused with [`LogError::Full`]. The last part of it (a sixteenth, at least 64 KiB,
    /// at most a quarter) is a reserve for [`crate::Log::append_reserved`]: other appends find the topic full before.
    pub bytes: Option<u64>,
}

/// Least reserve. A record without content takes about 40 bytes, so that this takes one a second for half an hour.
const RESERVE_BYTES_MIN: u64 = 64 * 1024;

impl Retention {
    /// Bytes of the topic up to which all appends are taken.
    pub(crate) fn common_bytes(&self) -> Option<u64> {
        let reserve = |bytes: u64| (bytes / 16).max(RESERVE_BYTES_MIN).min(bytes / 4);
        self.bytes.map(|bytes| bytes - reserve(bytes))
    }
}

/// A topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicConfig {
    /// Name: ASCII letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Number of partitions, fixed once the log exists.
    pub partitions: u32,
    /// What may be deleted when.
    pub retention: Retention,
}

/// Everything that an embedded log depends on. Start from [`EmbeddedConfig::new`].
#[derive(Clone)]
pub struct EmbeddedConfig {
    /// Directory, created when missing.
    pub dir: PathBuf,
    /// Topics. New ones may be added to an existing log; none may be left out or change its partition count.
    pub topics: Vec<TopicConfig>,
    /// Parameters of the stream, compared verbatim with those the log was created with.
    pub parameters: BTreeMap<String, String>,
    /// When an append is answered.
    pub durability: Durability,
    /// A segment is sealed rather than grow beyond this.
    pub segment_bytes: u64,
    /// Appends that may wait; more are refused with [`LogError::Overloaded`].
    pub queue_appends_max: usize,
    /// Bytes of values that may wait, also the largest append.
    pub queue_bytes_max: usize,
    /// Largest value.
    pub record_bytes_max: usize,
    /// Randomness: the identity of a new log and the salts of its segments come from it.
    pub seed: u64,
    /// Where append times come from.
    pub clock: Arc<dyn Clock>,
    /// Where the files are.
    pub disk: Arc<dyn Disk>,
}

impl EmbeddedConfig {
    /// Defaults: synced appends, 64 MiB segments, 1 MiB records, a queue of 65,536 appends and 64 MiB; the
    /// machine's disk, clock and randomness.
    pub fn new(dir: impl Into<PathBuf>, topics: Vec<TopicConfig>) -> Self {
        Self {
            dir: dir.into(),
            topics,
            parameters: BTreeMap::new(),
            durability: Durability::Fsync,
            segment_bytes: 64 << 20,
            queue_appends_max: 65_536,
            queue_bytes_max: 64 << 20,
            record_bytes_max: 1 << 20,
            seed: RandomState::new().build_hasher().finish(),
            clock: Arc::new(SystemClock),
            disk: Arc::new(OsDisk),
        }
    }

    /// Refuses names and limits that make no sense.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        let mut names = std::collections::BTreeSet::new();
        for topic in &self.topics {
            check_name("topic", &topic.name)?;
            if topic.partitions == 0 || !names.insert(&topic.name) {
                let name = &topic.name;
                return Err(LogError::Format(format!("topic {name} is there twice or has no partitions")));
            }
        }
        if self.record_bytes_max > self.queue_bytes_max || self.record_bytes_max > u32::MAX as usize {
            return Err(LogError::Format(format!(
                "record limit of {} bytes exceeds the queue's {} bytes or 4 GiB",
                self.record_bytes_max, self.queue_bytes_max
            )));
        }
        Ok(())
    }

    /// Where a topic has a size limit, its partitions' newest segments, which cannot be deleted, are kept to a
    /// quarter of it.
    pub(crate) fn segment_bytes_of(&self, topic: &TopicConfig) -> u64 {
        let share = topic.retention.bytes.map_or(u64::MAX, |bytes| bytes / (4 * u64::from(topic.partitions)));
        self.segment_bytes.min(share)
    }
}

impl fmt::Debug for EmbeddedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedConfig")
            .field("dir", &self.dir)
            .field("topics", &self.topics)
            .field("parameters", &self.parameters)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

/// Spreads a seed into as many random numbers as are asked for (SplitMix64).
#[derive(Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn salt(&mut self) -> u32 {
        (self.draw() >> 32) as u32
    }
}
