//! Brokers that die, stand still, or are lost one by one.

use std::time::{Duration, Instant};

use crate::{fleet::Fleet, harness::wait_for};

/// What is taken while no broker answers waits on the doors' own disks.
async fn wait_until_spooled(fleet: &Fleet) {
    for door in ["door-a", "door-b"] {
        fleet.node(door).until("spool_age_seconds", |age| age > 0.0).await;
        let waiting = fleet.node(door).metric("spool_reactions").await;
        assert!(waiting > 0.0, "{waiting} reactions wait in {door}");
    }
}

/// Waits until the broker has all of it; what is under way under load is no second old.
async fn wait_until_forwarded(fleet: &Fleet) {
    for door in ["door-a", "door-b"] {
        fleet.node(door).until("kafka_connected", |connected| connected == 1.0).await;
        fleet.node(door).until("spool_age_seconds", |age| age == 0.0).await;
    }
}

/// `kill -9` of the only broker, and its restart on what it has stored.
pub(super) async fn killed(fleet: &mut Fleet, outage: Duration) {
    fleet.brokers.kill9(0);
    wait_until_spooled(fleet).await;
    let disconnected = async || {
        let health = fleet.node("door-b").json("/health").await;
        (health["kafka_connected"] == false && health["buffer_size"].as_u64() > Some(0)).then_some(())
    };
    wait_for("a node that says that it has lost the broker", disconnected).await;
    // Nobody is told of the outage.
    fleet.wait_for_answers(20).await;
    tokio::time::sleep(outage).await;
    let brokers = fleet.brokers.clone();
    tokio::task::spawn_blocking(move || brokers.restart(0)).await.unwrap();
    wait_until_forwarded(fleet).await;
}

/// SIGSTOP of the only broker, whose connections stay open, and SIGCONT.
pub(super) async fn frozen(fleet: &mut Fleet, outage: Duration) {
    fleet.brokers.freeze(0);
    wait_until_spooled(fleet).await;
    fleet.wait_for_answers(20).await;
    tokio::time::sleep(outage).await;
    fleet.brokers.wake(0);
    wait_until_forwarded(fleet).await;
}

/// `kill -9` of one broker while two others hold what it had; counting goes on without it.
pub(super) async fn one_of_three_lost(fleet: &mut Fleet, broker: usize, outage: Duration) {
    fleet.brokers.kill9(broker);
    let lost = Instant::now();
    // What clients send now is counted while that broker is away.
    fleet.wait_for_answers(20).await;
    fleet.wait_for_windows(3).await;
    tokio::time::sleep(outage.saturating_sub(lost.elapsed())).await;
    let brokers = fleet.brokers.clone();
    tokio::task::spawn_blocking(move || brokers.restart(broker)).await.unwrap();
}
