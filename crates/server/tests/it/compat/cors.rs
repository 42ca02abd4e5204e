//! System A's front end on another origin, and what other origins cannot do.

use hyper::Method;

use super::start;
use crate::harness::client::{Answer, Client, react};

const ORIGIN: &str = "http://localhost:5173";

async fn preflight(client: &mut Client, path: &str, method: &str, origin: &str) -> Answer {
    let request = client
        .request("OPTIONS", path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization,content-type")
        .body(Default::default());
    client.send(request.unwrap()).await.unwrap()
}

async fn call(client: &mut Client, method: Method, path: &str, origin: &str) -> Answer {
    let request = client.request(method.as_str(), path).header("origin", origin).body(Default::default());
    client.send(request.unwrap()).await.unwrap()
}

fn opened_to(answer: &Answer) -> Option<&str> {
    assert_eq!(answer.header("access-control-allow-credentials"), None, "{answer:?}");
    answer.header("access-control-allow-origin")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_end_on_another_origin_works() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    for (path, method) in [
        ("/login", "POST"),
        ("/settings/threshold", "PUT"),
        ("/settings/interval", "GET"),
        ("/settings/allowed-emotes", "PUT"),
        ("/emoji", "POST"),
        ("/send-emoji", "POST"),
        ("/emojis", "POST"),
        ("/v1/channels/main/moments", "GET"),
    ] {
        let answer = preflight(&mut client, path, method, ORIGIN).await;
        assert_eq!((answer.status, opened_to(&answer)), (204, Some("*")), "{path}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-methods"), Some(method));
        let headers = answer.header("access-control-allow-headers").unwrap();
        assert!(["authorization", "content-type", "if-match"].iter().all(|name| headers.contains(name)));
    }
    // Errors can be read as well, and what a page needs of their headers.
    let answer = call(&mut client, Method::GET, "/settings/threshold", ORIGIN).await;
    assert_eq!((answer.status, opened_to(&answer)), (401, Some("*")), "{answer:?}");
    assert!(answer.json()["error"].is_string());
    assert!(answer.header("access-control-expose-headers").unwrap().contains("retry-after"));
    let answer = call(&mut client, Method::GET, "/v1/channels/main/windows", ORIGIN).await;
    assert_eq!((answer.status, opened_to(&answer)), (200, Some("*")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_is_open_to_other_origins() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    for path in ["/", "/metrics", "/health", "/livez", "/readyz", "/openapi.json", "/nothing"] {
        let answer = call(&mut client, Method::GET, path, ORIGIN).await;
        assert_eq!(opened_to(&answer), None, "{path}");
        let answer = preflight(&mut client, path, "GET", ORIGIN).await;
        assert_eq!(opened_to(&answer), None, "{path}");
    }
    for (path, method) in [
        ("/v1/channels/main/settings", "GET"),
        ("/v1/channels/main/settings", "PUT"),
        ("/v1/channels", "POST"),
        ("/v1/channels/main/reactions", "POST"),
        // A method that the path does not have.
        ("/settings/threshold", "DELETE"),
    ] {
        let answer = preflight(&mut client, path, method, ORIGIN).await;
        assert_eq!(opened_to(&answer), None, "{method} {path}: {answer:?}");
        assert_ne!(answer.status, 204, "{method} {path}");
    }
    // Without an origin, nothing is said about origins.
    let answer = react(server.address, "main", &serde_json::json!({"emote": "🔥"})).await.unwrap();
    assert_eq!(opened_to(&answer), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_origins_are_the_only_ones() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["--set", "http.cors_origins=[\"https://studio.example\"]"]);
    let mut client = Client::connect(server.address).await.unwrap();
    let known = "https://studio.example";
    for (path, method) in [
        ("/v1/channels/main/settings", "PUT"),
        ("/v1/channels/main/reactions", "POST"),
        ("/settings/threshold", "PUT"),
        ("/v1/channels/main/moments", "GET"),
    ] {
        let answer = preflight(&mut client, path, method, known).await;
        assert_eq!((answer.status, opened_to(&answer)), (204, Some(known)), "{method} {path}");
        assert!(answer.header("vary").unwrap().contains("origin"));
        for other in [ORIGIN, "https://studio.example.evil.org", "null"] {
            let answer = preflight(&mut client, path, method, other).await;
            assert_eq!(opened_to(&answer), None, "{method} {path} {other}");
        }
    }
    assert_eq!(opened_to(&call(&mut client, Method::GET, "/metrics", known).await), None);
    // The hot route, which is answered in front of all others.
    let body = serde_json::json!({"emote": "🔥", "user_id": "ada"}).to_string();
    for (origin, expected) in [(known, Some(known)), (ORIGIN, None)] {
        let request = client.request("POST", "/v1/channels/main/reactions").header("origin", origin);
        let answer = client.send(request.body(body.clone().into()).unwrap()).await.unwrap();
        assert_eq!((answer.status, opened_to(&answer)), (200, expected));
    }
}
