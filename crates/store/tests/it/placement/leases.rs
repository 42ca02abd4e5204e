//! Leases: as many devices as the tier allows, taken over by the same device, freed by silence.

use emostream_protocol::placement::{CloseReason, EdgeReport, HeldLease, TicketDevice};
use emostream_store::{
    LEASES_PER_GROUP_MAX, Lease, LeaseTimes, NewLease, Reserved, Role, StoreError, TierLimits,
};
use uuid::Uuid;

use super::{
    GRANTED, edge, lease, limits, open, report,
    reports::{devices, take},
    reserve, times, user,
};
use crate::{
    setup::{Place, everywhere},
    users::someone,
};

everywhere!(
    a_tier_has_so_many_devices,
    the_same_device_takes_over,
    another_device_gives_way_only_to_who_gets_its_place,
    an_ended_lease_makes_room_at_once,
    a_silent_edge_keeps_nothing,
    what_is_not_opened_in_time_gives_way,
    a_group_is_as_one_after_the_other,
    reserving_again_changes_nothing,
    bad_leases_are_refused,
    a_deleted_user_has_no_leases,
    what_is_long_dead_is_dropped,
    what_is_long_dead_is_dropped_however_often_control_starts,
    a_lost_edge_locks_nobody_out_by_what_it_was_not_told,
    an_edge_hears_of_tickets_that_must_not_be_used_any_more,
    leases_of_a_start_are_found_by_an_index,
    of_devices_that_come_at_once_as_many_as_may_be_get_in,
);

/// Devices of a full house.
fn full(reserved: &Reserved) -> Vec<&str> {
    let Reserved::Full { devices } = reserved else { panic!("{reserved:?}") };
    devices.iter().map(|lease| lease.device_id.as_str()).collect()
}

async fn a_tier_has_so_many_devices(place: Place) {
    let store = place.open().await;
    let (west, two) = (edge("a", 1), user(&store, 2).await);
    open(&store, &west, 1, &[], 0).await;
    assert_eq!(reserve(&store, &lease(1, two, "phone", &west), 0).await, GRANTED);
    open(&store, &west, 2, &[1], 1).await;
    assert_eq!(reserve(&store, &lease(2, two, "laptop", &west), 2).await, GRANTED);
    let refused = reserve(&store, &lease(3, two, "tablet", &west), 3).await;
    assert_eq!(full(&refused), ["phone", "laptop"]);
    let phone = Lease {
        id: Uuid::from_u128(1),
        user: two,
        device_id: "phone".into(),
        device_name: "the phone".into(),
        edge: "a".into(),
        cluster: "west".into(),
        since_us: times(1).now_us,
        is_connected: true,
    };
    let laptop = Lease {
        id: Uuid::from_u128(2),
        device_id: "laptop".into(),
        device_name: "the laptop".into(),
        since_us: times(2).now_us,
        is_connected: false,
        ..phone.clone()
    };
    assert_eq!(store.leases_of(two, &times(3)).await.unwrap(), [phone, laptop]);
    let nobody = someone(9, "", Role::Viewer).id;
    assert_eq!(reserve(&store, &lease(4, nobody, "phone", &west), 3).await, Reserved::NoUser);
    assert_eq!(store.leases_of(nobody, &times(3)).await.unwrap(), []);
    store.set_tier(two, Some(1)).await.unwrap();
    assert_eq!(reserve(&store, &lease(3, two, "tablet", &west), 3).await, GRANTED);
    store.set_tier(two, None).await.unwrap();
    assert_eq!(full(&reserve(&store, &lease(5, two, "tv", &west), 3).await).len(), 3);
    assert_eq!(store.set_tier(nobody, None).await, Err(StoreError::NotFound { what: "user" }));
}

async fn the_same_device_takes_over(place: Place) {
    let store = place.open().await;
    let (a, b, three) = (edge("a", 1), edge("b", 2), user(&store, 3).await);
    open(&store, &a, 1, &[], 0).await;
    open(&store, &b, 1, &[], 0).await;
    reserve(&store, &lease(1, three, "phone", &a), 0).await;
    open(&store, &a, 2, &[1], 1).await;
    let again = reserve(&store, &lease(2, three, "phone", &b), 2).await;
    assert_eq!(again, Reserved::Granted { replaced: vec![Uuid::from_u128(1)] });
    let orders = store.take_report(&report(&a, 3), &limits(), &times(3)).await.unwrap();
    let told: Vec<_> = orders.close.iter().map(|order| (order.lease.as_u128(), order.reason)).collect();
    assert_eq!(told, [(1, CloseReason::TakenOver)]);
    // Told again until the edge says that it is closed.
    let orders = store.take_report(&report(&a, 4), &limits(), &times(4)).await.unwrap();
    assert_eq!(orders.close.len(), 1);
    let closed = EdgeReport { closed: vec![Uuid::from_u128(1)], ..report(&a, 5) };
    assert_eq!(store.take_report(&closed, &limits(), &times(5)).await.unwrap().close, []);
    let devices = store.leases_of(three, &times(5)).await.unwrap();
    assert_eq!(devices.iter().map(|lease| lease.id.as_u128()).collect::<Vec<_>>(), [2]);
}

