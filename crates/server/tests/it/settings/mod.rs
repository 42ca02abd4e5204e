//! Settings, channels and palettes, from the broadcaster who changes them to the viewer who sees it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    client::{Answer, Viewer, get, react},
    process::Server,
    signed::{Signed, WITH_ADMIN},
    wait_for,
    windows::all_items,
};

mod images;
mod members;
mod stored;

const SETTINGS: &str = "/v1/channels/main/settings";

fn start(dir: &std::path::Path) -> Server {
    Server::start(dir, &WITH_ADMIN)
}

async fn put(signed: &mut Signed, if_match: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("if-match", if_match)];
    signed.send("PUT", SETTINGS, &headers, body.to_string()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_seen_by_viewers_at_once_judges_moments_and_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut admin = Signed::admin(server.address).await;
    let before = admin.get(SETTINGS).await;
    assert_eq!((before.status, before.header("etag")), (200, Some("\"1\"")), "{before:?}");
    assert_eq!(before.json()["rule"]["preset"], "normal");
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    assert_eq!(viewer.next_of("settings").await["version"], 1);

    let change = json!({"rule": {"kind": "plain", "threshold": 3}, "allowed_emotes": ["🔥", ":fire:", "👏"]});
    let answer = put(&mut admin, "\"1\"", &change).await;
    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"2\"")), "{answer:?}");
    let saved = answer.json();
    assert_eq!(saved["rule"], json!({"kind": "plain", "threshold": 3.0, "interval": 100}));
    assert_eq!(saved["allowed_emotes"], json!(["👏", "🔥"]), "canonical, once");
    assert_eq!(saved["palette"], before.json()["palette"], "what was not named stays");
    assert_eq!(saved["updated_by"], "admin");
    // By the time of the answer the change is on its way to viewers; no window has to close for it.
    let seen = viewer.next_of("settings").await;
    assert_eq!((&seen["version"], &seen["allowed_emotes"]), (&json!(2), &json!(["👏", "🔥"])));

    let crowd =
        |emote: &str| Value::from_iter((0..5).map(|at| json!({"emote": emote, "user_id": at.to_string()})));
    // The change holds from the next window on.
    let moment = wait_for("a moment by the new rule", async || {
        for emote in ["👏", "😀"] {
            react(server.address, "main", &crowd(emote)).await.unwrap();
        }
        all_items(server.address, "main", "moments").await.into_iter().next()
    });
    let moment = moment.await;
    assert_eq!((&moment["emote"], &moment["rule_version"]), (&json!("👏"), &json!(2)), "{moment}");
    let moments = all_items(server.address, "main", "moments").await;
    assert!(moments.iter().all(|moment| moment["emote"] == "👏"), "only allowed ones: {moments:?}");

    server.kill9();
    let server = start(dir.path());
    let mut admin = Signed::admin(server.address).await;
    let after = admin.get(SETTINGS).await;
    assert_eq!((after.header("etag"), &after.json()["rule"]), (Some("\"2\""), &saved["rule"]));
    let history = admin.get("/v1/channels/main/settings/history?limit=1").await.json();
    assert_eq!(
        (&history["items"][0]["version"], &history["items"][0]["changed_by"]),
        (&json!(2), &json!("admin"))
    );
    let cursor = history["next_cursor"].as_str().unwrap();
    let rest = admin.get(&format!("/v1/channels/main/settings/history?cursor={cursor}")).await.json();
    assert_eq!((&rest["items"][0]["version"], &rest["next_cursor"]), (&json!(1), &Value::Null));
    assert_eq!(rest["items"][0]["changed_by"], "configuration");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_saves_second_is_told_so_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut admin = Signed::admin(server.address).await;
    assert_eq!(put(&mut admin, "\"1\"", &json!({"allowed_emotes": ["🔥"]})).await.status, 200);
    let second = put(&mut admin, "\"1\"", &json!({"allowed_emotes": ["👏"]})).await;
    assert_eq!((second.status, second.problem().as_deref()), (412, Some("version-conflict")));
    assert_eq!(second.header("etag"), Some("\"2\""), "what holds, to be read and merged");
    assert_eq!(admin.get(SETTINGS).await.json()["allowed_emotes"], json!(["🔥"]));
    let without = admin.json("PUT", SETTINGS, &json!({"allowed_emotes": null})).await;
    assert_eq!((without.status, without.problem().as_deref()), (428, Some("precondition-required")));
    let wrong = put(&mut admin, "seven", &json!({})).await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (400, &json!("If-Match")));
    // Overwriting on purpose, and a change that changes nothing.
    assert_eq!(put(&mut admin, "*", &json!({"allowed_emotes": null})).await.json()["version"], 3);
    assert_eq!(put(&mut admin, "W/\"3\"", &json!({"allowed_emotes": null})).await.json()["version"], 3);
    // Sent back as it came.
    let whole = admin.get(SETTINGS).await.json();
    assert_eq!(put(&mut admin, "\"3\"", &whole).await.json()["version"], 3);

    // Thirty who change one thing each, all on what they have read just now: none is lost, none overwrites.
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..30u32 {
        let (address, token) = (server.address, admin.token.clone());
        crowd.spawn(async move {
            let mut admin = Signed::again(address, token).await;
            loop {
                let read = admin.get(SETTINGS).await;
                let etag = read.header("etag").unwrap().to_owned();
                let threshold = read.json()["plain"]["threshold"].as_f64().unwrap() + 1.0;
                let answer = put(&mut admin, &etag, &json!({"plain": {"threshold": threshold}})).await;
                match answer.status {
                    200 => return,
                    412 => tokio::time::sleep(Duration::from_millis(u64::from(number))).await,
                    _ => panic!("{answer:?}"),
                }
            }
        });
    }
    crowd.join_all().await;
    let end = admin.get(SETTINGS).await.json();
    assert_eq!((&end["version"], &end["plain"]["threshold"]), (&json!(33), &json!(30.5)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_is_wrong_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut admin = Signed::admin(server.address).await;
    let many = |number: usize| Value::from_iter((0..number).map(|_| "🔥"));
    for (body, field) in [
        (json!({"rule": {"kind": "plain", "threshold": 0}}), "rule.threshold"),
        (json!({"rule": {"kind": "plain", "threshold": "x"}}), "rule"),
        (json!({"rule": {"kind": "plain", "interval": 0}}), "rule.interval"),
        (json!({"rule": {"kind": "full", "preset": "hardest"}}), "rule"),
        (json!({"rule": {"kind": "full", "floor": 0}}), "rule.floor"),
        (json!({"rule": {"kind": "fuller"}}), "rule"),
        (json!({"plain": {"threshold": -1}}), "plain.threshold"),
        (json!({"plain": {"interval": 0}}), "plain.interval"),
        (json!({"allowed_emotes": ["🔥", "nonsense"]}), "allowed_emotes"),
        (json!({"allowed_emotes": "🔥"}), "allowed_emotes"),
        (json!({"palette": {"featured": []}}), "palette.featured"),
        (json!({"palette": {"featured": many(65)}}), "palette.featured"),
        (json!({"palette": {"featured": ["zz"]}}), "palette.featured"),
        (json!({"palette": {"accepted_emotes": [":unknown-emote:"]}}), "palette.accepted_emotes"),
        (json!({"palette": {"custom_emotes": ["no colons"]}}), "palette.custom_emotes"),
    ] {
        let answer = put(&mut admin, "*", &body).await;
        let named = answer.json()["field"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(named.starts_with(field), "{body}: {answer:?}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("expected"), "{body}: {answer:?}");
    }
    assert_eq!(admin.get(SETTINGS).await.json()["version"], 1, "nothing was changed");
    let large = put(&mut admin, "*", &json!({"allowed_emotes": [" ".repeat(300_000)]})).await;
    assert_eq!((large.status, large.problem().as_deref()), (413, Some("body-too-large")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_is_made_filled_closed_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut admin = Signed::admin(server.address).await;
    let new = json!({"name": "final", "title": "The final"});
    let made = admin.json("POST", "/v1/channels", &new).await;
    assert_eq!((made.status, &made.json()["title"]), (201, &json!("The final")), "{made:?}");
    let again = admin.json("POST", "/v1/channels", &new).await;
    assert_eq!((again.status, again.problem().as_deref()), (409, Some("name-taken")));
    let wrong = admin.json("POST", "/v1/channels", &json!({"name": "a b"})).await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (400, &json!("name")));

    let mut viewer = Viewer::join(server.address, "final", "").await.unwrap();
    assert_eq!(react(server.address, "final", &json!({"emote": "🎉"})).await.unwrap().status, 200);
    assert_eq!(viewer.next_of("pulse").await["counts"], json!({"🎉": 1}));
    let counted = async || all_items(server.address, "final", "windows").await.into_iter().next();
    assert_eq!(wait_for("its window", counted).await["counts"], json!({"🎉": 1}));

    let change = json!({"closed": true, "recording_started_at": "2026-07-19T20:00:00+02:00"});
    let closed = admin.json("PATCH", "/v1/channels/final", &change).await;
    assert_eq!((closed.status, &closed.json()["closed"]), (200, &json!(true)), "{closed:?}");
    assert_eq!(closed.json()["recording_started_at"], "2026-07-19T18:00:00.000Z");
    let refused = react(server.address, "final", &json!({"emote": "🎉"})).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_deref()), (409, Some("channel-closed")));
    viewer.send(&json!({"type": "react", "emote": "🎉"})).await.unwrap();
    assert_eq!(viewer.next_of("error").await["code"], "channel-closed");

    server.kill9();
    let server = start(dir.path());
    let names = get(server.address, "/v1/channels").await.unwrap().json();
    let names: Vec<_> = names["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, ["main", "final"]);
    assert_eq!(react(server.address, "final", &json!({"emote": "🎉"})).await.unwrap().status, 409);
    assert_eq!(all_items(server.address, "final", "windows").await.len(), 1);
    let mut admin = Signed::admin(server.address).await;
    assert_eq!(admin.json("PATCH", "/v1/channels/final", &json!({"closed": false})).await.status, 200);
    assert_eq!(react(server.address, "final", &json!({"emote": "🎉"})).await.unwrap().status, 200);
    assert_eq!(admin.json("PATCH", "/v1/channels/none", &json!({"closed": false})).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_is_applied_when_it_changes_and_leaves_broadcasters_alone_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let with = |threshold: u32| {
        let channels = format!("channels=[{{name=\"main\",threshold={threshold}.0}}]");
        let mut args = WITH_ADMIN.map(String::from).to_vec();
        args.extend(["--set".to_owned(), channels]);
        args
    };
    let start = |threshold: u32| {
        let args = with(threshold);
        Server::start(dir.path(), &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let threshold = async |server: &Server| {
        let settings = Signed::admin(server.address).await.get(SETTINGS).await.json();
        (settings["version"].as_u64().unwrap(), settings["plain"]["threshold"].as_f64().unwrap())
    };
    let palette = async |server: &Server| {
        let settings = Signed::admin(server.address).await.get(SETTINGS).await.json();
        settings["palette"]["version"].as_u64().unwrap()
    };
    let server = start(5);
    assert_eq!(threshold(&server).await, (1, 5.0));
    let before = palette(&server).await;
    let mut admin = Signed::admin(server.address).await;
    let change = json!({"plain": {"threshold": 7}, "palette": {"featured": ["😂"]}});
    assert_eq!(put(&mut admin, "*", &change).await.status, 200);
    server.stop();
    let server = start(5);
    assert_eq!(threshold(&server).await, (2, 7.0), "the broadcaster's choice stays");
    server.kill9();
    let server = start(9);
    assert_eq!(threshold(&server).await, (3, 9.0), "what the operator changed is applied");
    assert!(palette(&server).await > before + 1, "the version of the palette ascends here too");
    server.stop();
    let server = start(9);
    assert_eq!(threshold(&server).await, (3, 9.0));
}
