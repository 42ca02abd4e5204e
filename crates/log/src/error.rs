//! The one error type at the log's border.

use std::{io, path::Path};

use crate::{Offset, TopicPartition};

/// Why the log did not do what was asked. Nothing that an append error covers was or will be acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// No room on the disk, or the size limit is reached and retention may not pass the restore point. Heals
    /// by itself when there is room again.
    #[error("log is full: {0}")]
    Full(String),
    /// Too many appends are waiting already; try again later.
    #[error("log append queue is full ({0} waiting)")]
    Overloaded(usize),
    /// The brokers do not answer, or refuse for now: nothing is lost or damaged, and trying again later may help.
    #[error("log is unavailable: {0}")]
    Unavailable(String),
    /// The disk failed in a way after which nothing can be promised; refuses until restarted.
    #[error("log has failed and takes no more records: {0}")]
    Failed(String),
    /// Bytes that were acknowledged once can no longer be read.
    #[error("log {partition} is damaged at offset {offset} (file {file}, byte {position}): {detail}")]
    Damaged {
        /// Where.
        partition: TopicPartition,
        /// First offset that cannot be read.
        offset: Offset,
        /// Segment file.
        file: String,
        /// Byte position in it.
        position: u64,
        /// What was found.
        detail: String,
    },
    /// The offset is below the partition's start or beyond its end.
    #[error("offset {offset} of {partition} is out of range: kept are {start}..{end}")]
    OutOfRange {
        /// Which partition.
        partition: TopicPartition,
        /// Offset asked for.
        offset: Offset,
        /// First offset kept.
        start: Offset,
        /// End offset.
        end: Offset,
    },
    /// There is no such topic or partition.
    #[error("unknown partition {0}")]
    UnknownPartition(TopicPartition),
    /// A value exceeds the limit.
    #[error("record of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// Size of the value.
        bytes: usize,
        /// Limit.
        limit: usize,
    },
    /// This log has nothing of the kind.
    #[error("this log has no {0}")]
    Unsupported(&'static str),
    /// Another writer has taken this writer's identity.
    #[error("writer {0} was fenced by a newer one")]
    Fenced(String),
    /// The group has rebalanced since the assignment.
    #[error("generation {given} of group {group} is stale, now {current}")]
    StaleGeneration {
        /// Group.
        group: String,
        /// Generation of the call.
        given: u64,
        /// The group's generation.
        current: u64,
    },
    /// Another process holds the log.
    #[error("log in {path} is in use by another process{holder}")]
    Locked {
        /// Directory.
        path: String,
        /// Process id of the holder where known, formatted as ` (pid 123)`.
        holder: String,
    },
    /// The log was created with other parameters.
    #[error("log was created with {name} = {stored}, configured is {configured}: {advice}")]
    Mismatch {
        /// Parameter.
        name: String,
        /// Value stored in the log.
        stored: String,
        /// Value configured now.
        configured: String,
        /// What to do about it.
        advice: String,
    },
    /// The format is of a newer version, or not ours.
    #[error("{0}")]
    Format(String),
    /// A file operation failed.
    #[error("{action}: {detail}")]
    Io {
        /// What was attempted, with the path.
        action: String,
        /// The system's words.
        detail: String,
    },
    /// Closed for a graceful stop.
    #[error("log is closed")]
    Closed,
}

impl LogError {
    /// Whether asking again later may succeed: after a full disk, a full queue, an operation that failed once, a broker that
    /// did not answer.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Overloaded(_) | Self::Io { .. } | Self::Unavailable(_))
    }

    /// Words for a failed file operation; a disk without room is [`LogError::Full`], so that it is known to heal.
    pub(crate) fn io(action: &str, path: &Path, error: &io::Error) -> Self {
        let action = format!("{action} {}", path.display());
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full(format!("{action}: {error}"))
            }
            _ => Self::Io { action, detail: error.to_string() },
        }
    }
}
