//! A node whose wall clock is wrong.

use std::time::Duration;

use super::owners::wait_until_shared;
use crate::fleet::Fleet;

/// A node takes and counts reactions with a clock that is off by so many seconds. The brokers' clock rules: it works as the
/// others do, and says what it sees.
pub(super) async fn wrong_by(fleet: &mut Fleet, seconds: i32, outage: Duration) {
    let name = "wrong";
    if !fleet.has(name) {
        fleet.add(name, "ingest,aggregate");
    }
    fleet.node_mut(name).set_clock_off(seconds);
    fleet.start(&[name]).await;
    wait_until_shared(fleet, &["count-a", "count-b", name]).await;
    // What brokers have less what this node has.
    let off_ms = fleet.node(name).until("kafka_clock_offset_ms", |offset| offset != 0.0).await;
    let expected_ms = f64::from(-seconds) * 1_000.0;
    assert!((off_ms - expected_ms).abs() < 10_000.0, "a clock {seconds} s off is seen as {off_ms} ms");
    let warned = fleet.node(name).stderr().contains("clock differs");
    assert!(warned, "no warning: {}", fleet.node(name).stderr());
    let taken = fleet.node(name).until("reactions_accepted_total", |taken| taken > 100.0).await;
    let counted = fleet.node(name).until("records_counted_total", |counted| counted > 100.0).await;
    println!("a node {seconds} s off has taken {taken} reactions and counted {counted} records");
    fleet.wait_for_windows(2).await;
    tokio::time::sleep(outage).await;
    fleet.entrances.close(name);
    let ended = fleet.node_mut(name).stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    wait_until_shared(fleet, &["count-a", "count-b"]).await;
}
