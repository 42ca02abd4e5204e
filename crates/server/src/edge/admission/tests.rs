//! Who is let in, what control is told, and what its orders do.

use emostream_protocol::placement::{
    CloseOrder, CloseReason, EdgeOrders, EdgeReport, TicketClaims, TicketDevice,
};
use uuid::Uuid;

use super::{Admission, Commands, Identity, Refusal};

const GENERATION: Uuid = Uuid::from_u128(1);
const SECOND: i64 = 1_000_000;
const NOW: i64 = 1_000_000 * SECOND;
const TTL: i64 = 10 * SECOND;

fn edge(capacity: u32) -> Admission {
    let name = |text: &str| text.to_owned();
    let identity = Identity { name: name("north-1"), cluster: name("north"), url: String::new(), port: 3005 };
    Admission::new(identity, GENERATION, capacity, TTL)
}

fn guest(jti: u128) -> TicketClaims {
    TicketClaims {
        jti: Uuid::from_u128(jti),
        edge: "north-1".into(),
        generation: GENERATION,
        user: "guest:1".into(),
        device: None,
        iat: NOW / SECOND,
        exp: NOW / SECOND + 30,
    }
}

fn ticket(jti: u128, user: u128, device: &str) -> TicketClaims {
    let device =
        TicketDevice { user_id: Uuid::from_u128(user), device_id: device.into(), name: "A phone".into() };
    TicketClaims { device: Some(device), user: format!("user {user}"), ..guest(jti) }
}

fn ids(numbers: &[u128]) -> Vec<Uuid> {
    numbers.iter().copied().map(Uuid::from_u128).collect()
}

fn close(lease: u128, reason: CloseReason) -> EdgeOrders {
    let order = CloseOrder { lease: Uuid::from_u128(lease), reason };
    EdgeOrders { close: vec![order], ..EdgeOrders::default() }
}

/// Opened, closed, and how many are held where all are told.
fn said(report: &EdgeReport) -> (Vec<Uuid>, Vec<Uuid>, Option<usize>) {
    (report.opened.clone(), report.closed.clone(), report.held.as_ref().map(Vec::len))
}

#[test]
fn as_many_are_let_in_as_there_are_places() {
    let mut edge = edge(3);
    let first = edge.admit().unwrap();
    edge.admit_ticket(&guest(1), NOW).unwrap();
    let (third, _) = edge.admit_ticket(&ticket(2, 7, "phone"), NOW).unwrap();
    assert_eq!(edge.admit(), Err(Refusal::Full));
    assert_eq!(edge.admit_ticket(&guest(3), NOW), Err(Refusal::Full));
    edge.leave(first);
    // A ticket that was refused because there was no room is still good.
    edge.admit_ticket(&guest(3), NOW).unwrap();
    assert_eq!(edge.admit(), Err(Refusal::Full));
    edge.leave(third);
    edge.leave(third);
    assert_eq!((edge.viewers(), edge.admit().is_ok(), edge.admit()), (2, true, Err(Refusal::Full)));
}

#[test]
fn a_ticket_opens_one_connection_on_one_start_of_one_edge() {
    let mut edge = edge(9);
    let elsewhere = TicketClaims { edge: "north-2".into(), ..guest(1) };
    assert_eq!(edge.admit_ticket(&elsewhere, NOW), Err(Refusal::OtherEdge));
    let earlier = TicketClaims { generation: Uuid::from_u128(9), ..guest(1) };
    assert_eq!(edge.admit_ticket(&earlier, NOW), Err(Refusal::OtherGeneration));
    let (place, _) = edge.admit_ticket(&guest(1), NOW).unwrap();
    assert_eq!(edge.admit_ticket(&guest(1), NOW), Err(Refusal::Used));
    edge.leave(place);
    for second in 0..30 {
        assert_eq!(edge.admit_ticket(&guest(1), NOW + second * SECOND), Err(Refusal::Used), "{second}");
    }
    assert_eq!(edge.viewers(), 0);
}

#[test]
fn what_was_used_is_remembered_until_it_expires_and_no_longer() {
    let mut edge = edge(1);
    for turn in 0..500_000u128 {
        let now = NOW + i64::try_from(turn).unwrap() * SECOND / 1_000;
        let claims = TicketClaims { exp: now / SECOND + 30, ..guest(turn) };
        let (place, _) = edge.admit_ticket(&claims, now).unwrap();
        assert_eq!(edge.admit_ticket(&claims, now), Err(Refusal::Used));
        edge.leave(place);
        if turn % 50_000 == 0 {
            let number = edge.report(now).number;
            edge.answered(number, EdgeOrders::default(), now);
        }
    }
    assert!(edge.spent.len() < 100_000, "{} remembered", edge.spent.len());
}

