//! `POST …/settings/preview` finds what the live path found, on the same settings.

use serde_json::{Value, json};

use super::{ADMIN, as_admin};
use crate::{
    harness::{
        client::Client,
        wait_for,
        windows::{all_items, closed_windows_total},
    },
    http::start,
};

const PREVIEW: &str = "/v1/channels/main/settings/preview";

/// What both paths must agree on.
fn facts(moments: &[Value]) -> Vec<Value> {
    let names = ["emote", "window_start", "window_ms", "count", "strength", "reactors", "rule"];
    moments
        .iter()
        .map(|moment| names.iter().map(|name| ((*name).to_owned(), moment[name].clone())).collect())
        .collect()
}

/// Changes the rule, lets an audience react, and tries the same rule on what was recorded.
async fn assert_preview_is_live(rule: Value, source: &str) {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &ADMIN);
    let mut client = Client::connect(server.address).await.unwrap();
    let change = json!({"rule": rule});
    let saved =
        as_admin(&mut client, "PUT", "/v1/channels/main/settings", &[("if-match", "*")], &change).await;
    assert_eq!(saved.status, 200, "{saved:?}");
    let version = saved.json()["version"].clone();
    let (mut sent, mut number) = (0, 0u64);
    let moments = async || {
        number += 1;
        let size = if number.is_multiple_of(25) { 60 } else { 2 };
        let taps: Vec<_> = (0..size)
            .map(|n| json!({"emote": if n % 4 == 3 { "👏" } else { "🔥" }, "user_id": format!("u{n}")}))
            .collect();
        sent += size;
        assert_eq!(client.react("main", &json!(taps)).await.unwrap().status, 200);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        (all_items(server.address, "main", "moments").await.len() > 4).then_some(())
    };
    wait_for("moments", moments).await;
    closed_windows_total(server.address, "main", sent).await;
    let live = all_items(server.address, "main", "moments").await;
    assert!(live.iter().all(|moment| moment["rule_version"] == version), "{live:?}");
    let answer = as_admin(&mut client, "POST", PREVIEW, &[], &change).await;
    let found = answer.json();
    assert_eq!((answer.status, &found["source"]), (200, &json!(source)), "{found}");
    assert_eq!(facts(found["moments"].as_array().unwrap()), facts(&live), "{rule}");
    assert!(
        found["windows"].as_u64() > Some(0) && found["from"].is_string() && found["to"].is_string(),
        "{found}"
    );
    // A span: what begins in it.
    let start = live[2]["window_start"].as_str().unwrap();
    let span = json!({"rule": rule, "to": start});
    let before: Vec<Value> =
        live.iter().filter(|moment| moment["window_start"].as_str() < Some(start)).cloned().collect();
    let found = as_admin(&mut client, "POST", PREVIEW, &[], &span).await.json();
    assert_eq!(facts(found["moments"].as_array().unwrap()), facts(&before), "{rule}");
    // Another rule finds something else, and nothing has changed.
    let never = json!({"rule": {"kind": "plain", "threshold": 1_000_000.0, "interval": 100}});
    let found = as_admin(&mut client, "POST", PREVIEW, &[], &never).await.json();
    assert_eq!(found["moments"], json!([]));
    assert_eq!(all_items(server.address, "main", "moments").await, live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preview_of_counts_is_what_was_found_live() {
    assert_preview_is_live(json!({"kind": "plain", "threshold": 5.0, "interval": 100}), "windows").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preview_of_shares_is_what_was_found_live() {
    assert_preview_is_live(json!({"kind": "plain", "threshold": 0.5, "interval": 20}), "reactions").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preview_of_the_full_rule_is_what_was_found_live() {
    let rule = json!({
        "kind": "full", "floor": 3, "significance": 1.0, "factor": 1.1, "reactors": 1,
        "fast_ms": 200, "slow_ms": 4000, "cooldown_ms": 400, "together_ms": 0,
    });
    assert_preview_is_live(rule, "windows").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_field_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &ADMIN);
    let mut client = Client::connect(server.address).await.unwrap();
    let plain = json!({"kind": "plain", "threshold": 5.0, "interval": 100});
    for (body, field) in [
        (json!({}), "rule"),
        (json!({"rule": {"kind": "other"}}), "rule"),
        (json!({"rule": {"kind": "plain", "threshold": 0.0}}), "rule.threshold"),
        (json!({"rule": plain, "allowed_emotes": ["no emote"]}), "allowed_emotes"),
        (json!({"rule": plain, "from": "yesterday"}), "from"),
        (json!({"rule": plain, "to": "1"}), "to"),
    ] {
        let answer = as_admin(&mut client, "POST", PREVIEW, &[], &body).await;
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!(field)), "{body}: {answer:?}");
    }
    let anonymous =
        client.post(PREVIEW, "application/json", json!({"rule": plain}).to_string()).await.unwrap();
    assert_eq!((anonymous.status, anonymous.problem().as_deref()), (401, Some("token-missing")));
}
