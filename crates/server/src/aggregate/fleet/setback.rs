//! What becomes of something that the log did not do.

use emostream_log::{LogError, TopicPartition};

/// After a failure the log is asked again so often.
pub(super) const RETRY_MS: i64 = 500;

/// Why a partition cannot go on.
#[derive(Debug)]
pub(super) enum Setback {
    /// It can later.
    Later(LogError),
    /// Records that it needs are no longer there: a newer snapshot stands for them.
    Restart(LogError),
    /// Its writer is of no use any more, mostly because another node has taken the partition over.
    Lost(LogError),
    /// It never will, and nobody may take its silence for nothing to do: the node ends.
    Fatal(anyhow::Error),
}

impl From<LogError> for Setback {
    fn from(error: LogError) -> Self {
        match error {
            LogError::OutOfRange { .. } => Self::Restart(error),
            LogError::Fenced(_) => Self::Lost(error),
            error if error.is_transient() => Self::Later(error),
            error => Self::Fatal(error.into()),
        }
    }
}

impl From<anyhow::Error> for Setback {
    fn from(error: anyhow::Error) -> Self {
        error.downcast::<LogError>().map_or_else(Self::Fatal, Self::from)
    }
}

/// What a thread does with a partition that cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Keeps its state and tries again after [`RETRY_MS`].
    Pause,
    /// Drops its state and begins again.
    Restart,
    /// Leaves it to whoever took it.
    GiveUp,
}

impl Setback {
    /// Reports the setback of a partition, and says what to do; fatal ones are passed on.
    pub(super) fn remedy(self, of: &TopicPartition) -> anyhow::Result<Remedy> {
        match self {
            Self::Later(error) => {
                tracing::warn!(%of, %error, "the log does not answer; trying again");
                Ok(Remedy::Pause)
            }
            Self::Restart(error) => {
                tracing::warn!(%of, %error, "going on from a newer snapshot");
                Ok(Remedy::Restart)
            }
            Self::Lost(error) => {
                tracing::warn!(%of, %error, "given up: another node writes it, or none can");
                Ok(Remedy::GiveUp)
            }
            Self::Fatal(error) => Err(error.context(format!("{of}"))),
        }
    }
}
