//! WebSocket frames that no client should send.

use std::time::Duration;

use futures_util::SinkExt as _;
use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::{
    raw::{Raw, frame, header, upgrade},
    seeds, start, still_serves,
};
use crate::harness::client::{Seen, Viewer};

const TEXT: u8 = 0x81;
const BAD_FRAME: Option<u16> = Some(4500);
const TOO_LARGE: Option<u16> = Some(4501);

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_frame_closes_with_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let unmasked = [header(TEXT, 0, 2), b"{}".to_vec()].concat();
    let fragments = [frame(0x01, &[b'x'; 3_000]), frame(0x00, &[b'x'; 3_000])].concat();
    let wrong = [
        ("unmasked", unmasked, BAD_FRAME),
        ("reserved bit 1", frame(TEXT | 0x40, b"{}"), BAD_FRAME),
        ("reserved bits", frame(TEXT | 0x70, b"{}"), BAD_FRAME),
        ("reserved data opcode", frame(0x83, b"{}"), BAD_FRAME),
        ("reserved control opcode", frame(0x8b, b"{}"), BAD_FRAME),
        ("binary", frame(0x82, b"{}"), BAD_FRAME),
        ("fragmented ping", frame(0x09, b"{}"), BAD_FRAME),
        ("long ping", frame(0x89, &[b'x'; 126]), BAD_FRAME),
        ("continuation of nothing", frame(0x80, b"{}"), BAD_FRAME),
        ("text within fragments", [frame(0x01, b"{"), frame(TEXT, b"}")].concat(), BAD_FRAME),
        ("bad UTF-8", frame(TEXT, b"{\"type\":\"\xff\"}"), BAD_FRAME),
        ("half a character", [frame(0x01, b"\xf0\x9f"), frame(0x80, b"\x94")].concat(), BAD_FRAME),
        ("close of one byte", frame(0x88, b"x"), BAD_FRAME),
        ("close with bad UTF-8", frame(0x88, b"\x03\xe8\xff\xff"), BAD_FRAME),
        ("close with a forbidden code", frame(0x88, b"\x00\x01gone"), Some(1002)),
        ("a byte too large", frame(TEXT, &[b'x'; 4_097]), TOO_LARGE),
        ("64 KiB", frame(TEXT, &[b'x'; 65_536]), TOO_LARGE),
        ("4 MiB", frame(TEXT, &vec![b'x'; 4 << 20]), TOO_LARGE),
        ("2^63 announced", [header(TEXT, 0x80, 1 << 63), vec![0; 4]].concat(), TOO_LARGE),
        ("2^64 announced", [header(TEXT, 0x80, u64::MAX), vec![0; 4]].concat(), TOO_LARGE),
        ("large in fragments", fragments, TOO_LARGE),
    ];
    for (name, bytes, code) in wrong {
        let mut viewer = Raw::viewer(server.address).await;
        viewer.send(&bytes).await;
        assert_eq!(viewer.close_code().await, code, "{name}");
    }
    still_serves(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_messages_are_answered_and_then_closed() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let deep = format!("{{\"type\":\"react\",\"emote\":\"🔥\",\"x\":{}", "[".repeat(3_000));
    let wrong = [
        ("", "field-invalid"),
        ("{", "field-invalid"),
        ("[]", "field-invalid"),
        ("null", "field-invalid"),
        ("{\"type\":7}", "field-invalid"),
        ("{\"type\":\"other\",\"id\":\"x\"}", "field-invalid"),
        ("{\"type\":\"react\"}", "field-missing"),
        ("{\"type\":\"react\",\"emote\":7}", "field-invalid"),
        ("{\"type\":\"react\",\"emote\":\"nope\"}", "emote-unknown"),
        ("{\"type\":\"react\",\"emote\":\":nope:\"}", "emote-unknown"),
        ("{\"type\":\"react\",\"emote\":\"🔥\",\"id\":\"x\"}", "field-invalid"),
        (
            "{\"type\":\"react\",\"emote\":\"🔥\",\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\"}",
            "id-out-of-range",
        ),
        ("{\"type\":\"react\",\"emote\":\"🔥\",\"media_time_ms\":-1}", "field-invalid"),
        (&deep, "field-invalid"),
    ];
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    for (message, code) in wrong {
        viewer.0.send(Message::text(message.to_owned())).await.unwrap();
        let error = viewer.next_of("error").await;
        assert_eq!(error["code"], code, "{message}: {error}");
        assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{message}: {error}");
        assert_eq!(error["server_time"].is_string(), code == "id-out-of-range", "{message}: {error}");
    }
    for _ in wrong.len()..20 {
        viewer.send(&json!({"type": "nonsense"})).await.unwrap();
        viewer.next_of("error").await;
    }
    viewer.send(&json!({"type": "nonsense"})).await.unwrap();
    loop {
        match viewer.next().await {
            Seen::Frame(_) => {}
            end => break assert_eq!(end, Seen::Closed(4500, "bad-frame".into())),
        }
    }
    still_serves(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_wrongly_is_refused_with_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let epoch = "0".repeat(32);
    let bad_epoch = "z".repeat(32);
    let wrong = [
        (upgrade("?since=1", ""), "epoch"),
        (upgrade(&format!("?epoch={epoch}"), ""), "since"),
        (upgrade("?epoch=1&since=1", ""), "epoch"),
        (upgrade(&format!("?epoch={bad_epoch}&since=1"), ""), "epoch"),
        (upgrade(&format!("?epoch={epoch}&since=-1"), ""), "since"),
        (upgrade(&format!("?epoch={epoch}&since=99999999999999999999"), ""), "since"),
        (upgrade("?replay_window=65", ""), "replay_window"),
        (upgrade("?replay_window=x", ""), "replay_window"),
        (upgrade("?replay_window=1&replay_window=2", ""), ""),
        (upgrade("", "last-event-id: nonsense\r\n"), "Last-Event-ID"),
        (upgrade("", &format!("last-event-id: {epoch}.+1\r\n")), "Last-Event-ID"),
        (upgrade("", "").replace("version: 13", "version: 7"), ""),
        (upgrade("", "").replace("sec-websocket-key", "x-key"), ""),
        (upgrade("", "").replace("connection: upgrade\r\n", ""), ""),
        (upgrade("", "").replace("upgrade: websocket\r\n", ""), ""),
    ];
    for (request, field) in wrong {
        let said = Raw::ask(server.address, request.as_bytes()).await.unwrap();
        assert_eq!(said.status, 400, "{request}: {said:?}");
        assert_eq!(said.problem(), ("parameter-invalid".into(), field.into()), "{request}: {said:?}");
    }
    // Of subprotocols that the server does not know none is chosen; the client decides what that means.
    let request = upgrade("", "sec-websocket-protocol: graphql-ws, nonsense\r\n");
    let said = Raw::ask(server.address, request.as_bytes()).await.unwrap();
    assert!(said.status == 101 && !said.head.contains("sec-websocket-protocol"), "{said:?}");
    let request = upgrade("", "sec-websocket-protocol: nonsense, emostream.json.v1\r\n");
    let said = Raw::ask(server.address, request.as_bytes()).await.unwrap();
    assert!(said.head.contains("sec-websocket-protocol: emostream.json.v1"), "{said:?}");
    still_serves(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_frames_harm_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["http.header_timeout_ms=2000"]);
    let seeds = seeds(60);
    println!("soak: random WebSocket frames: seeds {seeds:?}");
    let mut well_behaved = Viewer::join(server.address, "main", "").await.unwrap();
    let mut hostile = JoinSet::new();
    for seed in seeds {
        let address = server.address;
        hostile.spawn(async move {
            let mut viewer = Raw::viewer(address).await;
            viewer.send(&random_frames(seed)).await;
            viewer.end().await;
            let code = viewer.close_code().await;
            assert!(code.is_none_or(|code| (1_000..5_000).contains(&code)), "seed {seed}: {code:?}");
        });
        while hostile.len() >= 32 {
            hostile.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(ended) = hostile.join_next().await {
        ended.unwrap();
    }
    still_serves(&server).await;
    let window = well_behaved.next_of("window").await;
    assert!(window["total"].as_u64().is_some_and(|total| total > 0), "{window}");
}

fn random_frames(seed: u64) -> Vec<u8> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut bytes = Vec::new();
    for _ in 0..random.random_range(1..40) {
        let mut payload = vec![0; random.random_range(0..300)];
        random.fill(&mut payload[..]);
        let text = format!("{{\"type\":\"react\",\"emote\":\"🔥\",\"x\":\"{}\"}}", random.random::<u32>());
        match random.random_range(0..8) {
            0 => bytes.extend(payload),
            1 => bytes.extend(frame(random.random(), &payload)),
            2 => bytes.extend(header(random.random(), random.random::<u8>() & 0x80, random.random())),
            3 => bytes.extend(frame(0x89, &payload[..payload.len().min(125)])),
            4 => bytes.extend(frame(TEXT, String::from_utf8_lossy(&payload).as_bytes())),
            5 => text.bytes().enumerate().for_each(|(at, byte)| {
                bytes.extend(frame(if at == 0 { 0x01 } else { 0x00 }, &[byte]));
            }),
            _ => bytes.extend(frame(TEXT, text.as_bytes())),
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_small_frames_are_worked_off_or_closed() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["edge.send_timeout_ms=300"]);
    // One message in very many fragments, most of them empty.
    let mut viewer = Raw::viewer(server.address).await;
    let mut fragments = frame(0x01, b"{\"type\":");
    fragments.extend(frame(0x00, b"").repeat(100_000));
    fragments.extend(frame(0x80, b"\"none\"}"));
    viewer.send(&fragments).await;
    let error = loop {
        let (_, payload) = viewer.frame().await.unwrap();
        let frame: Value = serde_json::from_slice(&payload).unwrap();
        if frame["type"] == "error" {
            break frame;
        }
    };
    assert_eq!(error["code"], "field-invalid");
    // Pings are answered as long as the answers are read …
    viewer.send(&frame(0x89, b"?").repeat(1_000)).await;
    let mut answers = 0;
    while answers < 1_000 {
        answers += u32::from(viewer.frame().await.unwrap() == (10, b"?".to_vec()));
    }
    // … and one who never reads them is closed.
    let pings = frame(0x89, &[b'?'; 125]).repeat(10_000);
    while tokio::time::timeout(Duration::from_secs(60), try_send(&mut viewer, &pings)).await.unwrap() {}
    still_serves(&server).await;
}

async fn try_send(viewer: &mut Raw, bytes: &[u8]) -> bool {
    tokio::io::AsyncWriteExt::write_all(&mut viewer.stream, bytes).await.is_ok()
}
