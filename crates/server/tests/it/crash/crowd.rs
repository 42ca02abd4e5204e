//! The crowd: many clients at once, each with requests in flight, until the server is gone.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    CHANNELS,
    ledger::{Ledger, Reaction},
};
use crate::harness::client::{Answer, Client, Seen, Viewer, reactions_path};

/// Clients that send requests, one in flight each.
const SENDERS: usize = 120;

/// Clients that send over a WebSocket.
const VIEWERS: usize = 6;

/// Reactions in flight of each of those.
const VIEWER_IN_FLIGHT: usize = 12;

/// What one client sends in one request.
#[derive(Debug, Clone, Copy)]
enum Form {
    One,
    Array(usize),
    Lines(usize),
}

pub(super) struct Crowd {
    clients: JoinSet<()>,
    in_flight: Arc<AtomicUsize>,
}

struct Member {
    address: SocketAddr,
    channel: &'static str,
    ledger: Arc<Ledger>,
    in_flight: Arc<AtomicUsize>,
    rng: Xoshiro256PlusPlus,
}

impl Crowd {
    /// Lets all clients begin.
    pub(super) fn gather(address: SocketAddr, ledger: &Arc<Ledger>, rng: &mut Xoshiro256PlusPlus) -> Self {
        let in_flight = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for number in 0..SENDERS + VIEWERS {
            let member = Member {
                address,
                channel: CHANNELS[number % CHANNELS.len()],
                ledger: ledger.clone(),
                in_flight: in_flight.clone(),
                rng: Xoshiro256PlusPlus::seed_from_u64(rng.random()),
            };
            if number < SENDERS {
                clients.spawn(member.send_requests());
            } else {
                clients.spawn(member.send_frames());
            }
        }
        Self { clients, in_flight }
    }

    /// Requests and frames without an answer now.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Waits until every client has noticed that the server is gone.
    pub(super) async fn disperse(mut self) {
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
    }
}

impl Member {
    async fn send_requests(mut self) {
        let Ok(mut client) = Client::connect(self.address).await else { return };
        loop {
            let form = match self.rng.random_range(0..4) {
                0 | 1 => Form::One,
                2 => Form::Array(self.rng.random_range(1..40)),
                _ => Form::Lines(self.rng.random_range(1..40)),
            };
            let reactions = match form {
                Form::One => self.ledger.take(self.channel, 1),
                Form::Array(number) | Form::Lines(number) => self.ledger.take(self.channel, number),
            };
            self.in_flight.fetch_add(1, Ordering::SeqCst);
            let answer = post(&mut client, form, self.channel, &reactions).await;
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            match answer {
                Ok(answer) if is_acknowledged(&answer, &reactions) => self.ledger.acknowledge(reactions),
                _ => return self.ledger.give_back(reactions),
            }
        }
    }

    async fn send_frames(self) {
        let Ok(mut viewer) = Viewer::join(self.address, self.channel, "").await else { return };
        let mut waiting: HashMap<String, Reaction> = HashMap::new();
        'connected: loop {
            while waiting.len() < VIEWER_IN_FLIGHT {
                let Some(reaction) = self.ledger.take(self.channel, 1).pop() else { break };
                let mut frame = reaction.json();
                frame["type"] = "react".into();
                // A viewer is known by its connection, not by what its frames say.
                frame.as_object_mut().unwrap().remove("user_id");
                let is_new = waiting.insert(reaction.id.clone(), reaction).is_none();
                self.in_flight.fetch_add(usize::from(is_new), Ordering::SeqCst);
                if viewer.send(&frame).await.is_err() {
                    break 'connected;
                }
            }
            let (is_refused, id) = match viewer.next().await {
                Seen::Frame(frame) if frame["type"] == "ack" => (false, frame["id"].clone()),
                Seen::Frame(frame) if frame["type"] == "error" => (true, frame["id"].clone()),
                Seen::Frame(_) => continue,
                Seen::Closed(..) | Seen::Gone => break,
            };
            // Of an id sent twice, the first answer counts.
            let Some(reaction) = waiting.remove(id.as_str().unwrap()) else { continue };
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            if is_refused {
                self.ledger.give_back(vec![reaction]);
                break;
            }
            self.ledger.acknowledge(vec![reaction]);
        }
        self.in_flight.fetch_sub(waiting.len(), Ordering::SeqCst);
        self.ledger.give_back(waiting.into_values().collect());
    }
}

async fn post(
    client: &mut Client,
    form: Form,
    channel: &str,
    reactions: &[Reaction],
) -> anyhow::Result<Answer> {
    let path = reactions_path(channel);
    let all: Vec<Value> = reactions.iter().map(Reaction::json).collect();
    match form {
        Form::One => client.post(&path, "application/json", all[0].to_string()).await,
        Form::Array(_) => client.post(&path, "application/json", json!(all).to_string()).await,
        Form::Lines(_) => {
            let lines: Vec<_> = all.iter().map(Value::to_string).collect();
            client.post(&path, "application/x-ndjson", lines.join("\n")).await
        }
    }
}

/// Whether an answer confirms all; a refusal as a whole confirms none. Nothing else may come.
fn is_acknowledged(answer: &Answer, reactions: &[Reaction]) -> bool {
    if answer.status == 503 {
        return false;
    }
    let json = answer.json();
    let confirmed = json["accepted"].as_u64().zip(json["duplicates"].as_u64()).map(|(new, old)| new + old);
    assert_eq!(confirmed, Some(reactions.len() as u64), "{answer:?} to {reactions:?}");
    assert_eq!((answer.status, &json["rejected"]), (200, &json!([])), "{answer:?}");
    true
}

/// Sends until nothing is left without an answer.
pub(super) async fn settle(address: SocketAddr, ledger: &Ledger) {
    let mut client = Client::connect(address).await.unwrap();
    for channel in CHANNELS {
        for reactions in ledger.take_unanswered(channel).chunks(100) {
            let answer = post(&mut client, Form::Array(reactions.len()), channel, reactions).await.unwrap();
            assert!(is_acknowledged(&answer, reactions), "{answer:?}");
            ledger.acknowledge(reactions.to_vec());
        }
    }
}
