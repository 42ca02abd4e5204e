//! Requests that are carried out together: while one transaction is under way, the next ones gather (group commit).

use std::sync::Arc;

use emostream_store::StoreError;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::tasks::Tasks;

/// Requests that may wait for their turn.
const WAITING_MAX: usize = 10_000;

/// Carries out many requests at once, with an answer for each in their order, or one error for all.
pub(super) type Work<W, A> =
    Arc<dyn Fn(Vec<W>) -> BoxFuture<'static, Result<Vec<A>, StoreError>> + Send + Sync>;

/// Why a request was not carried out, or is not known to be.
#[derive(Debug, Clone)]
pub(super) enum NotDone {
    /// Too many wait.
    Busy,
    /// The node is stopping.
    Stopping,
    /// The store did not do it.
    Store(StoreError),
}

/// Where requests of one kind gather.
pub(super) struct Group<W, A> {
    queue: mpsc::Sender<Job<W, A>>,
}

struct Job<W, A> {
    wanted: W,
    answer: oneshot::Sender<Result<A, StoreError>>,
}

impl<W: Send + 'static, A: Send + 'static> Group<W, A> {
    /// Starts a task that carries out at most `at_once_max` requests at a time.
    pub(super) fn start(name: &'static str, at_once_max: usize, tasks: &Tasks, work: Work<W, A>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let stop = tasks.stop.clone();
        tasks.spawn_essential(name, async move {
            stop.run_until_cancelled(run(waiting, at_once_max, work)).await;
            Ok(())
        });
        Self { queue }
    }

    /// Has a request carried out. It may be although the caller does not wait for it.
    pub(super) async fn ask(&self, wanted: W) -> Result<A, NotDone> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Job { wanted, answer }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => NotDone::Busy,
            mpsc::error::TrySendError::Closed(_) => NotDone::Stopping,
        })?;
        answered.await.map_err(|_| NotDone::Stopping)?.map_err(NotDone::Store)
    }
}

async fn run<W, A>(mut waiting: mpsc::Receiver<Job<W, A>>, at_once_max: usize, work: Work<W, A>) {
    let mut jobs = Vec::new();
    while waiting.recv_many(&mut jobs, at_once_max).await > 0 {
        let (wanted, answers): (Vec<_>, Vec<_>) = jobs.drain(..).map(|job| (job.wanted, job.answer)).unzip();
        // Whoever asked may have gone away: the answer is then nobody's.
        match work(wanted).await {
            Ok(done) => answers.into_iter().zip(done).for_each(|(answer, done)| drop(answer.send(Ok(done)))),
            Err(error) => answers.into_iter().for_each(|answer| drop(answer.send(Err(error.clone())))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use emostream_store::StoreError;
    use futures_util::{FutureExt as _, future::join_all};

    use super::{Group, NotDone};
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn requests_gather_while_others_are_carried_out_and_each_gets_its_own_answer() {
        let tasks = Tasks::new(tokio::runtime::Handle::current());
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let seen = sizes.clone();
        let group = Group::start(
            "doubling",
            40,
            &tasks,
            Arc::new(move |wanted: Vec<u32>| {
                seen.lock().unwrap().push(wanted.len());
                async move {
                    tokio::task::yield_now().await;
                    if wanted.contains(&1_000) {
                        return Err(StoreError::Unavailable("full".into()));
                    }
                    Ok(wanted.into_iter().map(|n| 2 * n).collect())
                }
                .boxed()
            }),
        );
        let answers = join_all((0..100).map(|n| group.ask(n))).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, (0..100).map(|n| 2 * n).collect::<Vec<_>>());
        let sizes = sizes.lock().unwrap().clone();
        assert!(sizes.len() <= 5 && sizes.iter().all(|size| *size <= 40), "{sizes:?}");
        assert!(matches!(group.ask(1_000).await, Err(NotDone::Store(StoreError::Unavailable(_)))));
        tasks.stop.cancel();
        tasks.ended().await;
        assert!(matches!(group.ask(1).await, Err(NotDone::Stopping)));
    }
}
