//! The OpenAPI document against the table of routes and the table of errors, and against what is committed. After a
//! change that is meant: `EMOSTREAM_UPDATE=1 cargo test -p emostream-server --test it openapi`.

use std::{collections::BTreeSet, path::Path};

use emostream::http::{problem::ErrorType, routes::ROUTES};
use serde_json::{Value, json};

use super::start;
use crate::harness::{
    client::{Client, get, react},
    process::Server,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_is_the_one_that_was_reviewed() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let answer = get(server.address, "/openapi.json").await.unwrap();
    let mut document = answer.json();
    document["info"]["version"] = "any".into();
    let found = serde_json::to_string_pretty(&document).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots/openapi.json");
    if std::env::var_os("EMOSTREAM_UPDATE").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == committed,
        "the document differs from {}; see the top of this file:\n{found}",
        path.display()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_lists_every_route_with_its_errors() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let document = get(server.address, "/openapi.json").await.unwrap().json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")), "{document}");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let operations: usize =
        document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(operations, ROUTES.len());
    let mut ids = BTreeSet::new();
    for route in ROUTES {
        let method = route.method.name().to_ascii_lowercase();
        let operation = &document["paths"][route.path][&method];
        assert!(operation["summary"].is_string(), "{method} {}", route.path);
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{operation}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key(&route.document.status.to_string()), "{operation}");
        for response in responses.values() {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{response}");
        }
        for error in route.all_errors() {
            let told = &responses[error.status().as_str()];
            assert!(told["description"].as_str().unwrap().contains(error.name()), "{}: {told}", error.name());
            assert!(told["content"]["application/problem+json"]["schema"].is_object(), "{told}");
        }
        let empty = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&empty);
        for name in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let found = parameters.iter().find(|parameter| parameter["name"] == name).unwrap();
            assert_eq!((&found["in"], &found["required"]), (&json!("path"), &json!(true)));
        }
        assert!(parameters.iter().all(|parameter| parameter["schema"].is_object()), "{operation}");
    }
    check_references(&document, &document);
}

/// Every reference in the document leads somewhere.
fn check_references(document: &Value, part: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                let target = document.pointer(reference.strip_prefix('#').unwrap());
                assert!(target.is_some(), "{reference} leads nowhere");
            }
            fields.values().for_each(|value| check_references(document, value));
        }
        Value::Array(items) => items.iter().for_each(|item| check_references(document, item)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_type_has_its_name_and_its_page() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    let names: BTreeSet<_> = ErrorType::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), ErrorType::ALL.len());
    for kind in ErrorType::ALL {
        let (status, name, title) = kind.facts();
        assert!(status.is_client_error() || status.is_server_error(), "{name}");
        let answer = client.get(&format!("/errors/{name}")).await.unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(
            answer.status == 200 && text.contains(title) && text.contains(status.as_str()),
            "{name}: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_does_not_run_here_is_said() {
    let fire = json!({"emote": "🔥"});
    let not_here = (503, Some("role-not-here".to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--roles", "ingest"]);
    assert_eq!(react(server.address, "main", &fire).await.unwrap().status, 200);
    let events = get(server.address, "/v1/channels/main/events").await.unwrap();
    assert_eq!((events.status, events.problem()), not_here);
    assert_eq!(get(server.address, "/").await.unwrap().json()["roles"], json!(["ingest"]));
    assert_eq!(get(server.address, "/readyz").await.unwrap().status, 200);
    drop(server);

    let server = Server::start(dir.path(), &["--roles", "edge,aggregate"]);
    let refused = react(server.address, "main", &fire).await.unwrap();
    assert_eq!((refused.status, refused.problem()), not_here);
    let refused = react(server.address, "none", &fire).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_deref()), (404, Some("channel-not-found")));
    // What the first one took is counted here.
    let totals = crate::harness::windows::closed_windows_total(server.address, "main", 1).await;
    assert_eq!(json!(totals), json!({"🔥": 1}));
    // Without control there is no archive: the log is read as it was written.
    let newest = get(server.address, "/v1/channels/main/windows?order=desc").await.unwrap();
    assert_eq!((newest.status, &newest.json()["field"]), (400, &json!("order")));
    let mut viewer = crate::harness::client::Viewer::join(server.address, "main", "").await.unwrap();
    viewer.next_of("hello").await;
    viewer.send(&json!({"type": "react", "emote": "🔥"})).await.unwrap();
    assert_eq!(viewer.next_of("error").await["code"], "role-not-here");
}
