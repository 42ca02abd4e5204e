//! One reaction per HTTP request, durable, against a bare server that parses the same body.

use anyhow::Result;
use std::time::Instant;

use super::Bench;
use crate::{
    load::http::{Content, HttpLoad},
    measure::process::Server,
    report::{Figure, Row, Series},
    say,
};

/// Connections kept alive, each with one request under way.
const CONNECTIONS: usize = 1_024;

/// The most that a request may cost, in costs of the bare server's.
const RATIO_MAX: f64 = 1.25;

const ROUNDS: usize = 7;

/// One server's runs.
#[derive(Default)]
struct Side {
    /// Microseconds of processor time for each request.
    cpu_us: Vec<f64>,
    requests_per_s: Vec<f64>,
    /// Share of a core that was used.
    busy: Vec<f64>,
}

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let ours = bench.emostream(&[])?;
    let bare = bench.floor(&["bare-http", "--header-timer"])?;
    let least = bench.floor(&["bare-http"])?;
    let mut rows = Vec::new();
    for (what, content) in [("with id", Content::WithId), ("without id", Content::WithoutId)] {
        let mut sides = [Side::default(), Side::default(), Side::default()];
        let mut body_bytes = 0;
        for _ in 0..bench.rounds(ROUNDS) {
            for (server, side) in [&ours, &bare, &least].into_iter().zip(&mut sides) {
                body_bytes = measure(bench, server, content, side)?;
            }
        }
        rows.push(row(what, body_bytes, sides));
    }
    Ok(rows)
}

/// One run; bytes of a body.
fn measure(bench: &Bench, server: &Server, content: Content, side: &mut Side) -> Result<usize> {
    let mut load = HttpLoad::open(server.address, CONNECTIONS, content)?;
    load.run(bench.seconds(1.0))?;
    let (began, before) = (Instant::now(), server.cpu_s()?);
    let answered = load.run(bench.seconds(3.0))? as f64;
    let (cpu_s, wall_s) = (server.cpu_s()? - before, began.elapsed().as_secs_f64());
    side.cpu_us.push(cpu_s * 1e6 / answered);
    side.requests_per_s.push(answered / wall_s);
    side.busy.push(cpu_s / wall_s);
    Ok(load.body_bytes())
}

fn row(what: &str, body_bytes: usize, sides: [Side; 3]) -> Row {
    let mut series = Vec::new();
    let names = ["Emostream, fsync", "bare hyper, same settings", "bare hyper, no time limit for heads"];
    let mut rates = Vec::new();
    for (name, side) in names.into_iter().zip(sides) {
        series.push(Series::new(name, "µs CPU a request", side.cpu_us));
        rates.push(Series::new(name, "requests/s", side.requests_per_s));
        rates.push(Series::new(name, "of a core", side.busy));
    }
    let ratio = series[0].median / series[1].median;
    let to_least = series[0].median / series[2].median;
    series.extend(rates);
    say(&format!("  {what}: {ratio:.3} × (to no time limit {to_least:.3} ×)"));
    Row {
        what: format!("one reaction a request, {what}, {CONNECTIONS} connections"),
        against: "bare hyper server that parses the same body and answers at once; CPU a request".to_owned(),
        aim: format!("≤ {RATIO_MAX} ×"),
        result: Figure::times(ratio),
        met: Some(ratio <= RATIO_MAX),
        series,
        notes: vec![format!(
            "A body has {body_bytes} bytes: emote, user id of 36 bytes, place in the media{}. Emostream answers after \
             `fdatasync` and counts what it took meanwhile, all of which is in its figure. Against a bare server that \
             does not limit the time of a request's head (a timer for each request) the ratio is {to_least:.2} ×.",
            if what == "with id" { ", UUIDv7" } else { "" },
        )],
    }
}
