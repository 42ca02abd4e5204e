//! The line of those who find no room.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Edge, call, member, opened, place, start};
use crate::harness::{client::Answer, wait_for};

/// Token and place of an answer that says to wait.
fn waits(answer: &Answer) -> (Value, u64, u64) {
    assert_eq!((answer.status, answer.problem().as_deref()), (503, Some("no-room")), "{answer:?}");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..15).contains(&seconds), "{seconds}");
    let line = answer.json()["line"].clone();
    (line["token"].clone(), line["place"].as_u64().unwrap(), line["waiting"].as_u64().unwrap())
}

/// Asks with a token of the line, as often as it takes to be told: whoever waits may ask once a second.
async fn ask(address: SocketAddr, token: &Value) -> Answer {
    wait_for("an answer to who waits", async || {
        let answer = place(address, None, json!({"line": token})).await;
        (answer.status != 429).then_some(answer)
    })
    .await
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
    let placed = place(address, None, json!({"line": one})).await;
    assert_eq!(placed.status, 200, "{placed:?}");
    // Who did not get that answer is told the same again, until it is known to be used.
    let ticket = placed.json()["ticket"].as_str().unwrap().to_owned();
    assert_eq!(place(address, None, json!({"line": one})).await.json()["ticket"], ticket);
    let claims = opened(address, &ticket).await;
    edge.tell(1, &[claims.jti], &[]).await;
    // A token that was of use once, or never, is none.
    assert_eq!(waits(&place(address, None, json!({"line": one})).await).1, 3);
    assert_eq!(waits(&place(address, None, json!({"line": "l1.1.1.1.1"})).await).1, 4);
    let metrics = wait_for("the line in the metrics", async || {
        let metrics = crate::harness::client::get(address, "/metrics").await.unwrap();
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        text.contains("emostream_line_waiting 4").then_some(text)
    });
    assert!(metrics.await.contains("emostream_placements_total{kind=\"granted\"} 3"));
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
    let (two, at, _) = waits(&ask(server.address, &two).await);
    assert_eq!(at, 1);
    let (one, at, _) = waits(&ask(server.address, &one).await);
    assert_eq!(at, 1);
    assert_eq!(waits(&ask(server.address, &two).await).1, 2);
    assert_eq!(waits(&ask(server.address, &newcomer).await).1, 3);
    // Once everybody had time to come back, the first is let in, and nobody before.
    let placed = wait_for("the first one's turn", async || {
        edge.tell(0, &[], &[]).await;
        assert_eq!(waits(&ask(server.address, &two).await).1, 2);
        let answer = ask(server.address, &one).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_device_has_one_place_and_ends_another_one_only_for_room() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["accounts.tier_devices=[5, 2, 1]"]);
    let address = server.address;
    let _edge = Edge::join(address, "north-1", "north", 2).await;
    let ada = member(address, "Ada").await;
    let placed = async |more: Value| place(address, Some(&ada), more).await;
    // The same device again, and again: one place.
    for _ in 0..3 {
        assert_eq!(placed(json!({"device_id": "laptop"})).await.status, 200);
    }
    assert_eq!(place(address, None, json!({})).await.status, 200);
    let refused = placed(json!({"device_id": "phone"})).await;
    assert_eq!((refused.status, refused.problem().as_deref()), (409, Some("device-limit")), "{refused:?}");
    // Its ticket may never be used: that is over by itself.
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=700).contains(&seconds), "{seconds}");
    waits(&placed(json!({"device_id": "laptop"})).await);
    let ends = json!({"device_id": "phone", "end_device_id": "laptop"});
    let (token, at, waiting) = waits(&placed(ends.clone()).await);
    assert_eq!((at, waiting), (2, 2));
    assert_eq!(waits(&placed(ends.clone()).await).1, 2);
    // It is of no use to somebody else.
    assert_eq!(waits(&place(address, None, json!({"line": token})).await).1, 3);
    let devices = call(address, "GET", "/v1/me/devices", Some(&ada), &Value::Null).await.json();
    assert_eq!(devices["items"][0]["device_id"], "laptop", "{devices}");
    assert_eq!(placed(json!({"end_device_id": "a\nb"})).await.json()["field"], "end_device_id");
    // Room for two: for the first, who does not come, and for this one.
    let _other = Edge::join(address, "south-1", "south", 2).await;
    let answer = placed(json!({"device_id": "phone", "end_device_id": "laptop", "line": token})).await;
    assert_eq!((answer.status, &answer.json()["device_id"]), (200, &json!("phone")), "{answer:?}");
    let devices = call(address, "GET", "/v1/me/devices", Some(&ada), &Value::Null).await.json();
    assert_eq!(devices["items"].as_array().unwrap().len(), 1);
    assert_eq!(devices["items"][0]["device_id"], "phone", "{devices}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_gone_waits_on_and_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let address = server.address;
    let _edge = Edge::join(address, "north-1", "north", 1).await;
    let ada = member(address, "Ada").await;
    assert_eq!(place(address, None, json!({})).await.status, 200);
    let asked =
        async |token: &Value| place(address, Some(&ada), json!({"device_id": "phone", "line": token})).await;
    let (token, ..) = waits(&place(address, Some(&ada), json!({"device_id": "phone"})).await);
    let gone = call(address, "DELETE", "/v1/me", Some(&ada), &json!({"password": "a long password"})).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    // Nobody looks at accounts for telling people that others are first …
    waits(&asked(&token).await);
    // … but nothing is given to who is nobody any more, with or without a place in line.
    let _other = Edge::join(address, "south-1", "south", 1).await;
    let refused = asked(&token).await;
    assert_eq!((refused.status, refused.problem().as_deref()), (401, Some("token-invalid")), "{refused:?}");
    let refused = asked(&token).await;
    assert_eq!((refused.status, refused.problem().as_deref()), (401, Some("token-invalid")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_connect_no_further_device_stands_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["accounts.tier_devices=[5, 2, 1]"]);
    let address = server.address;
    let mut edge = Edge::join(address, "north-1", "north", 1).await;
    let ada = member(address, "Ada").await;
    assert_eq!(place(address, None, json!({})).await.status, 200);
    // None of her devices is connected yet, so that all of them may wait; after her, a guest.
    let as_ada = async |device: &str, token: &Value| {
        let (device, token) = (device.to_owned(), token.clone());
        wait_for("an answer to a device that waits", async || {
            let answer = place(address, Some(&ada), json!({"device_id": device, "line": token})).await;
            (answer.status != 429).then_some(answer)
        })
        .await
    };
    let (laptop, at, _) = waits(&as_ada("laptop", &Value::Null).await);
    assert_eq!(at, 1);
    let (phone, at, _) = waits(&as_ada("phone", &Value::Null).await);
    assert_eq!(at, 2);
    let (tv, at, _) = waits(&as_ada("tv", &Value::Null).await);
    assert_eq!(at, 3);
    let (guest, at, _) = waits(&place(address, None, json!({})).await);
    assert_eq!(at, 4);
    edge.report.capacity = 2;
    edge.tell(0, &[], &[]).await;
    assert_eq!(as_ada("laptop", &laptop).await.status, 200);
    // There is room for one more: not for another device of hers, however often it asks.
    edge.report.capacity = 3;
    edge.tell(0, &[], &[]).await;
    for (device, token) in [("phone", &phone), ("tv", &tv), ("phone", &phone)] {
        let refused = as_ada(device, token).await;
        assert_eq!(
            (refused.status, refused.problem().as_deref()),
            (409, Some("device-limit")),
            "{refused:?}"
        );
    }
    let placed = ask(address, &guest).await;
    assert_eq!(placed.status, 200, "{placed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_ticket_that_opens_nothing_stands_where_they_stood() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let address = server.address;
    let (one, ..) = waits(&place(address, None, json!({})).await);
    let (two, at, _) = waits(&place(address, None, json!({})).await);
    assert_eq!(at, 2);
    let mut edge = Edge::join(address, "north-1", "north", 1).await;
    let first = ask(address, &one).await;
    assert_eq!(first.json()["edge"], "north-1", "{first:?}");
    // People without tickets were faster: there is no room.
    edge.tell(1, &[], &[]).await;
    let (one, at, waiting) = waits(&ask(address, &one).await);
    assert_eq!((at, waiting), (1, 2));
    edge.tell(0, &[], &[]).await;
    let first = ask(address, &one).await;
    assert_eq!(first.status, 200, "{first:?}");
    // The edge is started anew: what was given for it before opens nothing.
    let mut edge = Edge::join(address, "north-1", "north", 1).await;
    let again = ask(address, &one).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_ne!(again.json()["ticket"], first.json()["ticket"]);
    // It is about to stop.
    edge.report.is_leaving = true;
    edge.tell(0, &[], &[]).await;
    assert_eq!(waits(&ask(address, &one).await).1, 1);
    assert_eq!(waits(&ask(address, &two).await).1, 2);
    let mut edge = Edge::join(address, "south-1", "south", 1).await;
    let placed = ask(address, &one).await;
    assert_eq!(placed.json()["edge"], "south-1", "{placed:?}");
    // Now it is used, and the token with it.
    let claims = opened(address, placed.json()["ticket"].as_str().unwrap()).await;
    edge.tell(1, &[claims.jti], &[]).await;
    assert_eq!(waits(&ask(address, &one).await).1, 2);
}
