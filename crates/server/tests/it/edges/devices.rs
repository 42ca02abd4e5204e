//! Devices of an account: the same one takes its place over, one that is ended has to go, and so has one whose account is
//! gone.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{House, Placed, closed, end_of, place_device};
use crate::harness::{
    client::{Viewer, get},
    signed::Signed,
    wait_for,
};

async fn connect(signed: &mut Signed, device: &str) -> (Viewer, Placed) {
    let placed = Placed::of(&place_device(signed, device).await);
    let mut viewer = placed.join("main").await;
    viewer.next_of("hello").await;
    (viewer, placed)
}

/// Ids of the devices that control knows as connected.
async fn connected(signed: &mut Signed) -> Vec<String> {
    let devices = signed.get("/v1/me/devices").await.json();
    let devices = devices["items"].as_array().unwrap().iter();
    devices
        .filter(|device| device["connected"] == true)
        .map(|device| device["device_id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_comes_again_takes_over_its_own_place_wherever_it_was() {
    let dir = tempfile::tempdir().unwrap();
    // Tier 3: one device.
    let house = House::start(dir.path(), &[50, 50], &[]).await;
    let mut ada = house.member("ada").await;
    let (mut old, mut at) = connect(&mut ada, "phone").await;
    let mut edges = std::collections::BTreeSet::from([at.edge.clone()]);
    for _ in 0..6 {
        let (new, placed) = connect(&mut ada, "phone").await;
        assert_eq!(end_of(&mut old).await, closed(4504, "taken-over"), "{} after {}", placed.edge, at.edge);
        edges.insert(placed.edge.clone());
        (old, at) = (new, placed);
    }
    println!("edges: {edges:?}");
    let one = async || (connected(&mut ada).await == ["phone"]).then_some(());
    wait_for("one connected device", one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_too_many_is_told_of_the_others_and_may_end_one() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::start(dir.path(), &[50, 50], &[]).await;
    let mut ada = house.member("ada").await;
    let (mut phone, _) = connect(&mut ada, "phone").await;
    let answer = place_device(&mut ada, "laptop").await;
    assert_eq!((answer.status, answer.problem().as_deref()), (409, Some("device-limit")), "{answer:?}");
    assert_eq!(answer.json()["devices"][0]["device_id"], "phone", "{answer:?}");
    let wanted = json!({"channel": "main", "device_id": "laptop", "end_device_id": "phone"});
    let laptop = Placed::of(&ada.json("POST", "/v1/placements", &wanted).await);
    assert_eq!(end_of(&mut phone).await, closed(4505, "device-ended"));
    let mut laptop = laptop.join("main").await;
    laptop.next_of("hello").await;
    assert_eq!(ada.send("DELETE", "/v1/me/devices/laptop", &[], "").await.status, 204);
    assert_eq!(end_of(&mut laptop).await, closed(4505, "device-ended"));

    // One that goes by itself leaves its place to the next.
    let (phone, _) = connect(&mut ada, "phone").await;
    drop(phone);
    let next = async || {
        let answer = place_device(&mut ada, "tablet").await;
        (answer.status == 200).then(|| Placed::of(&answer))
    };
    let mut tablet = wait_for("the place of the device that went", next).await.join("main").await;
    tablet.next_of("hello").await;

    // A ticket whose device is ended before it is used opens nothing for long.
    assert_eq!(ada.send("DELETE", "/v1/me/devices/tablet", &[], "").await.status, 204);
    assert_eq!(end_of(&mut tablet).await, closed(4505, "device-ended"));
    let unused = Placed::of(&place_device(&mut ada, "watch").await);
    assert_eq!(ada.send("DELETE", "/v1/me/devices/watch", &[], "").await.status, 204);
    let mut viewer = unused.join("main").await;
    // Refused where the edge has heard of it, else closed with its next report.
    let end = end_of(&mut viewer).await;
    assert!([closed(4007, "ticket-refused"), closed(4505, "device-ended")].contains(&end), "{end:?}");
    let unused = Placed::of(&place_device(&mut ada, "watch").await);
    assert_eq!(ada.send("DELETE", "/v1/me/devices/watch", &[], "").await.status, 204);
    has_reported(&house).await;
    never_opens(&unused).await;
}

/// Waits until every edge has reported, and heard what came of that.
async fn has_reported(house: &House) {
    let answered = async || {
        let metrics = get(house.address(), "/metrics").await.unwrap();
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        let prefix = "emostream_placement_reports_total{kind=\"answered\"} ";
        text.lines().find_map(|line| line.strip_prefix(prefix)?.parse::<u64>().ok())
    };
    let before = wait_for("reports", answered).await;
    // Of each edge, one that was on its way and some from the time since.
    let edges = house.server.addresses().len() as u64 - 1;
    let more = async || (answered().await? >= before + 8 * edges).then_some(());
    wait_for("more reports", more).await;
}

async fn never_opens(unused: &Placed) {
    let query = format!("?ticket={}", unused.ticket);
    let mut viewer = Viewer::join(unused.address, "main", &query).await.unwrap();
    assert_eq!(viewer.next().await, closed(4007, "ticket-refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_removes_the_account_ends_its_connections() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::start(dir.path(), &[50], &[]).await;
    let mut ada = house.member("ada").await;
    let (mut phone, _) = connect(&mut ada, "phone").await;
    let mut admin = house.admin().await;
    assert_eq!(admin.send("DELETE", "/v1/users/ada", &[], "").await.status, 204);
    assert_eq!(end_of(&mut phone).await, closed(4507, "account-gone"));
    // Nor does a ticket open anything that was not used before.
    let mut ben = house.member("ben").await;
    let unused = Placed::of(&place_device(&mut ben, "phone").await);
    assert_eq!(admin.send("DELETE", "/v1/users/ben", &[], "").await.status, 204);
    has_reported(&house).await;
    never_opens(&unused).await;
    assert!(house.server.process.stderr().contains("its lease has ended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_says_nothing_any_more_gives_its_place_up() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::start(dir.path(), &[50], &["edge.ping_ms=3600000"]).await;
    let mut ada = house.member("ada").await;
    // Nobody reads what comes for it, so that no ping is answered; nothing says that its connection has ended.
    let (_phone, _) = connect(&mut ada, "phone").await;
    let mut guest = house.guest().await.join("main").await;
    guest.next_of("hello").await;
    let next = async || {
        let answer = place_device(&mut ada, "laptop").await;
        (answer.status == 200).then_some(())
    };
    wait_for("the place of the device that vanished", next).await;
    let metrics = get(house.address(), "/metrics").await.unwrap();
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(text.contains("emostream_viewers_closed_total{kind=\"idle\"} 1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_only_listens_hears_often_that_it_is_still_connected() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::start(dir.path(), &[50], &[]).await;
    let mut ada = house.member("ada").await;
    let device = Placed::of(&place_device(&mut ada, "phone").await);
    let guest = house.guest().await;
    // Until the first comment: in a quiet channel nothing else is written, by which a dead connection would be noticed.
    let listen = async |placed: Placed| {
        let mut stream = tokio::net::TcpStream::connect(placed.address).await.unwrap();
        let path = format!("/v1/channels/main/events?ticket={}", placed.ticket);
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let (mut heard, mut more) = (Vec::new(), [0; 4_096]);
        while !heard.windows(12).any(|bytes| bytes == b": keep-alive") {
            let read = stream.read(&mut more).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&heard));
            heard.extend_from_slice(&more[..read]);
        }
    };
    // A guest is told so three times more rarely.
    tokio::select! {
        biased;
        () = listen(device) => {}
        () = listen(guest) => panic!("the guest first"),
    }
}