async fn another_device_gives_way_only_to_who_gets_its_place(place: Place) {
    let store = place.open().await;
    let (west, two) = (edge("a", 1), user(&store, 2).await);
    open(&store, &west, 1, &[], 0).await;
    for (id, device) in [(1, "phone"), (2, "laptop")] {
        reserve(&store, &lease(id, two, device, &west), 0).await;
    }
    open(&store, &west, 2, &[1, 2], 1).await;
    let ending = |id, ends: &str| NewLease { ends: Some(ends.into()), ..lease(id, two, "tablet", &west) };
    // A device that is not there makes no room, and nobody else goes for it.
    assert_eq!(full(&reserve(&store, &ending(3, "tv"), 2).await), ["phone", "laptop"]);
    assert_eq!(devices(&store, two, 2).await, [1, 2]);
    let granted = reserve(&store, &ending(4, "phone"), 3).await;
    assert_eq!(granted, Reserved::Granted { replaced: vec![Uuid::from_u128(1)] });
    assert_eq!(devices(&store, two, 3).await, [2, 4]);
    let told = take(&store, &report(&west, 3), 4).await.close;
    let told: Vec<_> = told.iter().map(|order| (order.lease.as_u128(), order.reason)).collect();
    assert_eq!(told, [(1, CloseReason::Ended)]);
    // Its own place is its own, whatever it calls it.
    let again = reserve(&store, &ending(5, "tablet"), 5).await;
    assert_eq!(again, Reserved::Granted { replaced: vec![Uuid::from_u128(4)] });
    // One that does not get the place leaves the other one where it is.
    let mut three = lease(6, user(&store, 3).await, "phone", &west);
    reserve(&store, &three, 6).await;
    (three.id, three.device_id, three.ends) = (Uuid::from_u128(7), "tv".into(), Some("laptop".into()));
    assert_eq!(full(&reserve(&store, &three, 7).await), ["phone"]);
}

async fn an_ended_lease_makes_room_at_once(place: Place) {
    let store = place.open().await;
    let (a, three) = (edge("a", 1), user(&store, 3).await);
    open(&store, &a, 1, &[], 0).await;
    reserve(&store, &lease(1, three, "phone", &a), 0).await;
    open(&store, &a, 2, &[1], 1).await;
    assert!(!store.end_lease(three, "laptop", &times(2)).await.unwrap());
    assert!(!store.end_lease(three, "a\0", &times(2)).await.unwrap());
    assert!(store.end_lease(three, "phone", &times(2)).await.unwrap());
    assert!(!store.end_lease(three, "phone", &times(2)).await.unwrap());
    assert_eq!(reserve(&store, &lease(2, three, "laptop", &a), 2).await, GRANTED);
    let orders = store.take_report(&report(&a, 3), &limits(), &times(3)).await.unwrap();
    let told: Vec<_> = orders.close.iter().map(|order| (order.lease.as_u128(), order.reason)).collect();
    assert_eq!(told, [(1, CloseReason::Ended)]);
}

