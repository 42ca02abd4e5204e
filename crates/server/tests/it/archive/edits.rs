//! Moderators name, annotate and hide moments over HTTP.

use serde_json::{Value, json};

use super::{ADMIN, as_admin, burst};
use crate::{
    harness::{client::Client, windows::all_items},
    http::start,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moment_is_named_annotated_and_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &ADMIN);
    let moments = burst(server.address, "🔥", 2).await;
    let path = format!("/v1/channels/main/moments/{}", moments[0]["id"].as_str().unwrap());
    let mut client = Client::connect(server.address).await.unwrap();
    let named = as_admin(&mut client, "PATCH", &path, &[], &json!({"title": "1:0", "note": "left"})).await;
    assert_eq!(
        (named.status, &named.json()["title"], &named.json()["note"]),
        (200, &json!("1:0"), &json!("left"))
    );
    assert_eq!(all_items(server.address, "main", "moments").await[0], named.json());
    // What is absent stays, null takes away.
    let cleared = as_admin(&mut client, "PATCH", &path, &[], &json!({"note": null})).await.json();
    assert_eq!((&cleared["title"], &cleared["note"]), (&json!("1:0"), &Value::Null));
    let hidden = as_admin(&mut client, "PATCH", &path, &[], &json!({"hidden": true})).await.json();
    assert_eq!(hidden["hidden"], true);
    assert_eq!(client.get(&path).await.unwrap().status, 404);
    let seen = all_items(server.address, "main", "moments").await;
    assert_eq!(seen.len(), moments.len() - 1);
    // Nor is there a way around: the log's own pages know nothing of what is hidden.
    let around = client.get("/v1/channels/main/moments?cursor=0-0").await.unwrap();
    assert_eq!((around.status, &around.json()["field"]), (400, &json!("cursor")), "{around:?}");
    let all =
        as_admin(&mut client, "GET", "/v1/channels/main/moments?include_hidden=true", &[], &json!(null))
            .await;
    assert_eq!(all.json()["items"][0], hidden);
    assert_eq!(as_admin(&mut client, "GET", &path, &[], &json!(null)).await.json(), hidden);
    let csv = client.get("/v1/channels/main/moments/export?format=csv").await.unwrap();
    assert_eq!(String::from_utf8_lossy(&csv.body).lines().count(), moments.len());
    for (body, field) in [
        (json!({"title": "x".repeat(201)}), "title"),
        (json!({"title": "two\nlines"}), "title"),
        (json!({"note": "x".repeat(2_001)}), "note"),
        (json!({"hidden": "yes"}), "hidden"),
        (json!({"name": "x"}), "name"),
    ] {
        let answer = as_admin(&mut client, "PATCH", &path, &[], &body).await;
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!(field)), "{body}: {answer:?}");
    }
    let none =
        as_admin(&mut client, "PATCH", "/v1/channels/main/moments/main:1", &[], &json!({"hidden": true}))
            .await;
    assert_eq!(none.problem().as_deref(), Some("moment-not-found"));
    let request = client.request("PATCH", &path).header("content-type", "application/json");
    let anonymous = client.send(request.body("{}".into()).unwrap()).await.unwrap();
    assert_eq!((anonymous.status, anonymous.problem().as_deref()), (401, Some("token-missing")));
}
