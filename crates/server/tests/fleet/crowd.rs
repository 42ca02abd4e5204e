//! The crowd: clients under constant load, who send what had no answer again, also through another node.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    CHANNELS,
    harness::client::{Answer, Client},
    ledger::{Ledger, Reaction},
};

const CLIENTS: usize = 24;

/// Reactions in one request, at most.
const REQUEST_REACTIONS_MAX: usize = 8;

/// A client waits so long for an answer, then it asks elsewhere.
const CLIENT_PATIENCE: Duration = Duration::from_secs(3);

/// Where reactions are taken: the nodes that run ingest, by name.
#[derive(Default)]
pub(crate) struct Entrances(Mutex<BTreeMap<&'static str, SocketAddr>>);

impl Entrances {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, SocketAddr>> {
        self.0.lock().unwrap()
    }

    /// A node takes reactions here.
    pub(crate) fn open(&self, name: &'static str, address: SocketAddr) {
        self.lock().insert(name, address);
    }

    /// Clients are to leave this node alone.
    pub(crate) fn close(&self, name: &str) {
        self.lock().remove(name);
    }

    /// The entrance of a number, counted round.
    fn at(&self, number: usize) -> Option<SocketAddr> {
        let entrances = self.lock();
        entrances.values().nth(number.checked_rem(entrances.len())?).copied()
    }

    fn all(&self) -> Vec<SocketAddr> {
        self.lock().values().copied().collect()
    }
}

/// Clients that send until they are told to stop.
pub(crate) struct Crowd {
    clients: JoinSet<()>,
    stop: CancellationToken,
    acknowledged: Arc<AtomicU64>,
}

struct Member {
    entrances: Arc<Entrances>,
    ledger: Arc<Ledger>,
    /// Which entrance this client uses.
    entrance: usize,
    channel: &'static str,
    acknowledged: Arc<AtomicU64>,
    rng: Xoshiro256PlusPlus,
}

impl Crowd {
    /// Lets all clients begin.
    pub(crate) fn gather(entrances: &Arc<Entrances>, ledger: &Arc<Ledger>, seed: u64) -> Self {
        let (stop, acknowledged) = (CancellationToken::new(), Arc::<AtomicU64>::default());
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let member = Member {
                entrances: entrances.clone(),
                ledger: ledger.clone(),
                entrance: number / CHANNELS.len(),
                channel: CHANNELS[number % CHANNELS.len()],
                acknowledged: acknowledged.clone(),
                rng: Xoshiro256PlusPlus::seed_from_u64(seed ^ number as u64),
            };
            clients.spawn(member.send(stop.clone()));
        }
        Self { clients, stop, acknowledged }
    }

    /// Answers so far that said that all was taken.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Lets each client finish its request.
    pub(crate) async fn disperse(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
    }
}

impl Member {
    async fn send(mut self, stop: CancellationToken) {
        let mut connection: Option<(SocketAddr, Client)> = None;
        while !stop.is_cancelled() {
            let pause = Duration::from_millis(self.rng.random_range(20..80));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            let Some(address) = self.entrances.at(self.entrance) else { continue };
            let client = match connection.take().filter(|(connected, _)| *connected == address) {
                Some((_, client)) => Ok(client),
                None => Client::connect(address).await,
            };
            let Ok(mut client) = client else {
                self.entrance += 1;
                continue;
            };
            if self.send_one(&mut client).await {
                connection = Some((address, client));
                // Now and then without need, so that what is repeated comes through another node as well.
                self.entrance += usize::from(self.rng.random_ratio(1, 16));
            } else {
                self.entrance += 1;
            }
        }
    }

    /// Whether all of one request was taken.
    async fn send_one(&mut self, client: &mut Client) -> bool {
        let number = self.rng.random_range(1..=REQUEST_REACTIONS_MAX);
        let reactions = self.ledger.take(self.channel, number);
        let taken = post(client, self.channel, &reactions).await;
        if taken {
            self.ledger.acknowledge(reactions);
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        } else {
            self.ledger.give_back(reactions);
        }
        taken
    }
}

/// Whether an answer came in time that confirms all.
async fn post(client: &mut Client, channel: &'static str, reactions: &[Reaction]) -> bool {
    let body: Vec<Value> = reactions.iter().map(Reaction::json).collect();
    let answered = tokio::time::timeout(CLIENT_PATIENCE, client.react(channel, &json!(body))).await;
    match answered {
        Ok(Ok(answer)) => is_confirmed(&answer, reactions.len()),
        _ => false,
    }
}

/// Whether an answer confirms all; a refusal as a whole confirms none. Nothing else may come.
fn is_confirmed(answer: &Answer, number: usize) -> bool {
    if answer.status == 503 {
        return false;
    }
    let json = answer.json();
    let confirmed = json["accepted"].as_u64().zip(json["duplicates"].as_u64()).map(|(new, old)| new + old);
    assert_eq!(confirmed, Some(number as u64), "{answer:?}");
    assert_eq!((answer.status, &json["rejected"]), (200, &json!([])), "{answer:?}");
    true
}

/// Sends what has had no answer, here and there, until nothing is left. A node that is down now refuses, and the next is asked.
pub(crate) async fn settle(entrances: &Entrances, ledger: &Ledger) {
    for channel in CHANNELS {
        for reactions in ledger.take_unanswered(channel).chunks(100) {
            send_until_taken(entrances, channel, reactions).await;
            ledger.acknowledge(reactions.to_vec());
        }
    }
}

async fn send_until_taken(entrances: &Entrances, channel: &'static str, reactions: &[Reaction]) {
    let taken = async || {
        for address in entrances.all() {
            let Ok(mut client) = Client::connect(address).await else { continue };
            if post(&mut client, channel, reactions).await {
                return Some(());
            }
        }
        None
    };
    crate::harness::wait_for("what had no answer to be taken", taken).await;
}

/// Sends a few of the crowd's reactions to one node, and says what it answered, if anything.
pub(crate) async fn send_few(address: SocketAddr, channel: &'static str, ledger: &Ledger) -> Option<Answer> {
    let mut client = Client::connect(address).await.ok()?;
    let reactions = ledger.take(channel, REQUEST_REACTIONS_MAX);
    let body: Vec<Value> = reactions.iter().map(Reaction::json).collect();
    let answered = tokio::time::timeout(CLIENT_PATIENCE, client.react(channel, &json!(body))).await;
    let answer = answered.ok().and_then(Result::ok);
    if answer.as_ref().is_some_and(|answer| is_confirmed(answer, reactions.len())) {
        ledger.acknowledge(reactions);
    } else {
        ledger.give_back(reactions);
    }
    answer
}

/// Sends one reaction, the same again until it is taken.
pub(crate) async fn send_one(entrances: &Entrances, channel: &'static str, reaction: &Value) {
    let taken = async || {
        for address in entrances.all() {
            let Ok(mut client) = Client::connect(address).await else { continue };
            let answered = tokio::time::timeout(CLIENT_PATIENCE, client.react(channel, reaction)).await;
            if matches!(answered, Ok(Ok(answer)) if is_confirmed(&answer, 1)) {
                return Some(());
            }
        }
        None
    };
    crate::harness::wait_for("the last reaction to be taken", taken).await;
}
