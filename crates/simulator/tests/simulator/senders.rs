//! The load of systems B, D and E, in their own shapes, against a server that checks every body.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::Duration,
};

use bytes::Bytes;
use emostream_protocol::time;
use http_body_util::Full;
use hyper::Response;
use serde_json::{Value, json};

use crate::{
    server::{Kept, Reply, Server},
    simulate,
};

/// The endpoints of the source systems.
pub(crate) const PATHS: [&str; 3] = ["/emoji", "/emojis", "/send-emoji"];

/// Answers as the source systems do; `None` drops the connection.
pub(crate) fn answer(kept: &Kept, path: String, body: &[u8]) -> Option<Response<Full<Bytes>>> {
    let message: Value = serde_json::from_slice(body).unwrap();
    let reply = kept.next_reply();
    if matches!(reply, Reply::Take | Reply::TakeAndDrop) {
        kept.messages.lock().unwrap().push((path, message));
    }
    let answer = |status: u16, body: Value| {
        let response = Response::builder().status(status).header("retry-after", "0");
        Some(response.body(Full::from(body.to_string())).unwrap())
    };
    match reply {
        Reply::Take => answer(200, json!({"status": "Emoji received", "message_id": "0199"})),
        Reply::TakeAndDrop => None,
        Reply::Later(_) => answer(503, json!({"error": "busy"})),
        Reply::Refuse => answer(400, json!({"error": "emoji_type: expected an emoji"})),
    }
}

fn text<'a>(message: &'a Value, field: &str) -> &'a str {
    message[field].as_str().unwrap_or_else(|| panic!("{field} of {message}"))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::parse_str(text).is_ok_and(|uuid| uuid.get_version_num() == 4)
}

/// Messages by user, all of the shape that systems D and E take.
fn by_user(server: &Server, path: &str) -> BTreeMap<String, usize> {
    let mut users = BTreeMap::new();
    for (at, message) in &*server.kept.messages.lock().unwrap() {
        assert_eq!(at, path);
        assert_eq!(message.as_object().unwrap().len(), 3, "{message}");
        let sent_ms = time::parse_ms(text(message, "timestamp")).unwrap();
        assert!((server.kept.now_ms() - sent_ms).abs() < 60_000 && text(message, "timestamp").ends_with('Z'));
        assert!(is_uuid(text(message, "user_id")) && !text(message, "emoji_type").is_empty(), "{message}");
        *users.entry(text(message, "user_id").to_owned()).or_default() += 1;
    }
    users
}

#[tokio::test]
async fn e_sends_from_so_many_clients_so_many_messages_each() {
    let server = Server::start(|_| Reply::Take).await;
    simulate(&format!("emoji-api --url {} --clients 4 --messages 25 --seed 1", server.url)).await.unwrap();
    assert_eq!(by_user(&server, "/emoji").into_values().collect::<Vec<_>>(), [25, 25, 25, 25]);
    let emotes: BTreeSet<String> =
        server.kept.messages.lock().unwrap().iter().map(|(_, m)| text(m, "emoji_type").to_owned()).collect();
    assert!(emotes.len() > 5, "random emojis: {emotes:?}");
    server.stop().await;
}

/// Runs the program itself, and returns what it prints.
async fn program(arguments: Vec<String>, variables: Vec<(&'static str, &'static str)>) -> (bool, String) {
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emostream-simulator"));
        let output = command.args(arguments).envs(variables).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn e_takes_its_numbers_from_the_environment_and_tells_what_came_of_it() {
    let server = Server::start(|attempt| if attempt % 10 == 3 { Reply::Later(0) } else { Reply::Take }).await;
    let variables = vec![("NUM_CLIENTS", "3"), ("EMOJIS_PER_CLIENT", "20")];
    let (ok, output) = program(words(&format!("emoji-api --url {}", server.url)), variables.clone()).await;
    assert!(ok, "{output}");
    assert_eq!(by_user(&server, "/emoji").into_values().collect::<Vec<_>>(), [20, 20, 20]);
    for fact in
        ["sent        60", "accepted    60 (", "rejected    0", "retried     7", "refusals    7", "a second"]
    {
        assert!(output.contains(fact), "{fact} in {output}");
    }
    // A flag comes before the environment; scenarios without clients do not mind it; a wrong number is named.
    let line = format!("emoji-api --url {} --clients 1 --messages 2", server.url);
    assert!(program(words(&line), variables.clone()).await.1.contains("sent        2"));
    let line = format!("socket-clusters --url {} --duration 700ms", server.url);
    let (ok, output) = program(words(&line), variables.clone()).await;
    assert!(ok && output.contains("note: the number of clients"), "{output}");
    let line = format!("load --url {} --rate 10 --duration 200ms", server.url);
    assert!(program(words(&line), variables).await.0);
    let (ok, output) = program(words("emoji-api"), vec![("NUM_CLIENTS", "many")]).await;
    assert!(!ok && output.contains("--clients"), "{output}");
    server.stop().await;
}

#[tokio::test]
async fn retries_wait_and_honour_retry_after_and_a_lost_answer_is_told() {
    let server = Server::start(|attempt| match attempt {
        2 => Reply::TakeAndDrop,
        5 => Reply::Later(0),
        8 => Reply::Refuse,
        _ => Reply::Take,
    })
    .await;
    let (ok, output) =
        program(words(&format!("emoji-api --url {} --clients 1 --messages 20", server.url)), vec![]).await;
    assert!(ok, "{output}");
    assert_eq!(server.kept.messages.lock().unwrap().len(), 20, "19 accepted, one of them twice");
    for fact in [
        "accepted    19",
        "rejected    1",
        "1 status-400: emoji_type: expected an emoji",
        "retried     2",
        "uncertain   1",
    ] {
        assert!(output.contains(fact), "{fact} in {output}");
    }
    server.stop().await;
}

#[tokio::test]
async fn b_sends_300_happy_and_200_sad_in_queues_of_500_ms() {
    let server = Server::start(|_| Reply::Take).await;
    let begin = tokio::time::Instant::now();
    simulate(&format!("socket-clusters --url {} --seed 1", server.url)).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(2));
    let messages = server.kept.messages.lock().unwrap().clone();
    let of = |emoji: &str| messages.iter().filter(|(_, message)| text(message, "emoji") == emoji).count();
    assert_eq!((of("😀"), of("😢"), messages.len()), (300, 200, 500));
    assert!(messages.iter().all(|(path, message)| path == "/emojis" && is_uuid(text(message, "user_id"))));
    server.stop().await;
}

#[tokio::test]
async fn d_sends_from_many_clients_at_once_and_watches_the_results() {
    let server = Server::start(|_| Reply::Take).await;
    let line =
        format!("concurrent-broadcast --url {} --clients 20 --messages 5 --speed 10 --watch", server.url);
    let (ok, output) = program(words(&line), vec![]).await;
    assert!(ok && output.contains("🔥 1200 11\n👏 3 2\n"), "{output}");
    assert_eq!(by_user(&server, "/send-emoji").into_values().collect::<Vec<_>>(), [5; 20]);
    server.stop().await;
}

#[tokio::test]
async fn what_an_endpoint_cannot_do_is_refused_before_anything_is_sent() {
    for (line, expected) in [
        ("emoji-api --transport ws", "--transport ws: emoji-api is sent over HTTP"),
        ("socket-clusters --channel other", "--channel other: socket-clusters is sent to channel main"),
    ] {
        let error = simulate(&format!("{line} --url http://127.0.0.1:1")).await.unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    }
}
