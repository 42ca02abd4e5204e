//! A viewer that asks for a place, watches, and comes back whatever happens to its edge.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::client::IntoClientRequest};

use crate::harness::{PATIENCE, client::Client};

/// A frame comes every second at least; whoever has none for so long looks for another edge. Nobody whose edge lives does.
const SILENCE: Duration = PATIENCE;

/// Longest random pause before a viewer whose edge is gone asks anew.
const JITTER_MS: u64 = 1_000;

/// What all viewers of a test have in common.
pub(super) struct House {
    pub(super) control: SocketAddr,
    pub(super) channel: &'static str,
    pub(super) connected: AtomicUsize,
    /// Places asked for in vain: no room, or nobody who could say.
    pub(super) refused: AtomicUsize,
    pub(super) last_refusal: Mutex<String>,
    pub(super) leaves: AtomicBool,
}

/// What one viewer has seen.
#[derive(Default)]
pub(super) struct Sight {
    /// Sequence of the first `hello`: moments behind it are to be seen.
    pub(super) since: u64,
    /// Sequences of moments, in the order in which they came.
    pub(super) moments: Vec<u64>,
    pub(super) gaps: usize,
    pub(super) connections: usize,
    /// The edge of now.
    pub(super) edge: Option<String>,
}

pub(super) type Shared = Arc<Mutex<Sight>>;

/// Where a viewer is in the output.
#[derive(Clone)]
struct Position {
    epoch: String,
    seq: u64,
}

/// Watches until everybody leaves.
pub(super) async fn watch(house: Arc<House>, sight: Shared) {
    let mut at: Option<Position> = None;
    let mut line: Option<Value> = None;
    while !house.leaves.load(Ordering::Relaxed) {
        let socket = match enter(&house, &mut line, at.as_ref(), &sight).await {
            Ok(socket) => socket,
            Err(wait) => {
                house.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(wait + jitter()).await;
                continue;
            }
        };
        sight.lock().unwrap().connections += 1;
        house.connected.fetch_add(1, Ordering::Relaxed);
        let wait = look(&house, socket, &mut at, &sight).await;
        house.connected.fetch_sub(1, Ordering::Relaxed);
        sight.lock().unwrap().edge = None;
        tokio::time::sleep(wait.unwrap_or_else(jitter)).await;
    }
}

fn jitter() -> Duration {
    Duration::from_millis(rand::random_range(0..JITTER_MS))
}

/// Asks for a place and goes there; else how long to wait.
async fn enter(
    house: &House,
    line: &mut Option<Value>,
    at: Option<&Position>,
    sight: &Shared,
) -> Result<WebSocketStream<TcpStream>, Duration> {
    let soon = |error: anyhow::Error| {
        *house.last_refusal.lock().unwrap() = format!("{error:#}");
        Duration::from_millis(500)
    };
    let mut client = Client::connect(house.control).await.map_err(soon)?;
    let wanted = json!({"channel": house.channel, "line": line});
    let answer = client.post("/v1/placements", "application/json", wanted.to_string()).await.map_err(soon)?;
    if answer.status != 200 {
        assert!(matches!(answer.status, 429 | 503), "{answer:?}");
        let wait = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
        *house.last_refusal.lock().unwrap() = format!("{answer:?}");
        *line = answer.json()["line"]["token"].as_str().map(Into::into);
        return Err(Duration::from_secs(wait.expect("a refusal says when to come back")));
    }
    let place = answer.json();
    let url = place["url"].as_str().unwrap().replacen("http://", "ws://", 1);
    let ticket = place["ticket"].as_str().unwrap();
    let resume = at.map_or_else(String::new, |at| format!("&epoch={}&since={}", at.epoch, at.seq));
    let request = format!("{url}/v1/channels/{}/stream?ticket={ticket}{resume}", house.channel);
    let mut request = request.into_client_request().unwrap();
    let authority = request.uri().authority().unwrap().to_string();
    request.headers_mut().insert("sec-websocket-protocol", "emostream.json.v1".parse().unwrap());
    let failed = |error: String| {
        *house.last_refusal.lock().unwrap() = format!("{error} by {place}");
        jitter()
    };
    let stream = TcpStream::connect(authority).await.map_err(|error| failed(error.to_string()))?;
    let joined = tokio::time::timeout(SILENCE, client_async(request, stream)).await;
    let joined = joined.map_err(|error| failed(error.to_string()))?;
    let (socket, _) = joined.map_err(|error| failed(format!("{error:?}")))?;
    *line = None;
    sight.lock().unwrap().edge = place["edge"].as_str().map(Into::into);
    Ok(socket)
}

/// Takes frames until the connection ends; how long the edge has asked to wait, if it has said good-bye.
async fn look(
    house: &House,
    mut socket: WebSocketStream<TcpStream>,
    at: &mut Option<Position>,
    sight: &Shared,
) -> Option<Duration> {
    let mut wait = None;
    let mut last = Instant::now();
    while !house.leaves.load(Ordering::Relaxed) && last.elapsed() < SILENCE {
        let text = match tokio::time::timeout(Duration::from_secs(1), socket.next()).await {
            Err(_) => continue,
            Ok(Some(Ok(Message::Text(text)))) => text,
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => break,
            Ok(Some(Ok(_))) => continue,
        };
        last = Instant::now();
        let frame: Value = serde_json::from_str(&text).unwrap();
        let seq = frame["seq"].as_u64();
        let mut sight = sight.lock().unwrap();
        match frame["type"].as_str().unwrap() {
            "hello" if at.is_none() => {
                let epoch = frame["epoch"].as_str().unwrap().to_owned();
                sight.since = seq.unwrap();
                *at = Some(Position { epoch, seq: sight.since });
                continue;
            }
            // Where the edge is, which is not where the viewer is.
            "hello" => continue,
            "moment" => sight.moments.push(seq.unwrap()),
            "gap" => sight.gaps += 1,
            "bye" => wait = frame["reconnect_in_ms"].as_u64().map(Duration::from_millis),
            _ => {}
        }
        if let (Some(at), Some(seq)) = (at.as_mut(), seq) {
            at.seq = at.seq.max(seq);
        }
    }
    wait
}
