//! What viewers see and measure.

use super::{
    load,
    server::{Reply, Server},
};

#[tokio::test]
async fn viewers_measure_from_tap_to_screen_and_find_no_fault_in_a_good_stream() {
    let server = Server::start(|_| Reply::Take).await;
    let line = format!("--url {} --rate 50 --duration 2s --viewers 1 --silent-viewers 2", server.url);
    let viewers = load(&line).await["viewers"].clone();
    assert_eq!((&viewers["connected_max"], &viewers["disconnects"]), (&1.into(), &0.into()), "{viewers}");
    assert_eq!((&viewers["order_faults"], &viewers["duplicate_moments"]), (&0.into(), &0.into()));
    assert!(viewers["windows"].as_u64() > Some(20) && viewers["moments"].as_u64() > Some(20), "{viewers}");
    let measured = &viewers["tap_to_screen_ms"];
    assert!(measured["number"].as_u64() >= Some(2), "{viewers}");
    assert!((0.0..1_000.0).contains(&measured["p50"].as_f64().unwrap()), "{viewers}");
    server.stop().await;
}

#[tokio::test]
async fn wrong_order_and_repeated_moments_are_found() {
    let server = Server::start_with(|_| Reply::Take, true).await;
    let line = format!("--url {} --rate 50 --duration 1s --viewers 3", server.url);
    let viewers = load(&line).await["viewers"].clone();
    assert!(viewers["order_faults"].as_u64() > Some(20), "{viewers}");
    assert!(viewers["duplicate_moments"].as_u64() > Some(20), "{viewers}");
    server.stop().await;
}
