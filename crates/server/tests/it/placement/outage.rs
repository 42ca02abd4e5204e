//! Placement while the store is away.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tokio::{task::JoinSet, time::Instant};
use uuid::Uuid;

use super::{Edge, call, member, opened, place, start};
use crate::harness::{client::Answer, wait_for};

/// Edges that have not been heard for so long are lost.
const TTL: Duration = Duration::from_secs(4);

/// A guest asks, and keeps the place in line; the answer, if it is a place.
async fn ask(address: SocketAddr, line: &mut Value) -> Option<Answer> {
    let answer = place(address, None, json!({"line": line})).await;
    if answer.problem().as_deref() == Some("no-room") {
        *line = answer.json()["line"]["token"].clone();
    }
    Some(answer).filter(|answer| answer.status == 200)
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_are_placed_while_the_store_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [format!("placement.ttl_ms={}", TTL.as_millis()), "placement.report_ms=500".into()];
    let server = start(dir.path(), &settings.each_ref().map(String::as_str));
    let address = server.address;
    let ada = member(address, "Ada").await;
    let mut edge = Edge::join(address, "north-1", "north", 2).await;
    // Somebody else has the database: it can be read, and nothing can be changed.
    let file = format!("sqlite://{}", dir.path().join("emostream.db").display());
    let mut database = SqliteConnection::connect(&file).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut database).await.unwrap();
    let mut sent = JoinSet::new();
    let mut report = async |opened: &[Uuid]| {
        sent.spawn(edge.send(1, opened, &[]));
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    let until = Instant::now() + 2 * TTL;
    while Instant::now() < until {
        report(&[]).await;
    }
    let mut line = Value::Null;
    let first = wait_for("a place for a guest", async || {
        report(&[]).await;
        ask(address, &mut line).await
    });
    let first = first.await;
    // There is none for another one, before that one has come: one of the two there leaves.
    let mut line = place(address, None, json!({})).await.json()["line"]["token"].clone();
    assert!(line.is_string());
    let used = opened(address, first.json()["ticket"].as_str().unwrap()).await.jti;
    report(&[used]).await;
    wait_for("a place for another guest", async || {
        report(&[]).await;
        ask(address, &mut line).await
    })
    .await;
    sqlx::raw_sql("ROLLBACK").execute(&mut database).await.unwrap();
    // Accounts are placed again as well, once there is room.
    let placed = wait_for("the store", async || {
        edge.report.capacity = 9;
        drop(edge.send(1, &[], &[]).await);
        let placed = place(address, Some(&ada), json!({"device_id": "phone"})).await;
        (placed.status == 200).then_some(placed)
    });
    assert_eq!(placed.await.json()["edge"], "north-1");
    let devices = call(address, "GET", "/v1/me/devices", Some(&ada), &Value::Null).await.json();
    assert_eq!(devices["items"].as_array().unwrap().len(), 1, "{devices}");
}