#[test]
fn a_device_that_comes_again_takes_its_own_place() {
    let mut edge = edge(1);
    let (old, none) = edge.admit_ticket(&ticket(1, 7, "phone"), NOW).unwrap();
    assert_eq!(none, None);
    // Full, but not for the one who holds the place.
    assert_eq!(edge.admit_ticket(&ticket(2, 7, "laptop"), NOW), Err(Refusal::Full));
    assert_eq!(edge.admit_ticket(&ticket(2, 8, "phone"), NOW), Err(Refusal::Full));
    let (new, displaced) = edge.admit_ticket(&ticket(3, 7, "phone"), NOW).unwrap();
    assert_eq!((displaced, edge.viewers()), (old.lease(), 1));
    assert_eq!(said(&edge.report(NOW)), (ids(&[1, 3]), ids(&[1]), Some(1)));
    // The displaced connection has no place to give back, and its end ends nothing else.
    edge.leave(old);
    assert_eq!((edge.viewers(), edge.admit()), (1, Err(Refusal::Full)));
    edge.leave(new);
    assert_eq!(edge.viewers(), 0);
    assert_eq!(said(&edge.report(NOW)), (ids(&[1, 3]), ids(&[1, 3]), Some(0)));
}

/// A ticket for a phone, given out so many seconds before (or after) now.
fn given_out(before_s: i64) -> TicketClaims {
    let ms = u64::try_from((NOW / SECOND - before_s) * 1_000).unwrap();
    let jti = uuid::Builder::from_unix_timestamp_millis(ms, &[7; 10]).into_uuid();
    TicketClaims { jti, ..ticket(0, 7, "phone") }
}

#[test]
fn an_older_ticket_does_not_displace_whoever_came_with_a_newer_one() {
    let mut edge = edge(9);
    let newer = given_out(1);
    edge.admit_ticket(&newer, NOW).unwrap();
    assert_eq!(edge.admit_ticket(&given_out(2), NOW), Err(Refusal::Older));
    assert_eq!(said(&edge.report(NOW)).0, [newer.jti]);
    // Another device's may be as old as it likes.
    let laptop = TicketClaims { device: ticket(0, 7, "laptop").device, ..given_out(3) };
    edge.admit_ticket(&laptop, NOW).unwrap();
    let (_, displaced) = edge.admit_ticket(&given_out(0), NOW).unwrap();
    assert_eq!(displaced, Some(newer.jti));
}

#[test]
fn nobody_is_kept_out_by_a_clock_of_control_that_was_set_back() {
    let mut edge = edge(9);
    let ahead = given_out(-600);
    edge.admit_ticket(&ahead, NOW).unwrap();
    let (_, displaced) = edge.admit_ticket(&given_out(0), NOW).unwrap();
    assert_eq!(displaced, Some(ahead.jti));
}

#[test]
fn what_control_has_not_confirmed_is_told_again() {
    let mut edge = edge(9);
    let (one, _) = edge.admit_ticket(&ticket(1, 7, "phone"), NOW).unwrap();
    let first = edge.report(NOW);
    assert_eq!((first.number, said(&first)), (1, (ids(&[1]), vec![], Some(1))));
    // Its answer is lost.
    edge.admit_ticket(&guest(2), NOW).unwrap();
    edge.leave(one);
    let second = edge.report(NOW);
    assert_eq!((second.number, said(&second)), (2, (ids(&[1, 2]), ids(&[1]), Some(0))));
    edge.admit_ticket(&ticket(3, 7, "phone"), NOW).unwrap();
    // An answer that comes too late confirms nothing: it was to another report.
    assert_eq!(edge.answered(1, close(3, CloseReason::Ended), NOW), Commands::default());
    assert_eq!(edge.answered(2, EdgeOrders::default(), NOW), Commands::default());
    let third = edge.report(NOW);
    assert_eq!((third.number, said(&third)), (3, (ids(&[3]), vec![], None)));
    edge.answered(3, EdgeOrders::default(), NOW);
    assert!(!edge.has_news());
    assert_eq!(said(&edge.report(NOW)), (vec![], vec![], None));
}

