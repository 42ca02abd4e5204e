//! An edge of a node without control: what the two do not agree on (the time, whose a name is), and what they do without each
//! other or the database.

use std::path::Path;

use emostream::control::tickets::TicketSigner;
use emostream_protocol::placement::TicketClaims;
use rustix::process::Signal;
use serde_json::json;

use super::{
    Placed, closed, end_of,
    implicit::{KEY, start},
    place, place_device,
};
use crate::harness::{
    client::{Client, Viewer, get, react},
    database::Database,
    now_ms,
    process::{Process, Server, with_clock_off},
    signed::Signed,
    wait_for,
};

const REPORTS: &str = "placement.report_ms=200";

/// A node with control that is no edge.
fn control(dir: &Path) -> Server {
    start(dir, &[], &[r#"roles=["ingest", "aggregate", "control"]"#])
}

/// A node that is an edge of that name, and sees a clock that is so many seconds off.
async fn edge(dir: &Path, name: &str, control: &Server, off_s: i32) -> Server {
    let (url, name) = (format!("control.url=http://{}", control.address), format!("node_name={name}"));
    let settings = [&url, &name, r#"roles=["ingest", "aggregate", "edge"]"#, KEY, REPORTS];
    let args: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let wrapper = with_clock_off(dir, off_s);
    let wrapper: Vec<_> = wrapper.iter().map(String::as_str).collect();
    let process = Process::launch_under(&wrapper, dir, &args);
    tokio::task::spawn_blocking(move || process.ready()).await.unwrap().unwrap()
}

/// A guest's place, once control has heard of an edge.
async fn placed(control: &Server) -> Placed {
    let asked = async || {
        let answer = place(control.address, &json!({"channel": "main"})).await;
        (answer.status == 200).then(|| Placed::of(&answer))
    };
    wait_for("a place", asked).await
}

async fn says(server: &Server, text: &str) {
    wait_for(text, async || server.process.stderr().contains(text).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_judges_tickets_by_controls_clock_however_wrong_its_own_is() {
    let dir = tempfile::tempdir().unwrap();
    let control = control(&dir.path().join("control"));
    let signer = TicketSigner::load_or_create(&dir.path().join("control/keys/tickets.json")).unwrap();
    let now_ms = || i64::try_from(now_ms()).unwrap();
    for off_s in [600, -600] {
        let edge =
            edge(&dir.path().join(format!("edge{off_s}")), &format!("edge{off_s}"), &control, off_s).await;
        let placed = placed(&control).await;
        placed.join("main").await.next_of("hello").await;
        says(&edge, "control's clock is ahead of this node's by so much").await;
        assert_eq!(edge.process.stderr().matches("control's clock is ahead").count(), 1);
        let metrics = get(edge.address, "/metrics").await.unwrap();
        let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
        let line =
            metrics.lines().find_map(|line| line.strip_prefix("emostream_control_clock_ahead_ms ")).unwrap();
        let ahead_ms: i64 = line.parse().unwrap();
        // Half a round trip is what it may be wrong by, and no answer is waited for for longer than 5 s.
        assert!((ahead_ms + i64::from(off_s) * 1_000).abs() <= 2_600, "{ahead_ms} {off_s}");

        // One that has expired is as dead here as anywhere, and one of the future is none.
        let claims = signer.public().verify(&placed.ticket, now_ms()).unwrap();
        let now_s = now_ms() / 1_000;
        for (iat, why) in [(now_s - 40, "it has expired"), (now_s + 60, "it is of the future")] {
            let jti = uuid::Uuid::from_bytes(rand::random());
            let ticket = signer.sign(&TicketClaims { jti, iat, exp: iat + 30, ..claims.clone() }).unwrap();
            let mut viewer = Viewer::join(edge.address, "main", &format!("?ticket={ticket}")).await.unwrap();
            assert_eq!(viewer.next().await, closed(4007, "ticket-refused"), "{why}");
            says(&edge, why).await;
        }
        // It takes its leave, so that the next one is where people are sent.
        assert_eq!(edge.stop().code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_whose_name_another_process_has_taken_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let control = control(&dir.path().join("control"));
    let first = edge(&dir.path().join("first"), "north-1", &control, 0).await;
    let before = placed(&control).await;
    assert_eq!(before.address, first.address);
    let second = edge(&dir.path().join("second"), "north-1", &control, 0).await;
    says(&first, "another process reports to control under this edge's name").await;
    let refused = get(first.address, "/v1/channels/main/events").await.unwrap();
    assert_eq!((refused.status, refused.problem().as_deref()), (503, Some("edge-draining")), "{refused:?}");
    let there = async || {
        let answer = place(control.address, &json!({"channel": "main"})).await;
        let address = (answer.status == 200).then(|| Placed::of(&answer).address);
        (address == Some(second.address)).then_some(())
    };
    wait_for("people to be sent to the second one", there).await;
    assert!(!second.process.stderr().contains("another process"), "it is the one that has the name");
    // Once the other one is gone, the name is free again.
    assert_eq!(second.stop().code, Some(0));
    says(&first, "no other process has this edge's place any more").await;
    says(&first, "the edge takes viewers again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_tiers_devices_too_many_after_a_partition_the_oldest_goes() {
    let dir = tempfile::tempdir().unwrap();
    // Tier 3: one device.
    let control = start(
        &dir.path().join("control"),
        &[],
        &[r#"roles=["ingest", "aggregate", "control"]"#, "placement.ttl_ms=4000"],
    );
    let one = edge(&dir.path().join("one"), "north-1", &control, 0).await;
    let new = json!({"username": "ada", "password": "a long password"});
    let mut client = Client::connect(control.address).await.unwrap();
    let made = client.post("/v1/register", "application/json", new.to_string()).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let mut ada = Signed::login(control.address, "ada", "a long password").await;
    let mut phone = connected(&mut ada, "phone").await.join("main").await;
    phone.next_of("hello").await;
    let two = edge(&dir.path().join("two"), "south-1", &control, 0).await;
    let known = async || {
        let devices = ada.get("/v1/me/devices").await.json();
        (devices["items"][0]["connected"] == true).then_some(())
    };
    wait_for("control to know of the phone", known).await;
    // The edge is cut off, and its viewer is not: after a while another device gets the place.
    one.process.signal(Signal::STOP);
    let laptop = connected(&mut ada, "laptop").await;
    assert_eq!(laptop.address, two.address);
    let mut laptop = laptop.join("main").await;
    laptop.next_of("hello").await;
    // Both are connected. Back in contact, the edge hears that one is too many.
    one.process.signal(Signal::CONT);
    assert_eq!(end_of(&mut phone).await, closed(4006, "surplus"));
    let left = async || {
        let devices = ada.get("/v1/me/devices").await.json()["items"].as_array().unwrap().clone();
        let is_laptop = devices.len() == 1 && devices[0]["device_id"] == "laptop";
        (is_laptop && devices[0]["connected"] == true).then_some(())
    };
    wait_for("the laptop alone", left).await;
}

/// A place for a device of somebody, once there is one.
async fn connected(signed: &mut Signed, device: &str) -> Placed {
    wait_for("a place", async || {
        let answer = place_device(signed, device).await;
        (answer.status == 200).then(|| Placed::of(&answer))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_control_is_not_ready_and_edges_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = tokio::task::spawn_blocking(Database::start).await.unwrap();
    let store = format!("store.url={}", database.url);
    let control = start(&dir.path().join("control"), &[], &[r#"roles=["control"]"#, &store]);
    let edge = edge(&dir.path().join("edge"), "north-1", &control, 0).await;
    let mut viewer = placed(&control).await.join("main").await;
    viewer.next_of("hello").await;
    let ready = async |server: &Server, status: u16| {
        wait_for("readiness", async || {
            let answer = get(server.address, "/readyz").await.unwrap();
            (answer.status == status).then(|| answer.json())
        })
        .await
    };
    assert_eq!(ready(&control, 200).await["store"], "ok");
    let unused = placed(&control).await;
    tokio::task::block_in_place(|| database.pause());
    unused.join("main").await.next_of("hello").await;
    let said = ready(&control, 503).await;
    let waiting_for = json!(["control: the store does not answer"]);
    assert_eq!((&said["waiting_for"], &said["store"]), (&waiting_for, &json!("silent")), "{said}");
    // The edge takes reactions, counts them and shows them.
    assert_eq!(get(edge.address, "/readyz").await.unwrap().status, 200);
    assert_eq!(react(edge.address, "main", &json!({"emote": "🔥"})).await.unwrap().status, 200);
    viewer.next_of("window").await;
    tokio::task::block_in_place(|| database.again());
    assert_eq!(ready(&control, 200).await["store"], "ok");
    placed(&control).await.join("main").await.next_of("hello").await;
}
