//! Taps as systems B, D and E send them.

use serde_json::{Value, json};

use super::{curl, post, start};
use crate::harness::{
    client::Client,
    records::cat,
    wait_for,
    windows::{final_total, windows_total},
};

/// A body of systems D and E with one field replaced, or left out.
fn timed(field: &str, value: Option<Value>) -> String {
    let mut body = json!({"user_id": "ada", "emoji_type": "🔥", "timestamp": "2025-04-06T10:32:11.123Z"});
    let fields = body.as_object_mut().unwrap();
    match value {
        Some(value) => drop(fields.insert(field.into(), value)),
        None => drop(fields.remove(field)),
    }
    body.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn e_post_emoji_and_d_post_send_emoji() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut sent = Vec::new();
    for (path, emoji, timestamp) in [
        ("/emoji", "🔥", "2025-04-06T10:32:11.123Z"),
        // Python's datetime.utcnow().isoformat() and datetime.now(timezone.utc).isoformat()
        ("/emoji", "happy", "2025-04-06T10:32:11.123456"),
        ("/send-emoji", ":fire:", "2025-04-06T12:32:11.123+02:00"),
    ] {
        let body = json!({"user_id": "ada", "emoji_type": emoji, "timestamp": timestamp, "more": 1});
        let (status, answer) = post(server.address, path, &body.to_string());
        assert_eq!((status, &answer["status"]), (200, &json!("Emoji received")), "{answer}");
        assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
        sent.push(uuid::Uuid::parse_str(answer["message_id"].as_str().unwrap()).unwrap().to_string());
    }
    let totals = final_total(server.address, "main").await;
    assert_eq!(json!(totals), json!({"🔥": 2, "😀": 1}));
    // The answer came when the log had it: its id is the reaction's, its time the tap's.
    server.kill9();
    let records = cat(&["--topic", "emote-log"], dir.path());
    let reactions: Vec<_> = records.iter().filter_map(|r| r["reactions"].as_array()).flatten().collect();
    for id in sent {
        let reaction = reactions.iter().find(|reaction| reaction["id"] == id.as_str()).unwrap();
        assert_eq!(reaction["user_id"], "ada");
        assert_eq!(reaction["tapped_at"], "2025-04-06T10:32:11.123Z");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e_and_d_a_missing_or_bad_field_is_a_400_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let long = "x".repeat(65);
    let bad = [
        ("user_id", vec![json!(""), json!(7), json!(null), json!(long), json!("a\u{0}b"), json!("guest:1")]),
        ("emoji_type", vec![json!(""), json!(7), json!(null), json!("nope"), json!("🔥🔥"), json!(["🔥"])]),
        (
            "timestamp",
            vec![json!(""), json!(1_743_935_531), json!(null), json!("noon"), json!("2025-13-01T00:00:00Z")],
        ),
    ];
    for path in ["/emoji", "/send-emoji"] {
        for (field, values) in &bad {
            for value in values.iter().cloned().map(Some).chain([None]) {
                let body = timed(field, value);
                let (status, answer) = post(server.address, path, &body);
                assert_eq!(status, 400, "{body}: {answer}");
                let error = answer["error"].as_str().unwrap();
                assert!(error.starts_with(&format!("{field}: ")), "{body}: {error}");
                assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
            }
        }
        // What fits no system is told what each expects.
        for body in ["{}", "[]", "7", r#"{"emoji": "🔥"}"#] {
            let (status, answer) = post(server.address, path, body);
            let error = answer["error"].as_str().unwrap();
            assert_eq!(status, 400, "{answer}");
            assert!(
                ["user_id", "emoji_type", "timestamp"].iter().all(|name| error.contains(name)),
                "{error}"
            );
        }
        assert_eq!(post(server.address, path, "{").0, 400);
        assert_eq!(curl(server.address, path, &["-d", "user_id=ada&emoji_type=happy"]).0, 415);
    }
    assert!(windows_total(server.address, "main").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn b_post_emojis() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    for body in
        [r#"{"emoji":"happy"}"#, r#"{"emoji":"sad","user_id":"ada"}"#, r#"{"emoji":"😀","user_id":null}"#]
    {
        let (status, answer) = post(server.address, "/emojis", body);
        assert_eq!((status, &answer["status"]), (200, &json!("queued")), "{answer}");
        assert!(uuid::Uuid::parse_str(answer["message_id"].as_str().unwrap()).is_ok());
    }
    for (body, field) in [
        ("{}", "emoji: "),
        (r#"{"emoji":"nope"}"#, "emoji: "),
        (r#"{"emoji":7}"#, "emoji: "),
        (r#"{"emoji":"happy","user_id":""}"#, "user_id: "),
        (r#"{"emoji":"happy","user_id":7}"#, "user_id: "),
    ] {
        let (status, answer) = post(server.address, "/emojis", body);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().starts_with(field), "{body}: {answer}");
    }
    assert_eq!(json!(final_total(server.address, "main").await), json!({"😀": 2, "😢": 1}));
    // Who names no user is a guest like any other.
    let mut client = Client::connect(server.address).await.unwrap();
    let answer = client.post("/emojis", "application/json", r#"{"emoji":"happy"}"#).await.unwrap();
    assert!(answer.header("set-cookie").unwrap().contains("HttpOnly"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn taps_have_the_limits_of_all_reactions() {
    let dir = tempfile::tempdir().unwrap();
    let limits = ["--set", "ingest.address_reactions_per_s=1", "--set", "ingest.address_burst=1000"];
    let server = start(dir.path(), &limits);
    let mut client = Client::connect(server.address).await.unwrap();
    let many = vec![json!({"emote": "🔥", "user_id": "ada"}); 1_000];
    assert_eq!(client.react("main", &json!(many)).await.unwrap().status, 200);
    let kind = "application/json";
    let refused = async || {
        let answer = client.post("/emojis", kind, r#"{"emoji":"happy","user_id":"ada"}"#).await.unwrap();
        (answer.status == 429).then_some(answer)
    };
    let refused = wait_for("an address that sends too much to be refused", refused).await;
    assert!(refused.header("retry-after").is_some() && refused.json()["error"].is_string(), "{refused:?}");
    let large = format!("{{\"emoji\":\"{}\"}}", "x".repeat(300_000));
    assert_eq!(client.post("/emojis", kind, large).await.unwrap().status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn taps_go_to_the_configured_channel() {
    let dir = tempfile::tempdir().unwrap();
    let channels = "channels=[{name=\"main\"},{name=\"goals\",accepted_emotes=[\"👏\"]}]";
    let server = start(dir.path(), &["--set", channels, "--set", "compat.channel=goals"]);
    let (status, answer) = post(server.address, "/emojis", r#"{"emoji":"👏","user_id":"ada"}"#);
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = post(server.address, "/emojis", r#"{"emoji":"🥒","user_id":"ada"}"#);
    assert!(status == 400 && answer["error"].as_str().unwrap().starts_with("emoji: "), "{answer}");
    drop(server);
    let server = start(dir.path(), &["--set", "compat.channel=elsewhere"]);
    assert_eq!(post(server.address, "/emojis", r#"{"emoji":"👏"}"#).0, 404);
}
