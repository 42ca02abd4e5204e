//! System D's client: registers with a subscriber, waits until there is room, shows each line of a window, and deregisters.

use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use emostream_protocol::time;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, StatusCode, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    answers::{Answer, line, pause, post},
    called::Called,
    taps,
};
use crate::{
    args::BroadcastArgs, clock::ServerClock, console, ready::wait_until_ready, signals, target::Target,
};

/// A client that is called says again that it is there, in case the subscriber has forgotten it.
const AGAIN: Duration = Duration::from_secs(20);

/// A line of an event is far below.
const LINE_BYTES_MAX: usize = 64 * 1024;

struct Client<'a> {
    id: String,
    target: &'a Target,
    called: Option<Called>,
}

/// Runs until a signal.
pub(crate) async fn run(args: &BroadcastArgs, clock: ServerClock) -> Result<()> {
    let target = Target::parse(&args.server.url, &args.server.channel)?;
    wait_until_ready(&target, &clock, args.server.wait).await?;
    let id = args.client_id.clone().unwrap_or_else(|| format!("client-{:08x}", rand::random::<u32>()));
    let called = match args.port {
        Some(port) => Some(Called::listen(port).await?),
        None => None,
    };
    let client = Client { id, target: &target, called };
    let (stop, stop_now) = (CancellationToken::new(), CancellationToken::new());
    let sending = async {
        let Some(emoji) = &args.emoji else { return std::future::pending().await };
        let tap = || {
            let timestamp = time::format_ms(clock.now_ms());
            json!({"user_id": client.id, "emoji_type": emoji, "timestamp": timestamp})
        };
        taps::send(&target, "/send-emoji", args.pause, tap).await;
    };
    let watched = tokio::select! {
        watched = client.watch() => watched,
        () = sending => Ok(()),
        () = signals::watch(stop.clone(), stop_now) => Ok(()),
        () = stop.cancelled() => Ok(()),
    };
    let left = post(&target, "/deregister", &json!({"client_id": client.id})).await;
    if left.is_ok_and(|answer| answer.status == StatusCode::OK) {
        console::print(&format!("{} has left", client.id));
    }
    watched
}

impl Client<'_> {
    /// Holds a place again and again; ends with what no other attempt changes.
    async fn watch(&self) -> Result<()> {
        loop {
            self.register().await?;
            let ended = match &self.called {
                Some(called) => tokio::select! {
                    served = called.serve() => served,
                    () = self.stay() => Ok(()),
                },
                None => self.read().await,
            };
            if let Err(error) = ended {
                console::print(&format!("{} reads no more: {error:#}", self.id));
            }
            sleep(pause()).await;
        }
    }

    /// Asks for a place until there is one.
    async fn register(&self) -> Result<()> {
        let mut body = json!({"client_id": self.id});
        if let Some(called) = &self.called {
            body["client_url"] = Value::from(called.url.as_str());
        }
        let mut told = String::new();
        let mut tell_once = |why: String| {
            if told != why {
                console::print(&why);
                told = why;
            }
        };
        loop {
            match post(self.target, "/register", &body).await {
                Ok(answer) if answer.status == StatusCode::OK => {
                    let of = |name| answer.text(name).unwrap_or_default();
                    console::print(&format!(
                        "{} is registered: {} of {}, which takes {}",
                        self.id,
                        of("subscriber"),
                        of("cluster"),
                        answer.body["capacity"]
                    ));
                    return Ok(());
                }
                Ok(answer) if may_change(&answer) => {
                    tell_once(format!("{} waits for room: {}", self.id, answer.error()));
                    sleep(answer.pause()).await;
                }
                Ok(answer) => bail!("{} is not registered: {}", self.id, answer.error()),
                Err(error) => {
                    tell_once(format!("{} waits for the server: {error:#}", self.id));
                    sleep(pause()).await;
                }
            }
        }
    }

    /// Until the subscriber does not know the client any more.
    async fn stay(&self) {
        let called = self.called.as_ref().map_or("", |called| called.url.as_str());
        let body = json!({"client_id": self.id, "client_url": called});
        loop {
            sleep(AGAIN).await;
            if !post(self.target, "/register", &body)
                .await
                .is_ok_and(|answer| answer.status == StatusCode::OK)
            {
                return;
            }
        }
    }

    /// Reads lines until the subscriber ends them.
    async fn read(&self) -> Result<()> {
        let stream = self.target.connect().await?;
        let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        // An error here ends the body that is being read.
        driver.spawn(async move { connection.await.unwrap_or_default() });
        let query: String = self.id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let request = Request::get(self.target.path(&format!("/notify-client?client_id={query}")))
            .header(header::HOST, self.target.authority())
            .body(Empty::<Bytes>::new())?;
        let answer = requests.send_request(request).await?;
        if !answer.status().is_success() {
            bail!("the subscriber answers {}", answer.status());
        }
        show(answer.into_body()).await
    }
}

/// A place may be free later; whoever asks too often is told when to ask again.
fn may_change(answer: &Answer) -> bool {
    answer.status == StatusCode::SERVICE_UNAVAILABLE || answer.status == StatusCode::TOO_MANY_REQUESTS
}

async fn show(mut body: Incoming) -> Result<()> {
    let mut pending = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        for byte in frame.data_ref().into_iter().flatten() {
            if *byte != b'\n' {
                pending.push(*byte);
                continue;
            }
            let shown = pending.strip_prefix(b"data:").and_then(|json| line(json, "emoji_type"));
            shown.iter().for_each(|line| console::print(line));
            pending.clear();
        }
        if pending.len() > LINE_BYTES_MAX {
            bail!("a line is longer than {LINE_BYTES_MAX} bytes");
        }
    }
    Ok(())
}
