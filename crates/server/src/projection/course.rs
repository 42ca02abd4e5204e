//! The course of a thread that deals with other people's topics: it prepares, works until it is asked to stop, and ends.

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::tasks::Tasks;

/// How far a thread is, for those who wait for it.
#[derive(Debug, Clone)]
pub struct Course {
    /// Asked for, or the whole node ends.
    stop: CancellationToken,
    prepared: CancellationToken,
    ended: CancellationToken,
}

impl Course {
    /// The course of a thread among these tasks.
    pub fn new(tasks: &Tasks) -> Self {
        let [prepared, ended] = [CancellationToken::new(), CancellationToken::new()];
        Self { stop: tasks.stop.child_token(), prepared, ended }
    }

    /// What the thread looks at, to know when it is to stop.
    pub fn to_stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Says that topics are there, or that it is known that they cannot be.
    pub fn is_prepared(&self) {
        self.prepared.cancel();
    }

    /// What the thread holds for as long as it runs, however it ends.
    pub fn running(&self) -> impl Send + use<> {
        let guards: [DropGuard; 2] = [self.prepared.clone().drop_guard(), self.ended.clone().drop_guard()];
        guards
    }

    /// Waits until the thread is prepared.
    pub async fn prepared(&self) {
        self.prepared.cancelled().await;
    }

    /// Asks the thread to stop, and waits until it has.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.ended.cancelled().await;
    }
}
