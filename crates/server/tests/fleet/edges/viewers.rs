//! Thousands of viewers over three edges, and what may happen to their house: an edge is killed, one is emptied, control and the
//! database are restarted. Everybody comes back, and sees every moment once, in order.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use emostream_protocol::row::Row;
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    task::{JoinSet, block_in_place, spawn_blocking},
};

use crate::{
    brokers::{self, free_port},
    fleet::Fleet,
    harness::{PATIENCE, client::react, database::Database, new_id, signed::Signed, wait_for},
};

mod viewer;

use viewer::{House, Shared, Sight};

/// The channel that the viewers watch; 20 taps of an emote in a window make a moment there.
const CHANNEL: &str = "lobby";

const EDGES: [&str; 3] = ["edge-a", "edge-b", "edge-c"];

/// Viewers: EMOSTREAM_VIEWERS.
fn viewers_number() -> usize {
    std::env::var("EMOSTREAM_VIEWERS").map_or(3_000, |text| text.parse().expect("EMOSTREAM_VIEWERS"))
}

/// A fleet with viewers.
struct Event {
    fleet: Fleet,
    database: Database,
    house: Arc<House>,
    sights: Vec<Shared>,
    watching: JoinSet<()>,
    taps: Option<(oneshot::Sender<()>, JoinSet<()>)>,
}

impl Event {
    async fn begin() -> Self {
        let database = spawn_blocking(Database::start).await.unwrap();
        let mut fleet = Fleet::on(brokers::shared(), rand::random());
        let number = viewers_number();
        let home = fleet.add("home", "control");
        home.set(&format!("store.url={}", database.url));
        home.set(&format!("placement.guests_per_s={number}"));
        home.set(&format!("placement.guests_burst={number}"));
        fleet.add("count", "ingest,aggregate");
        for edge in EDGES {
            // Any two of them have room for all.
            let (capacity, port) = (number * 3 / 5, free_port());
            let node = fleet.add(edge, "edge");
            node.set(&format!(
                "edges=[{{name=\"{edge}\", cluster=\"{edge}s\", listen=\"127.0.0.1:{port}\", capacity={capacity}}}]"
            ));
            // A debug build on two cores has enough to do without ten frames a second for each.
            node.set("windows.pulse_ms=1000");
            node.set("edge.reconnect_spread_ms=2000");
        }
        fleet.start(&["home", "count", "edge-a", "edge-b", "edge-c"]).await;
        let control = fleet.control_address();
        let taps = keep_tapping(fleet.node("count").address());
        let house = Arc::new(House {
            control,
            channel: CHANNEL,
            connected: 0.into(),
            refused: 0.into(),
            last_refusal: Mutex::default(),
            leaves: false.into(),
        });
        let sights: Vec<Shared> = (0..number).map(|_| Shared::default()).collect();
        let mut watching = JoinSet::new();
        for sight in &sights {
            watching.spawn(viewer::watch(house.clone(), sight.clone()));
        }
        Self { fleet, database, house, sights, watching, taps: Some(taps) }
    }

