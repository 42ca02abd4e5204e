//! The commands besides `serve`: what they print, their exit codes, and what they say about damage.

mod doctor;
#[cfg(feature = "kafka")]
mod log_on_brokers;
mod moments_try;
mod notices;
#[cfg(feature = "kafka")]
mod topics;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::{Value, json};

use crate::harness::{
    client::Client,
    new_id,
    process::{Process, Server, files_below, run},
    records::{cat, log},
    windows::final_total,
};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn check_config_prints_what_is_in_force() {
    let output = run(&["check-config", "--set", "log.partitions=4", "--listen", "127.0.0.1:9000"]);
    assert_eq!((code(&output), text(&output.stderr)), (0, ""), "{output:?}");
    let config: Value = toml::from_str(text(&output.stdout)).unwrap();
    assert_eq!(config["log"]["partitions"], 4);
    assert_eq!(config["listen"], json!(["127.0.0.1:9000"]));
    assert_eq!(config["windows"]["window_ms"], 2000);
    // What is printed can be given back.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("emostream.toml");
    fs::write(&file, &output.stdout).unwrap();
    let again = run(&["check-config", "--config", file.to_str().unwrap()]);
    assert_eq!((code(&again), text(&again.stdout)), (0, text(&output.stdout)), "{again:?}");
    fs::write(&file, "[log]\npartitions = 4\n[windows]\nwindow_ms = 5000\n").unwrap();
    let output = run(&["check-config", "--config", file.to_str().unwrap(), "--set", "log.partitions=2"]);
    let config: Value = toml::from_str(text(&output.stdout)).unwrap();
    assert_eq!((&config["log"]["partitions"], &config["windows"]["window_ms"]), (&json!(2), &json!(5000)));
}

#[test]
fn every_error_of_a_configuration_is_said_with_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let wrong = [
        ("log.partitions=0", "log.partitions: expected"),
        ("windows.window_ms=250", "windows.window_ms: expected"),
        ("ingest.flush_ms=100000", "ingest.flush_ms: expected"),
        ("edge.viewers_max=0", "edge.viewers_max: expected"),
        ("http.connections_max=0", "http.connections_max: expected"),
        ("channels=[{name=\"a b\"}]", "channels[0].name: expected"),
    ];
    for command in ["check-config", "serve"] {
        let mut args = vec![command, "--data-dir", data.to_str().unwrap()];
        args.extend(wrong.iter().flat_map(|(setting, _)| ["--set", *setting]));
        let output = run(&args);
        let said: Vec<_> = text(&output.stderr).lines().collect();
        assert_eq!((code(&output), said.len()), (2, wrong.len()), "{output:?}");
        for (_, expected) in wrong {
            assert!(said.iter().any(|line| line.contains(expected)), "{expected}: {said:?}");
        }
    }
    assert!(!data.exists(), "a wrong configuration has left something behind");
}

#[test]
fn wrong_arguments_have_their_own_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data").display().to_string();
    for (args, named) in [
        (&["serve", "--bogus"][..], "--bogus"),
        (&["serve", "--listen", "256.0.0.1:80"], "--listen"),
        (&["serve", "--set", "log.partitions"], "log.partitions"),
        (&["serve", "--set", "log.nonsense=1"], "nonsense"),
        (&["serve", "--set", "log.kind=kafka"], "log.kind"),
        (&["serve", "--roles", "nonsense"], "nonsense"),
        (&["serve", "--config", "/nonexistent.toml"], "/nonexistent.toml"),
        (&["log", "cat", "--from", "minus"], "--from"),
        (&["nonsense"], "nonsense"),
        (&[], "Usage"),
    ] {
        let mut args = args.to_vec();
        if matches!(args.first(), Some(&("serve" | "log"))) {
            args.extend(["--data-dir", &data]);
        }
        let output = run(&args);
        assert_eq!(code(&output), 2, "{args:?}: {output:?}");
        assert!(text(&output.stderr).contains(named), "{args:?}: {output:?}");
    }
    for command in [&["ls"][..], &["cat"], &["verify"]] {
        let output = log(command, Path::new(&data));
        assert_eq!(code(&output), 1, "{command:?}: {output:?}");
        assert!(text(&output.stderr).contains("there is no log in"), "{command:?}: {output:?}");
    }
    assert!(!Path::new(&data).exists(), "something was left behind");
}

