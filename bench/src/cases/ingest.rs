//! One reaction per HTTP request, durable, against a bare server that parses the same body.

use std::time::Instant;

use anyhow::Result;

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

/// A server that can use less of its core than this shares the machine with others' work, or waits for a load that does:
/// the round is repeated.
const BUSY_MIN: f64 = 0.9;

const ATTEMPTS_PER_ROUND: usize = 3;

/// One server's runs.
#[derive(Default)]
struct Side {
    /// Microseconds of processor time for each request.
    cpu_us: Vec<f64>,
    requests_per_s: Vec<f64>,
    /// Share of a core that was used.
    busy: Vec<f64>,
}

/// One turn of all servers.
struct Round([Measured; 3]);

/// What one server did in its turn.
#[derive(Clone, Copy)]
struct Measured {
    cpu_us: f64,
    requests_per_s: f64,
    busy: f64,
}

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let ours = bench.emostream(&[])?;
    let bare = bench.floor(&["bare-http", "--header-timer"])?;
    let least = bench.floor(&["bare-http"])?;
    let mut rows = Vec::new();
    for (what, content) in [("with id", Content::WithId), ("without id", Content::WithoutId)] {
        let wanted = bench.rounds(ROUNDS);
        let mut rounds = Vec::new();
        let mut body_bytes = 0;
        while rounds.len() < wanted * ATTEMPTS_PER_ROUND
            && rounds.iter().filter(|round: &&Round| round.busy() >= BUSY_MIN).count() < wanted
        {
            let mut turn = |server| measure(bench, server, content, &mut body_bytes);
            rounds.push(Round([turn(&ours)?, turn(&bare)?, turn(&least)?]));
        }
        rows.push(row(what, body_bytes, wanted, rounds));
    }
    Ok(rows)
}

impl Round {
    /// The share of its core that the least busy server used.
    fn busy(&self) -> f64 {
        self.0.iter().map(|side| side.busy).fold(f64::INFINITY, f64::min)
    }
}

fn measure(bench: &Bench, server: &Server, content: Content, body_bytes: &mut usize) -> Result<Measured> {
    let mut load = HttpLoad::open(server.address, CONNECTIONS, content)?;
    load.run(bench.seconds(1.0))?;
    let (began, before) = (Instant::now(), server.cpu_s()?);
    let answered = load.run(bench.seconds(3.0))? as f64;
    let (cpu_s, wall_s) = (server.cpu_s()? - before, began.elapsed().as_secs_f64());
    *body_bytes = load.body_bytes();
    Ok(Measured { cpu_us: cpu_s * 1e6 / answered, requests_per_s: answered / wall_s, busy: cpu_s / wall_s })
}

/// Keeps the rounds in which others used the machine least, whatever came out of them.
fn row(what: &str, body_bytes: usize, wanted: usize, mut rounds: Vec<Round>) -> Row {
    let tried = rounds.len();
    let quiet = rounds.iter().filter(|round| round.busy() >= BUSY_MIN).count().min(wanted);
    rounds.sort_by(|a, b| b.busy().total_cmp(&a.busy()));
    rounds.truncate(wanted);
    let mut sides = [Side::default(), Side::default(), Side::default()];
    for round in &rounds {
        for (measured, side) in round.0.iter().zip(&mut sides) {
            side.cpu_us.push(measured.cpu_us);
            side.requests_per_s.push(measured.requests_per_s);
            side.busy.push(measured.busy);
        }
    }
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
             does not limit the time of a request's head (a timer for each request) the ratio is {to_least:.2} ×. Of \
             {tried} rounds {wanted} count, those in which the servers were busiest; in {quiet} of them each used at \
             least {:.0} % of its core.",
            if what == "with id" { ", UUIDv7" } else { "" },
            BUSY_MIN * 100.0,
        )],
    }
}
