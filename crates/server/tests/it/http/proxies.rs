//! Requests that come through a proxy: it is believed whose they are where the configuration trusts it, and nobody else is.

use std::{net::SocketAddr, path::Path};

use http_body_util::Full;
use serde_json::{Value, json};

use crate::harness::{
    client::{Answer, Client},
    process::Server,
    wait_for,
};

/// One request with what its headers say of the caller.
async fn ask(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut client = Client::connect(address).await.unwrap();
    let mut request = client.request("POST", path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request.body(Full::new(body.to_string().into())).unwrap()).await.unwrap()
}

/// A server whose proxies have addresses of this machine.
fn behind_proxies(dir: &Path, more: &[&str]) -> Server {
    let mut args = vec!["--set", r#"http.trusted_proxies=["127.0.0.0/8", "10.0.0.0/8"]"#];
    more.iter().for_each(|setting| args.extend(["--set", *setting]));
    Server::start(dir, &args)
}

/// Fails to log in; the address that the log has it from.
async fn failed_from(asked: SocketAddr, logged: &Server, headers: &[(&str, &str)]) -> String {
    let before = logged.process.stderr().len();
    let body = json!({"username": "nobody", "password": "wrong password"});
    let answer = ask(asked, "/v1/login", headers, &body).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    wait_for("the failure in the log", async || {
        let said = logged.process.stderr();
        let line = said[before..].lines().find(|line| line.contains("login failed"))?;
        let address = line.split("address=").nth(1)?.split_whitespace().next()?;
        Some(address.to_owned())
    })
    .await
}

const FORWARDED_FOR: &str = "x-forwarded-for";

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_trusted_proxy_speaks_for_itself_only() {
    let dir = tempfile::tempdir().unwrap();
    let limits = ["placement.guests_per_s=1", "placement.guests_burst=3"];
    let args: Vec<&str> = limits.iter().flat_map(|limit| ["--set", *limit]).collect();
    let server = Server::start(dir.path(), &args);
    for headers in [[(FORWARDED_FOR, "203.0.113.7")], [("forwarded", "for=203.0.113.7")]] {
        assert_eq!(failed_from(server.address, &server, &headers).await, "127.0.0.1");
    }
    // Another address in each request does not get around a limit.
    let mut asked = 0_u8;
    let limited = wait_for("the limit", async || {
        asked = asked.wrapping_add(1);
        let caller = format!("203.0.113.{asked}");
        let body = json!({"channel": "main"});
        let answer = ask(server.address, "/v1/placements", &[(FORWARDED_FOR, &caller)], &body).await;
        (answer.status == 429).then_some(answer)
    });
    assert_eq!(limited.await.problem().as_deref(), Some("rate-limited"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_whose_request_it_is() {
    let dir = tempfile::tempdir().unwrap();
    // The limits do not refill while the test runs.
    let limits = ["ingest.address_reactions_per_s=1", "ingest.address_burst=1000"];
    let server = behind_proxies(dir.path(), &limits);
    for (said, caller) in [
        ("203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("203.0.113.7, nonsense", "127.0.0.1"),
    ] {
        assert_eq!(failed_from(server.address, &server, &[(FORWARDED_FOR, said)]).await, caller, "{said}");
    }
    assert_eq!(failed_from(server.address, &server, &[("forwarded", "for=203.0.113.7")]).await, "127.0.0.1");
    // The route that the router does not see counts by the caller as well.
    let many: Vec<Value> = (0..1_000).map(|_| json!({"emote": "🔥"})).collect();
    let react = async |caller: &str| {
        let headers = [(FORWARDED_FOR, caller)];
        ask(server.address, "/v1/channels/main/reactions", &headers, &json!(many)).await.status
    };
    assert_eq!((react("203.0.113.1").await, react("203.0.113.1").await), (200, 429));
    assert_eq!((react("203.0.113.2").await, react("9.9.9.9, 203.0.113.2").await), (200, 429));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standard_header_is_believed_where_it_is_the_configured_one() {
    let dir = tempfile::tempdir().unwrap();
    let server = behind_proxies(dir.path(), &["http.proxy_header=forwarded"]);
    let headers = [("forwarded", "for=1.1.1.1, for=\"[2001:db8::1]:443\";proto=https, for=10.0.0.2")];
    assert_eq!(failed_from(server.address, &server, &headers).await, "2001:db8::1");
    let headers = [(FORWARDED_FOR, "203.0.113.7")];
    assert_eq!(failed_from(server.address, &server, &headers).await, "127.0.0.1", "anybody may have sent it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_passes_a_call_on_says_what_its_proxy_has_said() {
    let dir = tempfile::tempdir().unwrap();
    const KEY: &str = "internal.key=0123456789abcdef0123456789abcdef";
    let home = Server::start(&dir.path().join("home"), &["--set", KEY]);
    let url = format!("control.url=http://{}", home.address);
    let outpost =
        behind_proxies(&dir.path().join("outpost"), &[KEY, &url, r#"roles=["ingest", "aggregate", "edge"]"#]);
    let headers = [(FORWARDED_FOR, "203.0.113.7"), ("x-emostream-caller", "9.9.9.9")];
    assert_eq!(failed_from(outpost.address, &home, &headers).await, "203.0.113.7");
    // Control itself has no proxy.
    assert_eq!(failed_from(home.address, &home, &headers).await, "127.0.0.1");
}

#[test]
fn a_network_that_is_none_is_said() {
    let dir = tempfile::tempdir().unwrap();
    for (setting, expected) in [
        (r#"http.trusted_proxies=["localhost"]"#, "expected a network"),
        ("http.proxy_header=x-real-ip", "expected x-forwarded-for or forwarded"),
    ] {
        let ended = Server::refused(dir.path(), &["--set", setting]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
}
