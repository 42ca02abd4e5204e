//! System B as its user meets it: register, log in, be sent to a cluster, watch there, post, and have one device too many.

use std::{net::SocketAddr, path::Path};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use futures_util::StreamExt as _;

use super::{post, start};
use crate::harness::{
    PATIENCE,
    client::{Client as Http, get},
    process::{Process, Server, command},
    signed::{Signed, WITH_ADMIN},
    wait_for,
};

const PASSWORD: &str = "correct horse";

/// B's clusters on free ports, each with room for so many; the account `admin` is there.
fn clusters(data_dir: &Path, capacity: u32, at: &[SocketAddr]) -> Server {
    let edge = |number: usize| {
        let listen = at.get(number).map_or_else(|| "127.0.0.1:0".to_owned(), ToString::to_string);
        format!(
            "{{name=\"edge{number}\",cluster=\"cluster{number}\",listen=\"{listen}\",capacity={capacity}}}"
        )
    };
    let edges = format!("edges=[{},{}]", edge(0), edge(1));
    let own = ["--preset", "socket-clusters", "--set", &edges, "--set", "placement.report_ms=200"];
    start(data_dir, &[&own[..], &WITH_ADMIN].concat())
}

/// Logs in again and again until there is room, more often than one may, or the login is refused for what it says.
async fn log_in(address: SocketAddr, body: &Value) -> (u16, Value) {
    let answered = async || {
        let (status, answer) = post(address, "/login", &body.to_string());
        (!matches!(status, 429 | 503)).then_some((status, answer))
    };
    wait_for("a login that is answered", answered).await
}

fn register(address: SocketAddr, name: &str, tier: u8) {
    let body = json!({"name": name, "tier": tier, "password": PASSWORD});
    let (status, answer) = post(address, "/register", &body.to_string());
    assert_eq!((status, &answer), (201, &json!({"name": name, "tier": tier})));
}

fn as_device(name: &str, device: &str) -> Value {
    json!({"name": name, "password": PASSWORD, "device_id": device})
}

/// Comes again with what a refusal has given, instead of the password.
fn returning(name: &str, refused: &Value) -> Value {
    json!({
        "name": name,
        "token": refused["token"],
        "device_id": refused["device_id"],
        "line": refused["line"]["token"],
    })
}

/// What a counter says, or those with the same beginning together; logins are passwords that were looked at.
async fn counted(address: SocketAddr, counter: &str) -> u64 {
    let metrics = get(address, "/metrics").await.unwrap();
    let value = |line: &str| line.strip_prefix(counter)?.rsplit_once(' ')?.1.parse::<u64>().ok();
    String::from_utf8_lossy(&metrics.body).lines().filter_map(value).sum()
}

struct ClusterSocket(WebSocketStream<TcpStream>);

impl ClusterSocket {
    /// Follows a login's answer, as B's page does.
    async fn open(login: &Value) -> Self {
        let url = login["cluster"]["url"].as_str().unwrap();
        let host = url.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(host).await.unwrap();
        let url = format!("ws://{host}/?ticket={}", login["ticket"].as_str().unwrap());
        Self(tokio_tungstenite::client_async(url, stream).await.unwrap().0)
    }

