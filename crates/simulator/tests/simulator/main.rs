//! The simulator against a small server of its own: retries, counts, the same sequence for the same seed, viewers.
#![expect(clippy::unwrap_used, reason = "a test fails where its preparation fails")]

mod checking;
mod past;
mod senders;
mod sending;
mod server;
mod stream;
mod viewing;

use clap::Parser as _;
use emostream_simulator::SimulateArgs;
use serde_json::Value;

#[derive(clap::Parser)]
struct Program {
    #[command(flatten)]
    simulate: SimulateArgs,
}

/// Runs the simulator with the arguments of a command line.
async fn simulate(line: &str) -> anyhow::Result<()> {
    let words = std::iter::once("simulate").chain(line.split_whitespace());
    emostream_simulator::run(Program::try_parse_from(words).unwrap().simulate).await
}

/// Runs a load test, and returns its results.
async fn load(line: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    simulate(&format!("load {line} --json {}", path.display())).await.unwrap();
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