async fn a_silent_edge_keeps_nothing(place: Place) {
    let store = place.open().await;
    let (a, b, three) = (edge("a", 1), edge("b", 2), user(&store, 3).await);
    open(&store, &a, 1, &[], 0).await;
    reserve(&store, &lease(1, three, "phone", &a), 0).await;
    open(&store, &a, 2, &[1], 0).await;
    open(&store, &b, 1, &[], 9).await;
    assert_eq!(full(&reserve(&store, &lease(2, three, "laptop", &b), 9).await), ["phone"]);
    // Control has just come back: no edge could be heard.
    let grace = LeaseTimes { grace_from_us: times(5).now_us, ..times(14) };
    assert_eq!(store.leases_of(three, &grace).await.unwrap().len(), 1);
    assert_eq!(store.leases_of(three, &times(10)).await.unwrap(), []);
    assert_eq!(reserve(&store, &lease(3, three, "laptop", &b), 10).await, GRANTED);
    // The edge was only cut off: what stood in for its device ended it.
    let orders = store.take_report(&report(&a, 3), &limits(), &times(11)).await.unwrap();
    let told: Vec<_> = orders.close.iter().map(|order| (order.lease.as_u128(), order.reason)).collect();
    assert_eq!((told, orders.report_all), (vec![(1, CloseReason::Surplus)], true));
    // A new start frees everything at once.
    open(&store, &b, 2, &[3], 12).await;
    assert_eq!(full(&reserve(&store, &lease(4, three, "tv", &a), 12).await), ["laptop"]);
    open(&store, &edge("b", 3), 1, &[], 12).await;
    assert_eq!(reserve(&store, &lease(4, three, "tv", &a), 12).await, GRANTED);
}

async fn what_is_not_opened_in_time_gives_way(place: Place) {
    let store = place.open().await;
    let (a, three) = (edge("a", 1), user(&store, 3).await);
    reserve(&store, &lease(1, three, "phone", &a), 0).await;
    for number in 1..=7 {
        open(&store, &a, number, &[], i64::try_from(number).unwrap() * 5).await;
    }
    assert_eq!(full(&reserve(&store, &lease(2, three, "laptop", &a), 39).await), ["phone"]);
    assert_eq!(reserve(&store, &lease(2, three, "laptop", &a), 40).await, GRANTED);
    // Its use was on its way for long.
    let late = EdgeReport { opened: vec![Uuid::from_u128(1)], ..report(&a, 8) };
    let orders = store.take_report(&late, &limits(), &times(41)).await.unwrap();
    assert_eq!(orders.close.first().map(|order| order.reason), Some(CloseReason::Surplus));
}

async fn a_group_is_as_one_after_the_other(place: Place) {
    let store = place.open().await;
    let a = edge("a", 1);
    let (two, three) = (user(&store, 2).await, user(&store, 3).await);
    open(&store, &a, 1, &[], 0).await;
    let group = [
        lease(1, three, "phone", &a),
        lease(2, two, "phone", &a),
        lease(3, three, "phone", &a),
        lease(4, three, "laptop", &a),
        lease(5, two, "laptop", &a),
        lease(6, two, "tv", &a),
    ];
    let reserved = store.reserve_leases(&group, &limits(), &times(0)).await.unwrap();
    assert_eq!(reserved[..3], [GRANTED, GRANTED, Reserved::Granted { replaced: vec![group[0].id] }]);
    assert_eq!((full(&reserved[3]), &reserved[4]), (vec!["phone"], &GRANTED));
    assert_eq!(full(&reserved[5]), ["phone", "laptop"]);
    // What was taken over before it was opened is closed as soon as it is.
    let used = EdgeReport { opened: group.iter().map(|lease| lease.id).collect(), ..report(&a, 2) };
    let orders = store.take_report(&used, &limits(), &times(1)).await.unwrap();
    let told: Vec<_> = orders.close.iter().map(|order| (order.lease.as_u128(), order.reason)).collect();
    assert_eq!(told, [(1, CloseReason::TakenOver)]);
    assert_eq!(store.reserve_leases(&[], &limits(), &times(0)).await, Ok(Vec::new()));
}

async fn reserving_again_changes_nothing(place: Place) {
    let store = place.open().await;
    let (a, two) = (edge("a", 1), user(&store, 2).await);
    for _ in 0..3 {
        assert_eq!(reserve(&store, &lease(1, two, "phone", &a), 0).await, GRANTED);
    }
    assert_eq!(store.leases_of(two, &times(0)).await.unwrap().len(), 1);
}

async fn bad_leases_are_refused(place: Place) {
    let store = place.open().await;
    let (a, two) = (edge("a", 1), user(&store, 2).await);
    let good = lease(1, two, "phone", &a);
    let long = "é".repeat(129);
    for (bad, field) in [
        (NewLease { device_id: String::new(), ..good.clone() }, "device_id"),
        (NewLease { device_id: long.clone(), ..good.clone() }, "device_id"),
        (NewLease { device_name: long, ..good.clone() }, "device_name"),
        (NewLease { device_name: "a\0".into(), ..good.clone() }, "device_name"),
        (NewLease { edge: String::new(), ..good.clone() }, "edge"),
    ] {
        let refused = store.reserve_leases(&[good.clone(), bad], &limits(), &times(0)).await;
        assert!(matches!(&refused, Err(StoreError::Invalid { field: f, .. }) if *f == field), "{refused:?}");
    }
    let many = vec![good; LEASES_PER_GROUP_MAX + 1];
    let refused = store.reserve_leases(&many, &limits(), &times(0)).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "leases", .. })), "{refused:?}");
    assert!(TierLimits::new(&[(1, 1_001)], 1).is_err() && TierLimits::new(&[], 1_001).is_err());
    assert_eq!(store.leases_of(two, &times(0)).await.unwrap(), []);
}

