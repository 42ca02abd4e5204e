//! Clients that take their time: slow heads, slow bodies, idle connections, more connections than there may be.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::{metric, raw::Raw, start, still_serves};
use crate::harness::{
    client::{Client, Viewer},
    wait_for,
};

/// Time between two bytes of a slow client, well below every limit.
const DRIP: Duration = Duration::from_millis(40);

/// Sends one byte after the other until the server has had enough; what it said last.
async fn drip(address: std::net::SocketAddr, at_once: &str, slowly: &str) -> Option<u16> {
    let mut raw = Raw::connect(address).await;
    raw.send(at_once.as_bytes()).await;
    for byte in slowly.bytes().cycle() {
        let sent = tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &[byte]).await;
        if sent.is_err() || !raw.pause(DRIP).await {
            break;
        }
    }
    let said = raw.answer().await.map(|said| said.status);
    raw.ended().await;
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_and_bodies_are_closed() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["http.header_timeout_ms=2000", "http.body_timeout_ms=2000"]);
    let address = server.address;
    let head = "POST /v1/channels/main/reactions HTTP/1.1\r\nhost: x\r\n";
    let mut slow = JoinSet::new();
    for _ in 0..50 {
        slow.spawn(async move { assert_eq!(drip(address, "", "x").await, None, "slow from the first byte") });
        slow.spawn(async move { assert_eq!(drip(address, head, "x: y\r\n").await, None, "slow headers") });
        let sized = format!("{head}content-length: 100000\r\n\r\n");
        slow.spawn(async move { assert_eq!(drip(address, &sized, " ").await, Some(408), "slow body") });
        let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
        slow.spawn(async move {
            assert_eq!(drip(address, &chunked, "1\r\n \r\n").await, Some(408), "slow chunks");
        });
        // One that says nothing at all, and one that falls silent after a request.
        slow.spawn(async move { Raw::connect(address).await.ended().await });
        slow.spawn(async move {
            let mut raw = Raw::connect(address).await;
            raw.send(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
            assert_eq!(raw.answer().await.unwrap().status, 200);
            raw.ended().await;
        });
    }
    // Meanwhile others are served.
    still_serves(&server).await;
    while let Some(ended) = slow.join_next().await {
        ended.unwrap();
    }
    still_serves(&server).await;
    wait_for("no connection is left but the one that asks", async || {
        (metric(&server, "emostream_connections").await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_there_may_be_wait_and_harm_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["http.connections_max=20", "http.header_timeout_ms=1500"]);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    let mut client = Client::connect(server.address).await.unwrap();
    client.react("main", &json!({"emote": "🔥"})).await.unwrap();
    let flood: Vec<Raw> = {
        let mut connecting = JoinSet::new();
        (0..200).for_each(|_| drop(connecting.spawn(Raw::connect(server.address))));
        connecting.join_all().await
    };
    // Those inside are served as if nothing were.
    for _ in 0..20 {
        let answer = client.react("main", &json!({"emote": "👏"})).await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(metric_of(&mut client).await <= 20);
        viewer.next_of("pulse").await;
    }
    // Those who say nothing lose their place, and the next ones get it: a newcomer is served in the end.
    still_serves(&server).await;
    drop(flood);
    viewer.next_of("window").await;
}

async fn metric_of(client: &mut Client) -> u64 {
    let metrics = client.get("/metrics").await.unwrap();
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    text.lines().find_map(|line| line.strip_prefix("emostream_connections ")).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_that_fall_silent_are_closed() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["edge.ping_ms=2000"]);
    // Answers no ping.
    let mut silent = Raw::viewer(server.address).await;
    let mut answering = Viewer::join(server.address, "main", "").await.unwrap();
    // A viewer answers pings while it reads.
    let (code, ()) = tokio::join!(silent.close_code(), async {
        for _ in 0..10 {
            still_serves(&server).await;
            answering.next_of("pulse").await;
        }
    });
    assert_eq!(code, Some(4004));
}
