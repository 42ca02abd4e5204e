//! Graceful stops of ingest: Kafka gets what was acknowledged before the node is gone, or the next start brings it.

use crate::{
    brokers::{self, Layout},
    fleet::Fleet,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_graceful_stop_drains_the_spool_or_leaves_it_to_the_next_start() {
    let mut fleet = Fleet::on(brokers::own(Layout::Single), rand::random());
    fleet.add("home", "control,edge,aggregate");
    fleet.add("patient", "ingest");
    fleet.add("hasty", "ingest").set("spool.drain_timeout_ms=1000");
    fleet.start(&["home", "patient", "hasty"]).await;
    fleet.gather_crowd().await;
    fleet.brokers.freeze(0);
    for name in ["patient", "hasty"] {
        fleet.node(name).until("spool_age_seconds", |age| age > 0.0).await;
        let waiting = fleet.node(name).metric("spool_reactions").await;
        assert!(waiting > 0.0, "{waiting} reactions wait in {name}");
        fleet.entrances.close(name);
    }
    // Nobody is let in any more: what has no answer now is sent again at the end.
    fleet.disperse_crowd().await;

    let ended = fleet.node_mut("hasty").stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("the spool was not drained in time"), "{}", ended.stderr);

    let patient = fleet.node_mut("patient").terminate();
    // Its listeners are closed, and it waits.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    fleet.brokers.wake(0);
    let ended = tokio::task::spawn_blocking(move || patient.wait()).await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("the spool is drained"), "{}", ended.stderr);

    fleet.start(&["hasty"]).await;
    let found = fleet.assert_whole().await;
    println!("{} acknowledged, all counted once, whoever stopped before", found.acknowledged);
}
