//! An edge is emptied while people watch: they go elsewhere, and nobody misses a moment or sees one twice.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::json;
use tokio::task::JoinSet;

use super::{
    House,
    watch::{Audience, watch},
};
use crate::harness::{
    client::{Viewer, react},
    signed::Signed,
    wait_for,
    windows::all_items,
};

const VIEWERS: usize = 30;

async fn burst(address: SocketAddr, emote: &str) {
    let burst = json!(vec![json!({"emote": emote}); 5]);
    assert_eq!(react(address, "main", &burst).await.unwrap().status, 200);
}

async fn burst_until(address: SocketAddr, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        for emote in ["🔥", "👏", "🎉"] {
            burst(address, emote).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// The moment by which viewers know that it is over.
async fn last_moment(address: SocketAddr) {
    let last = async || {
        burst(address, "🏁").await;
        let moments = all_items(address, "main", "moments").await;
        moments.iter().any(|moment| moment["emote"] == "🏁").then_some(())
    };
    wait_for("the last moment", last).await;
}

/// Tells control whether the second edge is to be emptied.
async fn drain(admin: &mut Signed, is_draining: bool) {
    let answer = admin.json("PUT", "/v1/edges/north-2", &json!({"draining": is_draining})).await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
}

/// Viewers on the second edge, as control knows.
async fn viewers_of(admin: &mut Signed) -> u64 {
    let clusters = admin.get("/v1/clusters").await.json();
    let edges = clusters["items"][0]["edges"].as_array().unwrap();
    edges.iter().find(|edge| edge["name"] == "north-2").unwrap()["viewers"].as_u64().unwrap()
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
    let audience = Audience::new(control, "main");
    let mut viewers = JoinSet::new();
    for _ in 0..VIEWERS {
        viewers.spawn(watch(audience.clone()));
    }
    audience.wait_for(VIEWERS).await;
    let (mut bursts, stop) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
    bursts.spawn(burst_until(control, stop.clone()));
    let some = async || (all_items(control, "main", "moments").await.len() >= 2).then_some(());
    wait_for("moments", some).await;

    let mut admin = house.admin().await;
    let before = viewers_of(&mut admin).await;
    drain(&mut admin, true).await;
    let empty = async || (viewers_of(&mut admin).await == 0).then_some(());
    wait_for("the edge to be empty", empty).await;
    // It refuses those who know no better, too.
    let answer = crate::harness::client::get(house.edge(2), "/v1/channels/main/events").await.unwrap();
    assert_eq!((answer.status, answer.problem().as_deref()), (503, Some("edge-draining")), "{answer:?}");
    let now = all_items(control, "main", "moments").await.len();
    let more = async || (all_items(control, "main", "moments").await.len() >= now + 2).then_some(());
    wait_for("moments elsewhere", more).await;
    drain(&mut admin, false).await;
    let open = async || {
        let viewer = Viewer::join(house.edge(2), "main", "").await.ok()?;
        Some(viewer)
    };
    wait_for("the edge to take viewers again", open).await.next_of("hello").await;

    stop.store(true, Ordering::SeqCst);
    bursts.join_all().await;
    audience.end.store(true, Ordering::SeqCst);
    last_moment(control).await;
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
        one.assert_whole(&archive);
        assert!(one.byes.iter().all(|bye| bye == "draining"), "{one:?}");
        assert!(one.edges.iter().skip(1).all(|edge| edge != "north-2"), "{:?}", one.edges);
    }
}
