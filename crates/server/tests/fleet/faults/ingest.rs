//! Ingest that dies with what it has acknowledged, or that the brokers cannot hear.

use std::time::Duration;

use crate::{CHANNELS, brokers::DOOR, crowd, fleet::Fleet, harness::wait_for, proxy::Cut};

/// After this age of what waits, the door below refuses more, ms.
const SPOOL_AGE_MS_MAX: u32 = 1_000;

/// A door fills its spool while the broker is away until it refuses more, is killed, and comes back when the broker does.
pub(super) async fn killed_with_full_spool(fleet: &mut Fleet, outage: Duration) {
    let name = "door-full";
    if !fleet.has(name) {
        fleet.add(name, "ingest").set(&format!("spool.max_age_ms={SPOOL_AGE_MS_MAX}"));
    }
    fleet.start(&[name]).await;
    fleet.wait_for_answers(50).await;
    fleet.brokers.kill9(0);
    let door = fleet.node(name);
    let refused = async || {
        let answer = crowd::send_few(door.address(), CHANNELS[0], &fleet.ledger).await?;
        (answer.status == 503 && answer.problem().as_deref() == Some("spool-behind")).then_some(())
    };
    wait_for("a full spool", refused).await;
    let waiting = door.metric("spool_reactions").await;
    assert!(waiting > 0.0, "{waiting} reactions wait");
    fleet.entrances.close(name);
    fleet.node_mut(name).kill9();
    tokio::time::sleep(outage).await;
    let brokers = fleet.brokers.clone();
    let broker = tokio::task::spawn_blocking(move || brokers.restart(0));
    fleet.node_mut(name).start_again_until_ready("cannot be reached").await;
    broker.await.unwrap();
    fleet.node(name).until("spool_records_forwarded_total", |forwarded| forwarded > 0.0).await;
    fleet.open_entrance(name).await;
    fleet.wait_for_answers(50).await;
    fleet.entrances.close(name);
    let ended = fleet.node_mut(name).stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// One door loses the broker. It goes on answering, and what it answers comes again through the other door, from clients
/// that were not patient enough.
pub(super) async fn cut_from_the_broker(fleet: &mut Fleet, how: Cut, outage: Duration) {
    let brokers = fleet.brokers.clone();
    let line = brokers.line(DOOR).unwrap();
    line.cut(how);
    fleet.node("door-a").until("spool_age_seconds", |age| age > 0.0).await;
    let passed = line.passed();
    fleet.wait_for_answers(100).await;
    fleet.wait_for_windows(1).await;
    tokio::time::sleep(outage).await;
    let waiting = fleet.node("door-a").metric("spool_reactions").await;
    assert!(waiting > 0.0, "nothing waits: {waiting}");
    // Everything that waits is the cut one's.
    fleet.node("door-b").until("spool_age_seconds", |age| age == 0.0).await;
    assert_eq!(line.passed(), passed, "bytes have passed a connection that was cut");
    line.mend();
    fleet.node("door-a").until("spool_age_seconds", |age| age == 0.0).await;
}
