//! System B's client: logs in, follows to the cluster that it is allotted, shows each line of a window, and comes back by
//! logging in again when the cluster goes.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::{client_async, tungstenite::Message};
use tokio_util::sync::CancellationToken;

use super::{
    answers::{Answer, line, pause, post},
    taps,
};
use crate::{
    args::ClusterArgs, clock::ServerClock, console, ready::wait_until_ready, signals, target::Target,
};

/// Close codes from here on say that coming back is of no use.
const TERMINAL_FROM: u16 = 4_500;

/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);

struct Client<'a> {
    args: &'a ClusterArgs,
    target: &'a Target,
    device: String,
}

/// Where a login leads.
struct Place {
    cluster: String,
    url: String,
    ticket: String,
}

/// Runs until a signal, or until the server says that it is of no use.
pub(crate) async fn run(args: &ClusterArgs, clock: ServerClock) -> Result<()> {
    let target = Target::parse(&args.server.url, &args.server.channel)?;
    wait_until_ready(&target, &clock, args.server.wait).await?;
    let device = args.device_id.clone().unwrap_or_else(|| format!("simulated-{:08x}", rand::random::<u32>()));
    let client = Client { args, target: &target, device };
    if let Some(tier) = args.register {
        client.register(tier).await?;
    }
    let (stop, stop_now) = (CancellationToken::new(), CancellationToken::new());
    let sending = async {
        let Some(emoji) = &args.emoji else { return std::future::pending().await };
        let tap = || json!({"emoji": emoji, "user_id": args.name});
        taps::send(&target, "/emojis", args.pause, tap).await;
    };
    tokio::select! {
        watched = client.watch() => watched,
        () = sending => Ok(()),
        () = signals::watch(stop.clone(), stop_now) => Ok(()),
        () = stop.cancelled() => Ok(()),
    }
}

impl Client<'_> {
    /// Makes the account, unless it is there.
    async fn register(&self, tier: u8) -> Result<()> {
        let body = json!({"name": self.args.name, "tier": tier, "password": self.args.password});
        let answer = post(self.target, "/register", &body).await?;
        match answer.status {
            StatusCode::CREATED => console::print(&format!("{} is registered", self.args.name)),
            StatusCode::CONFLICT => console::print(&format!("{} has an account already", self.args.name)),
            _ => bail!("{} is not registered: {}", self.args.name, answer.error()),
        }
        Ok(())
    }

    async fn watch(&self) -> Result<()> {
        loop {
            let place = self.log_in().await?;
            console::print(&format!("{} watches on {} at {}", self.args.name, place.cluster, place.url));
            if let Some(code) = self.follow(&place).await? {
                bail!("the cluster closed the connection for good, with {code}");
            }
            sleep(pause()).await;
        }
    }

    /// Logs in until a cluster has room.
    async fn log_in(&self) -> Result<Place> {
        let mut body = json!({
            "name": self.args.name,
            "password": self.args.password,
            "device_id": self.device,
            "end_device_id": self.args.end_device_id,
        });
        let mut told = String::new();
        loop {
            let why = match post(self.target, "/login", &body).await {
                Ok(answer) if answer.status == StatusCode::OK => return place_of(&answer),
                Ok(answer) if answer.status == StatusCode::CONFLICT => {
                    let devices = devices(&answer.body["devices"]);
                    bail!("{}: {devices}; --end-device-id takes the place of one", answer.error())
                }
                Ok(answer) if is_busy(answer.status) => {
                    let why = format!("{} waits: {}", self.args.name, answer.error());
                    // Whoever says where it stood keeps its place.
                    if answer.body["line"]["token"].is_string() {
                        body["line"] = answer.body["line"]["token"].clone();
                    }
                    // The password was right: it need not be looked at again.
                    if answer.body["token"].is_string() {
                        (body["token"], body["password"]) = (answer.body["token"].clone(), Value::Null);
                    }
                    sleep(answer.pause()).await;
                    why
                }
                // One who waits for longer than a token is good for.
                Ok(answer) if answer.status == StatusCode::UNAUTHORIZED && body["token"].is_string() => {
                    (body["token"], body["password"]) = (Value::Null, self.args.password.as_str().into());
                    continue;
                }
                Ok(answer) => bail!("{} is not logged in: {}", self.args.name, answer.error()),
                Err(error) => {
                    sleep(pause()).await;
                    format!("{} waits for the server: {error:#}", self.args.name)
                }
            };
            if told != why {
                console::print(&why);
                told = why;
            }
        }
    }

    /// Shows lines until the connection ends; the close code if it is final.
    async fn follow(&self, place: &Place) -> Result<Option<u16>> {
        let cluster = Target::parse(&place.url, &self.args.server.channel)?;
        let url = format!("{}/?ticket={}", cluster.url().replacen("http", "ws", 1), place.ticket);
        let connecting = async {
            let stream = cluster.connect().await?;
            anyhow::Ok(client_async(url, stream).await?.0)
        };
        let mut socket = match timeout(HANDSHAKE, connecting).await.context("no handshake for too long") {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) | Err(error) => {
                console::print(&format!("{} does not take the connection: {error:#}", place.cluster));
                return Ok(None);
            }
        };
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    line(text.as_bytes(), "emoji").iter().for_each(|line| console::print(line));
                }
                Some(Ok(Message::Close(Some(close)))) => {
                    let code = u16::from(close.code);
                    console::print(&format!(
                        "{} closed the connection: {} {}",
                        place.cluster, code, close.reason
                    ));
                    return Ok((code >= TERMINAL_FROM).then_some(code));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    console::print(&format!("{} is gone", place.cluster));
                    return Ok(None);
                }
            }
        }
    }
}

fn is_busy(status: StatusCode) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS
}

fn place_of(answer: &Answer) -> Result<Place> {
    let cluster = &answer.body["cluster"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let place = (text(&cluster["name"]), text(&cluster["url"]), text(&answer.body["ticket"]));
    match place {
        (Some(cluster), Some(url), Some(ticket)) => Ok(Place { cluster, url, ticket }),
        _ => bail!("the login's answer has no cluster and ticket"),
    }
}

/// The devices in the way, for people.
fn devices(devices: &Value) -> String {
    let of = |device: &Value| {
        let text = |name| device[name].as_str().unwrap_or_default();
        // Many have no name: the clients of this program are among them.
        let name = if text("name").is_empty() { String::new() } else { format!("{}, ", text("name")) };
        format!("{} ({name}since {}, on {})", text("device_id"), text("since"), text("edge"))
    };
    let all: Vec<_> = devices.as_array().into_iter().flatten().map(of).collect();
    all.join("; ")
}
