//! The durable, ordered log of byte records that everything else is computed from.
//!
//! A topic has partitions, a partition is a sequence of records with ascending offsets. The [`Log`] trait is
//! shaped so that Apache Kafka fits behind it as well as the two implementations here: [`embedded`] (segment
//! files, group commit) and [`memory`] (for tests). The feature `kafka` adds the third.

use std::{collections::BTreeMap, fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use tokio::sync::watch;

pub mod embedded;
pub mod foreign;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;

mod clock;
mod error;
mod fencing;
mod groups;
mod locks;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::LogError;

/// Place of a record in its partition. Offsets ascend; they are dense only on the embedded log.
pub type Offset = u64;

/// One partition of one topic.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TopicPartition {
    /// Topic name: ASCII letters, digits, `.`, `_` and `-`.
    pub topic: Arc<str>,
    /// Partition number, from 0.
    pub partition: u32,
}

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: u32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// What an append was given by the log. The records are durable (as the log's durability setting says) when
/// this value exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Offset of the first record of the append.
    pub first_offset: Offset,
    /// The one append time of all its records, milliseconds since the Unix epoch; never less than that of any
    /// record before it in the partition.
    pub append_time_ms: i64,
}

/// A record as read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its place in the partition.
    pub offset: Offset,
    /// When the log took it, milliseconds since the Unix epoch; does not descend within a partition.
    pub append_time_ms: i64,
    /// What the record is about, in a compacted topic; see [`Log::append_keyed`].
    pub key: Option<Bytes>,
    /// The bytes appended.
    pub value: Bytes,
}

/// A record for a compacted topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyedValue {
    /// What it is about: of the records with one key the newest is kept, older ones may go.
    pub key: Bytes,
    /// What is said of it.
    pub value: Bytes,
}

/// What one read gave, and where to read on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadBatch {
    /// Records in order.
    pub records: Vec<Record>,
    /// Offset to read from next: beyond every record of the batch, and beyond the offset asked for unless that is the
    /// end. Not computed from the last record, because places may hold nothing for readers: on Apache Kafka a
    /// transaction's markers take offsets, so that even a read without records may go forward.
    pub next: Offset,
}

/// First offset still kept and one past the last durable record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Oldest offset that can be read; moves up as retention deletes.
    pub start: Offset,
    /// Offset that the next append will get, or a lower bound for it where offsets are not dense.
    pub end: Offset,
}

/// A consumer group's committed position in one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    /// The next offset to read.
    pub offset: Offset,
    /// Free bytes stored with the position, at most [`COMMIT_METADATA_BYTES_MAX`] (Kafka's default limit).
    pub metadata: Bytes,
}

/// Longest metadata stored with a committed position, in bytes.
pub const COMMIT_METADATA_BYTES_MAX: usize = 4096;

/// The partitions that a group member owns now. A commit names the assignment's generation and fails with
/// [`LogError::StaleGeneration`] once the group has moved on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Assignment {
    /// Ascends with every rebalance of the group.
    pub generation: u64,
    /// Partitions owned, sorted.
    pub partitions: Vec<TopicPartition>,
}

/// Membership in a consumer group; leaving happens on drop.
pub trait Membership: Send + Sync {
    /// The assignment now, and a way to wait for the next one.
    fn assignments(&self) -> watch::Receiver<Assignment>;
    /// Stores the position up to which this member has processed a partition. Durable when it returns.
    fn commit(&self, generation: u64, of: &TopicPartition, position: Committed) -> Result<(), LogError>;
}

/// A writer that owns an identity: taking the identity again elsewhere fences this one, and its appends then
/// fail with [`LogError::Fenced`]. An append by it is atomic.
pub trait FencedWriter: Send + Sync {
    /// As [`Log::append`], unless fenced.
    fn append(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture;
}

/// Resolves when the append is durable, or has failed and none of it will be acknowledged.
pub type AppendFuture = Pin<Box<dyn Future<Output = Result<Appended, LogError>> + Send>>;

/// What a log was created with and may not change while its records are kept: its partition counts and the
/// parameters of the stream that is computed from it (window length, lateness, …).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generation {
    /// Random identity of this log's records; viewers know it as the epoch.
    pub id: [u8; 16],
    /// Stream parameters by name, compared verbatim with the configuration at each start.
    pub parameters: BTreeMap<String, String>,
}

