//! Plays a scenario against a server.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{ServerArgs, SimulateArgs},
    audience::{Audience, Tap},
    clock::{Clock, ServerClock},
    console::{Console, LOOK_EVERY, Status},
    pace::{Pace, Position, pace},
    ready::wait_until_ready,
    report::{Latency, summary},
    scenario::Scenario,
    send::{BACKLOG_MAX, Counters, Counts, Senders, Shared, Source},
    signals,
    target::Target,
};

/// Reactions that one request of a scenario may carry when several are waiting.
const BATCH: usize = 32;

/// How long answers are waited for at the end.
const GRACE: Duration = Duration::from_secs(5);

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

/// Plays the scenario that the arguments name, until its end, its duration or a signal.
pub(crate) async fn play(args: &SimulateArgs, name: &str, clock: Arc<dyn Clock>) -> Result<()> {
    let scenario = Arc::new(Scenario::load(name)?);
    let seed = args.server.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let (target, clock) = (Target::parse(&args.server.url, &args.server.channel)?, ServerClock::new(clock));
    let headline = format!(
        "{} · seed {seed} · {} people · {} · channel {} · {} connections over {}",
        scenario.title,
        (f64::from(scenario.people) * args.audience).max(1.0) as u64,
        target.url(),
        target.channel(),
        args.connections,
        args.server.transport.as_str(),
    );
    let mut console = Console::begin(&headline, args.duration);
    wait_until_ready(&target, &clock, args.server.wait).await?;

    let shared = shared(target, Source::open(BACKLOG_MAX), clock, BATCH);
    let (planned, audience) = (scenario.clone(), args.audience);
    let mut run = Run::start(shared, &args.server, usize::from(args.connections));
    run.pace(args.speed, args.duration, move |taps| taps(&mut Audience::new(&planned, seed, audience)));
    console.started();
    run.show_until_done(&mut console, |phase| {
        scenario.phases.get(phase).map_or_else(String::new, |phase| phase.name.clone())
    })
    .await;
    let outcome = run.finish(GRACE).await;
    let title = format!("{} · seed {seed}", scenario.title);
    console.end(&summary(&title, outcome.seconds, &outcome.counts, &Latency::of(&outcome.latency)));
    fail_if_nothing_was_accepted(&outcome.counts)
}

/// What the connections of a run share.
pub(crate) fn shared(target: Target, source: Source, clock: ServerClock, batch: usize) -> Arc<Shared> {
    let stop_now = CancellationToken::new();
    Arc::new(Shared { target, source, counters: Counters::default(), clock, batch, stop_now })
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
