//! Reports of edges: repeated, delayed, of earlier starts, and of what nobody else remembers.

use emostream_protocol::placement::{CloseReason, EdgeOrders, EdgeReport, HeldLease, TicketDevice};
use emostream_store::{Store, StoreError, UserId};
use uuid::Uuid;

use super::{GRANTED, edge, lease, limits, open, report, reserve, times, user};
use crate::setup::{Place, everywhere};

everywhere!(
    a_repeated_or_late_report_changes_nothing,
    a_start_that_was_replaced_closes_everything,
    a_start_that_an_earlier_one_displaced_comes_back,
    what_nobody_remembers_is_admitted_again,
    of_too_many_the_newest_stay,
    what_an_edge_no_longer_holds_is_free,
    everything_is_asked_for_until_it_is_told,
    an_edge_speaks_of_its_own_leases_only,
    reports_too_long_are_refused,
);

pub(super) async fn take(store: &Store, report: &EdgeReport, seconds: i64) -> EdgeOrders {
    store.take_report(report, &limits(), &times(seconds)).await.unwrap()
}

fn told(orders: &EdgeOrders) -> Vec<(u128, CloseReason)> {
    orders.close.iter().map(|order| (order.lease.as_u128(), order.reason)).collect()
}

pub(super) async fn devices(store: &Store, user: UserId, seconds: i64) -> Vec<u128> {
    let leases = store.leases_of(user, &times(seconds)).await.unwrap();
    leases.iter().map(|lease| lease.id.as_u128()).collect()
}

fn held(id: u128, user: UserId, device: &str, since: i64) -> HeldLease {
    let user_id = Uuid::from_bytes(*user.as_bytes());
    let device = TicketDevice { user_id, device_id: device.to_owned(), name: format!("the {device}") };
    HeldLease { lease: Uuid::from_u128(id), device, since_us: times(since).now_us }
}

async fn a_repeated_or_late_report_changes_nothing(place: Place) {
    let store = place.open().await;
    let (a, one) = (edge("a", 1), user(&store, 1).await);
    open(&store, &a, 1, &[], 0).await;
    reserve(&store, &lease(1, one, "phone", &a), 0).await;
    let news = EdgeReport { opened: vec![Uuid::from_u128(1)], viewers: 1, ..report(&a, 2) };
    take(&store, &news, 1).await;
    let closed = EdgeReport { closed: vec![Uuid::from_u128(1)], ..report(&a, 3) };
    take(&store, &closed, 2).await;
    for late in [&news, &closed, &news] {
        assert_eq!(take(&store, late, 9).await, EdgeOrders::default());
        assert_eq!(devices(&store, one, 9).await, []);
    }
    let edges = store.edges().await.unwrap();
    assert_eq!((edges[0].viewers, edges[0].heard_us), (0, times(2).now_us), "a repeat is no sign of life");
}

async fn a_start_that_was_replaced_closes_everything(place: Place) {
    let store = place.open().await;
    let (old, new) = (edge("a", 1), edge("a", 2));
    let one = user(&store, 1).await;
    open(&store, &old, 1, &[], 0).await;
    reserve(&store, &lease(1, one, "phone", &old), 0).await;
    open(&store, &old, 2, &[1], 1).await;
    open(&store, &new, 1, &[], 2).await;
    assert_eq!(devices(&store, one, 2).await, []);
    reserve(&store, &lease(2, one, "laptop", &new), 2).await;
    open(&store, &new, 2, &[2], 3).await;
    // It was not dead: somebody has started another of its name.
    let orders = take(&store, &report(&old, 3), 3).await;
    assert!(orders.drain && orders.report_all && orders.is_replaced);
    let all = EdgeReport { held: Some(vec![held(1, one, "phone", 1)]), ..report(&old, 4) };
    assert_eq!(told(&take(&store, &all, 3).await), [(1, CloseReason::Surplus)]);
    assert_eq!(devices(&store, one, 3).await, [2]);
    assert_eq!(take(&store, &report(&new, 3), 3).await, EdgeOrders::default());
}

