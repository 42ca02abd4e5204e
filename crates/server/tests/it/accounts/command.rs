//! `emostream user …` on a data directory, with and without a server on it.

use std::{io::Write as _, path::Path, process::Stdio};

use serde_json::{Value, json};

use super::{ADMIN_PASSWORD, call, login, start, try_login};
use crate::harness::process::command;

/// Runs `emostream user …` with this standard input; exit code, standard output, standard error.
fn user(dir: &Path, args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = command();
    command.arg("user").args(args).arg("--data-dir").arg(dir);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // A command that asks for nothing may have ended before.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_administered_while_a_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let address = server.address;
    let add = ["add", "Ada", "--role", "broadcaster", "--password-stdin"];
    let (code, said, _) = user(dir.path(), &add, "password of ada\nmore\n");
    assert_eq!((code, said.as_str()), (Some(0), "Ada may log in as broadcaster\n"));
    let token = login(address, "ada", "password of ada").await;

    let (code, table, _) = user(dir.path(), &["ls"], "");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!((code, lines.len()), (Some(0), 3), "{table}");
    assert!(lines[0].starts_with("name   role         created"), "{table}");
    assert!(lines[1].starts_with("admin  admin        20") && lines[2].starts_with("Ada    broadcaster  20"));
    let (_, listed, _) = user(dir.path(), &["ls", "--json"], "");
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&listed[1]["username"], &listed[1]["role"]), (&json!("Ada"), &json!("broadcaster")));
    assert!(!format!("{listed:?}").contains("argon2"));

    assert_eq!(user(dir.path(), &["passwd", "ada", "--password-stdin"], "another password\r\n").0, Some(0));
    assert_eq!(call(address, "GET", "/v1/me", Some(&token), &Value::Null).await.status, 401);
    assert_eq!(try_login(address, "ada", "password of ada").await.status, 401);
    login(address, "ada", "another password").await;
    assert_eq!(user(dir.path(), &["rm", "ADA"], "").0, Some(0));
    assert_eq!(try_login(address, "ada", "another password").await.status, 401);
    login(address, "admin", ADMIN_PASSWORD).await;
}

#[test]
fn what_cannot_be_done_is_said_with_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["ls"][..], &["rm", "ada"], &["passwd", "ada", "--password-stdin"]] {
        let (code, _, said) = user(dir.path(), args, "long enough\n");
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("there is no store"), "{said}");
    }
    assert!(!dir.path().join("emostream.db").exists());
    let add = ["add", "ada", "--role", "admin", "--password-stdin"];
    assert_eq!(user(dir.path(), &add, "long enough\n").0, Some(0));
    for (args, input, code, says) in [
        (&add[..], "long enough\n", 1, "exists already"),
        (&["rm", "ada"], "", 1, "last admin"),
        (&["rm", "bob"], "", 1, "no account"),
        (&["passwd", "bob", "--password-stdin"], "long enough\n", 1, "no account"),
        (&["passwd", "ada", "--password-stdin"], "short\n", 2, "8 to 128 characters"),
        (&["passwd", "ada", "--password-stdin"], "", 2, "8 to 128 characters"),
        (&["passwd", "ada"], "long enough\n", 2, "--password-stdin"),
        (&["add", "bob", "--role", "king", "--password-stdin"], "", 2, "expected viewer, moderator"),
        (&["add", " ", "--role", "viewer", "--password-stdin"], "long enough\n", 2, "1 to 64 characters"),
        (&["add", "bob", "--password-stdin"], "long enough\n", 2, "--role"),
    ] {
        let (found, _, said) = user(dir.path(), args, input);
        assert_eq!(found, Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}