    /// Waits until everybody is connected; how long that took, and how many asked in vain meanwhile.
    async fn all_there(&self, what: &str) {
        let (began, refused) = (Instant::now(), self.house.refused.load(Ordering::Relaxed));
        let number = self.sights.len();
        let mut most = 0;
        while self.house.connected.load(Ordering::Relaxed) < number {
            most = most.max(number - self.house.connected.load(Ordering::Relaxed));
            assert!(
                began.elapsed() < PATIENCE,
                "{what}: {} of {number} are there; {} asked in vain, the last one was told {}",
                self.house.connected.load(Ordering::Relaxed),
                self.house.refused.load(Ordering::Relaxed) - refused,
                self.house.last_refusal.lock().unwrap()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let refused = self.house.refused.load(Ordering::Relaxed) - refused;
        println!(
            "soak: viewers: {what}: all {number} there after {:.1} s, {most} were away at once, {refused} asked in vain",
            began.elapsed().as_secs_f64()
        );
        for edge in EDGES {
            if self.fleet.node(edge).is_running() {
                let here = self.on(edge);
                assert!(here <= number * 3 / 5, "{here} on {edge}");
            }
        }
    }

    /// Viewers on an edge, as they know.
    fn on(&self, edge: &str) -> usize {
        let on = |sight: &&Shared| sight.lock().unwrap().edge.as_deref() == Some(edge);
        self.sights.iter().filter(on).count()
    }

    /// How often anybody has connected so far.
    fn connections(&self) -> usize {
        self.sights.iter().map(|sight| sight.lock().unwrap().connections).sum()
    }

    /// Waits until everybody has seen a moment that is not yet there.
    async fn all_see_a_new_moment(&self) {
        let newest = |sight: &Shared| sight.lock().unwrap().moments.last().copied().unwrap_or(0);
        let so_far = self.sights.iter().map(newest).max().unwrap();
        let seen = async || self.sights.iter().all(|sight| newest(sight) > so_far).then_some(());
        wait_for("a moment that everybody sees", seen).await;
    }

    async fn drain(&self, edge: &str, drains: bool) {
        let path = format!("/v1/edges/{edge}");
        let answer =
            Signed::admin(self.house.control).await.json("PUT", &path, &json!({"draining": drains})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Everybody goes home; every moment between each one's first and last frame was seen, once, in order.
    async fn end(mut self) {
        let (stop, mut tapping) = self.taps.take().unwrap();
        drop(stop);
        tapping.join_next().await.unwrap().unwrap();
        let observer = self.fleet.observer();
        let rows = block_in_place(|| observer.rows());
        let moments: Vec<u64> =
            rows[CHANNEL].iter().filter(|row| matches!(row, Row::Moment(_))).map(|row| row.seq()).collect();
        let last = *moments.last().unwrap();
        let newest = |sight: &Shared| sight.lock().unwrap().moments.last().copied().unwrap_or(0);
        let seen = async || self.sights.iter().all(|sight| newest(sight) >= last).then_some(());
        wait_for("the last moment of the log to be seen", seen).await;
        self.house.leaves.store(true, Ordering::Relaxed);
        while let Some(left) = self.watching.join_next().await {
            left.unwrap();
        }
        let mut connections = 0;
        for (number, sight) in self.sights.iter().enumerate() {
            let Sight { since, moments: seen, gaps, connections: own, .. } = &*sight.lock().unwrap();
            let due: Vec<u64> = moments.iter().copied().filter(|seq| seq > since).collect();
            // What came behind the log that was read is not for all to see.
            let seen: Vec<u64> = seen.iter().copied().filter(|seq| *seq <= last).collect();
            assert_eq!((*gaps, &seen), (0, &due), "viewer {number}, connected {own} times");
            connections += own;
        }
        assert!(moments.len() > 10, "{} moments", moments.len());
        println!(
            "soak: viewers: {} of them saw every moment since they came once, in order: {} moments, {connections} connections",
            self.sights.len(),
            moments.len()
        );
    }
}

/// Taps that make a moment a second.
fn keep_tapping(door: SocketAddr) -> (oneshot::Sender<()>, JoinSet<()>) {
    let (stop, mut stopped) = oneshot::channel();
    let mut tapping = JoinSet::new();
    tapping.spawn(async move {
        while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
            let taps: Vec<Value> = (0..25).map(|_| json!({"emote": "🔥", "id": new_id()})).collect();
            let answer = react(door, CHANNEL, &json!(taps)).await;
            assert!(answer.as_ref().is_ok_and(|answer| answer.status == 200), "{answer:?}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    (stop, tapping)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_comes_back_and_sees_every_moment_once() {
    let mut event = Event::begin().await;
    event.all_there("the doors open").await;
    event.all_see_a_new_moment().await;

    let lost = event.on("edge-a");
    assert!(lost > 0, "nobody is on the edge that is killed");
    event.fleet.node_mut("edge-a").kill9();
    let gone = async || (event.on("edge-a") == 0).then_some(());
    wait_for("its viewers to miss it", gone).await;
    event.all_there("an edge was killed").await;
    event.all_see_a_new_moment().await;
    event.fleet.node_mut("edge-a").start().await;

    assert!(event.on("edge-b") > 0, "nobody is on the edge that is emptied");
    event.drain("edge-b", true).await;
    let began = Instant::now();
    let empty = async || (event.on("edge-b") == 0).then_some(());
    wait_for("the edge to be empty", empty).await;
    println!("soak: viewers: an edge was emptied in {:.1} s", began.elapsed().as_secs_f64());
    event.all_there("an edge was emptied").await;
    event.all_see_a_new_moment().await;
    event.drain("edge-b", false).await;

    let before = event.connections();
    event.fleet.node_mut("home").kill9();
    event.all_see_a_new_moment().await;
    assert_eq!(event.connections(), before, "control is down: nobody leaves");
    event.fleet.node_mut("home").start().await;

    event.database.pause();
    event.all_see_a_new_moment().await;
    event.all_see_a_new_moment().await;
    assert_eq!(event.connections(), before, "the database is down: nobody leaves");
    event.database.again();
    // Control and database are there again: whoever has lost a place finds another.
    event.fleet.node_mut("edge-c").kill9();
    let gone = async || (event.on("edge-c") == 0).then_some(());
    wait_for("its viewers to miss it", gone).await;
    event.all_there("control and database were restarted, and another edge was killed").await;
    event.all_see_a_new_moment().await;
    event.end().await;
}
