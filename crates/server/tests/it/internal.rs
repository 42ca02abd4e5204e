//! The internal API: for nodes that show the fleet's key, and for nobody else.

use std::net::{SocketAddr, TcpListener};

use http_body_util::Full;

use crate::harness::{client::Client, process::Server};

mod certificates;
mod elsewhere;

const KEY: &str = "0123456789abcdef0123456789abcdef";

async fn get(address: SocketAddr, path: &str, key: Option<&str>) -> (u16, String) {
    let mut client = Client::connect(address).await.unwrap();
    let mut request = client.request("GET", path);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let answer = client.send(request.body(Full::default()).unwrap()).await.unwrap();
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_shows_the_key_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let key = format!("internal.key={KEY}");
    let server = Server::start(dir.path(), &["--set", &key]);
    let refused = [None, Some("short"), Some("0123456789abcdef0123456789abcdeX"), Some("")];
    for path in ["/internal/v1/keys", "/internal/v1/channels"] {
        for shown in refused {
            let (status, body) = get(server.address, path, shown).await;
            assert_eq!(
                (status, body.contains("nodes of the fleet")),
                (403, true),
                "{path} {shown:?}: {body}"
            );
            assert!(!body.contains("key"), "why is not said: {body}");
        }
        assert_eq!(get(server.address, path, Some(KEY)).await.0, 200, "{path}");
    }
    let (_, keys) = get(server.address, "/internal/v1/keys", Some(KEY)).await;
    let own = std::fs::read_to_string(dir.path().join("keys/guest.json")).unwrap();
    let (keys, own): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(&keys).unwrap(), serde_json::from_str(&own).unwrap());
    assert_eq!(keys["guest"], own);
    let (_, channels) = get(server.address, "/internal/v1/channels", Some(KEY)).await;
    let channels: serde_json::Value = serde_json::from_str(&channels).unwrap();
    assert_eq!((&channels[0]["channel"], &channels[0]["version"]), (&"main".into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nobody_is_answered_and_a_listener_of_its_own_serves_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    assert_eq!(get(server.address, "/internal/v1/keys", Some(KEY)).await.0, 403);
    server.stop();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (key, listen) = (format!("internal.key={KEY}"), format!("internal.listen={free}"));
    let server = Server::start(dir.path(), &["--set", &key, "--set", &listen]);
    assert_eq!(get(free, "/internal/v1/keys", Some(KEY)).await.0, 200);
    assert_eq!(get(free, "/internal/v1/keys", None).await.0, 403);
    assert_eq!(get(free, "/v1/channels/main/windows", None).await.0, 404);
    assert_eq!(get(server.address, "/internal/v1/keys", Some(KEY)).await.0, 404);
    assert_eq!(get(server.address, "/livez", None).await.0, 200);
}
