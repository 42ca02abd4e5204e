//! What a viewer is sent: in order, each moment once, newest state otherwise, gaps said.

use std::sync::Arc;

use bytes::Bytes;
use emostream_protocol::{
    ChannelName, Emotes, Epoch, Position, close::CloseCode, settings::SettingsDocument,
};
use serde_json::{Value, json};

use super::{Facts, Join, Reply, Session};
use crate::{
    channels::{Channel, Channels, Published},
    edge::view::{Frame, View},
};

const EPOCH: Epoch = Epoch([1; 16]);

fn facts() -> Facts {
    Facts { epoch: EPOCH, pulse_ms: 100, window_ms: 2_000, emotes: Arc::new(Emotes::new()) }
}

fn channel() -> Arc<Channel> {
    let published = Published::new(1, SettingsDocument::default(), false, &Emotes::new()).unwrap();
    Channels::default().publish(&ChannelName::new("main").unwrap(), published).unwrap()
}

fn frame(kind: &str, seq: u64) -> Frame {
    let json = Bytes::from(json!({"type": kind, "seq": seq}).to_string());
    Frame::new(kind, Position { epoch: EPOCH, seq }, &json)
}

fn seen(frames: &mut Vec<Frame>) -> Vec<(String, Value)> {
    let read = |frame: Frame| {
        let value: Value = serde_json::from_str(&frame.text).unwrap();
        (value["type"].as_str().unwrap().to_owned(), value)
    };
    frames.drain(..).map(read).collect()
}

fn names(frames: &mut Vec<Frame>) -> Vec<String> {
    seen(frames)
        .into_iter()
        .map(|(kind, value)| format!("{kind}:{}", value["seq"].as_u64().unwrap_or(0)))
        .collect()
}

fn open(view: &View, join: Join, out: &mut Vec<Frame>) -> Session {
    Session::open(&facts(), channel(), "guest:1".into(), join, view, 1_000, out)
}

fn resume(seq: u64) -> Join {
    Join { resume: Some(Position { epoch: EPOCH, seq }), replay_windows: 0 }
}

#[test]
fn a_newcomer_gets_the_newest_state_and_no_old_moments() {
    let view = View::default().with_moment(10, frame("moment", 10), 9).with_window(11, frame("window", 11));
    let view = view.with_window(12, frame("window", 12)).with_settings(frame("settings", 12));
    let mut out = Vec::new();
    open(&view, Join::default(), &mut out);
    assert_eq!(names(&mut out), ["hello:12", "window:12", "settings:12"]);
    open(&view, Join { resume: None, replay_windows: 5 }, &mut out);
    assert_eq!(names(&mut out), ["hello:12", "window:11", "window:12", "settings:12"]);
}

#[test]
fn one_who_resumes_gets_every_missed_moment_in_order() {
    let mut view = View::default();
    for seq in 1..=6 {
        view = view
            .with_moment(seq * 10, frame("moment", seq * 10), 100)
            .with_window(seq * 10 + 1, frame("window", seq * 10 + 1));
    }
    let mut out = Vec::new();
    open(&view, resume(30), &mut out);
    assert_eq!(names(&mut out), ["hello:61", "moment:40", "moment:50", "moment:60", "window:61"]);
    let mut session = open(&view, resume(61), &mut out);
    assert_eq!(names(&mut out), ["hello:61", "window:61"]);
    session.advance(&view, &mut out);
    assert!(out.is_empty());
}

#[test]
fn what_fell_out_of_the_history_is_said() {
    let mut view = View::default();
    for seq in 1..=6 {
        view = view.with_moment(seq * 10, frame("moment", seq * 10), 3);
    }
    let mut out = Vec::new();
    open(&view, resume(10), &mut out);
    let frames = seen(&mut out);
    assert_eq!(frames[1].1, json!({"type": "gap", "from": 10, "to": 30}));
    assert_eq!(frames.len(), 5);
    let other = Join { resume: Some(Position { epoch: Epoch([2; 16]), seq: 99 }), replay_windows: 0 };
    open(&view, other, &mut out);
    assert_eq!(seen(&mut out)[1].1, json!({"type": "gap", "from": 99, "to": 60}));
}

