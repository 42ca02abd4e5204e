//! Clusters and edges: records that are made, changed, found and removed.

use emostream_store::{CLUSTERS_MAX, Cluster, EDGES_MAX, LeaseTimes, StoreError};

use super::{edge, limits, report, times};
use crate::setup::{NOW, Place, everywhere};

everywhere!(
    clusters_are_made_changed_and_removed,
    bad_names_are_refused,
    clusters_and_edges_are_limited,
    a_new_edge_takes_the_place_of_one_that_is_lost,
    edges_are_as_they_reported_last,
    an_admin_drains_and_forgets_edges,
);

async fn clusters_are_made_changed_and_removed(place: Place) {
    let store = place.open().await;
    let made = store.put_cluster("west", Some(500), NOW).await.unwrap();
    assert_eq!(made, Cluster { name: "west".into(), capacity: Some(500), created_us: NOW });
    store.put_cluster("east", None, NOW + 1).await.unwrap();
    let changed = store.put_cluster("west", None, NOW + 2).await.unwrap();
    assert_eq!(changed, Cluster { capacity: None, ..made });
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.cluster("west").await.unwrap(), Some(changed.clone()));
    let east = Cluster { name: "east".into(), capacity: None, created_us: NOW + 1 };
    assert_eq!(store.clusters().await.unwrap(), [east.clone(), changed]);
    store.delete_cluster("west").await.unwrap();
    assert_eq!(store.delete_cluster("west").await, Err(StoreError::NotFound { what: "cluster" }));
    assert_eq!(store.clusters().await.unwrap(), [east]);
    for unknown in ["west", "", "a\0b", &"x".repeat(500)] {
        assert_eq!(store.cluster(unknown).await.unwrap(), None, "{unknown:?}");
    }
}

async fn bad_names_are_refused(place: Place) {
    let store = place.open().await;
    for bad in ["", "a\nb", "a\0", &"é".repeat(65)] {
        let refused = store.put_cluster(bad, None, NOW).await;
        assert!(matches!(refused, Err(StoreError::Invalid { field: "cluster", .. })), "{refused:?}");
        let mut named = report(&edge("a", 1), 1);
        named.edge = bad.to_owned();
        let refused = store.take_report(&named, &limits(), &times(0)).await;
        assert!(matches!(refused, Err(StoreError::Invalid { field: "edge", .. })), "{refused:?}");
    }
    let mut far = report(&edge("a", 1), 1);
    far.url = "x".repeat(1_025);
    let refused = store.take_report(&far, &limits(), &times(0)).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "url", .. })), "{refused:?}");
    assert_eq!(store.edges().await.unwrap(), []);
}

async fn clusters_and_edges_are_limited(place: Place) {
    let store = place.open().await;
    for number in 0..CLUSTERS_MAX {
        store.put_cluster(&format!("cluster {number}"), None, NOW).await.unwrap();
    }
    let refused = store.put_cluster("another", None, NOW).await;
    assert_eq!(refused, Err(StoreError::LimitReached { what: "clusters", limit: CLUSTERS_MAX }));
    store.put_cluster("cluster 7", Some(7), NOW).await.unwrap();
    let reports: Vec<_> =
        (0..EDGES_MAX).map(|number| report(&edge(&format!("edge {number}"), 1), 1)).collect();
    store.take_reports(&reports, &limits(), &times(0)).await.unwrap();
    let orders = store.take_report(&report(&edge("another", 1), 1), &limits(), &times(0)).await.unwrap();
    assert!(orders.drain && orders.report_all, "an edge too many takes nobody: {orders:?}");
    assert_eq!(store.edges().await.unwrap().len(), 1_000);
    let known = store.take_report(&report(&edge("edge 7", 1), 2), &limits(), &times(0)).await.unwrap();
    assert!(!known.drain);
}

