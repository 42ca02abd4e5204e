//! The time from tap to screen: a tap of an emote that nobody else sends, until every viewer has seen it in a pulse.
//!
//! One tap at a time: the next one waits until all have seen the last, or until it cannot come any more. So a pulse with
//! the probe's emote belongs to exactly one tap, and no clock but this process's own is needed.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use hyper::Method;
use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    send::{HttpConnection, latency, record},
    target::Target,
};

/// Between the last sight of a probe and the next tap: pulses of late viewers pass.
const REST: Duration = Duration::from_millis(300);

/// Added by chance, a whole pulse's length, so that taps fall anywhere within a pulse.
const REST_SPREAD: Duration = Duration::from_millis(100);

/// After this a viewer has skipped the probe's pulse, as a slow one may.
const MISSED_AFTER: Duration = Duration::from_secs(5);

/// How often the prober looks whether all have seen the tap.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The tap that is on its way, and what viewers saw of those before.
pub(super) struct Probe {
    emote: String,
    current: Mutex<Option<OnItsWay>>,
    /// Viewers that have seen the current tap.
    seen: AtomicU64,
    pub(super) sent: AtomicU64,
    /// Viewer by viewer: taps not seen.
    pub(super) missed: AtomicU64,
    /// Taps that the server did not take.
    pub(super) failed: AtomicU64,
    latency: Mutex<Histogram<u64>>,
}

#[derive(Debug, Clone, Copy)]
struct OnItsWay {
    serial: u64,
    due: Instant,
}

impl Probe {
    pub(super) fn new(emote: &str) -> Self {
        Self {
            emote: emote.to_owned(),
            current: Mutex::new(None),
            seen: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            latency: Mutex::new(latency()),
        }
    }

    /// Whether a frame may be a pulse with the probe's emote, cheaply.
    pub(super) fn may_be_in(&self, text: &str) -> bool {
        text.contains(&self.emote)
    }

    /// A viewer has a pulse with the probe's emote; `last` is the serial of the tap that it saw last.
    pub(super) fn see(&self, last: &mut u64) {
        let now = Instant::now();
        let Some(tap) = *self.current.lock().unwrap_or_else(PoisonError::into_inner) else { return };
        if tap.serial == *last {
            return;
        }
        *last = tap.serial;
        let took = now.saturating_duration_since(tap.due);
        record(&mut self.latency.lock().unwrap_or_else(PoisonError::into_inner), took);
        self.seen.fetch_add(1, Ordering::Release);
    }

    /// What was measured, in microseconds.
    pub(super) fn latency(&self) -> Histogram<u64> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Taps until stopped. `viewers` says how many should see it.
    pub(super) async fn run(
        &self,
        target: Target,
        viewers: impl Fn() -> u64,
        seed: u64,
        stop: CancellationToken,
    ) {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut connection = None;
        let mut serial = 0;
        loop {
            let rest = REST + REST_SPREAD.mul_f64(rng.random());
            tokio::select! {
                () = sleep(rest) => {}
                () = stop.cancelled() => return,
            }
            serial += 1;
            let expected = viewers();
            self.seen.store(0, Ordering::Release);
            let due = Instant::now();
            self.set_current(Some(OnItsWay { serial, due }));
            if self.tap(&target, &mut connection).await.is_err() {
                connection = None;
                self.set_current(None);
                self.failed.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.sent.fetch_add(1, Ordering::Relaxed);
            if !self.wait_for_sight(expected, due + MISSED_AFTER, &stop).await {
                // Stopped in between: this tap says nothing.
                return;
            }
            self.set_current(None);
        }
    }

    /// Waits until all have seen the tap or until it is too late; `false` if stopped before.
    async fn wait_for_sight(&self, expected: u64, end: Instant, stop: &CancellationToken) -> bool {
        loop {
            let seen = self.seen.load(Ordering::Acquire);
            if seen >= expected {
                return true;
            }
            if Instant::now() >= end {
                self.missed.fetch_add(expected - seen, Ordering::Relaxed);
                return true;
            }
            tokio::select! {
                () = sleep_until(end.min(Instant::now() + LOOK_EVERY)) => {}
                () = stop.cancelled() => return false,
            }
        }
    }

    async fn tap(&self, target: &Target, connection: &mut Option<HttpConnection>) -> Result<()> {
        let open = match connection.take().filter(|connection| !connection.is_closed()) {
            Some(open) => connection.insert(open),
            None => connection.insert(HttpConnection::open(target).await?),
        };
        let body = serde_json::json!({ "emote": self.emote, "user_id": "probe" }).to_string();
        let path = target.reactions_path();
        let (status, _, answer) =
            open.request(Method::POST, &path, "application/json", Bytes::from(body)).await?;
        if !status.is_success() {
            bail!("{status}: {}", String::from_utf8_lossy(&answer));
        }
        Ok(())
    }

    fn set_current(&self, tap: Option<OnItsWay>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = tap;
    }
}
