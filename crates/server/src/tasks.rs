//! The node's tasks: each has a name, and a failure of one that must not fail stops the node.

use std::{future::Future, sync::Arc};

use tokio::{runtime::Handle, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Spawns named tasks and tells when one failed for good.
#[derive(Clone, Debug)]
pub struct Tasks {
    runtime: Handle,
    tracker: TaskTracker,
    failure: Arc<watch::Sender<Option<String>>>,
    /// Ends all tasks of this set.
    pub stop: CancellationToken,
}

impl Tasks {
    /// A set of tasks on a runtime; tasks may be spawned from any thread.
    pub fn new(runtime: Handle) -> Self {
        let failure = Arc::new(watch::Sender::new(None));
        Self { runtime, tracker: TaskTracker::new(), failure, stop: CancellationToken::new() }
    }

    /// Runs a task whose end concerns nobody else, such as a connection.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn_on(task, &self.runtime);
    }

    /// Runs a task without which the node cannot go on: an error, or a panic, fails the node.
    pub fn spawn_essential(
        &self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let failure = self.failure.clone();
        let inner = self.tracker.spawn_on(task, &self.runtime);
        let watched = async move {
            match inner.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => drop(failure.send_replace(Some(format!("{name}: {error:#}")))),
                Err(error) => drop(failure.send_replace(Some(format!("{name}: {error}")))),
            }
        };
        self.tracker.spawn_on(watched, &self.runtime);
    }

    /// Runs an operating-system thread without which the node cannot go on.
    pub fn spawn_essential_thread(
        &self,
        name: &'static str,
        body: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> std::io::Result<()> {
        let (done, ended) = tokio::sync::oneshot::channel();
        std::thread::Builder::new().name(name.into()).spawn(move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            let result = result.unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")));
            drop(done.send(result));
        })?;
        self.spawn_essential(name, async move { ended.await? });
        Ok(())
    }

    /// Waits until an essential task has failed; its name and error.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        loop {
            if let Some(failure) = failure.borrow_and_update().clone() {
                return failure;
            }
            if failure.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether an essential task has failed.
    pub fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// Waits until every task has ended; no new ones are expected.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