#[test]
fn all_that_is_held_is_told_first_when_asked_and_after_a_long_silence() {
    let mut edge = edge(9);
    let report = |edge: &mut Admission, now| {
        let report = edge.report(now);
        (report.number, report.held.map(|held| held.len()))
    };
    edge.admit_ticket(&ticket(1, 7, "phone"), NOW).unwrap();
    assert_eq!(report(&mut edge, NOW), (1, Some(1)));
    assert_eq!(report(&mut edge, NOW), (2, Some(1)), "nobody has answered the first one");
    let ask = EdgeOrders { report_all: true, ..EdgeOrders::default() };
    edge.answered(2, ask, NOW);
    assert_eq!(report(&mut edge, NOW), (3, Some(1)));
    edge.answered(3, EdgeOrders::default(), NOW);
    assert_eq!(report(&mut edge, NOW + TTL), (4, None));
    assert_eq!(report(&mut edge, NOW + TTL + 1), (5, Some(1)));
    edge.answered(5, EdgeOrders::default(), NOW + TTL + 1);
    assert_eq!(report(&mut edge, NOW + TTL + 2), (6, None));
    let held = edge.report(NOW + 3 * TTL).held.unwrap();
    assert_eq!((held[0].lease, held[0].since_us), (Uuid::from_u128(1), NOW));
    assert_eq!(held[0].device.device_id, "phone");
}

#[test]
fn controls_time_to_live_is_what_counts() {
    let mut edge = edge(9);
    let number = edge.report(NOW).number;
    let shorter = EdgeOrders { ttl_us: Some(TTL / 2), ..EdgeOrders::default() };
    edge.answered(number, shorter, NOW);
    assert_eq!(edge.report(NOW + TTL / 2).held, None);
    assert!(edge.report(NOW + TTL / 2 + 1).held.is_some());
    // One that says nothing of it, or nonsense, changes nothing.
    for ttl_us in [None, Some(0), Some(-1)] {
        let number = edge.report(NOW).number;
        edge.answered(number, EdgeOrders { ttl_us, ..EdgeOrders::default() }, NOW);
        assert_eq!(edge.report(NOW + TTL / 2).held, None);
        assert!(edge.report(NOW + TTL / 2 + 1).held.is_some());
    }
}

#[test]
fn an_edge_hears_once_that_another_process_has_its_name_and_once_that_it_is_free() {
    let mut edge = edge(9);
    let mut answer = |is_replaced| {
        let number = edge.report(NOW).number;
        edge.answered(number, EdgeOrders { is_replaced, ..EdgeOrders::default() }, NOW).is_replaced
    };
    let said = [false, true, true, false, false].map(&mut answer);
    assert_eq!(said, [None, Some(true), None, Some(false), None]);
}

#[test]
fn orders_close_what_is_held_and_bar_what_was_not_used_yet() {
    let mut edge = edge(9);
    let (one, _) = edge.admit_ticket(&ticket(1, 7, "phone"), NOW).unwrap();
    let order = |edge: &mut Admission, lease, reason| {
        let number = edge.report(NOW).number;
        edge.answered(number, close(lease, reason), NOW).close
    };
    let told = vec![(Uuid::from_u128(1), CloseReason::TakenOver)];
    assert_eq!(order(&mut edge, 1, CloseReason::TakenOver), told);
    // It is not gone yet, and control does not know better.
    assert_eq!(order(&mut edge, 1, CloseReason::TakenOver), told);
    edge.leave(one);
    assert_eq!(order(&mut edge, 1, CloseReason::TakenOver), []);
    // Told in the report before this answer, and told once more for the order.
    assert_eq!(edge.report(NOW).closed, ids(&[1]));
    // A ticket on its way here whose device was ended meanwhile.
    assert_eq!(order(&mut edge, 2, CloseReason::Ended), []);
    assert_eq!(edge.admit_ticket(&ticket(2, 7, "phone"), NOW), Err(Refusal::Ended));
    assert_eq!(edge.report(NOW).closed, ids(&[2]));
    assert_eq!(edge.viewers(), 0);
}

#[test]
fn a_drained_edge_lets_nobody_in_until_it_may_again_and_a_leaving_one_never() {
    let mut edge = edge(9);
    let drain = |drain| EdgeOrders { drain, ..EdgeOrders::default() };
    let answer = |edge: &mut Admission, orders| {
        let number = edge.report(NOW).number;
        edge.answered(number, orders, NOW).drain
    };
    assert_eq!(answer(&mut edge, drain(true)), Some(true));
    assert_eq!(answer(&mut edge, drain(true)), None);
    assert_eq!((edge.admit(), edge.is_closed()), (Err(Refusal::Draining), true));
    assert_eq!(edge.admit_ticket(&guest(1), NOW), Err(Refusal::Draining));
    assert_eq!(answer(&mut edge, drain(false)), Some(false));
    edge.admit_ticket(&guest(1), NOW).unwrap();
    edge.set_leaving();
    assert_eq!(edge.admit(), Err(Refusal::Leaving));
    assert!(edge.report(NOW).is_leaving);
    assert_eq!(answer(&mut edge, drain(false)), None);
    assert_eq!(edge.admit(), Err(Refusal::Leaving));
}
