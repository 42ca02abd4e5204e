//! `--check`: windows add up, expected moments are there, unwanted ones are not.

use std::sync::atomic::Ordering;

use emostream_protocol::time::format_ms;
use serde_json::json;

use crate::{
    server::{Reply, Server},
    simulate,
};

const SHORT: &str = r#"
title = "Short"
description = "A murmur and a shout."
people = 50
[[phase]]
name = "murmur"
seconds = 1
rate = 40
emotes = { "👏" = 1 }
[[phase]]
name = "shout"
seconds = 1
rate = 100
emotes = { "🔥" = 1 }
[expect]
moments = [{ phase = "shout", emote = "🔥", within_s = [0, 1] }]
quiet = ["murmur"]
"#;

async fn check(server: &Server, text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("short.toml");
    std::fs::write(&path, text).unwrap();
    let line = format!("{} --url {} --seed 1 --check", path.display(), server.url);
    simulate(&line).await.map_err(|error| format!("{error:#}"))
}

#[tokio::test]
async fn a_server_that_shows_what_is_expected_passes_and_others_fail() {
    let server = Server::start(|_| Reply::Take).await;
    assert!(check(&server, SHORT).await.is_err(), "the moment is missing");
    // As wide as the test takes: the window lies over the whole play.
    let moment = |emote: &str| json!({"emote": emote, "window_start": format_ms(server.kept.now_ms()), "window_ms": 10_000, "strength": 9.5});
    server.kept.taken.lock().unwrap().clear();
    *server.kept.moments.lock().unwrap() = vec![moment("🔥")];
    check(&server, SHORT).await.unwrap();
    server.kept.taken.lock().unwrap().clear();
    let none = format!("{}[expect]\nnone = true\n", SHORT.split("[expect]").next().unwrap());
    assert!(
        check(&server, &none).await.unwrap_err().contains("\"Short\" expects"),
        "a moment where none may be"
    );
    server.stop().await;
}

#[tokio::test]
async fn windows_that_do_not_add_up_fail() {
    let server = Server::start(|_| Reply::Take).await;
    let plain = SHORT.split("[expect]").next().unwrap();
    check(&server, plain).await.unwrap();
    server.kept.taken.lock().unwrap().clear();
    server.kept.miscounted.store(1, Ordering::Relaxed);
    assert!(check(&server, plain).await.is_err(), "one too many");
    server.stop().await;
}

#[tokio::test]
async fn what_no_client_can_bring_about_is_not_played() {
    // There is no server at this address: nothing is sent.
    simulate("drained-spool --url http://127.0.0.1:1 --check").await.unwrap();
}
