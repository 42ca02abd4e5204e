//! A server that speaks just enough of the protocol to check a client: it keeps what arrived and answers by a script.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, atomic::AtomicI64, atomic::Ordering},
};

use bytes::Bytes;
use emostream_protocol::{
    id::ReactionId,
    input::{Body, ReactionInput, parse_body},
    time::format_ms,
};
use emostream_simulator::clock::{Clock as _, MachineClock};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

/// A reaction as it arrived, each attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arrival {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) emote: String,
    pub(crate) at: Instant,
}

/// What the server does with a request or frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reply {
    /// Takes the reactions and says so.
    Take,
    /// Takes them, and ends the connection without a word.
    TakeAndDrop,
    /// Takes nothing, and says that the client should come back after so many milliseconds.
    Later(u64),
    /// Refuses for good.
    Refuse,
}

/// The server's state; a script says what the nth attempt, from 0, gets.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) kept: Arc<Kept>,
    tasks: JoinSet<()>,
}

pub(crate) struct Kept {
    script: Box<dyn Fn(usize) -> Reply + Send + Sync>,
    arrivals: Mutex<Vec<Arrival>>,
    /// Ids in the "log".
    pub(crate) taken: Mutex<HashSet<String>>,
    attempts: Mutex<usize>,
    /// How far the server's clock is from the machine's.
    pub(crate) ahead_ms: AtomicI64,
    /// Reactions since the last pulse.
    pub(crate) pulse: Mutex<HashMap<String, u64>>,
    /// Bodies at the source systems' endpoints, each attempt, with their paths.
    pub(crate) messages: Mutex<Vec<(String, Value)>>,
    /// Reactions that the windows have beyond those that were taken.
    pub(crate) miscounted: AtomicI64,
    /// Moments as the server lists them.
    pub(crate) moments: Mutex<Vec<Value>>,
    /// Sends every moment twice, and windows backwards.
    pub(crate) faulty_stream: bool,
}

impl Server {
    pub(crate) async fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(script, false).await
    }

    pub(crate) async fn start_with(
        script: impl Fn(usize) -> Reply + Send + Sync + 'static,
        faulty_stream: bool,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Kept {
            script: Box::new(script),
            arrivals: Mutex::default(),
            taken: Mutex::default(),
            attempts: Mutex::default(),
            ahead_ms: AtomicI64::new(0),
            pulse: Mutex::default(),
            messages: Mutex::default(),
            miscounted: AtomicI64::new(0),
            moments: Mutex::default(),
            faulty_stream,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, kept.clone()));
        Self { url, kept, tasks }
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.kept.arrivals.lock().unwrap().clone()
    }

    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

impl Kept {
    /// The server's own time.
    pub(crate) fn now_ms(&self) -> i64 {
        MachineClock.unix_ms() + self.ahead_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn next_reply(&self) -> Reply {
        let mut attempts = self.attempts.lock().unwrap();
        *attempts += 1;
        (self.script)(*attempts - 1)
    }

    /// Keeps an attempt, and says whether its id was new, or an error's class.
    pub(crate) fn arrive(&self, input: &ReactionInput<'_>, take: bool) -> Result<bool, &'static str> {
        let text = |field: &Option<emostream_protocol::input::Text<'_>>| {
            field.as_ref().map(|text| text.0.to_string()).unwrap_or_default()
        };
        let (id, emote) = (text(&input.id), input.emote.0.to_string());
        let arrival =
            Arrival { id: id.clone(), user: text(&input.user_id), emote: emote.clone(), at: Instant::now() };
        // The probe of the viewers leaves ids to the server.
        let id = match input.id {
            Some(_) => {
                self.arrivals.lock().unwrap().push(arrival);
                id
            }
            None => format!("probe-{}", self.taken.lock().unwrap().len()),
        };
        if input.id.is_some() && ReactionId::parse(&id).unwrap().check_range(self.now_ms()).is_err() {
            return Err("id-out-of-range");
        }
        if !take {
            return Ok(false);
        }
        *self.pulse.lock().unwrap().entry(emote).or_default() += 1;
        Ok(self.taken.lock().unwrap().insert(id))
    }
}

async fn accept(listener: TcpListener, kept: Arc<Kept>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let kept = kept.clone();
        connections.spawn(async move {
            let mut first = [0; 64];
            let length = stream.peek(&mut first).await.unwrap_or(0);
            let line = String::from_utf8_lossy(&first[..length]).into_owned();
            if line.contains("/stream") {
                crate::stream::serve(stream, &kept).await.unwrap_or_default();
            } else {
                serve_http(stream, kept).await;
            }
        });
    }
}

