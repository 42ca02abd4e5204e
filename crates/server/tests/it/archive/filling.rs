//! Whatever happens to the server, the archive ends up with the rows of the log, each once, and keeps them.

use std::{fs, path::Path};

use emostream_protocol::ChannelName;
use emostream_store::MomentEdit;
use serde_json::{Value, json};

use super::{burst, store};
use crate::{
    harness::{
        client::{Client, get, react},
        process::Server,
        records::cat,
        wait_for,
        windows::all_items,
    },
    http::start,
};

/// Sequences of a kind of row in the output log, each once, in order.
fn logged(data: &Path, kind: &str) -> Vec<Value> {
    let rows = cat(&["--topic", "emote-output"], data);
    let mut seqs: Vec<Value> = rows
        .into_iter()
        .filter(|row| row["type"] == kind && row["channel"] == "main")
        .map(|row| row["seq"].clone())
        .collect();
    seqs.dedup();
    seqs
}

fn seqs(items: &[Value]) -> Vec<Value> {
    items.iter().map(|item| item["seq"].clone()).collect()
}

/// The archive has what the log has.
async fn assert_whole(server: &Server, data: &Path) {
    for (kind, path) in [("window", "windows"), ("moment", "moments")] {
        let archived = all_items(server.address, "main", path).await;
        assert_eq!(seqs(&archived), logged(data, kind), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_time_it_ends_up_with_the_rows_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let server = start(dir.path(), &[]);
        for _ in 0..10 * (round + 1) {
            let burst = json!(vec![json!({"emote": "🔥", "user_id": "u"}); 5]);
            assert_eq!(react(server.address, "main", &burst).await.unwrap().status, 200);
            tokio::time::sleep(std::time::Duration::from_millis(15)).await;
        }
        server.kill9();
    }
    let server = start(dir.path(), &[]);
    burst(server.address, "👏", 1).await;
    assert_whole(&server, dir.path()).await;
    assert_eq!(server.stop().code, Some(0));
    let server = start(dir.path(), &[]);
    assert_whole(&server, dir.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_is_lost_is_filled_anew_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let moments = burst(server.address, "🔥", 2).await;
    assert_eq!(server.stop().code, Some(0));
    for ending in ["db", "db-wal", "db-shm"] {
        drop(fs::remove_file(dir.path().join(format!("emostream.{ending}"))));
    }
    let server = start(dir.path(), &[]);
    let filled =
        async || (all_items(server.address, "main", "moments").await.len() >= moments.len()).then_some(());
    wait_for("the archive", filled).await;
    assert_whole(&server, dir.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_outlives_the_log_and_goes_on_with_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let moments = burst(server.address, "🔥", 2).await;
    let windows = all_items(server.address, "main", "windows").await;
    assert_eq!(server.stop().code, Some(0));
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    drop(fs::remove_dir_all(dir.path().join("aggregate")));
    let server = start(dir.path(), &[]);
    assert_eq!(all_items(server.address, "main", "windows").await, windows);
    let later = burst(server.address, "👏", 1).await;
    assert_eq!(later[..moments.len()], moments);
    assert!(later[moments.len()..].iter().all(|moment| moment["emote"] == "👏"), "{later:?}");
    assert_eq!(seqs(&later[moments.len()..]), logged(dir.path(), "moment"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_survive_and_hidden_moments_are_seen_by_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let moments = burst(server.address, "🔥", 3).await;
    let channel = ChannelName::new("main").unwrap();
    let id = |index: usize| moments[index]["id"].as_str().unwrap().to_owned();
    let store = store(dir.path()).await;
    let named = MomentEdit {
        title: Some(Some("1:0".into())),
        note: Some(Some("from the left".into())),
        hidden: None,
    };
    store.edit_moment(&channel, &id(0), &named, "mo", 1).await.unwrap();
    let hide = MomentEdit { hidden: Some(true), ..MomentEdit::default() };
    store.edit_moment(&channel, &id(1), &hide, "mo", 2).await.unwrap();
    let check = async |server: &Server| {
        let shown = all_items(server.address, "main", "moments").await;
        assert_eq!(
            (shown.len(), &shown[0]["title"], &shown[0]["note"]),
            (moments.len() - 1, &json!("1:0"), &json!("from the left"))
        );
        assert!(shown.iter().all(|moment| moment["id"] != moments[1]["id"] && moment["hidden"] == false));
        let one = async |index: usize| {
            get(server.address, &format!("/v1/channels/main/moments/{}", id(index))).await.unwrap()
        };
        assert_eq!(one(0).await.json(), shown[0]);
        let hidden = one(1).await;
        assert_eq!((hidden.status, hidden.problem().as_deref()), (404, Some("moment-not-found")));
    };
    check(&server).await;
    // Rows of the log are archived again at each start, and change nothing.
    assert_eq!(server.stop().code, Some(0));
    let server = start(dir.path(), &[]);
    check(&server).await;
    server.kill9();
    let server = start(dir.path(), &[]);
    check(&server).await;
    let mut client = Client::connect(server.address).await.unwrap();
    let asked = client.get("/v1/channels/main/moments?include_hidden=true").await.unwrap();
    assert_eq!((asked.status, asked.problem().as_deref()), (401, Some("token-missing")));
    for missing in ["main:1", "nothing", "%00"] {
        let answer = client.get(&format!("/v1/channels/main/moments/{missing}")).await.unwrap();
        assert_eq!(
            (answer.status, answer.problem().as_deref()),
            (404, Some("moment-not-found")),
            "{missing}"
        );
    }
}