async fn a_deleted_user_has_no_leases(place: Place) {
    let store = place.open().await;
    let (a, two) = (edge("a", 1), user(&store, 2).await);
    open(&store, &a, 1, &[], 0).await;
    reserve(&store, &lease(1, two, "phone", &a), 0).await;
    open(&store, &a, 2, &[1], 1).await;
    store.delete_user(two).await.unwrap();
    assert_eq!(store.leases_of(two, &times(1)).await.unwrap(), []);
    let orders = store.take_report(&report(&a, 3), &limits(), &times(2)).await.unwrap();
    assert_eq!(orders.close.first().map(|order| order.reason), Some(CloseReason::AccountGone));
}

async fn what_is_long_dead_is_dropped(place: Place) {
    let store = place.open().await;
    let (a, b) = (edge("a", 1), edge("b", 2));
    let one = user(&store, 1).await;
    open(&store, &a, 1, &[], 0).await;
    open(&store, &b, 1, &[], 0).await;
    for (id, edge) in [(1, &a), (2, &a), (3, &b), (4, &b)] {
        reserve(&store, &lease(id, one, &format!("device {id}"), edge), 0).await;
    }
    open(&store, &a, 2, &[1, 2], 1).await;
    open(&store, &b, 2, &[3], 1).await;
    assert_eq!(store.sweep_leases(&times(30)).await, Ok(0));
    open(&store, &b, 3, &[], 640).await;
    // Device 4 has not been opened, edge a is silent; but control has just come back.
    let grace = LeaseTimes { grace_from_us: times(630).now_us, ..times(650) };
    assert_eq!(store.sweep_leases(&grace).await, Ok(1));
    assert_eq!(store.sweep_leases(&times(650)).await, Ok(2));
    open(&store, &edge("b", 3), 1, &[], 651).await;
    assert_eq!(store.sweep_leases(&times(652)).await, Ok(1));
    assert_eq!(store.edges().await.unwrap().len(), 2);
    store.sweep_leases(&times(86_500)).await.unwrap();
    assert_eq!(store.edges().await.unwrap().len(), 1, "a was heard more than a day ago, b not");
    // One that is being emptied would come back as one that takes everybody.
    store.set_draining("b", true).await.unwrap();
    store.sweep_leases(&times(200_000)).await.unwrap();
    assert!(store.edges().await.unwrap()[0].is_draining);
    store.set_draining("b", false).await.unwrap();
    store.sweep_leases(&times(200_000)).await.unwrap();
    assert_eq!(store.edges().await.unwrap(), []);
}

async fn what_is_long_dead_is_dropped_however_often_control_starts(place: Place) {
    let store = place.open().await;
    let (a, one) = (edge("a", 1), user(&store, 1).await);
    open(&store, &a, 1, &[], 0).await;
    for (id, device) in [(1, "phone"), (2, "laptop")] {
        reserve(&store, &lease(id, one, device, &a), 0).await;
    }
    open(&store, &a, 2, &[1, 2], 1).await;
    store.end_lease(one, "laptop", &times(2)).await.unwrap();
    let started = |ago: i64, now: i64| LeaseTimes { grace_from_us: times(now - ago).now_us, ..times(now) };
    assert_eq!(store.sweep_leases(&started(30, 700)).await, Ok(0), "the edge may still be on its way");
    assert_eq!(store.sweep_leases(&started(31, 700)).await, Ok(1), "what has ended stays for a day");
    assert_eq!(store.sweep_leases(&started(30, 86_500)).await, Ok(0));
    assert_eq!(store.edges().await.unwrap().len(), 1);
    assert_eq!(store.sweep_leases(&started(31, 86_500)).await, Ok(1));
    assert_eq!(store.edges().await.unwrap(), []);
}