async fn serve_http(stream: TcpStream, kept: Arc<Kept>) {
    let service = service_fn(move |request| answer(kept.clone(), request));
    // Ends with an error when a script drops the connection.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

#[derive(Debug, thiserror::Error)]
#[error("dropped by the script")]
struct Dropped;

async fn answer(kept: Arc<Kept>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
    if request.uri().path() == "/readyz" {
        return Ok(Response::new(Full::default()));
    }
    let path = request.uri().path().to_owned();
    if let Some(answer) = crate::past::answer(&kept, &path) {
        return Ok(answer);
    }
    if crate::senders::PATHS.contains(&path.as_str()) {
        assert_eq!(request.headers()["content-type"], "application/json");
        let body = request.into_body().collect().await.map_err(|_| Dropped)?.to_bytes();
        return crate::senders::answer(&kept, path, &body).ok_or(Dropped);
    }
    assert_eq!(path, "/v1/channels/main/reactions");
    let ndjson = request.headers()["content-type"] == "application/x-ndjson";
    let body = request.into_body().collect().await.map_err(|_| Dropped)?.to_bytes();
    let inputs = match parse_body(&body, ndjson).unwrap() {
        Body::One(one) => vec![one],
        Body::Many(many) => many.into_iter().map(Result::unwrap).collect(),
    };
    // Scripts count the requests with ids: those without are the viewers' probe.
    let reply = if inputs[0].id.is_some() { kept.next_reply() } else { Reply::Take };
    let take = matches!(reply, Reply::Take | Reply::TakeAndDrop);
    let results: Vec<_> = inputs.iter().map(|input| kept.arrive(input, take)).collect();
    let server_time = format_ms(kept.now_ms());
    match reply {
        Reply::TakeAndDrop => Err(Dropped),
        Reply::Later(ms) => Ok(problem(503, "overloaded", &server_time, Some(ms))),
        Reply::Refuse => Ok(problem(422, "emote-not-allowed", &server_time, None)),
        Reply::Take => {
            if let ([Err(class)], false) = (&results[..], ndjson) {
                return Ok(problem(422, class, &server_time, None));
            }
            Ok(taken(&results, &server_time))
        }
    }
}

fn taken(results: &[Result<bool, &'static str>], server_time: &str) -> Response<Full<Bytes>> {
    let of = |wanted: bool| results.iter().filter(|result| **result == Ok(wanted)).count();
    let rejected: Vec<_> = results.iter().enumerate().filter_map(|(index, result)| {
        let class = result.as_ref().err()?;
        Some(json!({"index": index, "type": format!("https://a/errors/{class}"), "detail": "no", "server_time": server_time}))
    }).collect();
    let body = json!({"accepted": of(true), "duplicates": of(false), "rejected": rejected});
    Response::new(Full::from(body.to_string()))
}

fn problem(
    status: u16,
    class: &str,
    server_time: &str,
    retry_after_ms: Option<u64>,
) -> Response<Full<Bytes>> {
    let body = json!({"type": format!("https://a/errors/{class}"), "title": class, "status": status, "detail": "no", "server_time": server_time});
    let mut response = Response::builder().status(status);
    if let Some(ms) = retry_after_ms {
        response = response.header("retry-after", (ms / 1_000).to_string());
    }
    response.body(Full::from(body.to_string())).unwrap()
}
