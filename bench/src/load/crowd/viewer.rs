//! One viewer, who does what the JavaScript SDK does (sdk/javascript/src/connection.ts): asks for a place, connects there, and
//! after a loss comes back by the same way, with a random pause, behind what has been seen.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{
    Shared,
    wire::{self, Answer, Socket, Upgraded},
};

/// The SDK's pauses: any time up to a limit that doubles from the first to the last.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_LAST: Duration = Duration::from_secs(20);
/// The SDK's patience with an answer, and with an edge that does not greet.
const PATIENCE: Duration = Duration::from_secs(10);
/// The SDK forgets earlier losses behind a connection that has lasted so long.
const STABLE: Duration = Duration::from_secs(10);
/// Where nothing is said of when to ask again, from a place in the line.
const LINE_WAIT: Duration = Duration::from_secs(2);

/// Viewers come from the addresses behind this one, which Linux takes for its own.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 16, 0, 1);

/// Who a viewer is.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// The login token of the account.
    pub(crate) token: String,
    /// The device's id.
    pub(crate) device: String,
}

/// What a viewer has seen.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// When the last place was given.
    pub(crate) placed: Option<Instant>,
    /// When the last connection's first frame came.
    pub(crate) greeted: Option<Instant>,
    /// The edge of now.
    pub(crate) edge: Option<String>,
    /// Sequence of the first greeting: moments behind it are to be seen.
    pub(crate) since: u64,
    /// Sequences of moments, in the order in which they came.
    pub(crate) moments: Vec<u64>,
    /// Moments that the server has said were left out.
    pub(crate) gaps: usize,
}

/// A viewer between and during connections.
pub(super) struct Viewer {
    shared: Arc<Shared>,
    number: usize,
    /// Where it is in the output.
    position: Option<(String, u64)>,
    line: Option<String>,
    /// The edge that was lost without a good-bye, until there is another one.
    lost: Option<String>,
    attempt: u32,
    random: u64,
}

#[derive(Deserialize)]
struct Place {
    edge: String,
    url: String,
    ticket: String,
}

/// The part of a frame that viewers of a benchmark look at.
#[derive(Deserialize)]
struct Frame<'a> {
    r#type: &'a str,
    epoch: Option<&'a str>,
    seq: Option<u64>,
    reconnect_in_ms: Option<u64>,
}

impl Viewer {
    pub(super) fn new(shared: Arc<Shared>, number: usize) -> Self {
        // Another sequence for each viewer, the same in each run.
        let random = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { shared, number, position: None, line: None, lost: None, attempt: 0, random }
    }

    /// Comes, watches, and comes back, until it is told to leave.
    pub(super) async fn watch(mut self) {
        loop {
            let (wait, lasted) = match self.come().await {
                Ok(socket) => {
                    let began = Instant::now();
                    (self.look(socket).await, began.elapsed())
                }
                Err(wait) => (wait, Duration::ZERO),
            };
            if lasted > STABLE {
                self.attempt = 0;
            }
            let wait = wait.unwrap_or_else(|| self.backoff());
            self.attempt += 1;
            sleep(wait).await;
        }
    }