#[test]
fn who_came_before_the_first_row_has_missed_nothing_that_was_not_read() {
    let mut view = View { floor: 40, ..View::default() };
    let mut out = Vec::new();
    let mut session = open(&view, Join::default(), &mut out);
    assert_eq!(names(&mut out), ["hello:40"]);
    view = view.with_window(50, frame("window", 50)).with_moment(51, frame("moment", 51), 100);
    session.advance(&view, &mut out);
    assert_eq!(names(&mut out), ["window:50", "moment:51"]);
    // The place where it would resume is good on this edge.
    open(&view, resume(40), &mut out);
    assert_eq!(names(&mut out), ["hello:51", "window:50", "moment:51"]);
    open(&view, resume(39), &mut out);
    assert_eq!(names(&mut out), ["hello:51", "gap:0", "window:50", "moment:51"]);
}

#[test]
fn a_slow_viewer_skips_to_the_newest_but_never_over_a_moment() {
    let mut view = View::default();
    let mut out = Vec::new();
    let mut session = open(&view, Join::default(), &mut out);
    out.clear();
    for seq in 1..=5 {
        view = view.with_window(seq * 10, frame("window", seq * 10)).with_moment(
            seq * 10 + 1,
            frame("moment", seq * 10 + 1),
            100,
        );
        view = view.with_pulse(frame("pulse", seq * 10 + 1));
    }
    session.advance(&view, &mut out);
    assert_eq!(
        names(&mut out),
        ["moment:11", "moment:21", "moment:31", "moment:41", "window:50", "moment:51", "pulse:51"]
    );
    session.advance(&view, &mut out);
    assert!(out.is_empty());
    for seq in 6..=9 {
        view = view.with_moment(seq * 10 + 1, frame("moment", seq * 10 + 1), 2);
    }
    session.advance(&view, &mut out);
    let frames = seen(&mut out);
    assert_eq!(frames[0].1, json!({"type": "gap", "from": 51, "to": 71}));
    assert_eq!(frames.len(), 3);
}

#[test]
fn messages_become_reactions_of_the_sessions_user_or_errors() {
    let view = View::default();
    let mut out = Vec::new();
    let mut session = open(&view, Join::default(), &mut out);
    let Reply::Submit(reaction, _) =
        session.message(r#"{"type":"react","emote":"🔥","user_id":"somebody"}"#, 5_000)
    else {
        panic!("a reaction")
    };
    assert_eq!((reaction.user, reaction.received_ms), ("guest:1", 5_000));
    let id = emostream_protocol::ReactionId::from_parts(5_000, [7; 10]).to_string().to_uppercase();
    let text = format!(r#"{{"type":"react","emote":"🔥","id":"{id}"}}"#);
    let Reply::Submit(_, named) = session.message(&text, 5_000) else { panic!("a reaction") };
    assert_eq!(named, id, "a client finds its own spelling again");
    let Reply::Send(error) = session.message(r#"{"type":"react","emote":"nope","id":"x"}"#, 5_000) else {
        panic!("an error")
    };
    let value: Value = serde_json::from_str(&error.text).unwrap();
    assert_eq!((&value["id"], &value["code"]), (&json!("x"), &json!("emote-unknown")));
}

#[test]
fn hostile_messages_end_the_session_with_a_reason() {
    let view = View::default();
    let mut out = Vec::new();
    let mut session = open(&view, Join::default(), &mut out);
    let long = "x".repeat(5_000);
    assert!(matches!(session.message(&long, 0), Reply::Close(CloseCode::FrameTooLarge)));
    let answered = (0..100).take_while(|_| matches!(session.message("nonsense", 0), Reply::Send(_))).count();
    assert_eq!(answered, 20);
}
