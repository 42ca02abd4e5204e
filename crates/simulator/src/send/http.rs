//! Sends reactions in HTTP requests: one connection, one request at a time, retried with the same ids.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use hdrhistogram::Histogram;
use hyper::Method;
use tokio::time::{Instant, sleep};

use super::{
    Shared,
    answer::{Answer, Rejected, date_ms, is_wrong_time},
    connection::HttpConnection,
    reaction::{IdMaker, Reaction},
    record,
    retry::{Backoff, may_retry},
};

/// One connection's worth of sending.
pub(super) struct HttpLane {
    shared: Arc<Shared>,
    number: u64,
    path: Arc<str>,
    connection: Option<HttpConnection>,
    ids: IdMaker,
    backoff: Backoff,
    /// The reactions of the request under way.
    waiting: Vec<Reaction>,
    latency: Histogram<u64>,
}

impl HttpLane {
    pub(super) fn new(shared: Arc<Shared>, number: u64, latency: Histogram<u64>) -> Self {
        let (path, ids) = (shared.shape.path(), IdMaker::new(shared.clock.clone()));
        let (waiting, backoff) = (Vec::new(), Backoff::new(number));
        Self { shared, number, path, connection: None, ids, backoff, waiting, latency }
    }

    /// Sends until there is nothing more to send, or until told to stop at once.
    pub(super) async fn run(mut self) -> Histogram<u64> {
        let shared = self.shared.clone();
        tokio::select! {
            () = self.send_all() => {}
            () = shared.stop_now.cancelled() => {}
        }
        shared.counters.unanswered.add(self.waiting.len() as u64);
        self.latency
    }

    async fn send_all(&mut self) {
        while let Some(taps) = self.shared.source.take(self.number, self.shared.batch).await {
            self.shared.counters.sent.add(taps.len() as u64);
            self.waiting = taps.into_iter().map(|tap| self.ids.reaction(tap)).collect();
            self.deliver().await;
        }
    }

    /// Tries until each reaction has its answer or is given up.
    async fn deliver(&mut self) {
        let mut first = true;
        while !self.waiting.is_empty() {
            if !first {
                self.shared.counters.retried.add(self.waiting.len() as u64);
            }
            first = false;
            let pause = match self.attempt().await {
                Ok((answer, date_ms)) => self.settle(answer, date_ms),
                Err(_) => {
                    // Where the connection could be made, the request may have arrived.
                    if self.connection.take().is_some() && !self.shared.shape.has_ids() {
                        self.shared.counters.uncertain.add(self.waiting.len() as u64);
                    }
                    self.shared.counters.connections_lost.add(1);
                    Some(self.backoff.pause())
                }
            };
            if let Some(pause) = pause {
                self.give_up_before(Instant::now() + pause);
                sleep(pause).await;
            }
        }
    }

    async fn attempt(&mut self) -> Result<(Answer, Option<i64>)> {
        let connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => self.connection.insert(connection),
            None => self.connection.insert(HttpConnection::open(&self.shared.target).await?),
        };
        let (kind, body) = self.shared.shape.encode(&self.waiting);
        let (status, headers, body) = connection.request(Method::POST, &self.path, kind, body).await?;
        Ok((self.shared.shape.read(status, &headers, &body), date_ms(&headers)))
    }

    /// Counts what is answered, keeps in `waiting` what must be sent again, and says when.
    fn settle(&mut self, answer: Answer, date_ms: Option<i64>) -> Option<Duration> {
        match answer {
            Answer::Taken { accepted, duplicates, rejected, server_time_ms } => {
                self.backoff.reset();
                self.settle_taken(accepted, duplicates, &rejected, server_time_ms.or(date_ms));
                None
            }
            Answer::Later(asked) => {
                self.shared.counters.refusals.add(1);
                Some(self.backoff.asked_for(asked))
            }
            Answer::Refused { class, detail, server_time_ms } => {
                let all = (0..self.waiting.len()).map(|index| Rejected {
                    index,
                    class: class.clone(),
                    detail: detail.clone(),
                });
                let all: Vec<Rejected> = all.collect();
                self.settle_taken(0, 0, &all, server_time_ms.or(date_ms));
                None
            }
        }
    }

    fn settle_taken(
        &mut self,
        accepted: u64,
        duplicates: u64,
        rejected: &[Rejected],
        server_ms: Option<i64>,
    ) {
        let now = Instant::now();
        let mut waiting: Vec<Option<Reaction>> =
            std::mem::take(&mut self.waiting).into_iter().map(Some).collect();
        for one in rejected {
            let Some(mut reaction) = waiting.get_mut(one.index).and_then(Option::take) else { continue };
            match server_ms.filter(|_| is_wrong_time(&one.class) && !reaction.renewed) {
                Some(server_ms) => {
                    self.ids.clock().learn(server_ms);
                    self.ids.renew(&mut reaction);
                    self.waiting.push(reaction);
                }
                None => self.shared.counters.reject(&one.class, &one.detail, 1),
            }
        }
        let mut answered = 0;
        for reaction in waiting.into_iter().flatten() {
            record(&mut self.latency, now.saturating_duration_since(reaction.due));
            answered += 1;
        }
        // What the server counted neither as accepted nor as duplicate nor as rejected has no answer.
        let accepted = accepted.min(answered);
        let duplicates = duplicates.min(answered - accepted);
        self.shared.counters.accepted.add(accepted);
        self.shared.counters.duplicates.add(duplicates);
        self.shared.counters.unanswered.add(answered - accepted - duplicates);
    }

    fn give_up_before(&mut self, next_attempt: Instant) {
        let before = self.waiting.len();
        self.waiting.retain(|reaction| may_retry(reaction, next_attempt));
        self.shared.counters.unanswered.add((before - self.waiting.len()) as u64);
    }
}
