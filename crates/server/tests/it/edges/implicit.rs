//! A node without `edges`, which is one edge as a whole: whoever asks it for a place stays on the address that was asked.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
};

use http_body_util::Full;
use serde_json::{Value, json};

use super::closed;
use crate::harness::{
    client::{Answer, Client, Viewer},
    process::Server,
    signed::WITH_ADMIN,
    wait_for,
};

pub(super) const KEY: &str = "internal.key=0123456789abcdef0123456789abcdef";

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(super) fn start(dir: &Path, args: &[&str], settings: &[&str]) -> Server {
    let set: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    let all = ["--set", KEY, "--set", "placement.report_ms=200"];
    Server::start(dir, &[&WITH_ADMIN[..], &all, args, &set].concat())
}

/// A node without control.
fn outpost(dir: &Path, control: SocketAddr, more: &[&str]) -> Server {
    let url = format!("control.url=http://{control}");
    start(dir, &[], &[&[url.as_str(), r#"roles=["ingest", "aggregate", "edge"]"#], more].concat())
}

/// The name that people know the server by.
const HOST: &str = "emoji.example";

/// Asks for a place as a page behind a proxy does.
async fn ask(address: SocketAddr, headers: &[(&str, &str)]) -> Answer {
    let mut client = Client::connect(address).await.unwrap();
    let mut request = client.request("POST", "/v1/placements").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let host = request.headers_mut().unwrap().insert("host", HOST.parse().unwrap());
    assert!(host.is_some(), "it takes the place of another one");
    let body = json!({"channel": "main"}).to_string();
    client.send(request.body(Full::new(body.into())).unwrap()).await.unwrap()
}

async fn placed(address: SocketAddr, headers: &[(&str, &str)]) -> Value {
    let asked = async || {
        let answer = ask(address, headers).await;
        (answer.status == 200).then(|| answer.json())
    };
    wait_for("a place", asked).await
}

async fn is_let_in(address: SocketAddr, placed: &Value) {
    let query = format!("?ticket={}", placed["ticket"].as_str().unwrap());
    Viewer::join(address, "main", &query).await.unwrap().next_of("hello").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_the_edge_itself_stays_on_the_address_that_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[], &["placement.required=true"]);
    let place = placed(server.address, &[]).await;
    assert_eq!(place["url"], "", "neither the port that it listens on nor http is of any use behind a proxy");
    is_let_in(server.address, &place).await;
    assert!(!server.process.stderr().contains("edge.url is not set"));
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    assert_eq!(viewer.next().await, closed(4007, "ticket-refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_another_node_is_told_where_the_edge_is() {
    let dir = tempfile::tempdir().unwrap();
    let control_at = free();
    let listen = ["--listen", &control_at.to_string()];
    let home = start(&dir.path().join("home"), &listen, &[r#"roles=["control"]"#]);
    let outpost_dir = dir.path().join("outpost");
    let node = outpost(&outpost_dir, control_at, &[]);
    let here = placed(node.address, &[]).await;
    assert_eq!(here["url"], "");
    is_let_in(node.address, &here).await;
    let port = node.address.port();
    // Whom a node asks for is for nodes to say.
    let edge = here["edge"].as_str().unwrap();
    let there = placed(home.address, &[("x-emostream-edge", edge)]).await;
    assert_eq!(there["url"], format!("http://{HOST}:{port}"));
    assert!(node.process.stderr().contains("edge.url is not set"), "{}", node.process.stderr());
    assert_eq!(node.stop().code, Some(0));

    let node = outpost(&outpost_dir, control_at, &[r#"edge.url="https://edge.example""#]);
    for address in [node.address, home.address] {
        let told = async || {
            let place = placed(address, &[]).await;
            (place["url"] == "https://edge.example").then_some(())
        };
        wait_for("the address that the edge has for all", told).await;
    }
    assert!(!node.process.stderr().contains("edge.url is not set"));
}

/// Logs in as system B's user; where the cluster is.
async fn cluster_of(address: SocketAddr, name: &str, headers: &[(&str, &str)]) -> Value {
    let logged_in = async || {
        let mut client = Client::connect(address).await.unwrap();
        let mut request = client.request("POST", "/login").header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.headers_mut().unwrap().insert("host", HOST.parse().unwrap());
        let body = json!({"name": name, "password": "a long password", "device_id": "tab"}).to_string();
        let answer = client.send(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        // An edge may not have been heard of yet.
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        (answer.status == 200).then(|| answer.json()["cluster"]["url"].clone())
    };
    wait_for("a cluster", logged_in).await
}

#[tokio::test(flavor = "multi_thread")]
async fn system_bs_users_are_told_the_address_by_which_they_know_the_edge() {
    let dir = tempfile::tempdir().unwrap();
    let proxies = r#"http.trusted_proxies=["127.0.0.1"]"#;
    let control_at = free();
    let listen = ["--listen", &control_at.to_string()];
    let home = start(&dir.path().join("home"), &listen, &[r#"roles=["control"]"#]);
    let new = json!({"username": "bea", "password": "a long password", "tier": null});
    let mut client = Client::connect(home.address).await.unwrap();
    let made = client.post("/v1/register", "application/json", new.to_string()).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let over_tls = [("x-forwarded-proto", "https")];
    let node = outpost(&dir.path().join("outpost"), control_at, &[]);
    let port = node.address.port();
    assert_eq!(cluster_of(node.address, "bea", &[]).await, format!("http://{HOST}"));
    assert_eq!(cluster_of(node.address, "bea", &over_tls).await, format!("http://{HOST}"), "it is no proxy");
    // From another node the port is what it is.
    assert_eq!(cluster_of(home.address, "bea", &over_tls).await, format!("http://{HOST}:{port}"));
    assert_eq!(node.stop().code, Some(0));
    let node = outpost(&dir.path().join("outpost"), control_at, &[proxies]);
    assert_eq!(cluster_of(node.address, "bea", &over_tls).await, format!("https://{HOST}"));
    assert_eq!(cluster_of(node.address, "bea", &[]).await, format!("http://{HOST}"));
    assert_eq!(node.stop().code, Some(0));
    let own = [proxies, r#"edge.url="https://edge.example""#];
    let node = outpost(&dir.path().join("outpost"), control_at, &own);
    let told = async || (cluster_of(node.address, "bea", &[]).await == "https://edge.example").then_some(());
    wait_for("the address that the edge has for all", told).await;
}