    /// The next line, or the code of the close.
    async fn next(&mut self) -> Result<Value, u16> {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Message::Close(Some(close)))) => return Err(close.code.into()),
                    Some(Ok(_)) => {}
                    end => panic!("no line before {end:?}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("nothing from the cluster")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b_register_log_in_and_watch_on_the_allotted_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let server = clusters(dir.path(), 10, &[]);
    let [main, first, second] = server.addresses()[..] else { panic!("{:?}", server.addresses()) };
    // On any server, edges among them.
    register(main, "ada", 1);
    register(second, "Bea", 2);
    let taken = json!({"name": "bea", "tier": 1, "password": PASSWORD});
    assert_eq!(post(first, "/register", &taken.to_string()).0, 409);
    let (status, login) = log_in(main, &as_device("ada", "tab-1")).await;
    assert_eq!((status, &login["tier"]), (200, &json!(1)), "{login}");
    let url = login["cluster"]["url"].as_str().unwrap();
    assert!([first, second].iter().any(|edge| url == format!("http://{edge}")), "{login}");
    assert!(login["cluster"]["name"].as_str().unwrap().starts_with("cluster"), "{login}");
    let mut socket = ClusterSocket::open(&login).await;
    // The token is that of /v1/login.
    let mut http = Http::connect(main).await.unwrap();
    let bearer = format!("Bearer {}", login["token"].as_str().unwrap());
    let me = http.request("GET", "/v1/me").header("authorization", bearer).body(Default::default()).unwrap();
    assert_eq!(http.send(me).await.unwrap().json()["username"], "ada");
    for _ in 0..101 {
        assert_eq!(post(first, "/emojis", r#"{"emoji":"happy","user_id":"ada"}"#).0, 200);
    }
    let (mut count, mut shown) = (0, 0);
    while count < 101 {
        let line = socket.next().await.unwrap();
        assert_eq!(line["emoji"], "😀", "{line}");
        assert!(line["window_start"].as_str().unwrap().ends_with('Z'), "{line}");
        let of_window = line["count"].as_u64().unwrap();
        assert_eq!(line["shown"].as_u64().unwrap(), of_window.div_ceil(100));
        (count, shown) = (count + of_window, shown + 1);
    }
    assert_eq!((count, shown > 0), (101, true));
    // A ticket opens one connection.
    assert_eq!(ClusterSocket::open(&login).await.next().await, Err(4007));
    let forged = json!({"cluster": login["cluster"], "ticket": "e30.e30.e30"});
    assert_eq!(ClusterSocket::open(&forged).await.next().await, Err(4007));
}

#[tokio::test(flavor = "multi_thread")]
async fn b_one_device_too_many_is_refused_with_those_that_are_connected() {
    let dir = tempfile::tempdir().unwrap();
    let server = clusters(dir.path(), 10, &[]);
    let address = server.address;
    register(address, "cleo", 3);
    register(address, "dora", 2);
    let (_, first) = log_in(address, &as_device("cleo", "tab-1")).await;
    let mut socket = ClusterSocket::open(&first).await;
    let (status, refused) = log_in(address, &as_device("cleo", "tab-2")).await;
    assert_eq!(status, 409, "{refused}");
    assert!(refused["error"].is_string(), "{refused}");
    let devices = refused["devices"].as_array().unwrap();
    assert_eq!((devices.len(), &devices[0]["device_id"]), (1, &json!("tab-1")), "{refused}");
    assert!(devices[0]["name"].as_str().unwrap().starts_with("curl/"), "{refused}");
    assert!(devices[0]["since"].is_string() && devices[0]["cluster"].is_string(), "{refused}");
    // The same tab, loaded anew, takes its own place over.
    let (status, again) = log_in(address, &as_device("cleo", "tab-1")).await;
    assert_eq!(status, 200, "{again}");
    let mut again = ClusterSocket::open(&again).await;
    assert_eq!(socket.next().await, Err(4504));
    // Another one ends it, with the token of the refusal.
    let mut body = returning("cleo", &refused);
    assert_eq!(body["device_id"], "tab-2");
    body["end_device_id"] = json!("tab-1");
    let (status, other) = log_in(address, &body).await;
    assert_eq!(status, 200, "{other}");
    let other = ClusterSocket::open(&other).await;
    assert_eq!(again.next().await, Err(4505));
    // A tab that is closed frees its place.
    drop(other);
    let free = async || {
        let (status, login) = log_in(address, &as_device("cleo", "tab-3")).await;
        (status == 200).then_some(login)
    };
    wait_for("the place of a closed tab to be free", free).await;
    for (device, expected) in [("a", 200), ("b", 200), ("c", 409)] {
        assert_eq!(log_in(address, &as_device("dora", device)).await.0, expected, "{device}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b_where_no_cluster_has_room_one_is_told_when_to_ask_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = clusters(dir.path(), 1, &[]);
    register(server.address, "eve", 1);
    let (_, first) = log_in(server.address, &as_device("eve", "tab-1")).await;
    let first = ClusterSocket::open(&first).await;
    let (_, second) = log_in(server.address, &as_device("eve", "tab-2")).await;
    let _second = ClusterSocket::open(&second).await;
    let mut http = Http::connect(server.address).await.unwrap();
    let body = json!({"name": "eve", "password": PASSWORD});
    let full = http.post("/login", "application/json", body.to_string()).await.unwrap();
    assert_eq!(full.status, 503, "{full:?}");
    assert!(full.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    let full = full.json();
    assert!(full["error"].is_string() && full["line"]["place"] == 1, "{full}");
    // Waiting takes no password, and nobody is logged in for longer by it.
    let checked = counted(server.address, "emostream_logins_total{").await;
    assert!(checked >= 3, "{checked}");
    let body = returning("Eve", &full);
    let (status, again) = post(server.address, "/login", &body.to_string());
    assert_eq!((status, &again["line"]["place"]), (503, &json!(1)), "{again}");
    assert_eq!((&again["token"], &again["device_id"]), (&full["token"], &full["device_id"]));
    drop(first);
    let (status, third) = log_in(server.address, &body).await;
    assert_eq!(status, 200, "{third}");
    assert_eq!((&third["token"], &third["device_id"]), (&full["token"], &full["device_id"]));
    assert_eq!(counted(server.address, "emostream_logins_total{").await, checked);
    for (name, token, status) in [
        ("eve", json!("e30.e30.e30"), 401),
        ("eve", third["ticket"].clone(), 401),
        ("fay", third["token"].clone(), 400),
        ("eve", json!(7), 400),
        ("eve", json!(""), 400),
    ] {
        let body = json!({"name": name, "token": token, "line": full["line"]["token"], "password": PASSWORD});
        let (got, answer) = post(server.address, "/login", &body.to_string());
        assert_eq!(got, status, "{body}: {answer}");
        assert!(answer["error"].is_string() && answer.get("ticket").is_none(), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b_the_simulated_client_waits_in_line_without_its_password() {
    let dir = tempfile::tempdir().unwrap();
    let server = clusters(dir.path(), 1, &[]);
    let address = server.address;
    register(address, "ian", 1);
    let (_, first) = log_in(address, &as_device("ian", "tab-1")).await;
    let first = ClusterSocket::open(&first).await;
    let (_, second) = log_in(address, &as_device("ian", "tab-2")).await;
    let _second = ClusterSocket::open(&second).await;
    let checked = counted(address, "emostream_logins_total{").await;
    let mut command = command();
    let url = format!("http://{address}");
    let own = ["--name", "ian", "--password", PASSWORD, "--device-id", "tab-3", "--url", &url];
    command.args(["simulate", "cluster-client"]).args(own);
    let waiting = Process::spawn(command);
    let asked = async || {
        let refused = counted(address, "emostream_placements_total{kind=\"no-room\"}").await;
        (refused >= 2).then_some(())
    };
    wait_for("it to ask again", asked).await;
    drop(first);
    let watches = async || waiting.stdout().contains("ian watches on cluster").then_some(());
    wait_for("a place for it", watches).await;
    assert_eq!(counted(address, "emostream_logins_total{").await, checked + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn b_guests_have_to_go_when_the_channel_is_for_members() {
    let dir = tempfile::tempdir().unwrap();
    let server = clusters(dir.path(), 10, &[]);
    register(server.address, "ada", 1);
    let (_, login) = log_in(server.address, &as_device("ada", "tab-1")).await;
    let mut member = ClusterSocket::open(&login).await;
    let (status, placed) = post(server.address, "/v1/placements", r#"{"channel":"main"}"#);
    assert_eq!(status, 200, "{placed}");
    let placed = json!({"cluster": {"url": placed["url"]}, "ticket": placed["ticket"]});
    let mut guest = ClusterSocket::open(&placed).await;
    // Nobody taps: no window tells it.
    let mut admin = Signed::admin(server.address).await;
    let headers = [("if-match", "*"), ("content-type", "application/json")];
    let put = admin.send("PUT", "/v1/channels/main/settings", &headers, r#"{"guests":"refused"}"#).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(guest.next().await, Err(4506));
    let mut ada = Signed::again(server.address, login["token"].as_str().unwrap().to_owned()).await;
    let taken = ada.json("POST", "/v1/channels/main/reactions", &json!({"emote": "😀"})).await;
    assert!(taken.status < 300, "{taken:?}");
    assert_eq!(member.next().await.unwrap()["emoji"], "😀");
}

#[tokio::test(flavor = "multi_thread")]
async fn b_a_registration_or_login_that_fits_nothing_names_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let server = clusters(dir.path(), 1, &[]);
    for (body, field) in [
        (json!({"name": "", "tier": 1, "password": PASSWORD}), "name: "),
        (json!({"name": 7, "tier": 1, "password": PASSWORD}), "name: "),
        (json!({"name": "x".repeat(65), "tier": 1, "password": PASSWORD}), "name: "),
        (json!({"name": "guest:1", "tier": 1, "password": PASSWORD}), "name: "),
        (json!({"name": "fay", "tier": 4, "password": PASSWORD}), "tier: "),
        (json!({"name": "fay", "tier": 0, "password": PASSWORD}), "tier: "),
        (json!({"name": "fay", "tier": "1", "password": PASSWORD}), "tier: "),
        (json!({"name": "fay", "tier": 1, "password": "short"}), "password: "),
        (json!({"name": "fay", "tier": 1}), "password: "),
        (json!({"tier": 1}), "client_id"),
        (json!({}), "system B"),
    ] {
        let (status, answer) = post(server.address, "/register", &body.to_string());
        assert_eq!(status, 400, "{body}: {answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(field), "{body}: {error}");
    }
    register(server.address, "fay", 1);
    for (body, expected, said) in [
        (json!({"name": "fay", "password": "wrong password"}), 401, ""),
        (json!({"name": "nobody", "password": "wrong password"}), 401, ""),
        (json!({"name": "fay"}), 400, "password: "),
        (json!({"name": "fay", "password": PASSWORD, "device_id": ""}), 400, "device_id: "),
        (json!({}), 400, "system B"),
        (json!({}), 400, "system A"),
    ] {
        let (status, answer) = post(server.address, "/login", &body.to_string());
        assert_eq!(status, expected, "{body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(said), "{body}: {answer}");
    }
    let own = ["--set", "accounts.choose_tier=false", "--set", "accounts.registration=false"];
    let closed = start(&dir.path().join("closed"), &own);
    let body = json!({"name": "fay", "tier": 1, "password": PASSWORD});
    assert_eq!(post(closed.address, "/register", &body.to_string()).0, 403);
    let given = start(&dir.path().join("given"), &own[..2]);
    let (status, answer) = post(given.address, "/register", &body.to_string());
    assert_eq!((status, answer), (201, json!({"name": "fay", "tier": 3})), "the default tier");
}

#[tokio::test(flavor = "multi_thread")]
async fn b_the_simulated_client_follows_to_its_cluster_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = clusters(dir.path(), 10, &[]);
    let [main, first, second] = server.addresses()[..] else { panic!("{:?}", server.addresses()) };
    let client = |device: &str, more: &[&str]| {
        let mut command = command();
        let url = format!("http://{main}");
        let own = ["--name", "gil", "--password", PASSWORD, "--device-id", device, "--url", &url];
        command.args(["simulate", "cluster-client"]).args(own).args(more);
        Process::spawn(command)
    };
    let says = async |process: &Process, words: &str, times: usize| {
        let said = async || (process.stdout().matches(words).count() >= times).then_some(());
        wait_for(&format!("{words:?} in {:?} {:?}", process.stdout(), process.stderr()), said).await;
    };
    let watching = client("tab-1", &["--register", "3", "--emoji", "🔥", "--pause", "50ms"]);
    says(&watching, "gil is registered", 1).await;
    says(&watching, "gil watches on cluster", 1).await;
    says(&watching, "🔥 ", 2).await;
    let refused = client("tab-2", &[]).wait();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("tab-1"), "{refused:?}");
    server.kill9();
    says(&watching, "waits for the server", 1).await;
    let data = dir.path();
    let edges = [("edge0", first), ("edge1", second)].map(|(name, listen)| {
        format!("{{name=\"{name}\",cluster=\"cluster\",listen=\"{listen}\",capacity=10}}")
    });
    let mut command = command();
    let (listen, edges) = (main.to_string(), format!("edges=[{}]", edges.join(",")));
    command.args(["serve", "--preset", "socket-clusters", "--listen", &listen, "--data-dir"]).arg(data);
    command.args(["--set", &edges, "--set", "log.durability=os", "--set", "windows.window_ms=200"]);
    let _again = Process::spawn(command).ready().unwrap();
    says(&watching, "gil watches on cluster", 2).await;
    let before = watching.stdout().matches("🔥 ").count();
    says(&watching, "🔥 ", before + 2).await;
}
