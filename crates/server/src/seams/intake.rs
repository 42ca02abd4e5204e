//! The seam through which connections hand reactions to ingest, without knowing how ingest works.

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use emostream_protocol::record::NewReaction;
use tokio::sync::oneshot;

use crate::channels::Channel;

/// Prefix of a guest's user id. Nobody else may be named so.
pub const GUEST_PREFIX: &str = "guest:";

/// Takes validated reactions.
pub trait Intake: Send + Sync + 'static {
    /// Queues reactions for the log, all or none. The receipt resolves when they are durable.
    fn submit(&self, channel: &Arc<Channel>, reactions: &[NewReaction<'_>]) -> Result<Receipt, Refusal>;

    /// Asks whether `reactions` more may come from an address now.
    fn admit(&self, address: IpAddr, reactions: u32) -> Result<(), Refusal>;

    /// The identity in a guest token, if it is one of ours.
    fn guest(&self, token: &str) -> Option<String>;

    /// Signs in a new guest: identity and token.
    fn new_guest(&self) -> (String, String);

    /// The clock by which reactions are received, ms since the Unix epoch.
    fn now_ms(&self) -> i64;
}

/// What became durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// Reactions that this node takes for new.
    pub accepted: u32,
    /// Reactions that this node knows to be repeats of durable ones.
    pub duplicates: u32,
}

/// Why reactions were not acknowledged. Refused before they were queued (full queue, rate, stop), none of them will be
/// counted. Refused because the log did not take them, some may be durable all the same: those of a request over several
/// partitions of which one failed. A retry with the same ids is right in either case; without ids it may count again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too many wait for the log already.
    #[error("too many reactions are waiting for the log")]
    Overloaded,
    /// The log has no room.
    #[error("the log has no room: {0}")]
    LogFull(String),
    /// What was acknowledged before waits too long for Kafka already.
    #[error("reactions have been waiting for Kafka for {} s: new ones are refused until it takes them", .0.as_secs())]
    SpoolBehind(Duration),
    /// The log failed or is closing.
    #[error("the log takes no reactions: {0}")]
    LogUnavailable(String),
    /// Counting remembers as many ids as it may.
    #[error("too many reaction ids are remembered; send without id or later")]
    TooManyIds,
    /// The address sends too much.
    #[error("too many reactions from this address or connection")]
    RateLimited(Duration),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

impl Refusal {
    /// The last part of the error's `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::LogFull(_) => "log-full",
            Self::SpoolBehind(_) => "spool-behind",
            Self::LogUnavailable(_) => "log-unavailable",
            Self::TooManyIds => "too-many-ids",
            Self::RateLimited(_) => "rate-limited",
            Self::Stopping => "stopping",
        }
    }

    /// When to try again.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::RateLimited(wait) => *wait,
            Self::LogFull(_) | Self::SpoolBehind(_) | Self::LogUnavailable(_) => Duration::from_secs(5),
            Self::Overloaded | Self::TooManyIds | Self::Stopping => Duration::from_secs(1),
        }
    }
}

/// Resolves when the reactions of a submission are durable.
#[derive(Debug)]
pub enum Receipt {
    /// Known to be durable already.
    Done(Accepted),
    /// Waiting for the log.
    Waiting(oneshot::Receiver<Result<(), Refusal>>, Accepted),
}

impl Future for Receipt {
    type Output = Result<Accepted, Refusal>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Done(accepted) => Poll::Ready(Ok(*accepted)),
            Self::Waiting(receiver, accepted) => {
                Pin::new(receiver).poll(context).map(|answer| match answer {
                    Ok(Ok(())) => Ok(*accepted),
                    Ok(Err(refusal)) => Err(refusal),
                    Err(_) => Err(Refusal::Stopping),
                })
            }
        }
    }
}
