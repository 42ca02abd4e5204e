//! A node without control beside one with it: what it passes on, with a key or certificates, and how it goes on alone.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    KEY,
    certificates::{make_authority, make_certificate, make_certificate_naming, settings},
};
use crate::harness::{
    client::{Answer, Client, get},
    process::Server,
    signed::{PASSWORD, Signed, WITH_ADMIN},
    wait_for,
};

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn set(settings: &[String]) -> Vec<&str> {
    settings.iter().flat_map(|setting| ["--set", setting.as_str()]).collect()
}

/// A node that has all roles, and serves the internal API at an address of its own.
fn home(dir: &Path, internal: SocketAddr, shown: &[String]) -> Server {
    let listen = format!("internal.listen={internal}");
    let args = [&WITH_ADMIN[..], &["--set", &listen], &set(shown)].concat();
    Server::start(&dir.join("home"), &args)
}

/// A node that has all roles but control.
fn outpost(dir: &Path, url: &str, shown: &[String]) -> Server {
    let url = format!("control.url={url}");
    let roles = r#"roles=["ingest", "aggregate", "edge"]"#;
    let args = [&["--set", &url, "--set", roles][..], &set(shown)].concat();
    Server::start(&dir.join("outpost"), &args)
}

async fn log_in(address: SocketAddr, path: &str, password: &str) -> Answer {
    let mut client = Client::connect(address).await.unwrap();
    let body = json!({"username": "admin", "password": password}).to_string();
    client.post(path, "application/json", body).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_passes_on_what_only_control_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (internal, key) = (free(), vec![format!("internal.key={KEY}")]);
    let home = home(dir.path(), internal, &key);
    let outpost = outpost(dir.path(), &format!("http://{internal}"), &key);
    for path in ["/v1/login", "/login"] {
        let answer = log_in(outpost.address, path, PASSWORD).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        let me = Signed::again(home.address, token).await.get("/v1/me").await;
        assert_eq!(me.json()["username"], "admin", "{path}");
        // An answer that says no is told as control tells it.
        let (here, there) = (
            log_in(outpost.address, path, "wrong password").await,
            log_in(home.address, path, "wrong password").await,
        );
        assert_eq!((here.status, &here.body), (401, &there.body), "{path}");
        assert_eq!(here.header("content-type"), there.header("content-type"), "{path}");
    }
    // Nobody else has control's ear, whatever he says of himself.
    for (name, value) in [("x-emostream-caller", "10.0.0.1"), ("authorization", "Bearer x")] {
        for (address, path) in [(internal, "/internal/v1/forward/v1/login"), (internal, "/v1/login")] {
            let mut client = Client::connect(address).await.unwrap();
            let request = client.request("POST", path).header(name, value);
            let body = json!({"username": "admin", "password": PASSWORD}).to_string();
            let answer = client.send(request.body(bytes::Bytes::from(body).into()).unwrap()).await.unwrap();
            assert!([403, 404].contains(&answer.status), "{path}: {answer:?}");
        }
    }
    home.kill9();
    let answer = log_in(outpost.address, "/v1/login", PASSWORD).await;
    assert_eq!(
        (answer.status, answer.problem().as_deref()),
        (503, Some("control-unavailable")),
        "{answer:?}"
    );
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    let answer = log_in(outpost.address, "/login", PASSWORD).await;
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true), "{answer:?}");
    let said = outpost.process.stderr();
    assert!(said.contains("is not passed on") && !said.contains(KEY), "{said}");
    assert_eq!(get(outpost.address, "/readyz").await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_slowly_keeps_nobody_from_control() {
    let dir = tempfile::tempdir().unwrap();
    let (internal, key) = (free(), vec![format!("internal.key={KEY}")]);
    let _home = home(dir.path(), internal, &key);
    let patient = [&key[..], &["http.body_timeout_ms=600000".to_owned()]].concat();
    let outpost = outpost(dir.path(), &format!("http://{internal}"), &patient);
    let mut slow = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(outpost.address).await.unwrap();
        let head = "POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\
                    expect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    // Each is read from: the server asks for the body when it begins to wait for it.
    for stream in &mut slow {
        let mut line = [0; 12];
        stream.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"HTTP/1.1 100");
    }
    let answer = log_in(outpost.address, "/v1/login", PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_a_member_is_asked_of_control_and_remembered_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let (internal, key) = (free(), vec![format!("internal.key={KEY}")]);
    let home = home(dir.path(), internal, &key);
    let members = r#"channels=[{name = "main", guests = "refused"}]"#.to_owned();
    let outpost = outpost(dir.path(), &format!("http://{internal}"), &[key, vec![members]].concat());
    let token = Signed::admin(home.address).await.token;
    let react_with = async |token: &str| {
        let mut signed = Signed::again(outpost.address, token.to_owned()).await;
        signed.json("POST", "/v1/channels/main/reactions", &json!({"emote": "🔥"})).await
    };
    assert_eq!(react_with(&token).await.status, 200);
    let answer = react_with("a.b.c").await;
    assert_eq!((answer.status, answer.problem().as_deref()), (401, Some("token-invalid")), "{answer:?}");
    home.kill9();
    assert_eq!(react_with(&token).await.status, 200, "remembered");
    let answer = react_with("d.e.f").await;
    assert_eq!(
        (answer.status, answer.problem().as_deref()),
        (503, Some("control-unavailable")),
        "{answer:?}"
    );
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_limited_by_the_callers_address_wherever_he_calls() {
    let dir = tempfile::tempdir().unwrap();
    let (internal, key) = (free(), vec![format!("internal.key={KEY}")]);
    let home = home(dir.path(), internal, &key);
    let outpost = outpost(dir.path(), &format!("http://{internal}"), &key);
    let limited = async || {
        let answer = log_in(outpost.address, "/v1/login", "wrong password").await;
        (answer.status == 429).then_some(answer)
    };
    let answer = wait_for("the limit", limited).await;
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    // The address is the same at the other node, and its own attempts count with these.
    assert_eq!(log_in(home.address, "/v1/login", "wrong password").await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_certificates_only_nodes_that_show_one_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    make_authority(dir.path(), "fleet");
    make_authority(dir.path(), "strangers");
    make_certificate(dir.path(), "home", "fleet");
    make_certificate(dir.path(), "outpost", "fleet");
    make_certificate(dir.path(), "stranger", "strangers");
    let internal = free();
    let home = home(dir.path(), internal, &settings(dir.path(), "home", "fleet"));
    let url = format!("https://{internal}");
    let node = outpost(dir.path(), &url, &settings(dir.path(), "outpost", "fleet"));
    assert_eq!(log_in(node.address, "/v1/login", PASSWORD).await.status, 200);
    let kept = |data: &str| std::fs::read_to_string(dir.path().join(data).join("keys/guest.json")).unwrap();
    let current = |keys: &str| serde_json::from_str::<serde_json::Value>(keys).unwrap()["current"].clone();
    assert_eq!(current(&kept("outpost")), current(&kept("home")), "the keys of guests are shared");
    node.stop();

    // One who trusts control and is not trusted, and one who trusts somebody else.
    let mut half = settings(dir.path(), "stranger", "strangers");
    half[2] = settings(dir.path(), "home", "fleet")[2].clone();
    for (shown, why) in [(half, "certificate"), (settings(dir.path(), "outpost", "strangers"), "")] {
        let node = outpost(dir.path(), &url, &shown);
        let answer = log_in(node.address, "/v1/login", PASSWORD).await;
        assert_eq!(answer.problem().as_deref(), Some("control-unavailable"), "{answer:?}");
        let said = home.process.stderr();
        assert!(said.contains("a call of the internal API is refused") && said.contains(why), "{said}");
        node.kill9();
    }
    // In clear, nothing is understood.
    assert!(get(internal, "/internal/v1/keys").await.is_err());
    assert_eq!(home.stop().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_certificates_and_a_key_both_are_needed() {
    let dir = tempfile::tempdir().unwrap();
    make_authority(dir.path(), "fleet");
    make_certificate(dir.path(), "home", "fleet");
    make_certificate(dir.path(), "outpost", "fleet");
    let internal = free();
    let with_key = |name: &str, key: &str| {
        let key = format!("internal.key={key}");
        [settings(dir.path(), name, "fleet"), vec![key]].concat()
    };
    let home = home(dir.path(), internal, &with_key("home", KEY));
    let url = format!("https://{internal}");
    for (key, status) in [(KEY, 200), ("another-key-of-32-characters-0000", 503)] {
        let node = outpost(dir.path(), &url, &with_key("outpost", key));
        assert_eq!(log_in(node.address, "/v1/login", PASSWORD).await.status, status, "{key}");
        node.kill9();
    }
    let node = outpost(dir.path(), &url, &settings(dir.path(), "outpost", "fleet"));
    assert_eq!(log_in(node.address, "/v1/login", PASSWORD).await.status, 503);
    let said = home.process.stderr();
    assert!(said.contains("it shows no key") && said.contains("it shows another key"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_reports_only_as_an_edge_that_its_certificate_names() {
    let dir = tempfile::tempdir().unwrap();
    make_authority(dir.path(), "fleet");
    make_certificate(dir.path(), "home", "fleet");
    make_certificate_naming(dir.path(), "outpost", "fleet", &["north-1"]);
    let internal = free();
    let names = vec!["internal.tls_names=true".to_owned()];
    let home = home(dir.path(), internal, &[settings(dir.path(), "home", "fleet"), names].concat());
    let url = format!("https://{internal}");
    let node = |name: &str| {
        let name = vec![format!("node_name={name}"), "placement.report_ms=200".to_owned()];
        outpost(dir.path(), &url, &[settings(dir.path(), "outpost", "fleet"), name].concat())
    };
    let mut admin = Signed::admin(home.address).await;
    let stranger = node("north-2");
    let said = wait_for("the edge to be told why", async || {
        let said = stranger.process.stderr();
        said.contains("control does not answer reports").then_some(said)
    });
    assert!(said.await.contains("expected a certificate that names the edge"));
    let said = home.process.stderr();
    assert!(said.contains("its certificate does not name the edge") && said.contains("north-2"), "{said}");
    let clusters = admin.get("/v1/clusters").await.json().to_string();
    assert!(!clusters.contains("north-2"), "{clusters}");
    stranger.kill9();
    let _node = node("north-1");
    wait_for("the edge that is named", async || {
        admin.get("/v1/clusters").await.json().to_string().contains("north-1").then_some(())
    })
    .await;
    home.kill9();
    let alone = vec![format!("internal.key={KEY}"), "internal.tls_names=true".to_owned()];
    let ended = Server::refused(&dir.path().join("alone"), &set(&alone));
    assert!(ended.stderr.contains("internal.tls_names"), "{ended:?}");
}

#[test]
fn what_is_missing_of_certificates_is_said() {
    let dir = tempfile::tempdir().unwrap();
    make_authority(dir.path(), "fleet");
    make_certificate(dir.path(), "home", "fleet");
    let all = settings(dir.path(), "home", "fleet");
    let refused = |settings: &[String]| {
        let ended = Server::refused(&dir.path().join("data"), &set(settings));
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended.stderr
    };
    assert!(refused(&all[..2]).contains("internal.tls_ca_file"));
    std::fs::remove_file(dir.path().join("home.key")).unwrap();
    assert!(refused(&all).contains("home.key"));
    let encrypted = "control.url=https://127.0.0.1:1".to_owned();
    assert!(refused(&[encrypted]).contains("internal.tls_cert_file"));
}
