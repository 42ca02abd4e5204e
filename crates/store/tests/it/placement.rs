//! Clusters, edges and leases: what they are tested with, and their tests.

mod clusters;
mod leases;
mod model;
mod reports;

use emostream_protocol::placement::EdgeReport;
use emostream_store::{LeaseTimes, NewLease, Reserved, Role, Store, TierLimits, UserId};
use uuid::Uuid;

use crate::{setup::NOW, users::someone};

pub(crate) const TTL_US: i64 = 10_000_000;
pub(crate) const TICKET_US: i64 = 30_000_000;

/// Tier 1: 5 devices, tier 2: 2, tier 3 and everyone else: 1.
pub(crate) fn limits() -> TierLimits {
    TierLimits::new(&[(1, 5), (2, 2), (3, 1)], 1).unwrap()
}

/// So many seconds after the beginning.
pub(crate) fn times(seconds: i64) -> LeaseTimes {
    LeaseTimes { now_us: NOW + seconds * 1_000_000, ttl_us: TTL_US, grace_from_us: 0, ticket_us: TICKET_US }
}

/// An edge and one of its starts.
pub(crate) fn edge(name: &str, start: u128) -> (String, Uuid) {
    (name.to_owned(), Uuid::from_u128(0xe00 + start))
}

/// A report without news of devices; the first one of a start says that it holds nothing.
pub(crate) fn report(edge: &(String, Uuid), number: u64) -> EdgeReport {
    EdgeReport {
        edge: edge.0.clone(),
        cluster: "west".into(),
        url: String::new(),
        port: 3005,
        capacity: 100,
        generation: edge.1,
        number,
        viewers: 0,
        is_leaving: false,
        opened: Vec::new(),
        closed: Vec::new(),
        held: (number == 1).then(Vec::new),
    }
}

/// The user of a tier.
pub(crate) async fn user(store: &Store, tier: u8) -> UserId {
    store.create_user(&someone(tier, &format!("user {tier}"), Role::Viewer), NOW).await.unwrap().id
}

pub(crate) fn lease(id: u128, user: UserId, device: &str, edge: &(String, Uuid)) -> NewLease {
    NewLease {
        id: Uuid::from_u128(id),
        user,
        device_id: device.to_owned(),
        device_name: format!("the {device}"),
        edge: edge.0.clone(),
        generation: edge.1,
        ends: None,
    }
}

pub(crate) async fn reserve(store: &Store, lease: &NewLease, seconds: i64) -> Reserved {
    let reserved =
        store.reserve_leases(std::slice::from_ref(lease), &limits(), &times(seconds)).await.unwrap();
    let [reserved] = reserved.as_slice() else { panic!("{reserved:?}") };
    reserved.clone()
}

pub(crate) const GRANTED: Reserved = Reserved::Granted { replaced: Vec::new() };

/// Reports that tickets have been used.
pub(crate) async fn open(store: &Store, edge: &(String, Uuid), number: u64, ids: &[u128], seconds: i64) {
    let opened = ids.iter().map(|id| Uuid::from_u128(*id)).collect();
    let report = EdgeReport { opened, ..report(edge, number) };
    let orders = store.take_report(&report, &limits(), &times(seconds)).await.unwrap();
    assert_eq!(orders.close, []);
}
