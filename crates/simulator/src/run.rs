//! A run: connections that send, what paces them, what stops them, and what came of it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    args::ServerArgs,
    audience::Tap,
    clock::ServerClock,
    console::{Console, LOOK_EVERY, Status},
    pace::{Pace, Position, pace},
    send::{Counters, Counts, Senders, Shape, Shared, Source},
    signals,
    target::Target,
};

/// A run: the connections, what paces them and what stops them.
pub(crate) struct Run {
    pub(crate) shared: Arc<Shared>,
    pub(crate) senders: Senders,
    /// Graceful stop.
    pub(crate) stop: CancellationToken,
    pub(crate) position: Arc<Position>,
    /// The pacing thread and the watch on signals.
    tasks: JoinSet<()>,
    start: Instant,
}

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    pub(crate) latency: Histogram<u64>,
    /// From the first due tap to the last; waiting for answers at the end is not in it.
    pub(crate) seconds: f64,
}

/// What the connections of a run share.
pub(crate) fn shared(
    target: Target,
    shape: Shape,
    source: Source,
    clock: ServerClock,
    batch: usize,
) -> Arc<Shared> {
    let (batch, stop_now) = (batch.min(shape.batch_max()), CancellationToken::new());
    Arc::new(Shared { target, shape, source, counters: Counters::default(), clock, batch, stop_now })
}

/// A run in which the server took nothing has failed, whatever its end.
pub(crate) fn fail_if_nothing_was_accepted(counts: &Counts) -> Result<()> {
    if counts.planned + counts.sent > 0 && counts.accepted + counts.duplicates == 0 {
        let first = counts.rejected_by_type.iter().next();
        let why = first.map_or_else(String::new, |(class, refused)| format!(": {class}: {}", refused.detail));
        bail!("the server accepted none of {} reactions{why}", counts.planned.max(counts.sent));
    }
    Ok(())
}

impl Run {
    /// Opens the connections.
    pub(crate) fn start(shared: Arc<Shared>, server: &ServerArgs, connections: usize) -> Self {
        let stop = CancellationToken::new();
        let mut signals = JoinSet::new();
        signals.spawn(signals::watch(stop.clone(), shared.stop_now.clone()));
        let senders = Senders::start(&shared, server.transport, connections);
        let position = Arc::default();
        Self { shared, senders, stop, position, tasks: signals, start: Instant::now() }
    }

    /// Starts the pacing thread, which ends the run when `plan` has no more taps. `plan` hands its taps to the
    /// function that it is given, so that they may borrow from what it owns.
    pub(crate) fn pace(
        &mut self,
        speed: f64,
        duration: Option<Duration>,
        plan: impl FnOnce(&mut dyn FnMut(&mut dyn Iterator<Item = Tap>)) + Send + 'static,
    ) {
        let (shared, position, stop) = (self.shared.clone(), self.position.clone(), self.stop.clone());
        self.start = Instant::now();
        let laid_out = Pace { start: self.start, speed, duration, stop: stop.clone() };
        self.tasks.spawn_blocking(move || {
            // Also when the plan panics: a run without a plan would never end.
            let _ends_the_run = stop.drop_guard();
            plan(&mut |taps| pace(taps, &laid_out, &shared, &position));
        });
    }

    /// Shows the status until the plan is done or a signal has come.
    pub(crate) async fn show_until_done(&mut self, console: &mut Console, doing: impl Fn(usize) -> String) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = look.tick() => {}
            }
            if !self.senders.are_running() {
                return;
            }
            let counts = self.shared.counters.snapshot();
            let doing = doing(self.position.phase.load(Ordering::Relaxed));
            console.show(&Status { doing: &doing, counts: &counts, waiting: self.shared.source.waiting() });
        }
    }

    /// Waits for the answers that are due, and adds up.
    pub(crate) async fn finish(self, grace: Duration) -> Outcome {
        let seconds = self.start.elapsed().as_secs_f64();
        self.stop.cancel();
        let latency = self.senders.finish(grace).await;
        let mut counts = self.shared.counters.snapshot();
        if self.shared.source.is_closed_loop() {
            // Nothing is due before its time has come: the plan is what was sent.
            counts.planned = counts.sent;
        }
        Outcome { counts, latency, seconds }
    }
}
