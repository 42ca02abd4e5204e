//! Registrations, logins, and places for viewers: how many a second, and what each costs beside a bare hash of a password and
//! a bare server that signs a ticket.

use std::{net::SocketAddr, time::Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::Bench;
use crate::{
    floor::hashes,
    load::callers::{Call, Callers},
    measure::process::Server,
    report::{Figure, Row, Series, number},
};

const ROUNDS: usize = 5;

/// Accounts of a round; each asks for places as often as its limit allows at once.
const ACCOUNTS: usize = 100;
const PLACES_EACH: usize = 40;

/// Calls on their way at once.
const AT_ONCE: usize = 16;

const PASSWORD: &str = "correct horse battery";
const KEY: &str = "0123456789abcdef0123456789abcdef";

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let accounts = if bench.quick { ACCOUNTS / 5 } else { ACCOUNTS };
    let mut rates = Rates::default();
    for _ in 0..bench.rounds(ROUNDS) {
        round(bench, accounts, &mut rates)?;
    }
    let hash = "a bare Argon2id hash of 19 MiB in two passes on the same core; CPU each";
    let ticket = "a bare hyper server that signs as large a ticket; CPU each";
    Ok(vec![
        row(
            "registrations",
            hash,
            rates.registrations,
            &rates.hashes,
            "A durable write each, beside the hash.",
        ),
        row(
            "logins",
            hash,
            rates.logins,
            &rates.hashes,
            "As many hashes at once as there are cores: one here.",
        ),
        row("places for guests", ticket, rates.guests, &rates.tickets, "Nothing is stored."),
        row(
            "places for accounts",
            ticket,
            rates.members,
            &rates.tickets,
            "A look-up of the account and a durable lease each, beside the ticket; SQLite, fsync, what waits meanwhile in \
             one transaction. Each call takes over the place that the device was given before, in another transaction.",
        ),
    ])
}

/// Everything that was measured.
#[derive(Default)]
struct Rates {
    registrations: Rate,
    logins: Rate,
    guests: Rate,
    members: Rate,
    hashes: Rate,
    tickets: Rate,
}

fn round(bench: &Bench, accounts: usize, rates: &mut Rates) -> Result<()> {
    let key = format!("internal.key={KEY}");
    let settings = [
        key.as_str(),
        "accounts.registrations_per_minute=0",
        "placement.guests_per_s=0",
        "placement.ttl_ms=600000",
        r#"roles=["ingest", "aggregate", "control"]"#,
    ];
    let server = bench.emostream(&settings)?;
    join(server.address)?;
    let callers = Callers::new(server.address, AT_ONCE);
    rates.registrations.measure(&server, &callers, (0..accounts).map(register).collect())?;
    let answers = rates.logins.measure(&server, &callers, (0..accounts).map(login).collect())?;
    let tokens = answers.iter().map(|answer| text(answer, "token")).collect::<Result<Vec<_>>>()?;
    rates.hashes.measure_hashes(bench, accounts)?;

    let places = accounts * PLACES_EACH;
    rates.guests.measure(&server, &callers, (0..places).map(|_| place(None)).collect())?;
    let door = bench.floor(&["bare-door"])?;
    let at_door = Callers::new(door.address, AT_ONCE);
    rates.tickets.measure(&door, &at_door, (0..places).map(|_| place(None)).collect())?;
    drop(door);
    // In rounds over the accounts, as many people come and not one many times.
    let members = (0..places).map(|n| place(tokens.get(n % tokens.len())));
    rates.members.measure(&server, &callers, members.collect()).map(drop)
}

/// What was measured of one kind of call.
#[derive(Default, Clone)]
struct Rate {
    per_s: Vec<f64>,
    cpu_us: Vec<f64>,
}

impl Rate {
    /// Makes calls, which must all be answered well; the answers.
    fn measure(
        &mut self,
        server: &Server,
        callers: &Callers,
        calls: Vec<Call>,
    ) -> Result<Vec<serde_json::Value>> {
        let number = calls.len() as f64;
        let (began, cpu_before) = (Instant::now(), server.cpu_s()?);
        let answers = callers.make(calls)?;
        self.per_s.push(number / began.elapsed().as_secs_f64());
        self.cpu_us.push((server.cpu_s()? - cpu_before) * 1e6 / number);
        Ok(answers)
    }

    /// Makes as many hashes one after the other, on the servers' core.
    fn measure_hashes(&mut self, bench: &Bench, number: usize) -> Result<()> {
        let began = Instant::now();
        let each_us = bench.cores.on_server_core(|| hashes::each_us(PASSWORD, number))??;
        self.per_s.push(number as f64 / began.elapsed().as_secs_f64());
        self.cpu_us.push(each_us);
        Ok(())
    }
}

fn row(what: &str, against: &str, ours: Rate, floor: &Rate, note: &str) -> Row {
    let series = vec![
        Series::new("Emostream", "µs CPU each", ours.cpu_us),
        Series::new("floor", "µs CPU each", floor.cpu_us.clone()),
        Series::new("Emostream", "a second", ours.per_s),
        Series::new("floor", "a second", floor.per_s.clone()),
    ];
    Row {
        what: format!("{what}, {AT_ONCE} at once, one core: {} a second", number(series[2].median)),
        against: against.to_owned(),
        aim: String::new(),
        result: Figure::times(series[0].median / series[1].median),
        met: None,
        series,
        notes: vec![note.to_owned()],
    }
}

fn register(n: usize) -> Call {
    let body = json!({"username": format!("viewer {n}"), "password": PASSWORD});
    Call { path: "/v1/register", token: None, body, status: 201 }
}

fn login(n: usize) -> Call {
    let body = json!({"username": format!("viewer {n}"), "password": PASSWORD});
    Call { path: "/v1/login", token: None, body, status: 200 }
}

fn place(token: Option<&String>) -> Call {
    let body = json!({"channel": "main", "device_id": "a browser"});
    Call { path: "/v1/placements", token: token.cloned(), body, status: 200 }
}

fn text(answer: &serde_json::Value, field: &str) -> Result<String> {
    Ok(answer[field].as_str().with_context(|| format!("expected {field} in {answer}"))?.to_owned())
}

/// Reports an edge that has room for everybody.
fn join(address: SocketAddr) -> Result<()> {
    let body = json!({
        "edge": "bench-1", "cluster": "bench", "port": 1, "capacity": 10_000_000,
        "generation": "01890a5d-ac96-774b-bcce-b302099a8057", "number": 1, "viewers": 0,
    });
    let report = Call { path: "/internal/v1/edges/report", token: Some(KEY.to_owned()), body, status: 200 };
    Callers::new(address, 1).make(vec![report]).map(drop)
}
