//! Topics of other people's programs: read in a consumer group, and written as keyed lines, beside a log on the same brokers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{LogError, Offset, TopicPartition};

/// Name of the header of every line that [`ForeignWriter`] writes: whoever reads foreign topics knows by it what is his own.
pub const OWN_HEADER: &str = "emostream";

/// Value of [`OWN_HEADER`].
pub const OWN_HEADER_VALUE: &str = "1";

/// Where other people's topics are.
pub trait ForeignTopics: Send + Sync + 'static {
    /// Makes those topics that are missing. An answer for each, in their order; fails when no broker answers.
    fn make(&self, topics: &[ForeignTopic]) -> Result<Vec<FoundTopic>, LogError>;

    /// Joins a group that divides the partitions of topics among its members. A topic that does not exist is waited for.
    fn read(
        &self,
        group: &str,
        topics: &[String],
        begin: ForeignBegin,
    ) -> Result<Box<dyn ForeignReader>, LogError>;

    /// A writer of lines.
    fn write(&self, compression: Compression) -> Result<Box<dyn ForeignWriter>, LogError>;
}

/// How batches of lines are compressed. Not every reader knows each of them: Kafka's client for Node.js reads the first two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Small and slow.
    Gzip,
    /// Fast.
    Lz4,
    /// Smallest.
    Zstd,
}

impl Compression {
    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// A topic that somebody else may have made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignTopic {
    /// Its name at the brokers.
    pub name: String,
    /// Partitions that it is made with.
    pub partitions: u32,
}

/// What became of one topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundTopic {
    /// How many partitions it has, or why it is not there: one line that names what to do.
    pub partitions: Result<u32, String>,
    /// Whether it was made just now.
    pub made: bool,
}

/// Where reading begins in a partition that the group never read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForeignBegin {
    /// At the oldest record that is kept.
    Earliest,
    /// At what comes from now on. Of a topic that the group has read before, new partitions are read from their beginning.
    Latest,
}

/// A member of a group that reads foreign topics. All of it happens on the caller's thread, which calls
/// [`gather`](Self::gather) all the time: a member that is silent for a minute loses its partitions.
pub trait ForeignReader: Send {
    /// Waits up to `patience` for records, and then a little for more. Everything in [`Gathered`] holds for the whole
    /// batch: its records are of partitions that this member has taken and not lost, and of topics that nobody has deleted
    /// and made anew in between. [`LogError::Unavailable`] passes, and nothing is left out; after any other error the
    /// member is out of the group and must be made anew.
    fn gather(&mut self, patience: Duration) -> Result<Gathered, LogError>;

    /// Says that everything below `next` is dealt with for good. Committed within about half a second, and when the
    /// partition is lost or the reader closed: until then it may come again.
    fn done(&mut self, of: &TopicPartition, next: Offset);

    /// Commits, and gives all partitions back, so that others need not wait for a time-out.
    fn close(self: Box<Self>);
}

/// What a reader has met.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Partitions that this member no longer has: what is done in them is up to others. Comes before what is taken.
    pub lost: Vec<TopicPartition>,
    /// Partitions that this member has from now on.
    pub taken: Vec<TakenPartition>,
    /// Ends of all its partitions, asked for in this call and before its first record was polled; now and then.
    pub ends: Vec<(TopicPartition, Offset)>,
    /// Records, in order within each partition.
    pub records: Vec<ForeignRecord>,
}

/// A partition that a reader has taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenPartition {
    /// Which.
    pub partition: TopicPartition,
    /// What tells its topic from every other, also from one of the same name before or after it.
    pub identity: TopicIdentity,
    /// Offset of the first record that will come.
    pub next: Offset,
    /// The partition's end when it was taken.
    pub end: Offset,
}

/// What tells a topic from every other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct TopicIdentity {
    /// The cluster's id; empty where brokers do not say.
    pub cluster: Arc<str>,
    /// The topic's id, anew whenever it is made; zeros where brokers (before 2.8) have none.
    pub topic: [u8; 16],
}

/// A record of a foreign topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignRecord {
    /// Where it is.
    pub partition: TopicPartition,
    /// Its place there.
    pub offset: Offset,
    /// When it came about, milliseconds since the Unix epoch, by its producer's clock or by the broker's, as the topic is
    /// configured; `None` where it does not say.
    pub time_ms: Option<i64>,
    /// Whether `time_ms` is the broker's word: when the record was appended.
    pub is_append_time: bool,
    /// Key, if it has one.
    pub key: Option<Bytes>,
    /// Value, if it has one.
    pub value: Option<Bytes>,
    /// Whether it bears [`OWN_HEADER`].
    pub is_own: bool,
}

/// Writes lines to foreign topics.
pub trait ForeignWriter: Send {
    /// Writes lines and waits until brokers have all of them. Lines of one partition stay in order. After an error any of
    /// them may have been written, and writing all of them again is right: readers of foreign topics may meet a line twice.
    fn write(&mut self, lines: &[ForeignLine]) -> Result<(), LogError>;
}

/// One line for a foreign topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignLine {
    /// Topic's name at the brokers.
    pub topic: Arc<str>,
    /// Its partition; `None`: that of the key, as Kafka's own clients choose it.
    pub partition: Option<u32>,
    /// Key.
    pub key: Bytes,
    /// Value.
    pub value: Bytes,
}
