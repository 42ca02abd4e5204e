//! What system E tells about itself: service information, health, and the console.

use std::process::Command;

use serde_json::Value;

use super::{curl, post, start};
use crate::harness::{process::Server, wait_for};

#[test]
fn e_get_root_is_service_information() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let (status, answer) = curl(server.address, "/", &[]);
    assert_eq!((status, answer["service"].as_str()), (200, Some("emostream")), "{answer}");
    assert!(answer["version"].is_string() && answer["links"]["emoji"] == "/emoji", "{answer}");
}

#[test]
fn e_get_health() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let (status, answer) = curl(server.address, "/health", &[]);
    assert_eq!((status, answer["status"].as_str()), (200, Some("ok")), "{answer}");
    assert_eq!(answer.get("kafka_connected"), Some(&Value::Null), "{answer}");
    assert_eq!(answer["buffer_size"], 0, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn e_console_line_for_each_final_window() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["--preset", "emoji-api"]);
    let body = r#"{"user_id":"ada","emoji_type":"happy","timestamp":"2025-04-06T10:32:11Z"}"#;
    assert_eq!(post(server.address, "/emoji", body).0, 200);
    let printed = async || {
        let stdout = server.process.stdout();
        stdout.lines().find(|line| line.starts_with("window ")).map(str::to_owned)
    };
    let line = wait_for("the line of the window", printed).await;
    assert!(line.ends_with("  😀 1 (scaled 0)"), "{line}");
    drop(server);
    // Without the preset there is none; and who stops reading stops the lines, not the node.
    let server = Server::start(dir.path(), &["--set", "windows.window_ms=200"]);
    assert_eq!(post(server.address, "/emoji", body).0, 200);
    crate::harness::windows::final_total(server.address, "main").await;
    assert!(!server.process.stdout().contains("window "), "{}", server.process.stdout());
}

#[test]
fn the_tools_that_these_tests_need_are_there() {
    for (tool, argument) in [("curl", "--version"), ("python3", "--version"), ("node", "--version")] {
        let found = Command::new(tool).arg(argument).output();
        assert!(
            found.is_ok_and(|output| output.status.success()),
            "scripts/setup.sh --tests installs {tool}"
        );
    }
}