/// A durable, ordered log. All methods may be called from any thread. Methods that are not futures may block
/// on the disk or the network: call them from a thread that may wait.
pub trait Log: Send + Sync + 'static {
    /// The log's generation.
    fn generation(&self) -> &Generation;

    /// Number of partitions of a topic, `None` when the topic does not exist.
    fn partitions(&self, topic: &str) -> Option<u32>;

    /// Appends records to a partition in order. Appends to one partition take effect in the order of the calls. On
    /// Apache Kafka, when one fails, none that is called for after it takes effect either until the caller has seen the
    /// failure: has polled the future to its end, or dropped it. So a caller that has several under way and goes on at the
    /// first failed one leaves no gap. (On the embedded log a later one may find the room that an earlier one did not:
    /// wait for each there.) Refused at once when the queue is full ([`LogError::Overloaded`]) or a value is too large.
    ///
    /// On the embedded log the records of an append are contiguous and have one append time; on Apache Kafka they may
    /// be spread over several batches, and a failed append may have taken effect in part, from its first record on.
    fn append(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture;

    /// As [`Log::append`], to a compacted topic: of the records with one key the newest is kept, and a reader from
    /// any offset on meets, of each key, at least the newest. [`LogError::Unsupported`] on a log without such topics.
    fn append_keyed(&self, to: &TopicPartition, values: Vec<KeyedValue>) -> AppendFuture {
        drop((to, values));
        Box::pin(std::future::ready(Err(LogError::Unsupported("compacted topics"))))
    }

    /// Sends values that are worth something only now: best effort, neither durable nor waited for, dropped when too
    /// many wait. [`LogError::Unsupported`] on a log without topics of that kind.
    fn publish(&self, to: &TopicPartition, values: Vec<Bytes>) -> Result<(), LogError> {
        drop((to, values));
        Err(LogError::Unsupported("short-lived topics"))
    }

    /// As [`Log::append`], for the few small records that let a topic's time and with it its retention move on: they
    /// may also use the room that the log keeps back from other appends when the topic has reached its size limit.
    /// A log without size limits appends them as any others.
    fn append_reserved(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture {
        self.append(to, values)
    }

    /// Durable records from `offset` on, in order: at least one if there is one, then more while they fit into
    /// `bytes_max`. Whoever reads to the end goes on at [`ReadBatch::next`] until that has reached
    /// [`Bounds::end`]; a batch without records is not the end by itself. [`LogError::OutOfRange`] below the start.
    fn read(&self, from: &TopicPartition, offset: Offset, bytes_max: usize) -> Result<ReadBatch, LogError>;

    /// The partition's end, changing as records become durable: `changed().await` to follow.
    fn follow(&self, partition: &TopicPartition) -> Result<watch::Receiver<Offset>, LogError>;

    /// First and end offset.
    fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError>;

    /// The first offset whose append time is at or after the given time; the end if there is none.
    fn offset_at(&self, of: &TopicPartition, append_time_ms: i64) -> Result<Offset, LogError>;

    /// Takes over the identity `owner` for appends, fencing whoever held it.
    fn fenced_writer(&self, owner: &str) -> Result<Box<dyn FencedWriter>, LogError>;

    /// Joins a consumer group that divides the partitions of a topic among its members.
    fn join(&self, group: &str, topic: &str, member: &str) -> Result<Box<dyn Membership>, LogError>;

    /// A group's committed position, `None` before its first commit.
    fn committed(&self, group: &str, of: &TopicPartition) -> Result<Option<Committed>, LogError>;

    /// Promises that no replay will ever need records below `offset`: retention may delete them once they are
    /// also old or numerous enough. Without a call nothing is deleted.
    fn set_restore_point(&self, of: &TopicPartition, offset: Offset) -> Result<(), LogError>;

    /// Waits for what was queued to become durable, then refuses further appends. Idempotent.
    fn close(&self) -> Result<(), LogError>;
}
