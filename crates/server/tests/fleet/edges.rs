//! Edges on nodes of their own: people register, log in and are placed wherever they ask; control that is gone takes nobody
//! away; and an edge that stops is left without a missed moment.

use std::{net::SocketAddr, sync::atomic::Ordering};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    brokers,
    fleet::Fleet,
    harness::{
        client::{Answer, Client, Seen, react},
        signed::Signed,
        wait_for,
        windows::all_items,
    },
    watch::{Audience, Placed, watch},
};

mod viewers;

const PASSWORD: &str = "a password of tests";

const SETTINGS: [&str; 4] = [
    "placement.report_ms=200",
    "placement.ttl_ms=15000",
    "placement.guests_per_s=0",
    "edge.reconnect_spread_ms=300",
];

/// Viewers of `lobby`, who are guests.
const VIEWERS: usize = 6;

async fn place_device(signed: &mut Signed, device: &str) -> Answer {
    signed.json("POST", "/v1/placements", &json!({"channel": "lobby", "device_id": device})).await
}

/// A place for a device, asked for until control has heard of an edge.
async fn placed(at: SocketAddr, signed: &mut Signed, device: &str) -> Placed {
    let asked = async || {
        let answer = place_device(signed, device).await;
        (answer.status == 200).then(|| Placed::of_asked(&answer, at))
    };
    wait_for("a place", asked).await
}

/// Enough of an emote for a moment, in the window that is open.
async fn burst(fleet: &Fleet, emote: &str) {
    let burst = Value::from_iter((0..30).map(|at| json!({"emote": emote, "user_id": format!("u{at}")})));
    let answer = react(fleet.node("door").address(), "lobby", &burst).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn moments(fleet: &Fleet, at: &str) -> Vec<u64> {
    let moments = all_items(fleet.node(at).address(), "lobby", "moments").await;
    moments.iter().map(|moment| moment["seq"].as_u64().unwrap()).collect()
}

/// Bursts until there are so many more moments.
async fn more_moments(fleet: &Fleet, more: usize) {
    let before = moments(fleet, "edge-b").await.len();
    let seen = async || {
        burst(fleet, "🔥").await;
        (moments(fleet, "edge-b").await.len() >= before + more).then_some(())
    };
    wait_for("more moments", seen).await;
}

/// Somebody new, logged in. Whatever node is asked: what only control knows is passed on to it.
async fn register(at: SocketAddr, name: &str) -> Signed {
    let mut client = Client::connect(at).await.unwrap();
    let body = json!({"username": name, "password": PASSWORD}).to_string();
    let answer = client.post("/v1/register", "application/json", body).await.unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    Signed::login(at, name, PASSWORD).await
}

/// Control, back again, knows that somebody's one device is connected.
async fn assert_known_again(fleet: &Fleet, person: &mut Signed, device: &str) {
    let mut there = Signed::again(fleet.node("home").address(), person.token.clone()).await;
    let known = async || {
        let devices = there.get("/v1/me/devices").await.json();
        let is_known = |item: &Value| item["device_id"] == device && item["connected"] == true;
        devices["items"].as_array()?.iter().any(is_known).then_some(())
    };
    wait_for(&format!("{device} to be known again"), known).await;
    let answer = place_device(person, "another").await;
    assert_eq!((answer.status, answer.problem().as_deref()), (409, Some("device-limit")), "{answer:?}");
}

/// The moment by which viewers know that it is over.
async fn last_moment(fleet: &Fleet, at: SocketAddr) {
    let last = async || {
        burst(fleet, "🏁").await;
        let all = all_items(at, "lobby", "moments").await;
        all.iter().any(|moment| moment["emote"] == "🏁").then_some(())
    };
    wait_for("the last moment", last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn edges_go_on_without_control_and_are_left_without_a_missed_moment() {
    let mut fleet = Fleet::on(brokers::shared(), rand::random());
    let nodes = [("home", "control"), ("door", "ingest,aggregate"), ("edge-a", "edge"), ("edge-b", "edge")];
    for (name, roles) in nodes {
        let node = fleet.add(name, roles);
        SETTINGS.iter().for_each(|setting| node.set(setting));
    }
    fleet.start(&["home"]).await;
    fleet.start(&["door", "edge-a", "edge-b"]).await;
    let [a, b] = ["edge-a", "edge-b"].map(|edge| fleet.node(edge).address());

    let mut people = [register(a, "ada").await, register(b, "bob").await];
    let mut phone = placed(a, &mut people[0], "phone").await.join("lobby").await;
    phone.next_of("hello").await;
    // Asked at an edge that stays: it passes on what control is to say.
    let audience = Audience::new(b, "lobby");
    let mut viewers = JoinSet::new();
    for _ in 0..VIEWERS {
        viewers.spawn(watch(audience.clone()));
    }
    audience.wait_for(VIEWERS).await;
    more_moments(&fleet, 2).await;

    let unused = placed(b, &mut people[1], "tablet").await;
    fleet.node_mut("home").kill9();
    let mut tablet = unused.join("lobby").await;
    tablet.next_of("hello").await;
    phone.next_of("moment").await;
    more_moments(&fleet, 2).await;
    let mut again = unused.join("lobby").await;
    assert_eq!(again.next().await, Seen::Closed(4007, "ticket-refused".into()), "once, without control too");
    let answer = place_device(&mut people[0], "phone").await;
    assert_eq!(
        (answer.status, answer.problem().as_deref()),
        (503, Some("control-unavailable")),
        "{answer:?}"
    );
    assert!(answer.header("retry-after").is_some(), "{answer:?}");

    fleet.start(&["home"]).await;
    for (person, device) in people.iter_mut().zip(["phone", "tablet"]) {
        assert_known_again(&fleet, person, device).await;
    }
    more_moments(&fleet, 1).await;

    let ended = fleet.node_mut("edge-a").stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    more_moments(&fleet, 2).await;
    audience.end.store(true, Ordering::SeqCst);
    last_moment(&fleet, b).await;
    let watched = viewers.join_all().await;
    let archive = moments(&fleet, "edge-b").await;
    let moved = watched.iter().filter(|one| one.edges.len() > 1).count();
    println!("{moved} of {VIEWERS} viewers moved; {} moments", archive.len());
    assert!(moved > 0, "nobody was on the edge that stopped");
    for one in &watched {
        one.assert_whole(&archive);
        assert!(one.byes.iter().all(|bye| bye == "shutting-down"), "{one:?}");
        assert_eq!(one.edges.last().unwrap(), "edge-b");
    }
}
