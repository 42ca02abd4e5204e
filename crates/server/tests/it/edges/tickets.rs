//! A ticket opens one connection, on its edge, in its time. Whatever else it is shown for is refused, with the reason in the
//! log and none of it in the answer.

use std::path::Path;

use emostream::control::tickets::TicketSigner;
use emostream_protocol::placement::{TicketClaims, TicketDevice};

use super::{House, Placed, closed, end_of, place};
use crate::harness::{
    client::{Viewer, get},
    now_ms, wait_for,
};

/// The key that a server signs with.
fn signer(data: &Path) -> TicketSigner {
    TicketSigner::load_or_create(&data.join("keys/tickets.json")).unwrap()
}

fn claims(signer: &TicketSigner, ticket: &str) -> TicketClaims {
    signer.public().verify(ticket, i64::try_from(now_ms()).unwrap()).unwrap()
}

/// A ticket that nobody has shown yet, with something else in it.
fn altered(signer: &TicketSigner, like: &TicketClaims, change: impl FnOnce(&mut TicketClaims)) -> String {
    let mut claims = TicketClaims { jti: uuid::Uuid::from_bytes(rand::random()), ..like.clone() };
    change(&mut claims);
    signer.sign(&claims).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_good_ticket_here_is_refused_with_the_reason_in_the_log_only() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::start(dir.path(), &[10, 10], &[]).await;
    let signer = signer(dir.path());
    let placed = house.guest().await;
    let claims = claims(&signer, &placed.ticket);
    let elsewhere = if placed.edge == "north-1" { "north-2" } else { "north-1" };
    placed.join("main").await.next_of("hello").await;

    let mut swapped: Vec<_> = placed.ticket.split('.').map(str::to_owned).collect();
    swapped[1] = altered(&signer, &claims, |_| {}).split('.').nth(1).unwrap().to_owned();
    let refused = [
        ("used", placed.ticket.clone(), "it was used before"),
        (
            "for another edge",
            altered(&signer, &claims, |it| elsewhere.clone_into(&mut it.edge)),
            "it is for another edge",
        ),
        (
            "of an earlier start",
            altered(&signer, &claims, |it| it.generation = uuid::Uuid::nil()),
            "it is for an earlier start of this edge",
        ),
        (
            "expired",
            altered(&signer, &claims, |it| (it.iat, it.exp) = (it.iat - 60, it.iat - 30)),
            "it has expired",
        ),
        ("too long-lived", altered(&signer, &claims, |it| it.exp += 3_600), "it is not a ticket"),
        (
            "signed by somebody else",
            altered(&TicketSigner::random().unwrap(), &claims, |_| {}),
            "its key is unknown",
        ),
        ("with others' claims", swapped.join("."), "its signature is wrong"),
        ("no ticket", "nonsense".to_owned(), "it is not a ticket"),
    ];
    let mut answers = Vec::new();
    for (what, ticket, why) in &refused {
        let query = format!("?ticket={ticket}");
        let before = house.server.process.stderr().matches(why).count();
        let mut viewer = Viewer::join(placed.address, "main", &query).await.unwrap();
        assert_eq!(viewer.next().await, closed(4007, "ticket-refused"), "{what}");
        let answer = get(placed.address, &format!("/v1/channels/main/events{query}")).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_deref()), (403, Some("ticket-refused")), "{what}");
        answers.push(answer.body);
        let bridge = format!("ws://{}/ws{query}", placed.address);
        let mut bridge = tokio_tungstenite::connect_async(bridge).await.unwrap().0;
        let end = futures_util::StreamExt::next(&mut bridge).await.unwrap().unwrap();
        assert!(end.to_string().contains("ticket-refused"), "{what}: {end:?}");
        let logged = async || {
            let said = house.server.process.stderr();
            (said.matches(why).count() >= before + 3).then_some(said)
        };
        let said = wait_for(&format!("the reason of a ticket that is {what}"), logged).await;
        assert!(!said.contains(ticket.as_str()), "{what}: the ticket itself is nobody's business");
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "who asks is told the same, whatever it was: {answers:?}");
    // A listener that is no edge's knows no ticket.
    let fresh = house.guest().await;
    let mut viewer =
        Viewer::join(house.address(), "main", &format!("?ticket={}", fresh.ticket)).await.unwrap();
    assert_eq!(viewer.next().await, closed(4007, "ticket-refused"));
    fresh.join("main").await.next_of("hello").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_takes_as_many_as_it_may_and_a_place_that_is_left_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::start(dir.path(), &[2], &[]).await;
    let signer = signer(dir.path());
    let first = house.guest().await;
    let mut one = first.join("main").await;
    one.next_of("hello").await;
    let mut two = Viewer::join(first.address, "main", "").await.unwrap();
    two.next_of("hello").await;
    // Whoever placement may have sent, there is no room.
    let third = altered(&signer, &claims_of(&signer, &first), |_| {});
    let query = format!("?ticket={third}");
    let mut full = Viewer::join(first.address, "main", &query).await.unwrap();
    assert_eq!(full.next().await, closed(4002, "full"));
    let answer = get(first.address, "/v1/channels/main/events").await.unwrap();
    assert_eq!((answer.status, answer.problem().as_deref()), (503, Some("node-full")), "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    let no_room = async || {
        let answer = place(house.address(), &serde_json::json!({"channel": "main"})).await;
        (answer.status == 503).then_some(answer)
    };
    let answer = wait_for("control to know that there is no room", no_room).await;
    assert_eq!(answer.problem().as_deref(), Some("no-room"), "{answer:?}");
    // Other listeners of the process are not the edge's.
    Viewer::join(house.address(), "main", "").await.unwrap().next_of("hello").await;
    drop(one);
    let joined = async || {
        let mut viewer = Viewer::join(first.address, "main", &query).await.unwrap();
        matches!(viewer.next().await, crate::harness::client::Seen::Frame(_)).then_some(viewer)
    };
    let _three = wait_for("the place that was left, with the ticket that found none", joined).await;
}

