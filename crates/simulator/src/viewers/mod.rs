//! Viewers: they read the stream, check its order, and measure the time from tap to screen.

mod order;
mod probe;
mod report;

use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

pub use report::ViewersReport;

use crate::{args::LoadArgs, report::Latency, send::open_stream, target::Target};
use order::{Fault, OrderCheck};
use probe::Probe;

/// Handshakes at once: viewers arrive in a stream, not as one blow to the listening socket.
const HANDSHAKES_MAX: usize = 64;

/// How long all viewers together may take to connect before the load begins without the rest.
const CONNECT_WAIT: Duration = Duration::from_secs(60);

/// Pause before a viewer comes back.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);

/// The viewers of a load test.
pub(crate) struct Viewers {
    seen: Arc<Seen>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
    readers: u32,
    silent: u32,
}

/// What all viewers share.
struct Seen {
    target: Target,
    probe: Probe,
    handshakes: Semaphore,
    connected: AtomicU64,
    connected_max: AtomicU64,
    frames: AtomicU64,
    bytes: AtomicU64,
    pulses: AtomicU64,
    windows: AtomicU64,
    moments: AtomicU64,
    gaps: AtomicU64,
    order_faults: AtomicU64,
    duplicate_moments: AtomicU64,
    disconnects: AtomicU64,
    first_error: Mutex<Option<String>>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    epoch: Cow<'a, str>,
    #[serde(default)]
    seq: Option<u64>,
}

impl Viewers {
    /// Starts to connect them, and the probe if there is anybody to see it.
    pub(crate) fn start(target: &Target, args: &LoadArgs, seed: u64) -> Self {
        let seen = Arc::new(Seen::new(target.clone(), &args.probe_emote));
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        for _ in 0..args.viewers {
            let (stop, viewer) = (stop.clone(), view(seen.clone()));
            tasks.spawn(async move { stop.run_until_cancelled(viewer).await.unwrap_or_default() });
        }
        for _ in 0..args.silent_viewers {
            let (stop, viewer) = (stop.clone(), stay_silent(seen.clone()));
            tasks.spawn(async move { stop.run_until_cancelled(viewer).await.unwrap_or_default() });
        }
        Self { seen, tasks, stop, readers: args.viewers, silent: args.silent_viewers }.with_probe(seed)
    }

    fn with_probe(mut self, seed: u64) -> Self {
        if self.readers > 0 {
            let (seen, stop) = (self.seen.clone(), self.stop.clone());
            self.tasks.spawn(async move {
                let viewers = || seen.connected.load(Ordering::Relaxed);
                seen.probe.run(seen.target.clone(), viewers, seed, stop).await;
            });
        }
        self
    }

    /// Waits until all are connected, or until it takes too long; the report says how many were.
    pub(crate) async fn wait_until_connected(&self) {
        let end = Instant::now() + CONNECT_WAIT;
        while self.seen.connected.load(Ordering::Relaxed) < u64::from(self.readers) && Instant::now() < end {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends them, and says what they saw. `None` if there were none.
    pub(crate) async fn finish(mut self) -> Option<ViewersReport> {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        (self.readers + self.silent > 0).then(|| self.seen.report(self.readers, self.silent))
    }
}

impl Seen {
    fn new(target: Target, probe_emote: &str) -> Self {
        Self {
            target,
            probe: Probe::new(probe_emote),
            handshakes: Semaphore::new(HANDSHAKES_MAX),
            connected: AtomicU64::new(0),
            connected_max: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            pulses: AtomicU64::new(0),
            windows: AtomicU64::new(0),
            moments: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            order_faults: AtomicU64::new(0),
            duplicate_moments: AtomicU64::new(0),
            disconnects: AtomicU64::new(0),
            first_error: Mutex::new(None),
        }
    }

    fn lost(&self, error: &anyhow::Error) {
        add(&self.disconnects, 1);
        let mut first = self.first_error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| format!("{error:#}"));
    }

    fn check(&self, text: &str, order: &mut OrderCheck, last_probe: &mut u64) -> Result<()> {
        add(&self.frames, 1);
        add(&self.bytes, text.len() as u64);
        let frame: Frame<'_> = serde_json::from_str(text).context("reading a frame")?;
        match &*frame.r#type {
            "pulse" => {
                add(&self.pulses, 1);
                if self.probe.may_be_in(text) {
                    self.probe.see(last_probe);
                }
            }
            "window" => add(&self.windows, 1),
            "moment" => add(&self.moments, 1),
            "gap" => add(&self.gaps, 1),
            _ => {}
        }
        let Some(seq) = frame.seq else { return Ok(()) };
        match order.see(&frame.r#type, &frame.epoch, seq) {
            Ok(()) => {}
            Err(Fault::Order) => add(&self.order_faults, 1),
            Err(Fault::DuplicateMoment) => add(&self.duplicate_moments, 1),
        }
        Ok(())
    }

    fn report(&self, viewers: u32, silent: u32) -> ViewersReport {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        ViewersReport {
            viewers,
            silent,
            connected_max: get(&self.connected_max),
            frames: get(&self.frames),
            bytes: get(&self.bytes),
            pulses: get(&self.pulses),
            windows: get(&self.windows),
            moments: get(&self.moments),
            gaps: get(&self.gaps),
            order_faults: get(&self.order_faults),
            duplicate_moments: get(&self.duplicate_moments),
            disconnects: get(&self.disconnects),
            first_error: self.first_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            probes: get(&self.probe.sent),
            probes_failed: get(&self.probe.failed),
            probes_missed: get(&self.probe.missed),
            tap_to_screen_ms: Latency::of(&self.probe.latency()),
        }
    }
}

/// One viewer, through all its connections.
async fn view(seen: Arc<Seen>) {
    let mut order = OrderCheck::default();
    let mut last_probe = 0;
    loop {
        if let Err(error) = read_stream(&seen, &mut order, &mut last_probe).await {
            seen.lost(&error);
        }
        order.reconnected();
        sleep(RECONNECT_AFTER).await;
    }
}

/// One connection, which only ends by an error.
async fn read_stream(seen: &Seen, order: &mut OrderCheck, last_probe: &mut u64) -> Result<()> {
    let mut stream = {
        let _turn = seen.handshakes.acquire().await?;
        open_stream(&seen.target, &order.resume_query()).await?
    };
    let connected = seen.connected.fetch_add(1, Ordering::Relaxed) + 1;
    seen.connected_max.fetch_max(connected, Ordering::Relaxed);
    let result = loop {
        let message = match stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => break Err(error.into()),
            None => break Err(anyhow::anyhow!("the server ended the connection")),
        };
        match message {
            Message::Text(text) => {
                if let Err(error) = seen.check(&text, order, last_probe) {
                    break Err(error);
                }
            }
            Message::Close(close) => {
                let why = close.map_or_else(String::new, |c| format!(" with {}: {}", c.code, c.reason));
                break Err(anyhow::anyhow!("the server closed the connection{why}"));
            }
            _ => {}
        }
    };
    seen.connected.fetch_sub(1, Ordering::Relaxed);
    result
}

/// A viewer that connects and never reads.
async fn stay_silent(seen: Arc<Seen>) {
    let stream = {
        let Ok(_turn) = seen.handshakes.acquire().await else { return };
        open_stream(&seen.target, "").await
    };
    match stream {
        Ok(_held_open) => std::future::pending().await,
        Err(error) => seen.lost(&error),
    }
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}
