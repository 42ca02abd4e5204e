//! Sending reactions over many connections: from the backlog of due taps to their answers.

mod answer;
mod backlog;
mod connection;
mod counters;
mod http;
mod reaction;
mod retry;
mod shape;
mod source;
mod websocket;

use std::{sync::Arc, time::Duration};

use hdrhistogram::Histogram;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

pub(crate) use answer::date_ms;
pub(crate) use backlog::DueTap;
pub(crate) use connection::{HttpConnection, open_stream};
pub(crate) use counters::Counters;
pub use counters::{Counts, Refused};
pub(crate) use shape::Shape;
pub(crate) use source::Source;

use crate::{args::Transport, clock::ServerClock, target::Target};

/// Taps that may be due and unsent at once; more overflow, and are counted.
pub(crate) const BACKLOG_MAX: usize = 65_536;

/// What all connections of a run share.
pub(crate) struct Shared {
    pub(crate) target: Target,
    pub(crate) shape: Shape,
    pub(crate) source: Source,
    pub(crate) counters: Counters,
    pub(crate) clock: ServerClock,
    /// Reactions in one request, or sent at once over a WebSocket.
    pub(crate) batch: usize,
    /// Ends every connection at once; what has no answer then is counted as unanswered.
    pub(crate) stop_now: CancellationToken,
}

/// The running connections.
pub(crate) struct Senders {
    shared: Arc<Shared>,
    lanes: JoinSet<Histogram<u64>>,
    /// Of the connections that have ended.
    latency: Histogram<u64>,
}

impl Senders {
    /// Starts `connections` connections.
    pub(crate) fn start(shared: &Arc<Shared>, transport: Transport, connections: usize) -> Self {
        let mut lanes = JoinSet::new();
        for number in 0..connections as u64 {
            let lane = shared.clone();
            match transport {
                Transport::Http => lanes.spawn(http::HttpLane::new(lane, number, latency()).run()),
                Transport::Ws => lanes.spawn(websocket::WebSocketLane::new(lane, number, latency()).run()),
            };
        }
        Self { shared: shared.clone(), lanes, latency: latency() }
    }

    /// Whether any connection is left: a connection ends early when the server refuses it for good.
    pub(crate) fn are_running(&mut self) -> bool {
        while let Some(lane) = self.lanes.try_join_next() {
            merge(&mut self.latency, lane.ok());
        }
        !self.lanes.is_empty()
    }

    /// Lets the connections send what is left within `grace`, then ends them. Returns all latencies, in microseconds.
    pub(crate) async fn finish(mut self, grace: Duration) -> Histogram<u64> {
        self.shared.source.close();
        let end = Instant::now() + grace;
        let mut all = self.latency;
        loop {
            match timeout_at(end, self.lanes.join_next()).await {
                // A lane that panicked has lost its latencies; its reactions show as missing in the counts.
                Ok(Some(lane)) => merge(&mut all, lane.ok()),
                Ok(None) => break,
                Err(_) => {
                    self.shared.stop_now.cancel();
                    while let Some(lane) = self.lanes.join_next().await {
                        merge(&mut all, lane.ok());
                    }
                    break;
                }
            }
        }
        self.shared.counters.unsent.add(self.shared.source.abandon() as u64);
        all
    }
}

/// An empty histogram of microseconds, up to an hour, with three digits.
pub(crate) fn latency() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are valid")
}

/// Adds a duration to a histogram of microseconds.
pub(crate) fn record(latency: &mut Histogram<u64>, duration: Duration) {
    latency.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
}

/// Adds one histogram to another.
pub(crate) fn merge(all: &mut Histogram<u64>, one: Option<Histogram<u64>>) {
    if let Some(one) = one {
        all.add(one).expect("all histograms have the same bounds");
    }
}