    fn sight(&self) -> MutexGuard<'_, Sight> {
        lock(&self.shared.sights[self.number])
    }

    fn address(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(FIRST_ADDRESS.to_bits() + u32::try_from(self.number).unwrap_or(0))
    }

    /// Any pause up to the limit of this attempt.
    fn backoff(&mut self) -> Duration {
        // SplitMix64 (Steele, Lea and Flood 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let ceiling = BACKOFF_LAST.min(BACKOFF_FIRST * 2_u32.pow(self.attempt.min(16)));
        ceiling.mul_f64(mixed as f64 / u64::MAX as f64)
    }

    /// A place and a greeting there. Else how long to wait, where that was said.
    async fn come(&mut self) -> Result<Socket, Option<Duration>> {
        let place = self.ask().await?;
        self.sight().placed = Some(Instant::now());
        // Until it has gone well.
        self.lost = Some(place.edge.clone());
        match timeout(PATIENCE, self.enter(&place)).await {
            Ok(Ok(Upgraded::Open(socket))) => {
                self.sight().edge = Some(place.edge);
                Ok(socket)
            }
            Ok(Ok(Upgraded::Refused(status))) => {
                Err(self.shared.note(&format!("connections to an edge answered {status}"), ""))
            }
            Ok(Err(error)) => {
                Err(self.shared.note("connections to an edge that is not there", &format!("{error:#}")))
            }
            Err(_) => Err(self.shared.note("connections without an answer in time", "")),
        }
    }

    async fn ask(&mut self) -> Result<Place, Option<Duration>> {
        self.shared.asked.fetch_add(1, Ordering::Relaxed);
        let member = self.shared.members.get(self.number);
        let mut wanted = json!({"channel": self.shared.channel});
        let device = member.map(|member| &member.device);
        let (line, lost) = (self.line.as_ref(), self.lost.as_ref());
        for (field, value) in [("device_id", device), ("line", line), ("lost_edge", lost)] {
            if let Some(value) = value {
                wanted[field] = json!(value);
            }
        }
        let (home, token) = (self.shared.home, member.map(|member| member.token.as_str()));
        let wanted = wanted.to_string();
        let asking = wire::post(self.address(), home, "/v1/placements", token, &wanted);
        let answer = match timeout(PATIENCE, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                return Err(self.shared.note("places asked for, no answer", &format!("{error:#}")));
            }
            Err(_) => return Err(self.shared.note("places asked for, no answer in time", "")),
        };
        if answer.status == 200
            && let Ok(place) = serde_json::from_slice(&answer.body)
        {
            self.line = None;
            return Ok(place);
        }
        Err(self.refused(&answer))
    }

    /// When to ask again: from a place in the line as was said; else not with everybody else either.
    fn refused(&mut self, answer: &Answer) -> Option<Duration> {
        let text = String::from_utf8_lossy(&answer.body);
        self.shared.note(&format!("places refused with {}", answer.status), &text);
        let said = answer.retry_after.map(Duration::from_secs);
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if let Some(token) = problem["line"]["token"].as_str() {
            self.line = Some(token.to_owned());
            return Some(said.unwrap_or(LINE_WAIT));
        }
        said.map(|said| said + self.backoff())
    }

    async fn enter(&self, place: &Place) -> Result<Upgraded> {
        let to = place.url.strip_prefix("http://").and_then(|address| address.parse::<SocketAddr>().ok());
        let to = to.with_context(|| format!("expected an address, not {}", place.url))?;
        let resume = match &self.position {
            Some((epoch, seq)) => format!("&epoch={epoch}&since={seq}"),
            None => String::new(),
        };
        let (channel, ticket) = (self.shared.channel, &place.ticket);
        let path = format!("/v1/channels/{channel}/stream?ticket={ticket}{resume}");
        Socket::open(self.address(), to, &path).await
    }

    /// Takes frames until the connection ends; when to come back, if the edge has said it.
    async fn look(&mut self, mut socket: Socket) -> Option<Duration> {
        let mut wait = None;
        let mut is_greeted = false;
        loop {
            let text = match socket.next().await {
                Ok(Some(text)) => text,
                Ok(None) => {
                    self.lost = None;
                    break;
                }
                Err(_) => break,
            };
            match serde_json::from_slice(text) {
                Ok(frame) => self.take(&frame, &mut is_greeted, &mut wait),
                Err(error) => {
                    self.shared.note("frames that cannot be read", &error.to_string());
                    break;
                }
            }
        }
        self.sight().edge = None;
        if is_greeted {
            self.shared.connected.fetch_sub(1, Ordering::Relaxed);
        } else {
            self.shared.note("connections closed before a greeting", "");
        }
        wait
    }

    fn take(&mut self, frame: &Frame<'_>, is_greeted: &mut bool, wait: &mut Option<Duration>) {
        let shared = self.shared.clone();
        let mut sight = lock(&shared.sights[self.number]);
        match (frame.r#type, frame.seq) {
            ("hello", Some(seq)) if !*is_greeted => {
                *is_greeted = true;
                sight.greeted = Some(Instant::now());
                shared.connected.fetch_add(1, Ordering::Relaxed);
                let epoch = frame.epoch.unwrap_or_default();
                // Later the sequence says where the edge is, not where the viewer is.
                match &self.position {
                    None => {
                        sight.since = seq;
                        self.position = Some((epoch.to_owned(), seq));
                    }
                    Some((known, _)) if known == epoch => {}
                    Some(_) => drop(shared.note("greetings of another epoch", epoch)),
                }
            }
            ("moment", Some(seq)) => {
                sight.moments.push(seq);
                self.advance(seq);
            }
            ("window" | "settings", Some(seq)) => self.advance(seq),
            ("gap", _) => sight.gaps += 1,
            ("bye", _) => *wait = frame.reconnect_in_ms.map(Duration::from_millis),
            _ => {}
        }
    }

    fn advance(&mut self, seq: u64) {
        if let Some((_, at)) = &mut self.position {
            *at = seq.max(*at);
        }
    }
}

/// The value of a lock, also where somebody has panicked with it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
