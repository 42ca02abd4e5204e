//! From a tap to every viewer's screen while others tap, measured by the simulator from the time each tap was due.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Bench;
use crate::{
    measure::process::Server,
    report::{Figure, Row, Series},
    say,
};

const RATE: &str = "5000";
const CONNECTIONS: &str = "64";
const VIEWERS: u64 = 1_000;
/// The most that p99 may be: the pulse and half of it.
const P99_MS_MAX: f64 = 150.0;
const ROUNDS: usize = 3;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let place = "One server core, fsync";
    through(bench, &|| bench.emostream(&[]), "tap to screen", P99_MS_MAX, place)
}

/// The same through a server that `start` starts anew for each round; the most that p99 may be, and what the server is.
pub(super) fn through(
    bench: &Bench,
    start: &dyn Fn() -> Result<Server>,
    what: &str,
    p99_ms_max: f64,
    place: &str,
) -> Result<Vec<Row>> {
    let (mut p50, mut p99, mut answer_p50, mut answer_p99) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut number = 0;
    for _ in 0..bench.rounds(ROUNDS) {
        let report = measure(bench, &start()?)?;
        let at =
            |path: &str| report.pointer(path).and_then(Value::as_f64).with_context(|| format!("no {path}"));
        ensure!(at("/viewers/connected_max")? >= VIEWERS as f64, "not all viewers were connected");
        p50.push(at("/viewers/tap_to_screen_ms/p50")?);
        p99.push(at("/viewers/tap_to_screen_ms/p99")?);
        answer_p50.push(at("/latency_ms/p50")?);
        answer_p99.push(at("/latency_ms/p99")?);
        number += report.pointer("/viewers/tap_to_screen_ms/number").and_then(Value::as_u64).unwrap_or(0);
        say(&format!("  p99 {} ms", p99.last().copied().unwrap_or_default()));
    }
    let series = vec![
        Series::new("tap to screen, p99", "ms", p99),
        Series::new("tap to screen, p50", "ms", p50),
        Series::new("tap to answer, p99", "ms", answer_p99),
        Series::new("tap to answer, p50", "ms", answer_p50),
    ];
    let p99 = series[0].median;
    Ok(vec![Row {
        what: format!("{what}, {RATE} taps/s over {CONNECTIONS} connections, {VIEWERS} viewers"),
        against: "the pulse of 100 ms".to_owned(),
        aim: format!("p99 ≤ {p99_ms_max} ms"),
        result: Figure::of(p99, "ms"),
        met: Some(p99 <= p99_ms_max),
        series,
        notes: vec![format!(
            "{place}; the simulator, its viewers included, on the other core. {number} sights of taps, \
             each counted from when the tap was due."
        )],
    }])
}

fn measure(bench: &Bench, server: &Server) -> Result<Value> {
    let results = bench.scratch.join("screen.json");
    let seconds = bench.seconds(12.0).as_secs().to_string();
    let output = Command::new(&bench.program)
        .args(["simulate", "load", "--rate", RATE, "--connections", CONNECTIONS, "--duration"])
        .arg(format!("{seconds}s"))
        .args([
            "--viewers",
            &VIEWERS.to_string(),
            "--seed",
            "1",
            "--url",
            &format!("http://{}", server.address),
        ])
        .arg("--json")
        .arg(&results)
        .output()
        .context("start the simulator")?;
    ensure!(output.status.success(), "the simulator failed: {}", String::from_utf8_lossy(&output.stderr));
    let report = serde_json::from_str(&fs::read_to_string(&results)?)?;
    fs::remove_file(&results)?;
    Ok(report)
}
