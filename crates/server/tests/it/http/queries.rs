//! Windows and moments of the past, page by page.

use serde_json::{Value, json};

use super::start;
use crate::harness::{
    client::{Client, get},
    wait_for,
    windows::{all_items, closed_windows_total},
};

const FIELDS: [&str; 10] = [
    "counts",
    "late",
    "late_by_emote",
    "reactors",
    "reactors_by_emote",
    "seq",
    "total",
    "unverified",
    "window_ms",
    "window_start",
];

fn starts(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["window_start"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_and_moments_by_page_and_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let address = server.address;
    let mut client = Client::connect(address).await.unwrap();
    // A window each, with a moment in it: more than one page of seven.
    let mut sent = 0;
    let windows = wait_for("a dozen windows", async || {
        let burst = json!(vec![json!({"emote": "🔥", "user_id": "u", "media_time_ms": 1_000}); 5]);
        Client::connect(address).await.unwrap().react("main", &burst).await.unwrap();
        sent += 5;
        let windows = all_items(address, "main", "windows").await;
        (windows.len() > 12).then_some(())
    });
    windows.await;
    assert_eq!(json!(closed_windows_total(address, "main", sent).await), json!({"🔥": sent}));
    let windows = all_items(address, "main", "windows").await;
    for window in &windows {
        let mut fields: Vec<_> = window.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, FIELDS);
        assert_eq!(
            (&window["reactors"], &window["window_ms"], &window["late"]),
            (&json!(1), &json!(200), &json!(0))
        );
    }
    // One page of all, and pages of one.
    let page = get(address, "/v1/channels/main/windows?limit=1000").await.unwrap().json();
    assert_eq!((&page["items"], &page["next_cursor"]), (&json!(windows), &Value::Null));
    let one = get(address, "/v1/channels/main/windows?limit=1").await.unwrap().json();
    assert_eq!(one["items"], json!(windows[..1]));
    assert!(one["next_cursor"].is_string());
    // By time: from is in, to is not.
    let starts = starts(&windows);
    let path = format!("/v1/channels/main/windows?from={}&to={}", starts[3], starts[9]);
    assert_eq!(client.get(&path).await.unwrap().json()["items"], json!(windows[3..9]));
    let none = format!("/v1/channels/main/windows?from={}", "2100-01-01T00:00:00Z");
    assert_eq!(client.get(&none).await.unwrap().json(), json!({"items": [], "next_cursor": null}));

    let moments = all_items(address, "main", "moments").await;
    let busy: Vec<_> = windows.iter().filter(|window| window["total"].as_u64() > Some(3)).cloned().collect();
    assert_eq!(self::starts(&moments), self::starts(&busy));
    for moment in &moments {
        assert_eq!((&moment["emote"], &moment["channel"]), (&json!("🔥"), &json!("main")), "{moment}");
        assert_eq!((&moment["media_time_ms"], &moment["reactors"]), (&json!(1_000), &json!(1)), "{moment}");
        assert!(moment["id"].is_string() && moment["strength"].is_number(), "{moment}");
    }
    for (kind, items) in [("windows", &windows), ("moments", &moments)] {
        let mut reversed = items.clone();
        reversed.reverse();
        assert_eq!(newest_first(&mut client, kind).await, reversed, "{kind}");
    }
    let path = format!("/v1/channels/main/moments?from={}&limit=1", starts[5]);
    assert!(client.get(&path).await.unwrap().json()["items"][0]["window_start"].as_str() >= Some(&starts[5]));
    assert!(all_items(address, "goals", "windows").await.is_empty());
}

/// All items of channel `main`, newest first, in pages of five.
async fn newest_first(client: &mut Client, kind: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/channels/main/{kind}?order=desc&limit=5{cursor}");
        let page = client.get(&path).await.unwrap().json();
        found.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_parameter_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("from=yesterday", "from"),
        ("from=2026-13-01T00:00:00Z", "from"),
        ("to=1", "to"),
        ("order=newest", "order"),
        ("order=desc&cursor=1-2", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=0", "cursor"),
        ("cursor=-1", "cursor"),
        ("cursor=99999999999999999999", "cursor"),
    ] {
        for kind in ["windows", "moments"] {
            let answer = client.get(&format!("/v1/channels/main/{kind}?{query}")).await.unwrap();
            let json = answer.json();
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(answer.problem().as_deref(), Some("parameter-invalid"), "{query}: {json}");
            assert_eq!((answer.status, &json["field"]), (400, &json!(field)), "{query}: {json}");
        }
    }
    for good in
        ["limit=1", "limit=1000", "unknown=1", "order=asc", "order=desc", "from=2026-01-01T00:00:00%2B02:00"]
    {
        let answer = client.get(&format!("/v1/channels/main/windows?{good}")).await.unwrap();
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({"items": [], "next_cursor": null})),
            "{good}"
        );
    }
    let answer = client.get("/v1/channels/none/windows").await.unwrap();
    assert_eq!((answer.status, answer.problem().as_deref()), (404, Some("channel-not-found")));
}
