//! `GET …/moments/export`: what the command line writes, over HTTP.

use emostream_protocol::ChannelName;
use emostream_store::{ChannelChange, MomentEdit};
use serde_json::json;

use super::{burst, store};
use crate::{
    harness::{client::Client, process::run},
    http::start,
};

const FORMATS: [(&str, &str, &str); 6] = [
    ("youtube", "text/plain; charset=utf-8", "txt"),
    ("vtt", "text/vtt; charset=utf-8", "vtt"),
    ("edl", "text/plain; charset=utf-8", "edl"),
    ("csv", "text/csv; charset=utf-8; header=present", "csv"),
    ("json", "application/json", "json"),
    ("ffmetadata", "text/plain; charset=utf-8", "ffmeta"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_over_http_and_on_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let moments = burst(server.address, "🔥", 3).await;
    let start_of = |index: usize| moments[index]["window_start"].as_str().unwrap();
    let channel = ChannelName::new("main").unwrap();
    let store = store(dir.path()).await;
    let edit = |title: &str, hidden| MomentEdit {
        title: Some(Some(title.into())),
        note: None,
        hidden: Some(hidden),
    };
    let id = |index: usize| moments[index]["id"].as_str().unwrap();
    store.edit_moment(&channel, id(0), &edit("Kick-off", false), "mo", 1).await.unwrap();
    store.edit_moment(&channel, id(1), &edit("Secret", true), "mo", 1).await.unwrap();
    let mut client = Client::connect(server.address).await.unwrap();
    for (format, kind, ending) in FORMATS {
        let path = format!(
            "/v1/channels/main/moments/export?format={format}&recording_started_at={}&fps=29.97",
            start_of(0)
        );
        let answer = client.get(&path).await.unwrap();
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{text}");
        let name = format!("attachment; filename=\"main-moments.{ending}\"");
        assert_eq!(answer.header("content-disposition"), Some(&*name));
        assert_eq!(answer.header("emostream-left-out"), Some("0"));
        assert!(text.contains("Kick-off") && !text.contains("Secret"), "{text}");
        let args = [
            "export",
            "moments",
            "--channel",
            "main",
            "--data-dir",
            dir.path().to_str().unwrap(),
            "--format",
            format,
        ];
        let more = ["--recording-started-at", start_of(0), "--fps", "29.97"];
        let written = run(&[&args[..], &more].concat());
        assert_eq!(String::from_utf8(written.stdout).unwrap(), text, "{format}");
    }
    // The channel's own start, a part of the span, and what is before the start.
    let start_us = emostream_protocol::time::parse_ms(start_of(2)).unwrap() * 1_000;
    let change = ChannelChange { recording_started_us: Some(Some(start_us)), ..ChannelChange::default() };
    store.update_channel(&channel, &change).await.unwrap();
    let answer = client.get("/v1/channels/main/moments/export?format=json").await.unwrap();
    assert_eq!((answer.header("emostream-left-out"), &answer.json()["left_out"]), (Some("1"), &json!(1)));
    assert_eq!(answer.json()["moments"][0]["position_ms"], 0);
    let path = format!("/v1/channels/main/moments/export?format=json&from={}&offset_ms=1500", start_of(2));
    let answer = client.get(&path).await.unwrap().json();
    assert_eq!((&answer["left_out"], &answer["moments"][0]["position_ms"]), (&json!(0), &json!(1_500)));
    let answer = client.get("/v1/channels/goals/moments/export?format=edl").await.unwrap();
    assert_eq!((answer.status, answer.header("emostream-left-out")), (200, Some("0")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_parameter_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    burst(server.address, "🔥", 1).await;
    let mut client = Client::connect(server.address).await.unwrap();
    for (query, field) in [
        ("", "format"),
        ("format=avi", "format"),
        ("format=edl&fps=12", "fps"),
        ("format=edl&from=yesterday", "from"),
        ("format=edl&to=1", "to"),
        ("format=edl&offset_ms=1.5", "offset_ms"),
        ("format=edl&offset_ms=864000001", "offset_ms"),
        ("format=edl&recording_started_at=now", "recording_started_at"),
        // Nothing says when the recording began.
        ("format=edl", "recording_started_at"),
    ] {
        let answer = client.get(&format!("/v1/channels/main/moments/export?{query}")).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_deref()), (400, Some("parameter-invalid")), "{query}");
        assert_eq!(answer.json()["field"], field, "{query}");
    }
    let answer = client.get("/v1/channels/none/moments/export?format=csv").await.unwrap();
    assert_eq!(answer.problem().as_deref(), Some("channel-not-found"));
    let answer = client.get("/v1/channels/main/moments?include_hidden=yes").await.unwrap();
    assert_eq!((answer.status, &answer.json()["field"]), (400, &json!("include_hidden")));
}
