//! Apache Kafka as the log: what a reaction costs beside Kafka's own producer, how long it takes to a screen, and how long
//! windows stand still after a fault.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::Bench;
use crate::{
    measure::{broker::Broker, process::Server},
    report::Row,
};

mod ingest;
mod recovery;
mod screen;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let built_with = Command::new(&bench.program).args(["check-config", "--set", "log.kind=kafka"]).output();
    let said = built_with.context("start the program to measure")?;
    ensure!(
        !String::from_utf8_lossy(&said.stderr).contains("no Kafka"),
        "the program to measure has no Kafka: build it with --features emostream-server/kafka"
    );
    let mut rows = ingest::run(bench)?;
    rows.extend(screen::run(bench)?);
    rows.extend(recovery::run(bench)?);
    Ok(rows)
}

/// The settings of a node of a fleet on this broker.
fn settings(broker: &Broker, more: &[&str]) -> Vec<String> {
    let mut settings = vec![
        "log.kind=kafka".to_owned(),
        format!("kafka.bootstrap_servers={}", broker.address),
        "kafka.replication=1".to_owned(),
    ];
    settings.extend(more.iter().map(|&pair| pair.to_owned()));
    settings
}

/// A node has its partitions this long after its start at the latest.
const READY_PATIENCE: Duration = Duration::from_secs(60);

/// Starts a node of a fleet in a folder of its own, and waits until it is ready.
pub(super) fn node(bench: &Bench, broker: &Broker, name: &str, more: &[&str]) -> Result<Server> {
    let settings = settings(broker, more);
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let server = Server::emostream(&bench.program, &bench.scratch.join(name), &settings, bench.cores)?;
    let began = Instant::now();
    while let Err(error) = crate::load::http::get(server.address, "/readyz") {
        ensure!(began.elapsed() < READY_PATIENCE, "a node does not become ready: {error:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(server)
}
