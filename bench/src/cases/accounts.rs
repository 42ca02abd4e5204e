//! Logins, and places for viewers: how many a second, and what each costs.

use std::{net::SocketAddr, time::Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::Bench;
use crate::{
    load::callers::{Call, Callers},
    measure::process::Server,
    report::{Figure, Row, Series},
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
    let key = format!("internal.key={KEY}");
    let settings = [
        key.as_str(),
        "accounts.registrations_per_minute=0",
        "placement.guests_per_s=0",
        "placement.ttl_ms=600000",
        r#"roles=["ingest", "aggregate", "control"]"#,
    ];
    let accounts = if bench.quick { ACCOUNTS / 5 } else { ACCOUNTS };
    let mut rates: [Rates; 4] = Default::default();
    for _ in 0..bench.rounds(ROUNDS) {
        let server = bench.emostream(&settings)?;
        join(server.address)?;
        let callers = Callers::new(server.address, AT_ONCE);
        let calls: Vec<_> = (0..accounts).map(register).collect();
        rates[0].measure(&server, &callers, calls)?;
        let calls: Vec<_> = (0..accounts).map(login).collect();
        let answers = rates[1].measure(&server, &callers, calls)?;
        let tokens = answers.iter().map(|answer| text(answer, "token")).collect::<Result<Vec<_>>>()?;
        let guests = (0..accounts * PLACES_EACH).map(|_| place(None));
        rates[2].measure(&server, &callers, guests.collect())?;
        // In rounds over the accounts, as many people come and not one many times.
        let members = (0..accounts * PLACES_EACH).map(|n| place(tokens.get(n % tokens.len())));
        rates[3].measure(&server, &callers, members.collect())?;
    }
    let [registrations, logins, guests, members] = rates;
    Ok(vec![
        registrations.row("registrations", "one Argon2id hash (19 MiB, two passes) and one durable write each"),
        logins.row("logins", "one Argon2id hash (19 MiB, two passes) each"),
        guests.row("places for guests", "a signed ticket each, nothing stored"),
        members.row(
            "places for accounts",
            "a look-up of the account, a durable lease and a signed ticket each; SQLite, fsync, many leases a transaction",
        ),
    ])
}

/// What was measured of one kind of call.
#[derive(Default)]
struct Rates {
    per_s: Vec<f64>,
    cpu_us: Vec<f64>,
}

impl Rates {
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

    fn row(self, what: &str, against: &str) -> Row {
        let series = vec![
            Series::new("Emostream", "a second", self.per_s),
            Series::new("Emostream", "µs CPU each", self.cpu_us),
        ];
        Row {
            what: format!("{what}, {AT_ONCE} at once, one core"),
            against: against.to_owned(),
            aim: String::new(),
            result: Figure::of(series[0].median, "a second"),
            met: None,
            series,
            notes: Vec::new(),
        }
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
