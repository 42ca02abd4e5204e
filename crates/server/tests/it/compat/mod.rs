//! The source systems' clients against the binary: each test is named after its row of the compatibility table.

mod bridge;
mod broadcast;
mod clients;
mod cors;
mod health;
mod presets;
mod settings;
mod socket_clusters;
mod subscribers;
mod taps;
#[cfg(feature = "kafka")]
mod topics;

use std::{net::SocketAddr, path::Path, process::Command};

use serde_json::Value;

use crate::harness::process::Server;

/// A server with short windows.
fn start(data_dir: &Path, args: &[&str]) -> Server {
    let quick = ["--set", "log.durability=os", "--set", "windows.window_ms=200"];
    Server::start(data_dir, &[&quick, args].concat())
}

/// Status and body of a call with `curl`, as a system's documents have it in their examples.
fn curl(address: SocketAddr, path: &str, args: &[&str]) -> (u16, Value) {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "60", "-w", "\n%{http_code}"])
        .args(args)
        .arg(format!("http://{address}{path}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    let json = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    (status.parse().unwrap(), json)
}

/// POST of JSON with `curl`.
fn post(address: SocketAddr, path: &str, body: &str) -> (u16, Value) {
    curl(address, path, &["-X", "POST", "-H", "Content-Type: application/json", "-d", body])
}