async fn a_start_that_an_earlier_one_displaced_comes_back(place: Place) {
    let store = place.open().await;
    let (earlier, live) = (edge("a", 1), edge("a", 2));
    let three = user(&store, 3).await;
    open(&store, &live, 1, &[], 0).await;
    reserve(&store, &lease(1, three, "phone", &live), 0).await;
    open(&store, &live, 2, &[1], 1).await;
    // The only report of the start before it, which was on its way for long.
    open(&store, &earlier, 1, &[], 2).await;
    let is_replaced = async |edge, number, seconds| {
        let orders = take(&store, &report(edge, number), seconds).await;
        assert_eq!(orders.drain, orders.is_replaced);
        orders.is_replaced
    };
    assert!(is_replaced(&live, 3, 3).await && is_replaced(&live, 4, 11).await);
    assert!(is_replaced(&live, 2, 12).await, "this one was late as well");
    let leaving = EdgeReport { is_leaving: true, ..report(&live, 5) };
    assert!(take(&store, &leaving, 12).await.drain, "it is about to stop, and takes nobody's place");
    // By now that other start is lost.
    let all = EdgeReport { held: Some(vec![held(1, three, "phone", 1)]), ..report(&live, 6) };
    assert_eq!(take(&store, &all, 12).await, EdgeOrders::default());
    assert_eq!(devices(&store, three, 12).await, [1]);
    assert!(is_replaced(&earlier, 2, 13).await);
    assert_eq!(take(&store, &report(&live, 7), 14).await, EdgeOrders::default());
    // And the other way round, as often as it happens.
    assert!(!is_replaced(&earlier, 3, 30).await && is_replaced(&live, 8, 31).await);
    assert!(take(&store, &report(&earlier, 4), 32).await.report_all, "it has not said yet what it holds");
}

async fn what_nobody_remembers_is_admitted_again(place: Place) {
    let store = place.open().await;
    let (a, b) = (edge("a", 1), edge("b", 2));
    let (two, gone) = (user(&store, 2).await, user(&store, 5).await);
    store.delete_user(gone).await.unwrap();
    open(&store, &b, 1, &[], 0).await;
    reserve(&store, &lease(7, two, "tv", &b), 0).await;
    let all = vec![held(1, two, "phone", -50), held(2, gone, "phone", -50)];
    let all = EdgeReport { held: Some(all), ..report(&a, 40) };
    let orders = take(&store, &all, 1).await;
    assert_eq!((told(&orders), orders.report_all), (vec![(2, CloseReason::AccountGone)], false));
    let leases = store.leases_of(two, &times(1)).await.unwrap();
    let facts: Vec<_> = leases.iter().map(|l| (l.id.as_u128(), l.is_connected, l.since_us)).collect();
    assert_eq!(facts, [(1, true, times(-50).now_us), (7, false, times(0).now_us)]);
    assert_eq!(leases[0].device_name, "the phone");
    // The answer was lost: the edge is told again.
    assert_eq!(told(&take(&store, &report(&a, 41), 2).await), [(2, CloseReason::AccountGone)]);
}

async fn of_too_many_the_newest_stay(place: Place) {
    let store = place.open().await;
    let (a, b) = (edge("a", 1), edge("b", 2));
    let (two, three) = (user(&store, 2).await, user(&store, 3).await);
    open(&store, &b, 1, &[], 0).await;
    for (id, user, device) in [(1, two, "tv"), (2, two, "laptop"), (3, three, "phone")] {
        reserve(&store, &lease(id, user, device, &b), 0).await;
    }
    open(&store, &b, 2, &[1, 2, 3], 5).await;
    // Control had lost what a holds: of user two one is older and one is newer than what b holds, of user three the same
    // device is older.
    let all = vec![held(4, two, "old", 1), held(5, two, "new", 8), held(6, three, "phone", 1)];
    let orders = take(&store, &EdgeReport { held: Some(all), ..report(&a, 40) }, 9).await;
    assert_eq!(told(&orders), [(4, CloseReason::Surplus), (6, CloseReason::TakenOver)]);
    assert_eq!(told(&take(&store, &report(&b, 3), 9).await), [(1, CloseReason::Surplus)]);
    assert_eq!(devices(&store, two, 9).await, [2, 5]);
    assert_eq!(devices(&store, three, 9).await, [3]);
    // One that was surplus comes in after all, where there is room by now.
    let closed = EdgeReport { closed: [1, 2].map(Uuid::from_u128).to_vec(), ..report(&b, 4) };
    take(&store, &closed, 10).await;
    let all = vec![held(4, two, "old", 1), held(5, two, "new", 8), held(6, three, "phone", 1)];
    let orders = take(&store, &EdgeReport { held: Some(all), ..report(&a, 41) }, 11).await;
    assert_eq!(told(&orders), [(6, CloseReason::TakenOver)]);
    assert_eq!(devices(&store, two, 11).await, [4, 5]);
}

