//! A raw log at its size limit: it refuses, its time goes on, and after the horizon it takes reactions by itself.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{
    client::{Client, get, react},
    new_id,
    process::Server,
    records::{assert_rows_agree, assert_verified},
    wait_for,
    windows::windows_total,
};

/// The smallest log that can be configured, and the shortest horizon.
const SMALL: [&str; 6] = [
    "--set",
    "log.segment_bytes=1048576",
    "--set",
    "log.retention_bytes=2097152",
    "--set",
    "windows.horizon_ms=125000",
];

const HORIZON: Duration = Duration::from_millis(125_000);

const BATCH: usize = 500;

fn batch() -> Value {
    let user = "x".repeat(50);
    (0..BATCH).map(|_| json!({"emote": "🔥", "id": new_id(), "user_id": user})).collect()
}

/// Sends until the log is full; how many reactions were acknowledged.
async fn fill(address: SocketAddr) -> u64 {
    let mut client = Client::connect(address).await.unwrap();
    for sent in 0..200 {
        let answer = client.react("main", &batch()).await.unwrap();
        if answer.status != 200 {
            assert_eq!((answer.status, answer.problem().as_deref()), (503, Some("log-full")), "{answer:?}");
            return sent * BATCH as u64;
        }
    }
    panic!("the log did not become full");
}

async fn all_counted(address: SocketAddr, expected: u64) {
    let all = async || {
        let total: u64 = windows_total(address, "main").await.values().sum();
        (total >= expected).then_some(total)
    };
    assert_eq!(wait_for("every window", all).await, expected);
}

/// Records counted so far: without reactions, these are ticks.
async fn counted_records(address: SocketAddr) -> u64 {
    let metrics = get(address, "/metrics").await.unwrap();
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let line = text.lines().find(|line| line.contains("records_counted_total ")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// The time of a log that refuses reactions goes on, though not at the pace of open windows.
async fn assert_time_goes_on(address: SocketAddr) {
    let before = counted_records(address).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let ticks = counted_records(address).await - before;
    assert!((1..=10).contains(&ticks), "{ticks} ticks in 4 seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_of_a_full_log_goes_on_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &SMALL);
    let acknowledged = fill(server.address).await;
    all_counted(server.address, acknowledged).await;
    assert_time_goes_on(server.address).await;
    let end = server.stop();
    assert_eq!(end.code, Some(0));
    let refusals = end.stderr.lines().filter(|line| line.contains("appends are refused")).count();
    assert_eq!(refusals, 1, "said once: {}", end.stderr);

    let server = Server::start(dir.path(), &SMALL);
    let more = fill(server.address).await;
    all_counted(server.address, acknowledged + more).await;
    assert_time_goes_on(server.address).await;
    assert_eq!(server.stop().code, Some(0));
    assert_verified(dir.path());
    assert_rows_agree(dir.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the shortest horizon takes two minutes: part of make soak"]
async fn a_full_log_takes_reactions_again_after_the_horizon() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &SMALL);
    let mut acknowledged = fill(server.address).await;
    assert_eq!(server.stop().code, Some(0));
    let server = Server::start(dir.path(), &SMALL);
    acknowledged += fill(server.address).await;
    let began = Instant::now();
    loop {
        let answer = react(server.address, "main", &batch()).await.unwrap();
        if answer.status == 200 {
            acknowledged += BATCH as u64;
            break;
        }
        assert!(began.elapsed() < HORIZON + Duration::from_secs(40), "still full: {answer:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!("soak: full log: healed by itself after {:?}", began.elapsed());
    all_counted(server.address, acknowledged).await;
    assert_eq!(server.stop().code, Some(0));
    assert_verified(dir.path());
    assert_rows_agree(dir.path());
}