async fn a_new_edge_takes_the_place_of_one_that_is_lost(place: Place) {
    let store = place.open().await;
    let first = |name: &str| report(&edge(name, 1), 1);
    let reports: Vec<_> = (0..EDGES_MAX).map(|number| first(&format!("edge {number}"))).collect();
    store.take_reports(&reports[500..], &limits(), &times(0)).await.unwrap();
    store.take_reports(&reports[..500], &limits(), &times(9)).await.unwrap();
    // The first one that is lost is heard again together with three new ones.
    let again = report(&edge("edge 500", 1), 2);
    let group = [first("new 1"), again, first("new 2"), first("new 3")];
    let grace = LeaseTimes { grace_from_us: times(5).now_us, ..times(12) };
    let orders = store.take_reports(&group, &limits(), &grace).await.unwrap();
    let drained: Vec<_> = orders.iter().map(|orders| orders.drain).collect();
    assert_eq!(drained, [true, false, true, true], "nobody could be heard until a moment ago");
    let orders = store.take_reports(&group, &limits(), &times(12)).await.unwrap();
    assert!(orders.iter().all(|orders| !orders.drain), "{orders:?}");
    let known: Vec<_> = store.edges().await.unwrap().into_iter().map(|edge| edge.name).collect();
    assert_eq!(known.len(), 1_000);
    let is_known = |name: &str| known.iter().any(|known| known == name);
    assert!(["new 1", "new 2", "new 3", "edge 0", "edge 500", "edge 504"].into_iter().all(is_known));
    assert!(!["edge 501", "edge 502", "edge 503"].into_iter().any(is_known), "the longest silent go first");
}

async fn edges_are_as_they_reported_last(place: Place) {
    let store = place.open().await;
    let first = edge("a", 1);
    store.take_report(&report(&first, 1), &limits(), &times(0)).await.unwrap();
    let mut second = report(&first, 2);
    second.cluster = "east".into();
    second.url = "https://a.example.org".into();
    second.capacity = 9;
    second.viewers = 8;
    second.is_leaving = true;
    store.take_report(&second, &limits(), &times(5)).await.unwrap();
    // One that was on its way for long.
    store.take_report(&report(&first, 1), &limits(), &times(6)).await.unwrap();
    let edges = store.edges().await.unwrap();
    let [found] = edges.as_slice() else { panic!("{edges:?}") };
    assert_eq!((found.name.as_str(), found.cluster.as_str(), found.port), ("a", "east", 3005));
    assert_eq!((found.url.as_str(), found.capacity, found.viewers), ("https://a.example.org", 9, 8));
    assert_eq!((found.generation, found.number, found.heard_us), (first.1, 2, times(5).now_us));
    assert!(found.is_leaving && !found.is_draining);
}

async fn an_admin_drains_and_forgets_edges(place: Place) {
    let store = place.open().await;
    let (first, restarted) = (edge("a", 1), edge("a", 2));
    assert_eq!(store.set_draining("a", true).await, Err(StoreError::NotFound { what: "edge" }));
    store.take_report(&report(&first, 1), &limits(), &times(0)).await.unwrap();
    store.set_draining("a", true).await.unwrap();
    let orders = store.take_report(&report(&first, 2), &limits(), &times(1)).await.unwrap();
    assert!(orders.drain);
    let orders = store.take_report(&report(&restarted, 1), &limits(), &times(2)).await.unwrap();
    assert!(orders.drain, "what an admin has asked for outlives the edge's start");
    store.set_draining("a", false).await.unwrap();
    let orders = store.take_report(&report(&restarted, 2), &limits(), &times(3)).await.unwrap();
    assert!(!orders.drain && !orders.report_all, "{orders:?}");
    store.forget_edge("a").await.unwrap();
    assert_eq!(store.forget_edge("a").await, Err(StoreError::NotFound { what: "edge" }));
    assert_eq!(store.edges().await.unwrap(), []);
    let mut news = report(&restarted, 3);
    news.held = None;
    assert!(store.take_report(&news, &limits(), &times(4)).await.unwrap().report_all);
}