fn claims_of(signer: &TicketSigner, placed: &Placed) -> TicketClaims {
    claims(signer, &placed.ticket)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_tickets_are_required_or_guests_refused_nobody_comes_without() {
    let dir = tempfile::tempdir().unwrap();
    let channels = r#"channels=[{name = "main"}, {name = "lounge", guests = "refused"}]"#;
    let house = House::start(dir.path(), &[10], &["placement.required=true", channels]).await;
    for address in [house.address(), house.edge(1)] {
        let mut viewer = Viewer::join(address, "main", "").await.unwrap();
        // One that asks placement is let in.
        assert_eq!(viewer.next().await, closed(4007, "ticket-refused"));
        let answer = get(address, "/v1/channels/main/events").await.unwrap();
        assert_eq!((answer.status, answer.problem().as_deref()), (403, Some("ticket-missing")), "{answer:?}");
    }
    let guest = house.guest().await;
    let mut viewer =
        Viewer::join(guest.address, "lounge", &format!("?ticket={}", guest.ticket)).await.unwrap();
    assert_eq!(end_of(&mut viewer).await, closed(4506, "guests-refused"));
    let metrics = get(house.address(), "/metrics").await.unwrap();
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("emostream_tickets_total{kind=\"refused\"} 1"), "{metrics}");
    let mut viewer = Viewer::join(guest.address, "lounge", "").await.unwrap();
    assert_eq!(end_of(&mut viewer).await, closed(4506, "guests-refused"));
    for reason in [
        "a ticket is refused: the channel is for members",
        "who has no ticket is refused: the channel is for members",
        "who has no ticket is refused: placement.required is set",
    ] {
        let said = async || house.server.process.stderr().contains(reason).then_some(());
        wait_for(reason, said).await;
    }
    // It was not used up.
    guest.join("main").await.next_of("hello").await;
    let answer = place(house.address(), &serde_json::json!({"channel": "lounge"})).await;
    assert_eq!((answer.status, answer.problem().as_deref()), (403, Some("guests-refused")), "{answer:?}");
    let mut ada = house.member("ada").await;
    let wanted = serde_json::json!({"channel": "lounge", "device_id": "phone"});
    let member = Placed::of(&ada.json("POST", "/v1/placements", &wanted).await);
    let mut viewer =
        Viewer::join(member.address, "lounge", &format!("?ticket={}", member.ticket)).await.unwrap();
    viewer.next_of("hello").await;
    viewer
        .send(&serde_json::json!({"type": "react", "emote": "🔥", "id": crate::harness::new_id()}))
        .await
        .unwrap();
    viewer.next_of("ack").await;
    // Who the ticket says reacts, and not a guest.
    assert_eq!(house.server.stop().code, Some(0));
    let raw = crate::harness::records::cat(&["--topic", "emote-log"], dir.path());
    let users: Vec<_> = raw
        .iter()
        .filter_map(|record| record["reactions"].as_array())
        .flatten()
        .map(|reaction| reaction["user_id"].clone())
        .collect();
    assert_eq!(users, ["ada"]);
    assert!(claims_fit_a_device(&signer(dir.path()), &member.ticket));
}

fn claims_fit_a_device(signer: &TicketSigner, ticket: &str) -> bool {
    let device = claims(signer, ticket).device;
    device.is_some_and(|TicketDevice { device_id, .. }| device_id == "phone")
}
