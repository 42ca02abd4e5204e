//! System A's WebSocket bridge, with clients that know nothing of this server.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Stdio},
};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{
    clients::{node, python},
    curl, start,
};
use crate::harness::{
    PATIENCE,
    client::{Client, Viewer, get, react},
};

/// More than three of an emote in a window of 200 ms are a moment.
const THRESHOLD: &str = "channels=[{name=\"main\",rule=\"plain\",threshold=3.0}]";

/// Enough of an emote at once for a moment.
async fn burst(address: SocketAddr, emote: &str, number: usize) {
    let reactions = vec![json!({"emote": emote, "user_id": "ada"}); number];
    assert_eq!(react(address, "main", &json!(reactions)).await.unwrap().status, 200);
}

/// A started client script that has said `open`; its further lines, and how it ended.
fn opened(mut child: Child) -> (Child, impl Iterator<Item = String>) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("open"));
    (child, lines)
}

/// A WebSocket on a path without subprotocol, as A's front end opens it.
async fn connect(address: SocketAddr, path: &str) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    tokio_tungstenite::client_async(format!("ws://{address}{path}"), stream).await.unwrap().0
}

async fn next_text(socket: &mut WebSocketStream<TcpStream>) -> Value {
    let next = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(_)) => {}
                end => panic!("no message before {end:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("a message of the bridge")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_on_root_and_ws_forwards_each_moment() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["--listen", "127.0.0.1:0", "--set", THRESHOLD]);
    let address = server.address;
    // A's front end connects to ws://localhost:8080, and behind the web server to /ws; every listener has both.
    let mut native = Viewer::join(address, "main", "").await.unwrap();
    native.next_of("hello").await;
    let clients = [
        node("bridge.js", &[&format!("ws://{address}"), "2"]),
        python("bridge.py", &[&format!("ws://{address}/ws"), "2"]),
    ];
    let clients = clients.map(|mut command| opened(command.stdout(Stdio::piped()).spawn().unwrap()));
    let mut second = connect(server.addresses()[1], "/").await;
    let mut expected = Vec::new();
    for (emote, number) in [("🔥", 5), ("👏", 4)] {
        burst(address, emote, number).await;
        let moment = native.next_of("moment").await;
        assert_eq!((&moment["emote"], &moment["count"]), (&json!(emote), &json!(number)));
        expected.push(json!({"emote": emote, "count": number, "timestamp": moment["window_start"]}));
    }
    for moment in &expected {
        assert_eq!(next_text(&mut second).await, *moment);
    }
    for (mut client, lines) in clients {
        let seen: Vec<Value> = lines.map(|line| serde_json::from_str(&line).unwrap()).collect();
        assert_eq!(seen, expected);
        assert!(client.wait().unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debug_setting_forwards_each_reaction() {
    let dir = tempfile::tempdir().unwrap();
    let set = ["--set", "websocket_bridge.source=raw", "--set", "log.partitions=3"];
    let server = start(dir.path(), &set);
    let mut client = connect(server.address, "/ws").await;
    let tapped = "2025-04-06T10:32:11.123Z";
    let reaction = json!({"emote": "👉", "user_id": "ada", "tapped_at": tapped});
    assert_eq!(react(server.address, "main", &reaction).await.unwrap().status, 200);
    assert_eq!(next_text(&mut client).await, json!({"emote": "👉", "timestamp": tapped}));
    // Each of a burst, in whatever order the partitions have them.
    burst(server.address, "🔥", 500).await;
    for _ in 0..500 {
        let message = next_text(&mut client).await;
        assert_eq!((message["emote"].as_str(), message.as_object().unwrap().len()), (Some("🔥"), 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_client_has_a_viewers_place_and_is_told_when_the_node_stops() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["--set", "edge.viewers_max=1"]);
    let mut client = connect(server.address, "/").await;
    let upgrade =
        ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13"];
    let upgrade = [&upgrade[..], &["-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]].concat();
    let (status, answer) = curl(server.address, "/ws", &upgrade);
    assert!(status == 503 && answer["error"].is_string(), "{status} {answer}");
    // No upgrade where one is needed, and half of one.
    assert_eq!(curl(server.address, "/ws", &[]).0, 400);
    assert_eq!(curl(server.address, "/", &upgrade[..4]).0, 400);
    // Without one, the page and service information are what they were.
    assert_eq!(curl(server.address, "/", &[]).1["service"], "emostream");
    server.process.terminate();
    let closed = loop {
        match client.next().await {
            Some(Ok(Message::Close(Some(frame)))) => break u16::from(frame.code),
            Some(Ok(_)) => {}
            end => panic!("no close before {end:?}"),
        }
    };
    assert_eq!(closed, emostream_protocol::close::CloseCode::ShuttingDown.code());
}

/// What no test sends otherwise.
const LAST: &str = "🏁";

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_bridge_client_is_skipped_and_the_others_see_everything() {
    let dir = tempfile::tempdir().unwrap();
    let set = ["--set", "websocket_bridge.source=raw", "--set", "edge.send_timeout_ms=80000"];
    let server = start(dir.path(), &set);
    let socket = TcpSocket::new_v4().unwrap();
    // A window so small that the server's kernel takes little for it.
    socket.set_recv_buffer_size(4_096).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    let url = format!("ws://{}/", server.address);
    let mut slow = tokio_tungstenite::client_async(url, stream).await.unwrap().0;
    let mut quick = connect(server.address, "/").await;
    let mut client = Client::connect(server.address).await.unwrap();
    let many = json!(vec![json!({"emote": "🔥", "user_id": "ada"}); 1_000]);
    for _ in 0..60 {
        assert_eq!(client.react("main", &many).await.unwrap().status, 200);
        for _ in 0..1_000 {
            next_text(&mut quick).await;
        }
    }
    // It goes on, has missed some, and sees what is new.
    assert_eq!(client.react("main", &json!({"emote": LAST})).await.unwrap().status, 200);
    let mut seen = 0;
    while next_text(&mut slow).await["emote"] != LAST {
        seen += 1;
    }
    let metrics = get(server.address, "/metrics").await.unwrap();
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let skipped = text.lines().find_map(|line| line.strip_prefix("emostream_bridge_messages_skipped_total "));
    let skipped: u64 = skipped.unwrap().parse().unwrap();
    assert!(skipped > 0 && seen + skipped == 60_000, "{seen} seen, {skipped} skipped");
}
