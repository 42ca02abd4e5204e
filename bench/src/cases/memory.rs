//! Memory of a viewer who only watches, and of a server without any.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use crate::{
    load::viewers::Viewers,
    report::{Figure, Row, Series},
};

const VIEWERS: usize = 5_000;
const KIB_MAX: f64 = 3.0;
const ROUNDS: usize = 3;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (mut each, mut connect) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(ROUNDS) {
        let server = bench.emostream(&[])?;
        // The first viewers make what all share.
        let mut first = Viewers::connect(server.address, 50)?;
        first.read_for(Duration::from_millis(500))?;
        let (before, cpu_before) = (server.resident_bytes()?, server.cpu_s()?);
        let mut viewers = Viewers::connect(server.address, VIEWERS)?;
        connect.push((server.cpu_s()? - cpu_before) * 1e6 / VIEWERS as f64);
        viewers.read_for(Duration::from_secs(1))?;
        let after = server.resident_bytes()?;
        each.push(after.saturating_sub(before) as f64 / VIEWERS as f64 / 1_024.0);
    }
    let series = vec![
        Series::new("Emostream", "KiB a viewer", each),
        Series::new("Emostream", "µs CPU a connect", connect),
    ];
    let kib = series[0].median;
    Ok(vec![Row {
        what: format!("memory of an idle viewer, {VIEWERS} of them, plain TCP"),
        against: "growth of resident memory; references, not run here: Centrifugo's engine 28 KiB (22 tuned), Node ws 7"
            .to_owned(),
        aim: format!("≤ {KIB_MAX} KiB"),
        result: Figure::of(kib, "KiB"),
        met: Some(kib <= KIB_MAX),
        series,
        notes: vec!["Without the kernel's socket buffers, which belong to no process.".to_owned()],
    }])
}
