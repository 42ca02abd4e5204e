//! Batches of reactions over HTTP into Kafka, durable on the way, beside Kafka's own producer benchmark.

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{super::Bench, node};
use crate::{
    load::batches,
    measure::{broker::Broker, process::Server},
    report::{Figure, Row, Series},
    say,
};

const CONNECTIONS: usize = 4;
const ROUNDS: usize = 3;
const PEER_RECORDS: u64 = 3_000_000;

/// How many times as many records a processor second takes as with Kafka's own producer.
const RATIO_MIN: f64 = 3.0;

/// What is acknowledged must be in Kafka within this time.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (mut ours, mut ours_rate, mut peers, mut peer_rate) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds(ROUNDS) {
        let (per_cpu, per_s) = measure_ours(bench)?;
        ours.push(per_cpu);
        ours_rate.push(per_s);
        let (per_cpu, per_s) = measure_peer(bench)?;
        peers.push(per_cpu);
        peer_rate.push(per_s);
        say(&format!(
            "  {:.2} M against {:.2} M records a CPU second",
            ours[ours.len() - 1] / 1e6,
            peers[peers.len() - 1] / 1e6
        ));
    }
    let series = vec![
        Series::new("Emostream, fsync, node and broker", "records/CPU-s", ours),
        Series::new("ProducerPerformance and broker", "records/CPU-s", peers),
        Series::new("Emostream, fsync", "records/s", ours_rate),
        Series::new("ProducerPerformance", "records/s", peer_rate),
    ];
    let ratio = series[0].median / series[1].median;
    Ok(vec![Row {
        what: format!("batches of {} over HTTP into Kafka, {CONNECTIONS} connections", batches::BATCH),
        against: "Kafka's ProducerPerformance (acks=all, lz4, linger 5 ms, batches of 128 KiB); records a CPU second \
                  of client and broker"
            .to_owned(),
        aim: format!("≥ {RATIO_MIN} ×"),
        result: Figure::times(ratio),
        met: Some(ratio >= RATIO_MIN),
        series,
        notes: vec![
            "Emostream parses and checks JSON, keeps each batch on its own disk before it answers, and forwards it to \
             the broker: all of it counts, until the spool is empty. The client that makes the JSON does not. Of the \
             peer the time of a run with one record is subtracted, which is the start of Java."
                .to_owned(),
        ],
    }])
}

fn measure_ours(bench: &Bench) -> Result<(f64, f64)> {
    let broker = Broker::start(&bench.scratch, bench.cores)?;
    let server = node(bench, &broker, "ingest", &["roles=[\"ingest\"]"])?;
    batches::run(server.address, CONNECTIONS, Instant::now() + bench.seconds(2.0))?;
    drain(&server)?;
    let (before, began) = (server.cpu_s()? + broker.cpu_s()?, Instant::now());
    let acknowledged = batches::run(server.address, CONNECTIONS, Instant::now() + bench.seconds(8.0))?;
    drain(&server)?;
    let wall_s = began.elapsed().as_secs_f64();
    let cpu_s = server.cpu_s()? + broker.cpu_s()? - before;
    Ok((acknowledged as f64 / cpu_s, acknowledged as f64 / wall_s))
}

/// Waits until Kafka has everything.
fn drain(server: &Server) -> Result<()> {
    let began = Instant::now();
    loop {
        let health = crate::load::http::get(server.address, "/health")?;
        let health: Value = serde_json::from_str(&health).context("read /health")?;
        if health["buffer_size"] == 0 {
            return Ok(());
        }
        ensure!(began.elapsed() < DRAIN_PATIENCE, "the spool does not drain: {health}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn measure_peer(bench: &Bench) -> Result<(f64, f64)> {
    let broker = Broker::start(&bench.scratch, bench.cores)?;
    let create = ["--bootstrap-server", &broker.address, "--create", "--topic", "peer", "--partitions", "6"];
    Broker::tool("org.apache.kafka.tools.TopicCommand", &create)?;
    let payload = bench.scratch.join("payload.ndjson");
    fs::write(&payload, lines())?;
    let records = if bench.quick { PEER_RECORDS / 4 } else { PEER_RECORDS };
    // A first run warms the broker, and tells what a start of Java costs.
    let (_, start_s) = produce(&broker, &payload, 1)?;
    let (before, began) = (broker.cpu_s()?, Instant::now());
    let (said, client_s) = produce(&broker, &payload, records)?;
    let wall_s = began.elapsed().as_secs_f64();
    ensure!(said.contains(&format!("{records} records sent")), "ProducerPerformance said {said:?}");
    let cpu_s = broker.cpu_s()? - before + client_s - start_s;
    fs::remove_file(&payload)?;
    Ok((records as f64 / cpu_s, records as f64 / wall_s))
}

fn produce(broker: &Broker, payload: &std::path::Path, records: u64) -> Result<(String, f64)> {
    let servers = format!("bootstrap.servers={}", broker.address);
    let (payload, records) = (payload.display().to_string(), records.to_string());
    #[rustfmt::skip]
    let arguments = [
        "--topic", "peer", "--num-records", &records, "--throughput", "-1", "--payload-file", &payload,
        "--producer-props", &servers, "acks=all", "compression.type=lz4", "linger.ms=5", "batch.size=131072",
    ];
    Broker::tool("org.apache.kafka.tools.ProducerPerformance", &arguments)
}

/// Reactions as system E's clients write them.
fn lines() -> String {
    let mut lines = String::new();
    for number in 0..10_000 {
        writeln!(
            lines,
            r#"{{"user_id":"user-{number:05}","emoji_type":"🔥","timestamp":"2026-01-01T00:00:{:02}.{:03}Z"}}"#,
            number / 1_000 % 60,
            number % 1_000
        )
        .expect("writing to a String cannot fail");
    }
    lines
}
