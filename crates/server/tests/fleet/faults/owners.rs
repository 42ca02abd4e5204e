//! Nodes that own partitions die, stand still, come and go.

use std::time::Duration;

use rand::{RngExt as _, rngs::Xoshiro256PlusPlus};

use crate::{
    brokers::COUNT,
    fleet::{Fleet, OUTPUT_PARTITIONS, RAW_PARTITIONS, WINDOW_MS},
    harness::{now_ms, wait_for},
};

const COUNT_OWNED: &str = r#"partitions_owned{kind="count"}"#;
const MERGE_OWNED: &str = r#"partitions_owned{kind="merge"}"#;
const FENCED: &str = r#"kafka_events{kind="fenced"}"#;

/// How often a node is frozen at most until it is in the midst of writing: mostly once or twice.
const FREEZES_MAX: u32 = 8;

/// How long a request is on its way to the brokers when they are to be slow, and how long its answer.
const WAY: Duration = Duration::from_millis(80);

const COUNT_REBALANCES: &str = r#"rebalances_total{kind="count"}"#;

/// Waits until these nodes have divided all partitions among them fairly, and nobody else has any.
pub(super) async fn wait_until_shared(fleet: &Fleet, names: &[&str]) {
    for (metric, all) in [(COUNT_OWNED, RAW_PARTITIONS), (MERGE_OWNED, OUTPUT_PARTITIONS)] {
        let shared = async || {
            let fair = f64::from(all / u32::try_from(names.len()).unwrap());
            let mut sum = 0.0;
            for name in names {
                let owned = fleet.node(name).metric(metric).await;
                sum += owned;
                if owned < fair {
                    return None;
                }
            }
            (sum == f64::from(all)).then_some(())
        };
        wait_for(&format!("{names:?} share {metric}"), shared).await;
    }
}

/// `kill -9` of a node that counts, in the middle of a window; another takes over, and it comes back.
pub(super) async fn count_owner_killed(fleet: &mut Fleet, outage: Duration) {
    let (victim, survivor) = ("count-a", "count-b");
    assert!(
        fleet.node(victim).metric(COUNT_OWNED).await > 0.0,
        "{victim} owns nothing: the test has lost its point"
    );
    let rebalances = fleet.node(survivor).metric(COUNT_REBALANCES).await;
    let in_window = now_ms() % u64::from(WINDOW_MS);
    let to_the_middle = (u64::from(WINDOW_MS) * 3 / 2 - in_window) % u64::from(WINDOW_MS);
    tokio::time::sleep(Duration::from_millis(to_the_middle)).await;
    fleet.node_mut(victim).kill9();
    fleet.node(survivor).until(COUNT_REBALANCES, |now| now > rebalances).await;
    wait_until_shared(fleet, &[survivor]).await;
    fleet.wait_for_windows(2).await;
    tokio::time::sleep(outage).await;
    fleet.node_mut(victim).start().await;
    wait_until_shared(fleet, &[victim, survivor]).await;
}

/// SIGSTOP of a node that merges, in the midst of writing rows; another takes its partitions and its identity; then it
/// wakes, goes on writing, and is refused. Repeated where it was met between two rows: then it hears of its loss first.
pub(super) async fn merge_owner_frozen(fleet: &mut Fleet, rng: &mut Xoshiro256PlusPlus) {
    let victim = "count-a";
    let fenced_before = fleet.node(victim).metric(FENCED).await;
    for attempt in 1..=FREEZES_MAX {
        freeze_until_replaced(fleet, victim, "count-b", WAY * rng.random_range(1..6)).await;
        // What it was writing is refused when it arrives.
        for _ in 0..50 {
            let fenced = fleet.node(victim).metric(FENCED).await - fenced_before;
            if fenced > 0.0 {
                println!("frozen {attempt} times, fenced {fenced} times");
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    panic!("frozen {FREEZES_MAX} times, and nothing was ever refused");
}

async fn freeze_until_replaced(
    fleet: &mut Fleet,
    victim: &str,
    survivor: &str,
    after_rows_are_due: Duration,
) {
    let brokers = fleet.brokers.clone();
    // A transaction takes several requests: with a slow way to the brokers, long enough to be met.
    let line = brokers.line(COUNT).unwrap();
    line.delay(WAY);
    // Both merge, so that there is something to lose.
    fleet.wait_for_windows(1).await;
    fleet.observer().rows_are_due().await;
    tokio::time::sleep(after_rows_are_due).await;
    fleet.node(victim).freeze();
    line.delay(Duration::ZERO);
    wait_until_shared(fleet, &[survivor]).await;
    fleet.wait_for_windows(2).await;
    fleet.node(victim).wake();
    wait_until_shared(fleet, &[victim, survivor]).await;
}

/// A third aggregator joins; one of the others stops, the other one is killed; both come back, and the third leaves.
pub(super) async fn aggregators_come_and_go(fleet: &mut Fleet, outage: Duration) {
    let rebalances = fleet.node("count-a").metric(COUNT_REBALANCES).await;
    if !fleet.has("count-c") {
        fleet.add("count-c", "aggregate");
    }
    fleet.start(&["count-c"]).await;
    wait_until_shared(fleet, &["count-a", "count-b", "count-c"]).await;
    assert!(fleet.node("count-a").metric(COUNT_REBALANCES).await > rebalances, "nobody gave anything up");
    fleet.wait_for_windows(1).await;
    let ended = fleet.node_mut("count-a").stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    wait_until_shared(fleet, &["count-b", "count-c"]).await;
    fleet.wait_for_windows(1).await;
    fleet.node_mut("count-b").kill9();
    wait_until_shared(fleet, &["count-c"]).await;
    fleet.wait_for_windows(1).await;
    tokio::time::sleep(outage).await;
    fleet.start(&["count-a", "count-b"]).await;
    wait_until_shared(fleet, &["count-a", "count-b", "count-c"]).await;
    let ended = fleet.node_mut("count-c").stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    wait_until_shared(fleet, &["count-a", "count-b"]).await;
}
