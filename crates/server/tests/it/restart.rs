//! Restarts: what is open stays open, what was counted is counted once.

use serde_json::json;

use crate::harness::{
    client::{Viewer, react},
    new_id,
    process::Server,
    windows::closed_windows_total,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_of_a_window_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let id = new_id();
    let answer = react(server.address, "main", &json!({"emote": "🔥", "id": id})).await.unwrap();
    assert_eq!(answer.json()["accepted"], 1);
    assert_eq!(server.stop().code, Some(0));
    let server = Server::start(dir.path(), &[]);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    viewer.next_of("hello").await;
    let answer = react(server.address, "main", &json!([{"emote": "🔥", "id": id}, {"emote": "👏"}])).await;
    assert_eq!(answer.unwrap().status, 200);
    let totals = closed_windows_total(server.address, "main", 2).await;
    assert_eq!(totals.into_iter().collect::<Vec<_>>(), [("👏".to_owned(), 1), ("🔥".to_owned(), 1)]);
}