async fn what_an_edge_no_longer_holds_is_free(place: Place) {
    let store = place.open().await;
    let (a, two) = (edge("a", 1), user(&store, 2).await);
    open(&store, &a, 1, &[], 0).await;
    reserve(&store, &lease(1, two, "phone", &a), 0).await;
    open(&store, &a, 2, &[1], 1).await;
    reserve(&store, &lease(2, two, "laptop", &a), 1).await;
    take(&store, &EdgeReport { held: Some(Vec::new()), ..report(&a, 3) }, 2).await;
    assert_eq!(devices(&store, two, 2).await, [2], "the ticket of one that was not opened may still be used");
    assert_eq!(reserve(&store, &lease(3, two, "tv", &a), 2).await, GRANTED);
}

async fn everything_is_asked_for_until_it_is_told(place: Place) {
    let store = place.open().await;
    let a = edge("a", 1);
    open(&store, &a, 1, &[], 0).await;
    assert!(!take(&store, &report(&a, 2), 9).await.report_all);
    assert!(take(&store, &report(&a, 3), 19).await.report_all);
    assert!(take(&store, &report(&a, 4), 20).await.report_all, "that answer may have been lost");
    assert!(take(&store, &report(&a, 3), 20).await.report_all);
    let all = EdgeReport { held: Some(Vec::new()), ..report(&a, 5) };
    assert!(!take(&store, &all, 21).await.report_all);
    assert!(!take(&store, &report(&a, 6), 22).await.report_all);
}

async fn an_edge_speaks_of_its_own_leases_only(place: Place) {
    let store = place.open().await;
    let (a, b, two) = (edge("a", 1), edge("b", 2), user(&store, 2).await);
    open(&store, &a, 1, &[], 0).await;
    reserve(&store, &lease(1, two, "phone", &a), 0).await;
    let foreign = EdgeReport {
        opened: vec![Uuid::from_u128(1), Uuid::from_u128(99)],
        held: Some(vec![held(1, two, "phone", 0)]),
        closed: vec![Uuid::from_u128(1)],
        ..report(&b, 1)
    };
    take(&store, &foreign, 1).await;
    let leases = store.leases_of(two, &times(1)).await.unwrap();
    let facts: Vec<_> = leases.iter().map(|l| (l.id.as_u128(), l.is_connected, l.edge.as_str())).collect();
    assert_eq!(facts, [(1, false, "a")]);
}

async fn reports_too_long_are_refused(place: Place) {
    let store = place.open().await;
    let (a, two) = (edge("a", 1), user(&store, 2).await);
    let ids: Vec<_> = (0..100_001).map(Uuid::from_u128).collect();
    for (bad, field) in [
        (EdgeReport { opened: ids.clone(), ..report(&a, 1) }, "opened"),
        (EdgeReport { closed: ids, ..report(&a, 1) }, "closed"),
        (EdgeReport { held: Some(vec![held(1, two, "a\0", 0)]), ..report(&a, 1) }, "held.device_id"),
        (EdgeReport { number: u64::MAX, ..report(&a, 1) }, "number"),
    ] {
        let refused = store.take_report(&bad, &limits(), &times(0)).await;
        assert!(matches!(&refused, Err(StoreError::Invalid { field: f, .. }) if *f == field), "{refused:?}");
    }
    let many = vec![report(&a, 1); 1_001];
    let refused = store.take_reports(&many, &limits(), &times(0)).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "reports", .. })), "{refused:?}");
    assert_eq!(store.edges().await.unwrap(), []);
}
