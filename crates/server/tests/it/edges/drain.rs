//! An edge is emptied while people watch: they go elsewhere, and nobody misses a moment or sees one twice.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{House, Placed, place};
use crate::harness::{
    client::{Seen, Viewer, react},
    wait_for,
    windows::all_items,
};

const VIEWERS: usize = 30;

/// What one viewer saw until it was told to stop.
#[derive(Debug, Default)]
struct Watched {
    /// Edges that it was on, in order.
    edges: Vec<String>,
    moments: Vec<u64>,
    gaps: usize,
    /// Reasons of goodbyes.
    byes: Vec<String>,
}

/// Asks until there is a place. Without `wait_for`, whose closure cannot be sent to another thread.
async fn placed(control: SocketAddr) -> Placed {
    loop {
        let answer = place(control, &json!({"channel": "main"})).await;
        if answer.status == 200 {
            return Placed::of(&answer);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Watches, and comes back through placement at the place where it was, until a moment from the end on is seen.
async fn watch(control: SocketAddr, joined: Arc<tokio::sync::Semaphore>, end: Arc<AtomicBool>) -> Watched {
    let mut watched = Watched::default();
    let mut at: Option<(String, u64)> = None;
    loop {
        let placed = placed(control).await;
        watched.edges.push(placed.edge.clone());
        let resume =
            at.as_ref().map(|(epoch, seq)| format!("&epoch={epoch}&since={seq}")).unwrap_or_default();
        let query = format!("?ticket={}{resume}", placed.ticket);
        let mut viewer = Viewer::join(placed.address, "main", &query).await.unwrap();
        loop {
            let Seen::Frame(frame) = viewer.next().await else { break };
            watched.take(&frame, &mut at);
            if frame["type"] == "hello" {
                joined.add_permits(1);
            }
            if frame["type"] == "moment" && frame["emote"] == "🏁" && end.load(Ordering::SeqCst) {
                return watched;
            }
        }
    }
}

impl Watched {
    fn take(&mut self, frame: &Value, at: &mut Option<(String, u64)>) {
        if let (Some(epoch), Some(seq)) = (frame["epoch"].as_str(), frame["seq"].as_u64()) {
            // A `hello` repeats where the viewer was.
            let resumed = at.as_ref().is_some_and(|_| frame["type"] == "hello");
            if !resumed {
                *at = Some((epoch.to_owned(), seq));
            }
        }
        match frame["type"].as_str() {
            Some("moment") => self.moments.push(frame["seq"].as_u64().unwrap()),
            Some("gap") => self.gaps += 1,
            Some("bye") => self.byes.push(frame["reason"].as_str().unwrap().to_owned()),
            _ => {}
        }
    }
}

async fn burst(address: SocketAddr, emote: &str) {
    let burst = json!(vec![json!({"emote": emote}); 5]);
    assert_eq!(react(address, "main", &burst).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_of_a_drained_edge_go_on_elsewhere_without_a_missed_moment() {
    let dir = tempfile::tempdir().unwrap();
    let more = [
        r#"channels=[{name = "main", threshold = 3}]"#,
        "windows.window_ms=400",
        "windows.allowed_lateness_ms=100",
        "edge.reconnect_spread_ms=300",
        "placement.guests_per_s=0",
    ];
    let house = House::start(dir.path(), &[40, 40, 40], &more).await;
    let control = house.address();
    let (joined, end) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(AtomicBool::new(false)));
    let mut viewers = JoinSet::new();
    for _ in 0..VIEWERS {
        viewers.spawn(watch(control, joined.clone(), end.clone()));
    }
    joined.acquire_many(u32::try_from(VIEWERS).unwrap()).await.unwrap().forget();
    let mut bursts = JoinSet::new();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    bursts.spawn(async move {
        while !stopped.load(Ordering::SeqCst) {
            for emote in ["🔥", "👏", "🎉"] {
                burst(control, emote).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let some = async || (all_items(control, "main", "moments").await.len() >= 2).then_some(());
    wait_for("moments", some).await;

    let mut admin = house.admin().await;
    let drained = "/v1/edges/north-2";
    let set = async |admin: &mut crate::harness::signed::Signed, draining: bool| {
        let answer = admin.json("PUT", drained, &json!({"draining": draining})).await;
        assert!((200..300).contains(&answer.status), "{answer:?}");
    };
    let viewers_of = async |admin: &mut crate::harness::signed::Signed| {
        let clusters = admin.get("/v1/clusters").await.json();
        let edges = clusters["items"][0]["edges"].as_array().unwrap().clone();
        let edge = edges.iter().find(|edge| edge["name"] == "north-2").unwrap();
        edge["viewers"].as_u64().unwrap()
    };
    let before = viewers_of(&mut admin).await;
    set(&mut admin, true).await;
    let empty = async || (viewers_of(&mut admin).await == 0).then_some(());
    wait_for("the edge to be empty", empty).await;
    // It refuses those who know no better, too.
    let answer = crate::harness::client::get(house.edge(2), "/v1/channels/main/events").await.unwrap();
    assert_eq!((answer.status, answer.problem().as_deref()), (503, Some("edge-draining")), "{answer:?}");
    let now = all_items(control, "main", "moments").await.len();
    let more = async || (all_items(control, "main", "moments").await.len() >= now + 2).then_some(());
    wait_for("moments elsewhere", more).await;
    set(&mut admin, false).await;
    let open = async || {
        let viewer = Viewer::join(house.edge(2), "main", "").await.ok()?;
        Some(viewer)
    };
    wait_for("the edge to take viewers again", open).await.next_of("hello").await;

    stop.store(true, Ordering::SeqCst);
    bursts.join_all().await;
    end.store(true, Ordering::SeqCst);
    let last = async || {
        burst(control, "🏁").await;
        let moments = all_items(control, "main", "moments").await;
        moments.iter().any(|moment| moment["emote"] == "🏁").then_some(moments)
    };
    wait_for("the last moment", last).await;
    let watched = viewers.join_all().await;
    let archive: Vec<u64> = {
        let moments = all_items(control, "main", "moments").await;
        moments.iter().map(|moment| moment["seq"].as_u64().unwrap()).collect()
    };
    let moved = watched.iter().filter(|one| one.edges.len() > 1).count();
    println!(
        "{before} of {VIEWERS} viewers were on the drained edge, {moved} moved; {} moments",
        archive.len()
    );
    assert!(moved > 0 && u64::try_from(moved).unwrap() >= before, "{moved} moved of {before}");
    for one in &watched {
        assert_eq!((one.gaps, one.byes.iter().all(|bye| bye == "draining")), (0, true), "{one:?}");
        assert!(one.edges.iter().skip(1).all(|edge| edge != "north-2"), "{:?}", one.edges);
        let first = archive.iter().position(|seq| Some(seq) == one.moments.first()).unwrap();
        let expected = &archive[first..first + one.moments.len()];
        assert_eq!(one.moments, expected, "each moment once, in order: {:?}", one.edges);
        assert!(first <= 1 || one.edges.len() == 1, "those who were there from the start saw all");
    }
}