/// A data directory with this many records of one reaction each, all counted.
async fn recorded(data: &Path, records: u64) {
    let server = Server::start(data, &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    for number in 0..records {
        let reaction = json!({"emote": "🔥", "id": new_id(), "user_id": format!("user-{number}")});
        assert_eq!(client.react("main", &reaction).await.unwrap().status, 200);
    }
    final_total(server.address, "main").await;
    // Also while the server runs: `log` looks and does not disturb.
    assert_eq!(code(&log(&["verify"], data)), 0);
    assert_eq!(server.stop().code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_can_be_listed_printed_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    recorded(data, 30).await;
    let listed = log(&["ls"], data);
    let listed = text(&listed.stdout).to_owned();
    assert!(listed.lines().any(|line| line.starts_with("epoch ")), "{listed}");
    assert!(listed.contains("windows.window_ms = 2000"), "{listed}");
    for topic in ["emote-log", "emote-output", "dead-letter"] {
        assert_eq!(
            listed.lines().filter(|line| line.starts_with(&format!("{topic} "))).count(),
            1,
            "{listed}"
        );
    }
    let raw = cat(&["--topic", "emote-log"], data);
    let end = raw.len();
    let offsets: Vec<_> = raw.iter().map(|record| record["offset"].as_u64().unwrap()).collect();
    assert!(offsets.iter().copied().eq(0..end as u64), "{offsets:?}");
    let reactions = raw.iter().filter_map(|record| record["reactions"].as_array()).flatten();
    let reactions: Vec<_> = reactions.filter(|one| one["emote"] == "🔥").collect();
    assert_eq!(reactions.len(), 30);
    assert!(reactions.iter().all(|one| one["id_from_client"] == true), "{reactions:?}");
    let some = cat(&["--topic", "emote-log", "--partition", "0", "--from", "5", "--limit", "3"], data);
    assert_eq!(some, raw[5..8]);
    let rows = cat(&[], data);
    let counted: u64 = rows.iter().filter_map(|row| row["counts"]["🔥"].as_u64()).sum();
    assert_eq!(counted, 30, "{rows:?}");
    let unknown = log(&["cat", "--topic", "nonsense"], data);
    assert_eq!(code(&unknown), 1);
    assert!(text(&unknown.stderr).contains("no such topic"), "{unknown:?}");
    let verified = log(&["verify"], data);
    let last = text(&verified.stdout).lines().last().unwrap();
    assert!(
        last.contains(&format!("{} records", end + rows.len())) && last.ends_with(", 0 damaged"),
        "{last}"
    );
}

/// Flips a bit in the middle of a file; says where.
fn damage(file: &Path) -> u64 {
    let mut bytes = fs::read(file).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 0x20;
    fs::write(file, bytes).unwrap();
    at as u64
}

/// The offset and byte of `… is damaged at offset 5 (file …, byte 123): …`.
fn place_of(line: &str) -> (u64, u64) {
    let number = |after: &str| {
        let rest = line.split_once(after).unwrap_or_else(|| panic!("no {after:?} in {line}")).1;
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    (number("damaged at offset "), number(", byte "))
}

fn only_segment(data: &Path, partition: &str) -> PathBuf {
    let found = files_below(&data.join("log").join(partition), ".seg");
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_named_and_never_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    recorded(data, 100).await;
    let whole = cat(&["--topic", "emote-log"], data);
    let segment = only_segment(data, "emote-log-0");
    let at = damage(&segment);
    let verified = log(&["verify"], data);
    assert_eq!(code(&verified), 1, "{verified:?}");
    let line = text(&verified.stderr).trim_end();
    let (offset, byte) = place_of(line);
    assert!(line.contains("emote-log-0") && line.contains(segment.to_str().unwrap()), "{line}");
    assert!(byte <= at && at < byte + 1_000, "damage at byte {at}, {line}");
    // What comes before it can still be read, and is what it was.
    let rest = log(&["cat", "--topic", "emote-log"], data);
    let readable: Vec<Value> =
        text(&rest.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code(&rest), readable.len() as u64), (1, offset), "{}", text(&rest.stderr));
    assert_eq!(readable, whole[..readable.len()]);
    assert_eq!(place_of(text(&rest.stderr)), (offset, byte));

    // The ids of those records must still be remembered; and without a stored state all must be counted.
    for without_state in [false, true] {
        if without_state {
            fs::remove_dir_all(data.join("aggregate")).unwrap();
        }
        let ended = ends_by_itself(data);
        assert_eq!(ended.0, Some(1), "{}", ended.1);
        let said = ended.1.lines().find(|line| line.starts_with("emostream: ")).unwrap_or_default();
        assert_eq!(place_of(said), (offset, byte), "{}", ended.1);
    }
    let after = cat(&[], data);
    let counted: u64 = after.iter().filter_map(|row| row["counts"]["🔥"].as_u64()).sum();
    assert_eq!(counted, 100, "something was counted although records are missing");
}

/// Starts a server that must end, before or after it says that it is ready.
fn ends_by_itself(data: &Path) -> (Option<i32>, String) {
    let ended = match Process::launch(data, &[]).ready() {
        Ok(server) => server.process.wait(),
        Err(ended) => ended,
    };
    (ended.code, ended.stderr)
}
