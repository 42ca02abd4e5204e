//! A raw topic at its size limit takes reactions again once the horizon has passed, and not only until the next restart.

use std::time::Duration;

use emostream_log::{Log, LogError, TopicPartition};
use emostream_protocol::record::encode_tick;

use super::{HORIZON_MS, Rig, Running, wait_for};

const LIMIT: u64 = 512 * 1024;

/// Sends batches until the log is full, as a burst would.
async fn fill(running: &Running) {
    for _ in 0..1_000 {
        match running.append(0, running.batch(100)).await {
            Ok(()) => {}
            Err(LogError::Full(_)) => return running.components.pressure.set_log_full(true),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the log did not become full");
}

/// All reactions of a burst are in one window. When it is closed, nothing needs ticks but the log that is full.
async fn close_windows(running: &Running) {
    running.counted().await;
    running.clock.advance(3_000);
    wait_for("the window", || running.windows().len() == 1).await;
}

/// Lets time pass until the log takes a batch; how much that was, in ms.
async fn time_until_taken(running: &Running) -> i64 {
    let mut passed_ms = 0;
    while passed_ms < 10 * HORIZON_MS {
        match running.append(0, running.batch(100)).await {
            Ok(()) => {
                running.components.pressure.set_log_full(false);
                return passed_ms;
            }
            Err(LogError::Full(_)) => running.components.pressure.set_log_full(true),
            Err(error) => panic!("{error}"),
        }
        running.clock.advance(12_000);
        passed_ms += 12_000;
        tokio::time::sleep(Duration::from_millis(if passed_ms < HORIZON_MS { 50 } else { 1_100 })).await;
    }
    panic!("still full after {passed_ms} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_frees_itself_when_the_horizon_has_passed() {
    let rig = Rig::new(2, Some(LIMIT));
    let running = rig.start();
    fill(&running).await;
    close_windows(&running).await;
    let passed_ms = time_until_taken(&running).await;
    assert!(passed_ms <= HORIZON_MS + 60_000, "{passed_ms} ms");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_full_frees_itself_after_a_restart() {
    let rig = Rig::new(1, Some(LIMIT));
    let running = rig.start();
    fill(&running).await;
    close_windows(&running).await;
    running.stop().await;

    let running = rig.start();
    assert!(matches!(running.append(0, running.batch(100)).await, Err(LogError::Full(_))));
    time_until_taken(&running).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_snapshot_needs_can_go_at_once_after_a_restart() {
    let rig = Rig::new(1, Some(LIMIT));
    let running = rig.start();
    fill(&running).await;
    running.components.pressure.set_log_full(false);
    running.counted().await;
    running.clock.advance(HORIZON_MS + 1_000);
    let raw = TopicPartition::new("raw", 0);
    // Two snapshots whose replays begin after the burst; nothing asks for room before the stop.
    for snapshots in 1..=2 {
        running.clock.advance(11_000);
        running.log.append_reserved(&raw, vec![encode_tick()]).await.unwrap();
        let written = || running.components.metrics.snapshots_written.get() >= snapshots;
        wait_for("a snapshot", written).await;
    }
    running.stop().await;

    let running = rig.start();
    for _ in 0..20 {
        running.append(0, running.batch(100)).await.unwrap();
    }
    running.stop().await;
}
