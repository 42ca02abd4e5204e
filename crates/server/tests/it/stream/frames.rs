//! The frames of a WebSocket, one by one.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{make_moment, seq, start, until};
use crate::harness::{
    client::{Seen, Viewer, get, react},
    new_id,
    windows::all_items,
};

/// The frame has these fields. Others may be added one day.
fn has(frame: &Value, fields: &str) {
    let absent: Vec<_> = fields.split(' ').filter(|field| frame.get(field).is_none()).collect();
    assert!(absent.is_empty(), "no {absent:?} in {frame}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_is_as_documented() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    let Seen::Frame(hello) = viewer.next().await else { panic!("no hello") };
    assert_eq!(
        (&hello["type"], &hello["channel"], &hello["pulse_ms"], &hello["window_ms"]),
        (&json!("hello"), &json!("main"), &json!(100), &json!(200))
    );
    has(&hello, "channel epoch palette palette_version pulse_ms seq server_time type window_ms");
    assert!(hello["palette"].as_array().unwrap().contains(&json!("🔥")));
    let settings = viewer.next_of("settings").await;
    assert_eq!(
        (&settings["channel"], &settings["rule"]["threshold"]),
        (&json!("main"), &json!(3.0)),
        "{settings}"
    );

    let id = new_id();
    viewer.send(&json!({"type": "react", "emote": "👏🏽", "id": id, "media_time_ms": 81_000})).await.unwrap();
    assert_eq!(viewer.next_of("ack").await, json!({"type": "ack", "id": id}));
    viewer.send(&json!({"type": "react", "emote": ":goal:", "id": "mine"})).await.unwrap();
    let error = viewer.next_of("error").await;
    assert_eq!((&error["code"], &error["id"]), (&json!("emote-not-allowed"), &json!("mine")));
    // Without an id the server makes one, and says it.
    viewer.send(&json!({"type": "react", "emote": "👏"})).await.unwrap();
    assert!(viewer.next_of("ack").await["id"].is_string());

    let moment = make_moment(&server, &mut viewer).await;
    has(
        &moment,
        "channel count emote epoch id media_time_ms reactors rule rule_version seq strength type window_ms window_start",
    );
    assert_eq!((&moment["emote"], &moment["epoch"]), (&json!("🔥"), &hello["epoch"]));
    let mut pulses = until_all(&server, &mut viewer).await;
    let window = pulses.pop().unwrap();
    has(&window, "channel counts epoch reactors seq shown total type window_ms window_start");
    let pulse = pulses.iter().find(|frame| frame["type"] == "pulse").unwrap();
    has(pulse, "channel counts epoch seq shown start type");
}

/// A reaction, and the frames up to the window that counts it.
async fn until_all(server: &crate::harness::process::Server, viewer: &mut Viewer) -> Vec<Value> {
    react(server.address, "main", &json!({"emote": "⚽"})).await.unwrap();
    let mut frames = Vec::new();
    while frames.last().is_none_or(|last: &Value| last["counts"]["⚽"] != 1) {
        frames.extend(until(viewer, "window").await);
    }
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tap_is_exactly_one_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    viewer.next_of("hello").await;
    let id = new_id();
    viewer.send(&json!({"type": "react", "emote": "🔥", "id": id})).await.unwrap();
    let frames = until(&mut viewer, "window").await;
    // A repeat of it is acknowledged, and counted nowhere.
    viewer.send(&json!({"type": "react", "emote": "🔥", "id": id})).await.unwrap();
    viewer.next_of("ack").await;
    react(server.address, "main", &json!({"emote": "🔥", "id": id})).await.unwrap();
    react(server.address, "main", &json!({"emote": "⚽"})).await.unwrap();
    let later = until(&mut viewer, "window").await;
    let sum = |kind: &str, emote: &str| -> u64 {
        let of_kind = frames.iter().chain(&later).filter(|frame| frame["type"] == kind);
        of_kind.filter_map(|frame| frame["counts"][emote].as_u64()).sum()
    };
    assert_eq!((sum("pulse", "🔥"), sum("window", "🔥")), (1, 1), "{frames:?} {later:?}");
    assert_eq!((sum("pulse", "⚽"), sum("window", "⚽")), (1, 1), "{frames:?} {later:?}");
    let window = frames.last().unwrap();
    assert_eq!(
        (&window["total"], &window["reactors"], &window["shown"]["🔥"]),
        (&json!(1), &json!(1), &json!(1))
    );
    let archive = all_items(server.address, "main", "windows").await;
    assert_eq!((&archive[0]["counts"], &archive[0]["seq"]), (&json!({"🔥": 1}), &window["seq"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_ascend_and_all_viewers_get_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut one = Viewer::join(server.address, "main", "").await.unwrap();
    let mut other = Viewer::join(server.address, "main", "").await.unwrap();
    let mut texts = [Vec::new(), Vec::new()];
    for _ in 0..8 {
        react(server.address, "main", &json!(vec![json!({"emote": "🔥"}); 5])).await.unwrap();
        for (viewer, texts) in [&mut one, &mut other].into_iter().zip(&mut texts) {
            loop {
                let Some(Ok(Message::Text(text))) = viewer.0.next().await else { panic!("closed") };
                texts.push(text.to_string());
                if text.contains("\"type\":\"moment\"") {
                    break;
                }
            }
        }
    }
    let parse = |text: &String| serde_json::from_str::<Value>(text).unwrap();
    for texts in &texts {
        let sequence: Vec<_> = texts.iter().map(|text| seq(&parse(text))).skip(1).collect();
        assert!(sequence.is_sorted(), "{sequence:?}");
        let pulses = |kind: &str| kind == "pulse" || kind == "hello";
        let rows: Vec<_> = texts
            .iter()
            .map(parse)
            .filter(|f| !pulses(f["type"].as_str().unwrap()))
            .map(|f| seq(&f))
            .collect();
        assert!(rows.is_sorted_by(|a, b| a < b), "{rows:?}");
    }
    let moments = |texts: &[String]| -> Vec<String> {
        texts.iter().filter(|text| text.contains("\"type\":\"moment\"")).cloned().collect()
    };
    assert_eq!(moments(&texts[0]), moments(&texts[1]));
    let seen: std::collections::BTreeSet<_> = texts[0].iter().collect();
    let common = texts[1].iter().filter(|text| seen.contains(text)).count();
    assert!(common > 16, "{common} of {} frames are the same", texts[1].len());
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_apart_and_take_their_own_emotes() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut main = Viewer::join(server.address, "main", "").await.unwrap();
    let mut goals = Viewer::join(server.address, "goals", "").await.unwrap();
    assert_eq!(goals.next_of("hello").await["palette"], json!([":goal:"]));
    goals.send(&json!({"type": "react", "emote": ":goal:"})).await.unwrap();
    goals.next_of("ack").await;
    main.send(&json!({"type": "react", "emote": ":goal:"})).await.unwrap();
    assert_eq!(main.next_of("error").await["code"], "emote-not-allowed");
    goals.send(&json!({"type": "react", "emote": "🔥"})).await.unwrap();
    assert_eq!(goals.next_of("error").await["code"], "emote-not-allowed");
    main.send(&json!({"type": "react", "emote": "🔥"})).await.unwrap();
    let (in_main, in_goals) = tokio::join!(main.next_of("window"), goals.next_of("window"));
    assert_eq!((&in_main["counts"], &in_main["channel"]), (&json!({"🔥": 1}), &json!("main")));
    assert_eq!((&in_goals["counts"], &in_goals["channel"]), (&json!({":goal:": 1}), &json!("goals")));
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let set = ["edge.viewers_max=2", "ingest.viewer_reactions_per_s=1", "ingest.viewer_burst=5"];
    let server = start(dir.path(), &set);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    let other = Viewer::join(server.address, "main", "").await.unwrap();
    let refused = get(server.address, "/v1/channels/main/events").await.unwrap();
    assert_eq!((refused.status, refused.problem().as_deref()), (503, Some("node-full")));
    assert!(refused.header("retry-after").is_some());
    assert!(Viewer::join(server.address, "main", "").await.is_err());
    // A place that becomes free is given to the next.
    drop(other);
    crate::harness::wait_for("the place of one who left", async || {
        Viewer::join(server.address, "main", "").await.ok()
    })
    .await;

    let ids: Vec<_> = (0..10).map(|_| new_id()).collect();
    for id in &ids {
        viewer.send(&json!({"type": "react", "emote": "🔥", "id": id})).await.unwrap();
    }
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    while taken.len() + refused.len() < ids.len() {
        let Seen::Frame(frame) = viewer.next().await else { panic!("closed") };
        match frame["type"].as_str().unwrap() {
            "ack" => taken.push(frame["id"].clone()),
            "error" => {
                assert_eq!(frame["code"], "rate-limited");
                assert!(
                    frame["retry_after_ms"].as_u64().is_some_and(|wait| (1..=6_000).contains(&wait)),
                    "{frame}"
                );
                refused.push(frame["id"].clone());
            }
            _ => {}
        }
    }
    assert!((5..=7).contains(&taken.len()), "{taken:?}");
    let mut all: Vec<_> = taken.iter().chain(&refused).map(|id| id.as_str().unwrap().to_owned()).collect();
    all.sort();
    assert_eq!(all, {
        let mut ids = ids;
        ids.sort();
        ids
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_channel_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let events = get(server.address, "/v1/channels/none/events").await.unwrap();
    assert_eq!((events.status, events.problem().as_deref()), (404, Some("channel-not-found")));
    let mut viewer = Viewer::join(server.address, "none", "").await.unwrap();
    assert_eq!(viewer.next().await, Seen::Closed(4502, "unknown-channel".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_closes_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    viewer.next_of("hello").await;
    let frame =
        tokio_tungstenite::tungstenite::protocol::CloseFrame { code: 1000.into(), reason: "done".into() };
    viewer.0.close(Some(frame)).await.unwrap();
    loop {
        match viewer.next().await {
            Seen::Frame(_) => {}
            end => break assert_eq!(end, Seen::Closed(1000, "done".into())),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_ignores_the_limit_is_sent_away() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["ingest.viewer_reactions_per_s=1", "ingest.viewer_burst=1"]);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    for _ in 0..2_000 {
        // The server may hang up before the last.
        if viewer.send(&json!({"type": "react", "emote": "🔥"})).await.is_err() {
            break;
        }
    }
    loop {
        match viewer.next().await {
            Seen::Frame(_) => {}
            Seen::Closed(code, reason) => break assert_eq!((code, reason.as_str()), (4003, "rate-limited")),
            Seen::Gone => panic!("no close frame"),
        }
    }
}
