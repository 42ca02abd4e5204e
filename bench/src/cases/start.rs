//! From the start of the process to its ready line, and the memory that it has then.

use anyhow::Result;

use super::Bench;
use crate::report::{Figure, Row, Series};

const READY_S_MAX: f64 = 1.0;
const MIB_MAX: f64 = 40.0;
const ROUNDS: usize = 9;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (mut ready, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(ROUNDS) {
        let server = bench.emostream(&[])?;
        ready.push(server.ready_in.as_secs_f64());
        memory.push(server.resident_bytes()? as f64 / f64::from(1 << 20));
    }
    let (ready, memory) = (Series::new("Emostream", "s", ready), Series::new("Emostream", "MiB", memory));
    let row = |what: &str, aim: String, series: Series, max: f64| Row {
        what: what.to_owned(),
        against: "one process, all roles, empty data directory".to_owned(),
        aim,
        result: Figure::of(series.median, &series.unit),
        met: Some(series.median < max),
        series: vec![series],
        notes: Vec::new(),
    };
    Ok(vec![
        row("start to serving", format!("< {READY_S_MAX} s"), ready, READY_S_MAX),
        row("memory once serving", format!("< {MIB_MAX} MiB"), memory, MIB_MAX),
    ])
}
