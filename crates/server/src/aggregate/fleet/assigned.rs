//! What a group gives this node: its partitions now, and the right to commit for them.

use std::{
    collections::BTreeSet,
    task::{Context, Poll},
};

use emostream_log::{Assignment, Committed, Log, LogError, Membership, TopicPartition};
use tokio::sync::watch;

/// A membership, with its assignment as it was last looked at.
pub(super) struct Assigned {
    membership: Box<dyn Membership>,
    assignments: watch::Receiver<Assignment>,
    generation: u64,
    partitions: BTreeSet<u32>,
}

/// How the assignment has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) gained: Vec<u32>,
    pub(super) lost: Vec<u32>,
}

impl Assigned {
    pub(super) fn join(log: &dyn Log, group: &str, topic: &str, member: &str) -> Result<Self, LogError> {
        let membership = log.join(group, topic, member)?;
        let assignments = membership.assignments();
        Ok(Self { membership, assignments, generation: 0, partitions: BTreeSet::new() })
    }

    /// Takes the newest assignment. `None` if it is the one that was looked at last.
    pub(super) fn look(&mut self) -> Option<Change> {
        let newest = self.assignments.borrow_and_update();
        let partitions: BTreeSet<u32> = newest.partitions.iter().map(|owned| owned.partition).collect();
        if newest.generation == self.generation && partitions == self.partitions {
            return None;
        }
        let change = Change {
            gained: partitions.difference(&self.partitions).copied().collect(),
            lost: self.partitions.difference(&partitions).copied().collect(),
        };
        self.generation = newest.generation;
        drop(newest);
        self.partitions = partitions;
        Some(change)
    }

    /// Whether the group has ever said who owns what.
    pub(super) fn is_known(&self) -> bool {
        self.generation > 0
    }

    /// How many partitions are this node's.
    pub(super) fn owned(&self) -> usize {
        self.partitions.len()
    }

    /// Commits under the assignment that was looked at last.
    pub(super) fn commit(&self, of: &TopicPartition, position: Committed) -> Result<(), LogError> {
        self.membership.commit(self.generation, of, position)
    }

    /// A way to wait for the next assignment.
    pub(super) fn follow(&self) -> watch::Receiver<Assignment> {
        self.assignments.clone()
    }
}

/// Waits for a change; one that can never come is waited for without end.
pub(super) async fn changed<T>(mut receiver: watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A context for a look in passing: whoever waits asks again with one that wakes it.
pub(super) fn in_passing() -> Context<'static> {
    Context::from_waker(std::task::Waker::noop())
}

/// Turns "something has happened" into the end of a wait.
pub(super) fn woken(progress: anyhow::Result<bool>) -> Poll<anyhow::Result<()>> {
    match progress {
        Ok(false) => Poll::Pending,
        Ok(true) => Poll::Ready(Ok(())),
        Err(error) => Poll::Ready(Err(error)),
    }
}
