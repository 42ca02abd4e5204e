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

/// 32,000 reactions on their way at most; of the peer's its buffer is the limit, 32 MB.
const CONNECTIONS: usize = 32;
/// As long as the peer's `linger.ms`.
const LINGER: &str = "ingest.flush_ms=5";

const ROUNDS: usize = 3;
const PEER_RECORDS: u64 = 3_000_000;

/// How many times as many records a processor second takes as with Kafka's own producer.
const RATIO_MIN: f64 = 3.0;

/// What is acknowledged must be in Kafka within this time.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);

/// What an acknowledgement promises, and how it is written in the configuration.
const PROMISES: [(&str, &str); 2] =
    [("fsync before each answer", "fsync"), ("without fsync, as the peer", "os")];

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut ours = PROMISES.map(|_| Rounds::default());
    let mut peer = Rounds::default();
    for _ in 0..bench.rounds(ROUNDS) {
        for (rounds, (_, durability)) in ours.iter_mut().zip(PROMISES) {
            rounds.push(&measure_ours(bench, durability)?);
        }
        peer.push(&measure_peer(bench)?);
        say(&format!(
            "  {:.2} M with fsync, {:.2} M without, against {:.2} M records a CPU second",
            ours[0].last() / 1e6,
            ours[1].last() / 1e6,
            peer.last() / 1e6
        ));
    }
    let rows = ours.into_iter().zip(PROMISES).map(|(ours, (promise, _))| row(ours, &peer, promise));
    Ok(rows.collect())
}

/// Rounds of one kind.
#[derive(Default, Clone)]
struct Rounds {
    per_cpu_s: Vec<f64>,
    per_s: Vec<f64>,
    client_share: Vec<f64>,
}

impl Rounds {
    fn push(&mut self, round: &Round) {
        let cpu_s = round.client_s + round.broker_s;
        self.per_cpu_s.push(round.records as f64 / cpu_s);
        self.per_s.push(round.records as f64 / round.wall_s);
        self.client_share.push(100.0 * round.client_s / cpu_s);
    }

    fn last(&self) -> f64 {
        self.per_cpu_s.last().copied().unwrap_or_default()
    }
}

fn row(ours: Rounds, peer: &Rounds, promise: &str) -> Row {
    let peer = peer.clone();
    let series = vec![
        Series::new("Emostream and broker", "records/CPU-s", ours.per_cpu_s),
        Series::new("ProducerPerformance and broker", "records/CPU-s", peer.per_cpu_s),
        Series::new("Emostream", "records/s", ours.per_s),
        Series::new("ProducerPerformance", "records/s", peer.per_s),
        Series::new("Emostream's part of the CPU time, the rest is the broker's", "%", ours.client_share),
        Series::new("ProducerPerformance's part", "%", peer.client_share),
    ];
    let ratio = series[0].median / series[1].median;
    Row {
        what: format!("batches of {} over HTTP into Kafka, {CONNECTIONS} connections, {promise}", batches::BATCH),
        against: "Kafka's ProducerPerformance (acks=all, lz4, linger 5 ms, batches of 128 KiB); records a CPU second \
                  of client and broker"
            .to_owned(),
        aim: format!("≥ {RATIO_MIN} ×"),
        result: Figure::times(ratio),
        met: Some(ratio >= RATIO_MIN),
        series,
        notes: vec![
            "Emostream parses and checks JSON, keeps each batch in its own spool before it answers, and forwards it to \
             the broker: all of it counts, until the spool is empty. The client that makes the JSON does not. Of the \
             peer the time of a run with one record is subtracted, which is the start of Java. Brokers are started \
             anew for each round."
                .to_owned(),
        ],
    }
}

/// One round.
struct Round {
    records: u64,
    wall_s: f64,
    /// CPU time of whoever sends to the broker.
    client_s: f64,
    broker_s: f64,
}

fn measure_ours(bench: &Bench, durability: &str) -> Result<Round> {
    let broker = Broker::start(&bench.scratch, bench.cores)?;
    let durability = format!("log.durability={durability}");
    let server = node(bench, &broker, "ingest", &["roles=[\"ingest\"]", LINGER, &durability])?;
    batches::run(server.address, CONNECTIONS, Instant::now() + bench.seconds(2.0))?;
    drain(&server)?;
    let (node_before, broker_before, began) = (server.cpu_s()?, broker.cpu_s()?, Instant::now());
    let acknowledged = batches::run(server.address, CONNECTIONS, Instant::now() + bench.seconds(8.0))?;
    drain(&server)?;
    let wall_s = began.elapsed().as_secs_f64();
    let (client_s, broker_s) = (server.cpu_s()? - node_before, broker.cpu_s()? - broker_before);
    Ok(Round { records: acknowledged, wall_s, client_s, broker_s })
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

fn measure_peer(bench: &Bench) -> Result<Round> {
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
    let broker_s = broker.cpu_s()? - before;
    fs::remove_file(&payload)?;
    Ok(Round { records, wall_s, client_s: client_s - start_s, broker_s })
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
