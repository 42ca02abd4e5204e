//! The check after a live play, over the public interface: windows add up, expected moments are there.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use emostream_protocol::time;
use futures_util::StreamExt as _;
use hyper::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;

use super::{Expected, SeenMoment};
use crate::{
    clock::ServerClock,
    send::{Counts, HttpConnection, open_stream},
    target::Target,
};

/// How far behind a tap its event time may lie: the server's default lateness, and a little.
const LATENESS: Duration = Duration::from_millis(600);

/// Windows are final a lateness after their end; so long is waited for the last ones before they are counted.
const SETTLE: Duration = Duration::from_millis(2_000);

/// After this, windows that do not add up never will.
const ADD_UP_WITHIN: Duration = Duration::from_secs(20);

const ASK_EVERY: Duration = Duration::from_millis(500);

/// Reactions arrive a little later than planned.
const DELAY_S: f64 = 1.0;

/// Pages of windows that are read: a thousand windows each, at 2 s some weeks.
const PAGES_MAX: usize = 1_000;

/// What is known from before the play.
pub(crate) struct LiveCheck {
    target: Target,
    window: Duration,
    /// Server time of the first window that is looked at.
    from_ms: i64,
    /// Server time of the scenario's beginning.
    started_ms: i64,
}

/// What came of the check.
pub(crate) struct CheckResult {
    pub(crate) holds: bool,
    /// For people.
    pub(crate) lines: Vec<String>,
}

#[derive(Deserialize)]
struct Hello {
    server_time: String,
    window_ms: u64,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Window {
    total: u64,
}

#[derive(Deserialize)]
struct Moment {
    emote: String,
    window_start: String,
    window_ms: u64,
    strength: f64,
}

impl LiveCheck {
    /// Learns the server's time and waits for a window in which nothing of before is any more.
    pub(crate) async fn begin(target: &Target, clock: &ServerClock) -> Result<Self> {
        let hello = hello(target).await.context("--check: reading the channel's stream")?;
        clock.learn(time::parse_ms(&hello.server_time).context("--check: reading server_time")?);
        let window_ms = i64::try_from(hello.window_ms.max(1)).unwrap_or(i64::MAX);
        let (now_ms, lateness_ms) = (clock.now_ms(), LATENESS.as_millis() as i64);
        let from_ms = (now_ms.div_euclid(window_ms) + 1) * window_ms;
        sleep(Duration::from_millis((from_ms - now_ms + lateness_ms).max(0) as u64)).await;
        let window = Duration::from_millis(hello.window_ms);
        Ok(Self { target: target.clone(), window, from_ms, started_ms: clock.now_ms() })
    }

    /// The scenario begins now, at this server time.
    pub(crate) fn started(&mut self, now_ms: i64) {
        self.started_ms = now_ms;
    }

    /// Reads what the server shows and compares. An error is a server that cannot be asked.
    pub(crate) async fn finish(
        &self,
        expected: &Expected,
        counts: &Counts,
        speed: f64,
    ) -> Result<CheckResult> {
        sleep(self.window + SETTLE).await;
        let (exact, counted) = self.add_up(counts).await?;
        let moments: Vec<Moment> = self.read_all("moments").await?;
        let seen = moments.iter().map(|moment| self.seen(moment, speed)).collect::<Result<Vec<_>>>()?;
        let verdict = expected.judge(&seen, DELAY_S * speed);
        let mut lines = vec![counted];
        lines.extend(verdict.lines());
        Ok(CheckResult {
            holds: exact && verdict.holds(),
            lines: lines.iter().map(|line| format!("  {line}")).collect(),
        })
    }

    /// Whether the windows have exactly what was accepted.
    async fn add_up(&self, counts: &Counts) -> Result<(bool, String)> {
        let least = counts.accepted + counts.duplicates;
        // Nobody knows whether these are in the log.
        let most = least + counts.unanswered + counts.uncertain;
        let end = Instant::now() + ADD_UP_WITHIN;
        loop {
            let windows: Vec<Window> = self.read_all("windows").await?;
            let counted: u64 = windows.iter().map(|window| window.total).sum();
            if counted < least && Instant::now() < end {
                sleep(ASK_EVERY).await;
                continue;
            }
            let holds = (least..=most).contains(&counted);
            let line = match (holds, counted < least) {
                (true, _) => format!("exact     {counted} counted in {} windows", windows.len()),
                (false, true) => format!("TOO FEW   {counted} counted of {least} accepted"),
                (false, false) => {
                    format!("TOO MANY  {counted} counted, {least} accepted: does anybody else tap here?")
                }
            };
            return Ok((holds, line));
        }
    }

    fn seen(&self, moment: &Moment, speed: f64) -> Result<SeenMoment> {
        let start_ms = time::parse_ms(&moment.window_start).context("reading window_start of a moment")?;
        let second = |ms: i64| (ms - self.started_ms) as f64 / 1_000.0 * speed;
        let end_ms = start_ms.saturating_add_unsigned(moment.window_ms);
        Ok(SeenMoment {
            emote: moment.emote.clone(),
            from_s: second(start_ms),
            to_s: second(end_ms),
            strength: moment.strength,
        })
    }

    /// All items of a kind from the first window on.
    async fn read_all<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>> {
        let mut connection = HttpConnection::open(&self.target).await?;
        let (mut items, mut cursor) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let query = format!("{kind}?from={}&limit=1000{cursor}", time::format_ms(self.from_ms));
            let path = self.target.channel_path(&query);
            let (status, _, body) =
                connection.request(Method::GET, &path, "application/json", Bytes::new()).await?;
            if status == StatusCode::SERVICE_UNAVAILABLE {
                sleep(ASK_EVERY).await;
                continue;
            }
            if !status.is_success() {
                bail!("--check: GET {path} answers {status}: {}", String::from_utf8_lossy(&body));
            }
            let page: Page<T> =
                serde_json::from_slice(&body).with_context(|| format!("--check: reading {kind}"))?;
            items.extend(page.items);
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
        bail!("--check: {kind} have more than {PAGES_MAX} pages")
    }
}

async fn hello(target: &Target) -> Result<Hello> {
    let mut stream = open_stream(target, "").await?;
    while let Some(message) = stream.next().await {
        if let Message::Text(text) = message? {
            return Ok(serde_json::from_str(&text)?);
        }
    }
    bail!("it ended without hello")
}