async fn a_lost_edge_locks_nobody_out_by_what_it_was_not_told(place: Place) {
    let store = place.open().await;
    let (a, b, three) = (edge("a", 1), edge("b", 2), user(&store, 3).await);
    open(&store, &a, 1, &[], 0).await;
    // The same phone again and again, and each time on.
    for id in 1..=102 {
        let reserved = reserve(&store, &lease(id, three, "phone", &a), 0).await;
        assert!(matches!(reserved, Reserved::Granted { .. }), "{id}: {reserved:?}");
    }
    assert_eq!(reserve(&store, &lease(103, three, "phone", &a), 1).await, Reserved::Unsettled);
    open(&store, &b, 1, &[], 11).await;
    let reserved = reserve(&store, &lease(104, three, "phone", &b), 11).await;
    assert_eq!(reserved, Reserved::Granted { replaced: vec![Uuid::from_u128(102)] });
    // The edge was only cut off. Of what it opened, it names what has been forgotten; a newer one of that device counts.
    let id = Uuid::from_u128(1);
    let device = TicketDevice {
        user_id: Uuid::from_bytes(*three.as_bytes()),
        device_id: "phone".into(),
        name: String::new(),
    };
    let held = vec![HeldLease { lease: id, device, since_us: times(1).now_us }];
    let back = EdgeReport { opened: vec![id], held: Some(held), ..report(&a, 2) };
    let orders = store.take_report(&back, &limits(), &times(12)).await.unwrap();
    let told: Vec<_> = orders.close.iter().map(|order| (order.lease, order.reason)).collect();
    assert!(told.contains(&(id, CloseReason::TakenOver)), "{told:?}");
    // Besides it hears of tickets that were not used: of those that are remembered, none opens anything any more.
    let living = Uuid::from_u128(104);
    assert!(told.iter().all(|(lease, reason)| *lease != living && *reason == CloseReason::TakenOver));
    assert_eq!(devices(&store, three, 12).await, [104]);
}

async fn an_edge_hears_of_tickets_that_must_not_be_used_any_more(place: Place) {
    let store = place.open().await;
    let (a, two) = (edge("a", 1), user(&store, 2).await);
    open(&store, &a, 1, &[], 0).await;
    for (id, device) in [(1, "phone"), (2, "laptop"), (3, "phone")] {
        reserve(&store, &lease(id, two, device, &a), 0).await;
    }
    store.end_lease(two, "laptop", &times(1)).await.unwrap();
    let told = async |report: &EdgeReport, seconds| {
        let orders = take(&store, report, seconds).await;
        orders.close.iter().map(|order| (order.lease.as_u128(), order.reason)).collect::<Vec<_>>()
    };
    let (taken_over, ended) = ((1, CloseReason::TakenOver), (2, CloseReason::Ended));
    assert_eq!(told(&report(&a, 2), 1).await, [taken_over, ended]);
    // One has been used meanwhile, the other was barred in time: said again until it is known that nobody has either.
    let used =
        EdgeReport { opened: vec![Uuid::from_u128(1)], closed: vec![Uuid::from_u128(2)], ..report(&a, 3) };
    assert_eq!(told(&used, 2).await, [taken_over]);
    let closed = EdgeReport { closed: vec![Uuid::from_u128(1)], ..report(&a, 4) };
    assert_eq!(told(&closed, 3).await, []);
    assert_eq!(devices(&store, two, 3).await, [3]);
    store.delete_user(two).await.unwrap();
    assert_eq!(told(&report(&a, 5), 4).await, [(3, CloseReason::AccountGone)]);
}

async fn leases_of_a_start_are_found_by_an_index(place: Place) {
    place.open().await.close().await;
    // PostgreSQL scans a table that is small, whatever indexes there are.
    if place.url.starts_with("sqlite") {
        let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&place.url).await.unwrap();
        let query = "EXPLAIN QUERY PLAN SELECT id FROM leases WHERE generation IN ($1, $2)";
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(query).fetch_all(&mut connection).await.unwrap();
        assert!(plan.iter().any(|step| step.3.contains("leases_by_generation")), "{plan:?}");
    }
}

async fn of_devices_that_come_at_once_as_many_as_may_be_get_in(place: Place) {
    let store = place.open().await;
    let (a, one) = (edge("a", 1), user(&store, 1).await);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..24 {
        let (store, wanted) = (store.clone(), lease(number, one, &format!("device {number}"), &a));
        tasks.spawn(async move { reserve(&store, &wanted, 0).await });
    }
    let granted = tasks.join_all().await.into_iter().filter(|reserved| *reserved == GRANTED).count();
    assert_eq!(granted, 5);
    assert_eq!(store.leases_of(one, &times(0)).await.unwrap().len(), 5);
}
