//! Calls one client with each window that becomes final, until it deregisters or has failed too often.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::broadcast::error::RecvError,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Receiver, Subscribers, calls::Address, subscriber::Subscriber};
use crate::telemetry::Labelled;

/// After so long without a window, it is looked whether the client still listens: a silent event must not keep the places
/// of those who have gone.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// After a failure, the next attempt waits so long, then twice as long and so on.
const REST: Duration = Duration::from_millis(250);

/// A client that is called.
pub(super) struct Delivery {
    pub(super) subscribers: Arc<Subscribers>,
    pub(super) subscriber: Arc<Subscriber>,
    pub(super) client: String,
    /// Its registration.
    pub(super) number: u64,
    pub(super) end: CancellationToken,
    pub(super) to: Address,
}

impl Delivery {
    /// Calls until the end. A message is tried again until it is taken: while the client fails, newer ones take the place
    /// of the oldest that wait.
    pub(super) async fn run(self, mut windows: Receiver) {
        let stop = self.subscribers.tasks.stop.clone();
        let calling = self.call(&mut windows);
        let ended = stop.run_until_cancelled(self.end.run_until_cancelled(calling)).await.flatten();
        if ended.is_some() && self.subscriber.remove(&self.client, Some(self.number)) {
            tracing::info!(
                client = self.client,
                subscriber = self.subscriber.name(),
                "a client is not to be reached"
            );
            self.count("dropped", 1);
        }
    }

    /// Returns when the client has failed too often in a row.
    async fn call(&self, windows: &mut Receiver) {
        let mut failures = 0;
        loop {
            let mut sent = 0;
            let lines = match timeout(LOOK_EVERY, windows.recv()).await {
                Ok(Ok(lines)) => Some(lines),
                Ok(Err(RecvError::Lagged(missed))) => {
                    self.count("skipped", missed);
                    continue;
                }
                Ok(Err(RecvError::Closed)) => return std::future::pending().await,
                Err(_) => None,
            };
            loop {
                let before = sent;
                let calls = &self.subscribers.calls;
                let called = match &lines {
                    Some(lines) => calls.post(&self.to, &lines.emoji_type, &mut sent).await,
                    None => calls.reach(&self.to).await,
                };
                self.count("called", (sent - before) as u64);
                if sent > before {
                    failures = 0;
                }
                let Err(error) = called else {
                    failures = 0;
                    break;
                };
                failures += 1;
                self.count("failed", 1);
                tracing::debug!(
                    client = self.client,
                    error = format!("{error:#}"),
                    failures,
                    "a client did not take a call"
                );
                if failures >= self.subscribers.failures_max {
                    return;
                }
                sleep(REST * 2_u32.saturating_pow((failures - 1).min(6))).await;
            }
        }
    }

    fn count(&self, kind: &'static str, number: u64) {
        self.subscribers.metrics.notifications.get_or_create(&Labelled { kind }).inc_by(number);
    }
}
