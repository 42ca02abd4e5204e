//! The same as server-sent events.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{make_moment, seq, start};
use crate::harness::{
    PATIENCE,
    client::{Viewer, react},
    windows::all_items,
};

/// A client of server-sent events, as small as can be.
struct Events {
    stream: TcpStream,
    text: String,
}

#[derive(Debug)]
struct Event {
    kind: String,
    id: String,
    data: Value,
}

impl Events {
    async fn open(address: SocketAddr, query: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // HTTP/1.0, so that the events come without chunks around them.
        let request = format!("GET /v1/channels/main/events{query} HTTP/1.0\r\nhost: x\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self { stream, text: String::new() };
        let head = events.until("\r\n\r\n").await.to_lowercase();
        assert!(head.starts_with("http/1.0 200") || head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert!(head.contains("cache-control: no-store") && !head.contains("transfer-encoding"), "{head}");
        events
    }

    async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some((before, after)) = self.text.split_once(end) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.text = after;
                return before;
            }
            let mut bytes = Vec::new();
            while std::str::from_utf8(&bytes).is_err() || bytes.is_empty() {
                let read = timeout(PATIENCE, self.stream.read_buf(&mut bytes)).await.expect("nothing comes");
                assert!(read.unwrap() > 0, "the stream ended: {}", self.text);
            }
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    async fn next(&mut self) -> Event {
        let text = self.until("\n\n").await;
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").to_owned();
        let data: Value = serde_json::from_str(&field("data: ")).unwrap();
        Event { kind: field("event: "), id: field("id: "), data }
    }

    async fn next_of(&mut self, kind: &str) -> Event {
        loop {
            let event = self.next().await;
            if event.kind == kind {
                return event;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_the_frames_of_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    let mut events = Events::open(server.address, "", "").await;
    let hello = events.next().await;
    assert_eq!((hello.kind.as_str(), &hello.data["channel"]), ("hello", &json!("main")));
    for _ in 0..3 {
        let frame = make_moment(&server, &mut viewer).await;
        let event = events.next_of("moment").await;
        assert_eq!(event.data, frame);
        assert_eq!(event.id, format!("{}.{}", frame["epoch"].as_str().unwrap(), seq(&frame)));
        assert_eq!(event.data["type"], "moment");
    }
    react(server.address, "main", &json!({"emote": "⚽"})).await.unwrap();
    let pulse = loop {
        let pulse = events.next_of("pulse").await.data;
        if pulse["counts"]["⚽"] == 1 {
            break pulse;
        }
    };
    assert!(pulse["seq"].is_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_event_id_is_where_events_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["edge.moments_history=4"]);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    let mut events = Events::open(server.address, "", "").await;
    make_moment(&server, &mut viewer).await;
    let last = events.next_of("moment").await;
    drop(events);
    let missed = [make_moment(&server, &mut viewer).await, make_moment(&server, &mut viewer).await];
    let mut events = Events::open(server.address, "", &format!("last-event-id: {}\r\n", last.id)).await;
    // Without a gap the first event already says where the viewer was.
    assert_eq!(events.next_of("hello").await.id, last.id);
    for moment in &missed {
        assert_eq!(events.next_of("moment").await.data, *moment);
    }
    drop(events);
    for _ in 0..5 {
        make_moment(&server, &mut viewer).await;
    }
    let query = format!("?epoch={}&since={}", last.data["epoch"].as_str().unwrap(), seq(&last.data));
    let mut events = Events::open(server.address, &query, "").await;
    let gap = events.next_of("gap").await;
    let all: Vec<_> = all_items(server.address, "main", "moments").await.iter().map(seq).collect();
    assert_eq!(gap.data["from"], seq(&last.data));
    let to = gap.data["to"].as_u64().unwrap();
    for moment in all.into_iter().filter(|moment| *moment > to) {
        assert_eq!(seq(&events.next_of("moment").await.data), moment);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_end_with_a_goodbye() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["edge.reconnect_spread_ms=1000"]);
    let mut events = Events::open(server.address, "", "").await;
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    events.next_of("hello").await;
    server.process.terminate();
    let bye = events.next_of("bye").await.data;
    assert_eq!(bye["reason"], "shutting-down");
    assert!(bye["reconnect_in_ms"].as_u64().is_some_and(|wait| wait <= 1_000), "{bye}");
    assert_eq!(viewer.next_of("bye").await["reason"], "shutting-down");
    assert_eq!(viewer.next().await, crate::harness::client::Seen::Closed(4000, "shutting-down".into()));
    drop((events, viewer));
    assert_eq!(server.process.wait().code, Some(0));
}
