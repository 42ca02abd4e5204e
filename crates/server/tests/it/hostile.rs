//! Clients that send nonsense, too much, too slowly, or that never read: each gets a clear answer, and nobody else
//! notices.

mod floods;
mod frames;
mod raw;
mod requests;
mod slow;

use serde_json::json;

use crate::harness::{client, process::Server};

/// Seeds to run: `EMOSTREAM_SEED` one only, else `EMOSTREAM_SEEDS` of them, from `EMOSTREAM_SEED_FIRST`.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("EMOSTREAM_SEED") {
        return seed..seed + 1;
    }
    let first = number("EMOSTREAM_SEED_FIRST").unwrap_or(0);
    // A connection is dearer than what other tests do with a seed.
    first..first + number("EMOSTREAM_SEEDS").map_or(default, |seeds| seeds.clamp(1, 2_000))
}

/// A server with small time limits, so that tests of them are short.
fn start(data_dir: &std::path::Path, set: &[&str]) -> Server {
    let pairs = set.iter().flat_map(|pair| ["--set", pair]);
    let args: Vec<&str> = ["--set", "log.durability=os"].into_iter().chain(pairs).collect();
    Server::start(data_dir, &args)
}

/// The server takes a reaction, and nothing in it has panicked.
async fn still_serves(server: &Server) {
    let answer = client::react(server.address, "main", &json!({"emote": "🔥"})).await.unwrap();
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(1)), "{answer:?}");
    let stderr = server.process.stderr();
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert_eq!(metric(server, "emostream_responses_total{kind=\"5xx\"}").await, 0);
}

/// The value of a line of `/metrics`; 0 when it is not there yet.
async fn metric(server: &Server, line: &str) -> u64 {
    let metrics = client::get(server.address, "/metrics").await.unwrap();
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}
