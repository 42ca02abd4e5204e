//! The line of those who find no room.

use serde_json::{Value, json};

use super::{Edge, opened, place, start};
use crate::harness::{client::Answer, wait_for};

/// Token and place of an answer that says to wait.
fn waits(answer: &Answer) -> (Value, u64, u64) {
    assert_eq!((answer.status, answer.problem().as_deref()), (503, Some("no-room")), "{answer:?}");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..15).contains(&seconds), "{seconds}");
    let line = answer.json()["line"].clone();
    (line["token"].clone(), line["place"].as_u64().unwrap(), line["waiting"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_makes_people_wait_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let address = server.address;
    // Without any edge there is no room either.
    let (token, at, _) = waits(&place(address, None, json!({})).await);
    assert_eq!(at, 1);
    let mut edge = Edge::join(address, "north-1", "north", 1).await;
    let first = place(address, None, json!({"line": token})).await;
    assert_eq!(first.status, 200, "{first:?}");
    let (one, at, waiting) = waits(&place(address, None, json!({})).await);
    assert_eq!((at, waiting), (1, 1));
    let (two, at, waiting) = waits(&place(address, None, json!({})).await);
    assert_eq!((at, waiting), (2, 2));
    // The ticket is used, then its viewer leaves: one place.
    let claims = opened(address, first.json()["ticket"].as_str().unwrap()).await;
    edge.tell(1, &[claims.jti], &[]).await;
    assert_eq!(waits(&place(address, None, json!({"line": one})).await).1, 1);
    edge.tell(0, &[], &[claims.jti]).await;
    assert_eq!(waits(&place(address, None, json!({"line": two})).await).1, 2);
    assert_eq!(waits(&place(address, None, json!({})).await).1, 3);
    assert_eq!(place(address, None, json!({"line": one})).await.status, 200);
    // A token that was of use once, or never, is none.
    assert_eq!(waits(&place(address, None, json!({"line": one})).await).1, 3);
    assert_eq!(waits(&place(address, None, json!({"line": "l1.1.1.1.1"})).await).1, 4);
    let metrics = wait_for("the line in the metrics", async || {
        let metrics = crate::harness::client::get(address, "/metrics").await.unwrap();
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        text.contains("emostream_line_waiting 4").then_some(text)
    });
    assert!(metrics.await.contains("emostream_placements_total{kind=\"granted\"} 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_survives_a_restart_of_control() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let (one, ..) = waits(&place(server.address, None, json!({})).await);
    let (two, ..) = waits(&place(server.address, None, json!({})).await);
    wait_for("the mark", async || dir.path().join("line").exists().then_some(())).await;
    server.kill9();
    let server = start(dir.path(), &[]);
    // There is room now, and the second comes back first, as does somebody new.
    let mut edge = Edge::join(server.address, "north-1", "north", 1).await;
    let (newcomer, ..) = waits(&place(server.address, None, json!({})).await);
    let (two, at, _) = waits(&place(server.address, None, json!({"line": two})).await);
    assert_eq!(at, 1);
    let (one, at, _) = waits(&place(server.address, None, json!({"line": one})).await);
    assert_eq!(at, 1);
    assert_eq!(waits(&place(server.address, None, json!({"line": two})).await).1, 2);
    assert_eq!(waits(&place(server.address, None, json!({"line": newcomer})).await).1, 3);
    // Once everybody had time to come back, the first is let in, and nobody before.
    let placed = wait_for("the first one's turn", async || {
        edge.tell(0, &[], &[]).await;
        assert_eq!(waits(&place(server.address, None, json!({"line": two})).await).1, 2);
        let answer = place(server.address, None, json!({"line": one})).await;
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(placed.await.json()["edge"], "north-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_waits() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["placement.guests_per_s=1", "placement.guests_burst=3"]);
    let limited = wait_for("the limit", async || {
        let answer = place(server.address, None, json!({})).await;
        (answer.status == 429).then_some(answer)
    });
    let limited = limited.await;
    assert_eq!(limited.problem().as_deref(), Some("rate-limited"));
    assert!(limited.header("retry-after").is_some());
}
