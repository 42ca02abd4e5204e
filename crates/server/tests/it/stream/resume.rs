//! Coming back: every missed moment once and in order, gaps said.

use serde_json::{Value, json};

use super::{make_moment, position, seq, start, until};
use crate::harness::{
    client::{Viewer, react},
    process::Server,
    wait_for,
    windows::all_items,
};

/// The frames from `hello` on up to the newest row that there was at the join.
async fn first_frames(viewer: &mut Viewer, newest: u64) -> Vec<Value> {
    let mut frames = until(viewer, "hello").await;
    while frames.last().is_some_and(|last| seq_or_zero(last) < newest || last["type"] == "hello") {
        let crate::harness::client::Seen::Frame(frame) = viewer.next().await else { panic!("closed") };
        frames.push(frame);
    }
    frames
}

fn seq_or_zero(frame: &Value) -> u64 {
    frame["seq"].as_u64().unwrap_or(0)
}

fn moments(frames: &[Value]) -> Vec<u64> {
    frames.iter().filter(|frame| frame["type"] == "moment").map(seq).collect()
}

fn gaps(frames: &[Value]) -> Vec<(u64, u64)> {
    let gaps = frames.iter().filter(|frame| frame["type"] == "gap");
    gaps.map(|gap| (gap["from"].as_u64().unwrap(), gap["to"].as_u64().unwrap())).collect()
}

/// The newest row, once no more is to come.
async fn newest(server: &Server) -> u64 {
    crate::harness::windows::closed_windows_total(server.address, "main", 1).await;
    let windows = all_items(server.address, "main", "windows").await;
    let moments = all_items(server.address, "main", "moments").await;
    windows.iter().chain(&moments).map(seq).max().unwrap()
}

async fn archived_moments(server: &Server) -> Vec<u64> {
    all_items(server.address, "main", "moments").await.iter().map(seq).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_moments_come_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut watching = Viewer::join(server.address, "main", "").await.unwrap();
    let mut leaving = Viewer::join(server.address, "main", "").await.unwrap();
    make_moment(&server, &mut watching).await;
    let last_seen = leaving.next_of("moment").await;
    drop(leaving);
    for _ in 0..5 {
        make_moment(&server, &mut watching).await;
    }
    let newest = newest(&server).await;
    let all = archived_moments(&server).await;
    let missed: Vec<_> = all.iter().copied().filter(|moment| *moment > seq(&last_seen)).collect();
    assert!(missed.len() >= 5);
    let mut back = Viewer::join(server.address, "main", &position(&last_seen)).await.unwrap();
    let frames = first_frames(&mut back, newest).await;
    assert_eq!((moments(&frames), gaps(&frames)), (missed, vec![]), "{frames:?}");
    // What follows is not repeated.
    let next = make_moment(&server, &mut back).await;
    assert!(seq(&next) > newest);
    // One who was here a moment ago has missed nothing, one who was never here gets no old moments.
    for query in [position(&next), String::new()] {
        let mut other = Viewer::join(server.address, "main", &query).await.unwrap();
        until(&mut other, "hello").await;
        let again = make_moment(&server, &mut other).await;
        assert!(seq(&again) > seq(&next), "{query}: {again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_one_resumes_as_if_nothing_were() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    let first = make_moment(&server, &mut viewer).await;
    make_moment(&server, &mut viewer).await;
    let newest = newest(&server).await;
    let missed: Vec<_> =
        archived_moments(&server).await.into_iter().filter(|moment| *moment > seq(&first)).collect();
    server.stop();
    let server = start(dir.path(), &[]);
    wait_for("recent rows", async || {
        let ready = crate::harness::client::get(server.address, "/readyz").await.unwrap();
        (ready.status == 200).then_some(())
    })
    .await;
    let mut back = Viewer::join(server.address, "main", &position(&first)).await.unwrap();
    let frames = first_frames(&mut back, newest).await;
    assert_eq!((moments(&frames), gaps(&frames)), (missed, vec![]), "{frames:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["edge.moments_history=2"]);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    let first = make_moment(&server, &mut viewer).await;
    for _ in 0..4 {
        make_moment(&server, &mut viewer).await;
    }
    let newest = newest(&server).await;
    let all = archived_moments(&server).await;
    let (gone, kept) = all.split_at(all.len() - 2);
    let mut back = Viewer::join(server.address, "main", &position(&first)).await.unwrap();
    let frames = first_frames(&mut back, newest).await;
    assert_eq!(gaps(&frames), [(seq(&first), *gone.last().unwrap())]);
    assert_eq!(moments(&frames), kept);
    // Whatever a foreign epoch counted, nothing here follows it.
    let foreign = format!("?epoch={}&since=7", "f".repeat(32));
    let mut stranger = Viewer::join(server.address, "main", &foreign).await.unwrap();
    let frames = first_frames(&mut stranger, newest).await;
    assert_eq!((gaps(&frames), moments(&frames)), (vec![(7, newest)], kept.to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_windows_are_replayed_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    for _ in 0..6 {
        react(server.address, "main", &json!({"emote": "👏"})).await.unwrap();
        viewer.next_of("window").await;
    }
    let newest = newest(&server).await;
    let all: Vec<_> = all_items(server.address, "main", "windows").await.iter().map(seq).collect();
    for (wanted, sent) in [(0, 1), (1, 1), (4, 4), (64, all.len())] {
        let query = format!("?replay_window={wanted}");
        let mut viewer = Viewer::join(server.address, "main", &query).await.unwrap();
        let frames = first_frames(&mut viewer, newest).await;
        let windows: Vec<_> = frames.iter().filter(|frame| frame["type"] == "window").map(seq).collect();
        assert_eq!(windows, all[all.len() - sent..], "{wanted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_resumed_in_one_go() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["edge.moments_history=10000"]);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    let hello = viewer.next_of("hello").await;
    // 120 moments at a time: more than 1 MiB of frames in the end, the most that may wait for one viewer.
    let emotes = emostream_protocol::Emotes::new();
    let emoji = ('\u{1f400}'..='\u{1f4ff}').map(String::from).filter(|text| emotes.resolve(text).is_ok());
    let emoji: Vec<_> = emoji.take(120).collect();
    let burst = json!(emoji.iter().flat_map(|emote| vec![json!({"emote": emote}); 5]).collect::<Vec<_>>());
    let enough = async || {
        react(server.address, "main", &burst).await.unwrap();
        let moments = crate::harness::client::get(server.address, "/metrics").await.unwrap();
        let text = String::from_utf8_lossy(&moments.body).into_owned();
        let found = text.lines().find_map(|line| line.strip_prefix("emostream_moments_found_total "));
        (found.unwrap().parse::<u64>().unwrap() > 5_000).then_some(())
    };
    wait_for("five thousand moments", enough).await;
    let newest = newest(&server).await;
    let mut back = Viewer::join(server.address, "main", &position(&hello)).await.unwrap();
    let frames = first_frames(&mut back, newest).await;
    let bytes: usize = frames.iter().map(|frame| frame.to_string().len()).sum();
    assert!(bytes > 1 << 20, "{bytes}");
    assert_eq!(gaps(&frames), []);
    let page =
        crate::harness::client::get(server.address, "/v1/channels/main/moments?limit=1000").await.unwrap();
    let archived: Vec<_> = page.json()["items"].as_array().unwrap().iter().map(seq).collect();
    let resumed = moments(&frames);
    assert!(resumed.is_sorted_by(|a, b| a < b) && resumed.len() > 5_000);
    assert_eq!(resumed[..archived.len()], archived[..]);
}
