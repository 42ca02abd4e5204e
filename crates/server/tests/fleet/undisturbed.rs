//! A fleet that nothing happens to.

use crate::{brokers, fleet::Fleet};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fleet_counts_what_its_nodes_take() {
    let mut fleet = Fleet::on(brokers::shared(), rand::random());
    fleet.add("home", "control,edge");
    fleet.add("door-a", "ingest");
    fleet.add("door-b", "ingest");
    fleet.add("count-a", "aggregate");
    fleet.add("count-b", "aggregate");
    fleet.start(&["home", "door-a", "door-b", "count-a", "count-b"]).await;
    fleet.gather_crowd().await;
    fleet.wait_for_answers(1_000).await;
    let found = fleet.assert_whole().await;
    println!(
        "{} acknowledged, {} in the log with repeats, {} rows",
        found.acknowledged, found.in_log, found.rows
    );
}
