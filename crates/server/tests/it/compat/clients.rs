//! Runs the client scripts in `clients/`, written as a source system's users write theirs.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::start;
use crate::harness::{process::BINARY, windows::final_total};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/compat/clients").join(name)
}

/// A script for Node with the packages `ws` and `kafkajs`; `scripts/setup.sh --tests` installs them beside the scripts.
pub(super) fn node(name: &str, args: &[&str]) -> Command {
    for package in ["ws", "kafkajs"] {
        let is_there = script("node_modules").join(package).is_dir();
        assert!(is_there, "the package {package}: scripts/setup.sh --tests");
    }
    let mut command = Command::new("node");
    command.arg(script(name)).args(args).stdin(Stdio::null());
    command
}

/// A script for the Python that has `requests` and `websocket-client`; `scripts/setup.sh --tests` installs Debian's, and
/// `kafka-python` in the target directory.
pub(super) fn python(name: &str, args: &[&str]) -> Command {
    let has_both = |program: &&str| {
        let check = Command::new(program).args(["-c", "import requests, websocket"]).output();
        check.is_ok_and(|output| output.status.success())
    };
    let program = ["python3", "/usr/bin/python3"].into_iter().find(has_both);
    let program = program.expect("python3 with requests and websocket-client: scripts/setup.sh --tests");
    let mut command = Command::new(program);
    command.env("PYTHONPATH", python_packages());
    command.arg(script(name)).args(args).stdin(Stdio::null());
    command
}

fn python_packages() -> PathBuf {
    // The binary is in a folder of its profile in the target directory.
    let target = Path::new(BINARY).ancestors().nth(2).unwrap();
    let packages = target.join("test-clients/python");
    assert!(packages.join("kafka").is_dir(), "the package kafka-python: scripts/setup.sh --tests");
    packages
}

#[tokio::test(flavor = "multi_thread")]
async fn e_a_python_client_with_requests() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["--preset", "emoji-api"]);
    let output = python("emoji_api.py", &[&format!("http://{}", server.address), "20"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((&lines[0]["service"], &lines[1]["kafka_connected"]), (&"emostream".into(), &Value::Null));
    assert_eq!(lines[2..].iter().filter(|answer| answer["status"] == "Emoji received").count(), 20);
    assert_eq!(final_total(server.address, "main").await.values().sum::<u64>(), 20);
}
