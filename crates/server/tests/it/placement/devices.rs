//! Tickets and devices: what an account may connect, and how it gets room for another one.

use emostream_protocol::placement::HeldLease;
use serde_json::{Value, json};

use super::{Edge, KEY, call, member, opened, place, start};
use crate::harness::{process::Server, signed::Signed, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_for_one_edge_and_one_device() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let address = server.address;
    let edge = Edge::join(address, "north-1", "north", 10).await;
    let ada = member(address, "Ada").await;
    let placed = place(address, Some(&ada), json!({"device_id": "phone", "device_name": "Firefox"})).await;
    assert_eq!((placed.status, placed.header("cache-control")), (200, Some("no-store")), "{placed:?}");
    let placed = placed.json();
    assert_eq!((&placed["cluster"], &placed["edge"]), (&json!("north"), &json!("north-1")));
    assert_eq!(placed["url"], format!("http://{}:3005", address.ip()));
    let claims = opened(address, placed["ticket"].as_str().unwrap()).await;
    assert_eq!((claims.edge.as_str(), claims.generation), ("north-1", edge.report.generation));
    assert_eq!(placed["lease"], claims.jti.to_string());
    let device = claims.device.unwrap();
    assert_eq!(
        (claims.user.as_str(), device.device_id.as_str(), device.name.as_str()),
        ("Ada", "phone", "Firefox")
    );
    assert!((1..=30).contains(&(claims.exp - claims.iat)));
    // A guest has a ticket and no lease, and keeps a name.
    let guest = place(address, None, json!({})).await;
    assert!(guest.header("set-cookie").unwrap().starts_with("emostream_guest="));
    let guest = guest.json();
    assert_eq!(guest["lease"], Value::Null);
    let claims = opened(address, guest["ticket"].as_str().unwrap()).await;
    assert!(claims.user.starts_with("guest:") && claims.device.is_none(), "{claims:?}");
    for (body, field) in [
        (json!({"device_id": ""}), "device_id"),
        (json!({"device_id": "a\nb"}), "device_id"),
        (json!({"device_name": "x".repeat(129)}), "device_name"),
        (json!({"devices": 1}), "devices"),
    ] {
        let answer = place(address, Some(&ada), body).await;
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!(field)), "{answer:?}");
    }
    let elsewhere = call(address, "POST", "/v1/placements", None, &json!({"channel": "nowhere"})).await;
    assert_eq!(elsewhere.problem().as_deref(), Some("channel-not-found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_device_too_many_is_told_which_there_are_and_ends_one() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["accounts.tier_devices=[5, 2, 1]", "accounts.default_tier=2"]);
    let address = server.address;
    let mut edge = Edge::join(address, "north-1", "north", 10).await;
    let ada = member(address, "Ada").await;
    let lease = async |device: &str| {
        let placed = place(address, Some(&ada), json!({"device_id": device, "device_name": "a tab"})).await;
        assert_eq!(placed.status, 200, "{placed:?}");
        placed.json()["lease"].as_str().unwrap().parse::<uuid::Uuid>().unwrap()
    };
    let (phone, laptop) = (lease("phone").await, lease("laptop").await);
    edge.tell(2, &[phone, laptop], &[]).await;
    let refused = place(address, Some(&ada), json!({"device_id": "tv"})).await;
    assert_eq!((refused.status, refused.problem().as_deref()), (409, Some("device-limit")), "{refused:?}");
    let devices = refused.json()["devices"].clone();
    let ids: Vec<_> = devices.as_array().unwrap().iter().map(|one| one["device_id"].clone()).collect();
    assert_eq!(ids, ["phone", "laptop"]);
    assert_eq!((&devices[0]["edge"], &devices[0]["connected"]), (&json!("north-1"), &json!(true)));
    // The same device takes over its own place, and the old connection is to be closed.
    let again = lease("phone").await;
    let orders = edge.tell(2, &[again], &[]).await;
    assert_eq!(orders["close"], json!([{"lease": phone, "reason": "taken-over"}]));
    edge.tell(2, &[], &[phone]).await;
    // One is ended on the way, another one by itself.
    let tv = place(address, Some(&ada), json!({"device_id": "tv", "end_device_id": "laptop"})).await;
    assert_eq!(tv.status, 200, "{tv:?}");
    let orders = edge.tell(2, &[], &[]).await;
    assert_eq!(orders["close"], json!([{"lease": laptop, "reason": "ended"}]));
    let listed = call(address, "GET", "/v1/me/devices", Some(&ada), &Value::Null).await.json();
    assert_eq!((&listed["devices_max"], listed["items"].as_array().unwrap().len()), (&json!(2), 2));
    let end = async |device: &str| {
        call(address, "DELETE", &format!("/v1/me/devices/{device}"), Some(&ada), &Value::Null).await
    };
    assert_eq!(end("phone").await.status, 204);
    assert_eq!(end("phone").await.problem().as_deref(), Some("device-not-found"));
    assert_eq!(end("never").await.status, 404);
    lease("third").await;
    // A device that is closed frees its place; a higher tier makes room at once.
    let mut admin = Signed::admin(address).await;
    let raised = admin.json("PATCH", "/v1/users/ada", &json!({"tier": 1})).await;
    assert_eq!((raised.status, &raised.json()["tier"]), (200, &json!(1)));
    lease("fourth").await;
    // The account's end is the end of its devices.
    let gone = call(address, "DELETE", "/v1/me", Some(&ada), &json!({"password": "a long password"})).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    let orders = edge.tell(2, &[], &[laptop]).await;
    let reasons: Vec<_> =
        orders["close"].as_array().unwrap().iter().map(|order| order["reason"].clone()).collect();
    assert!(reasons.contains(&json!("ended")) && !reasons.is_empty(), "{orders}");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_a_lost_edge_do_not_lock_their_owner_out() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["placement.ttl_ms=1000", "placement.report_ms=200"];
    let server = start(dir.path(), &settings);
    let address = server.address;
    let mut lost = Edge::join(address, "north-1", "north", 10).await;
    let ada = member(address, "Ada").await;
    let placed = place(address, Some(&ada), json!({"device_id": "phone"})).await.json();
    let claims = opened(address, placed["ticket"].as_str().unwrap()).await;
    let lease = claims.jti;
    lost.tell(1, &[lease], &[]).await;
    // From now on it is silent.
    let mut other = Edge::join(address, "south-1", "south", 10).await;
    let placed = wait_for("the ghost's end", async || {
        other.tell(0, &[], &[]).await;
        let placed = place(address, Some(&ada), json!({"device_id": "laptop"})).await;
        (placed.status == 200).then_some(placed)
    });
    assert_eq!(placed.await.json()["edge"], "south-1");
    // When it comes back, what it still holds is one too many.
    assert_eq!(lost.tell(1, &[], &[]).await["report_all"], true);
    lost.report.held = Some(vec![HeldLease { lease, device: claims.device.unwrap(), since_us: 0 }]);
    let orders = lost.tell(1, &[], &[]).await;
    assert_eq!(orders["close"], json!([{"lease": lease, "reason": "surplus"}]));
}

/// Waits until the log says something: it is written aside.
async fn logged(server: &Server, said: &str) {
    wait_for(said, async || server.process.stderr().contains(said).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_for_members_gives_guests_no_ticket() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let address = server.address;
    let _edge = Edge::join(address, "north-1", "north", 10).await;
    let mut admin = Signed::admin(address).await;
    let settings = admin.get("/v1/channels/main/settings").await;
    let etag = settings.header("etag").unwrap().to_owned();
    let headers = [("content-type", "application/json"), ("if-match", etag.as_str())];
    let changed = admin.send("PUT", "/v1/channels/main/settings", &headers, r#"{"guests": "refused"}"#).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let refused = place(address, None, json!({})).await;
    assert_eq!((refused.status, refused.problem().as_deref()), (403, Some("guests-refused")));
    assert_eq!(refused.json().get("ticket"), None);
    logged(&server, "a ticket is refused: the channel is for members").await;
    let ada = member(address, "Ada").await;
    assert_eq!(place(address, Some(&ada), json!({})).await.status, 200);
    assert_eq!(place(address, Some("no.such.token"), json!({})).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_from_outside_are_refused_with_a_reason_in_the_log_only() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let edge = Edge::join(server.address, "north-1", "north", 10).await;
    let mut forged = serde_json::to_value(&edge.report).unwrap();
    forged["number"] = 99.into();
    forged["capacity"] = 0.into();
    let ada = member(server.address, "Ada").await;
    for shown in [None, Some("short"), Some(ada.as_str())] {
        let answer = call(server.address, "POST", "/internal/v1/edges/report", shown, &forged).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 403, "{text}");
        assert!(!text.contains("key") && !text.contains(KEY), "{text}");
    }
    logged(&server, "a call of the internal API is refused").await;
    // Nothing came of it.
    assert_eq!(place(server.address, None, json!({})).await.status, 200);
    let unfit = json!({"edge": "", "cluster": "x", "port": 1, "capacity": 1,
        "generation": edge.report.generation, "number": 1, "viewers": 0});
    let answer = call(server.address, "POST", "/internal/v1/edges/report", Some(KEY), &unfit).await;
    assert_eq!(answer.status, 409, "{answer:?}");
}
