//! An edge whose control goes and comes back: who is connected stays, tickets that were given out work, and control learns
//! again who is there.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
};

use serde_json::json;

use super::{PASSWORD, Placed, closed, end_of, place_device};
use crate::harness::{
    client::{Client, Viewer, react},
    process::Server,
    signed::{Signed, WITH_ADMIN},
    wait_for,
};

const KEY: &str = "internal.key=0123456789abcdef0123456789abcdef";

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// For what must not depend on how soon a busy machine reports.
const LONG_MS: u32 = 20_000;

/// A node with control, where people ask, and no edges.
fn home(dir: &Path, listen: SocketAddr, ttl_ms: u32) -> Server {
    let listen = listen.to_string();
    let roles = r#"roles=["control"]"#;
    let ttl = format!("placement.ttl_ms={ttl_ms}");
    let args = ["--listen", &listen, "--set", KEY, "--set", roles, "--set", &ttl];
    let args = [&args[..], &["--set", "placement.report_ms=200"], &WITH_ADMIN[..]].concat();
    Server::start(&dir.join("home"), &args)
}

/// A node with an edge, which asks that control.
fn outpost(dir: &Path, control: SocketAddr, ttl_ms: u32) -> Server {
    let ttl = format!("placement.ttl_ms={ttl_ms}");
    let url = format!("control.url=http://{control}");
    let settings = [
        KEY,
        &url,
        r#"roles=["ingest", "aggregate", "edge"]"#,
        r#"edges=[{name = "far-1", cluster = "far", listen = "127.0.0.1:0", capacity = 20}]"#,
        "placement.report_ms=200",
        &ttl,
    ];
    let args: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    Server::start(&dir.join("outpost"), &args)
}

async fn until_placed(signed: &mut Signed, device: &str) -> Placed {
    let asked = async || {
        let answer = place_device(signed, device).await;
        (answer.status == 200).then(|| Placed::of(&answer))
    };
    wait_for("a place", asked).await
}

async fn sees_what_comes(viewer: &mut Viewer, at: SocketAddr) {
    assert_eq!(react(at, "main", &json!({"emote": "🔥"})).await.unwrap().status, 200);
    viewer.next_of("pulse").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_connected_stays_while_control_is_down_and_is_known_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let control_at = free();
    let control = home(dir.path(), control_at, LONG_MS);
    let node = outpost(dir.path(), control_at, LONG_MS);
    for name in ["ada", "bob"] {
        let mut client = Client::connect(control_at).await.unwrap();
        let body = json!({"username": name, "password": PASSWORD}).to_string();
        assert_eq!(client.post("/v1/register", "application/json", body).await.unwrap().status, 201);
    }
    let mut ada = Signed::login(control_at, "ada", PASSWORD).await;
    let mut bob = Signed::login(control_at, "bob", PASSWORD).await;
    let mut phone = until_placed(&mut ada, "phone").await.join("main").await;
    phone.next_of("hello").await;
    // It is used only when control is gone.
    let before = until_placed(&mut bob, "tablet").await;

    control.kill9();
    sees_what_comes(&mut phone, node.address).await;
    let mut tablet = before.join("main").await;
    tablet.next_of("hello").await;
    let mut again = before.join("main").await;
    assert_eq!(end_of(&mut again).await, closed(4007, "ticket-refused"), "once, without control too");
    let said = async || node.process.stderr().contains("control does not answer reports").then_some(());
    wait_for("the edge to notice", said).await;
    assert_eq!(crate::harness::client::get(node.address, "/readyz").await.unwrap().status, 200);
    sees_what_comes(&mut tablet, node.address).await;

    let _control = home(dir.path(), control_at, LONG_MS);
    for (name, device) in [("ada", "phone"), ("bob", "tablet")] {
        let mut signed = Signed::login(control_at, name, PASSWORD).await;
        let known = async || {
            let devices = signed.get("/v1/me/devices").await.json();
            let device_of =
                |item: &serde_json::Value| item["device_id"] == device && item["connected"] == true;
            devices["items"].as_array()?.iter().any(device_of).then_some(())
        };
        wait_for(&format!("{device} to be known again"), known).await;
        // Its place is taken: tier 3 has one.
        let answer = place_device(&mut signed, "another").await;
        assert_eq!((answer.status, answer.problem().as_deref()), (409, Some("device-limit")), "{answer:?}");
    }
    sees_what_comes(&mut phone, node.address).await;
    // What control says is done again.
    let mut ada = Signed::login(control_at, "ada", PASSWORD).await;
    assert_eq!(ada.send("DELETE", "/v1/me/devices/phone", &[], "").await.status, 204);
    assert_eq!(end_of(&mut phone).await, closed(4505, "device-ended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_edge_held_is_free_when_it_stops_or_dies() {
    let dir = tempfile::tempdir().unwrap();
    let control_at = free();
    let _control = home(dir.path(), control_at, 2_000);
    let mut client = Client::connect(control_at).await.unwrap();
    let body = json!({"username": "ada", "password": PASSWORD}).to_string();
    assert_eq!(client.post("/v1/register", "application/json", body).await.unwrap().status, 201);
    let mut ada = Signed::login(control_at, "ada", PASSWORD).await;
    for kills in [false, true] {
        let node = outpost(dir.path(), control_at, 2_000);
        let mut phone = until_placed(&mut ada, "phone").await.join("main").await;
        phone.next_of("hello").await;
        let connected = async |ada: &mut Signed| {
            let devices = ada.get("/v1/me/devices").await.json();
            devices["items"].as_array().unwrap().len()
        };
        let known = async || (connected(&mut ada).await == 1).then_some(());
        wait_for("the device to be known", known).await;
        if kills {
            node.kill9();
            let free = async || (connected(&mut ada).await == 0).then_some(());
            wait_for("one time to live to pass", free).await;
        } else {
            assert_eq!(node.stop().code, Some(0));
            assert_eq!(connected(&mut ada).await, 0, "the edge has said goodbye, so that it is free at once");
        }
    }
}
