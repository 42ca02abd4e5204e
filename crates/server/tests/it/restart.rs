//! Restarts: what is open stays open, what was counted is counted once, with the stored state, an older one, or none.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::{Value, json};

use crate::harness::{
    client::{Viewer, react},
    new_id,
    process::Server,
    records::{assert_rows_agree, assert_verified, cat},
    windows::{Totals, final_total},
};

/// Sends one array of reactions; returns it, to be sent again.
async fn send(address: SocketAddr, emotes: &[&str]) -> Value {
    let reactions: Vec<_> = emotes.iter().map(|emote| json!({"emote": emote, "id": new_id()})).collect();
    let reactions = Value::from(reactions);
    send_again(address, &reactions).await;
    reactions
}

async fn send_again(address: SocketAddr, reactions: &Value) {
    let answer = react(address, "main", reactions).await.unwrap();
    assert_eq!((answer.status, &answer.json()["rejected"]), (200, &json!([])), "{answer:?}");
}

fn totals<const N: usize>(counts: [(&str, u64); N]) -> Totals {
    counts.into_iter().map(|(emote, count)| (emote.to_owned(), count)).collect()
}

/// Three lives of a server that leave two stored states, closed windows and one that is open. Returns all that was
/// sent: two of 🔥, one of 👏.
async fn lives(data: &Path) -> Vec<Value> {
    let mut sent = Vec::new();
    let server = Server::start(data, &[]);
    sent.push(send(server.address, &["🔥"]).await);
    final_total(server.address, "main").await;
    assert_eq!(server.stop().code, Some(0));
    let server = Server::start(data, &[]);
    sent.push(send(server.address, &["👏"]).await);
    final_total(server.address, "main").await;
    sent.push(send(server.address, &["🔥"]).await);
    assert_eq!(server.stop().code, Some(0));
    for name in ["snapshot", "snapshot.previous"] {
        assert!(data.join("aggregate").join(name).exists(), "{name}");
    }
    sent
}

/// Starts on what `lives` left and was damaged since: the same counts, and no row twice.
async fn assert_goes_on(data: &Path, sent: &[Value]) {
    let server = Server::start(data, &[]);
    for reactions in sent {
        send_again(server.address, reactions).await;
    }
    send(server.address, &["😂"]).await;
    let counted = final_total(server.address, "main").await;
    assert_eq!(counted, totals([("🔥", 2), ("👏", 1), ("😂", 1)]));
    assert_eq!(server.stop().code, Some(0));
    assert_verified(data);
    assert_eq!(assert_rows_agree(data), 0, "rows were written again");
}

fn flip_a_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_of_a_window_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // No window closes sooner than this after it ends: long enough for the stop.
    let args = ["--set", "windows.allowed_lateness_ms=4000"];
    let server = Server::start(dir.path(), &args);
    let first = send(server.address, &["🔥"]).await;
    assert_eq!(server.stop().code, Some(0));
    let windows =
        cat(&["--topic", "emote-output"], dir.path()).into_iter().filter(|row| row["type"] == "window");
    assert_eq!(windows.count(), 0, "the window was closed before the stop");
    let server = Server::start(dir.path(), &args);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    viewer.next_of("hello").await;
    send_again(server.address, &first).await;
    send(server.address, &["👏"]).await;
    let window = viewer.next_of("window").await;
    assert_eq!(window["counts"]["🔥"], 1, "{window}");
    let counted = final_total(server.address, "main").await;
    assert_eq!(counted, totals([("👏", 1), ("🔥", 1)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_stored_state_everything_is_counted_again() {
    let dir = tempfile::tempdir().unwrap();
    let sent = lives(dir.path()).await;
    fs::remove_dir_all(dir.path().join("aggregate")).unwrap();
    assert_goes_on(dir.path(), &sent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_state_is_replaced_by_an_older_one_or_by_counting_again() {
    let dir = tempfile::tempdir().unwrap();
    let sent = lives(dir.path()).await;
    let both = tempfile::tempdir().unwrap();
    let copied =
        std::process::Command::new("cp").arg("-a").arg(dir.path().join(".")).arg(both.path()).status();
    assert!(copied.unwrap().success());
    flip_a_byte(&dir.path().join("aggregate/snapshot"));
    assert_goes_on(dir.path(), &sent).await;
    for name in ["snapshot", "snapshot.previous"] {
        flip_a_byte(&both.path().join("aggregate").join(name));
    }
    assert_goes_on(both.path(), &sent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stored_state_of_another_log_is_not_believed() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sent = lives(dir.path()).await;
    lives(other.path()).await;
    for name in ["snapshot", "snapshot.previous"] {
        let path = Path::new("aggregate").join(name);
        fs::copy(other.path().join(&path), dir.path().join(&path)).unwrap();
    }
    assert_goes_on(dir.path(), &sent).await;
}

#[test]
fn parameters_that_results_depend_on_cannot_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Server::start(dir.path(), &[]).stop().code, Some(0));
    for (setting, named) in [
        ("windows.window_ms=1000", "windows.window_ms = 2000, configured is 1000"),
        ("windows.allowed_lateness_ms=300", "windows.allowed_lateness_ms = 500, configured is 300"),
        ("windows.horizon_ms=300000", "windows.horizon_ms = 240000, configured is 300000"),
        ("log.partitions=2", "partitions of emote-log = 1, configured is 2"),
    ] {
        let ended = Server::refused(dir.path(), &["--set", setting]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(named) && ended.stderr.lines().count() == 1, "{ended:?}");
    }
    assert_eq!(Server::start(dir.path(), &[]).stop().code, Some(0));
}

#[test]
fn a_second_process_is_told_who_holds_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let ended = Server::refused(dir.path(), &[]);
    let holder = format!("in use by another process (pid {})", server.process.pid());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&holder) && ended.stderr.contains("log"), "{ended:?}");
    server.kill9();
    // The lock is no file that a crash leaves behind.
    assert_eq!(Server::start(dir.path(), &[]).stop().code, Some(0));
}
