//! System D's subscribers: places, what is broadcast to those who read and those who are called, and whom the server calls.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use super::{post, start};
use crate::harness::{
    PATIENCE,
    client::{Answer, Client, get},
    process::Server,
    signed::{Signed, WITH_ADMIN},
    wait_for,
};

/// POST of JSON, with the headers of the answer.
async fn call(address: SocketAddr, path: &str, body: &Value) -> Answer {
    let mut client = Client::connect(address).await.unwrap();
    client.post(path, "application/json", body.to_string()).await.unwrap()
}

fn tap(address: SocketAddr, emoji: &str) {
    let body = json!({"user_id": "ada", "emoji_type": emoji, "timestamp": "2025-04-06T10:32:11.123Z"});
    assert_eq!(post(address, "/send-emoji", &body.to_string()).0, 200);
}

/// A client that reads `GET /notify-client`.
struct Reader(BufReader<TcpStream>);

impl Reader {
    async fn open(address: SocketAddr, client: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /notify-client?client_id={client} HTTP/1.0\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reader = Self(BufReader::new(stream));
        let head = reader.line().await.unwrap();
        assert!(head.contains(" 200 "), "{head}");
        // The comment with which the stream begins.
        while !reader.line().await.unwrap().starts_with(": ") {}
        reader
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("nothing comes").unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next line of a window; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(data) = self.line().await?.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }
}

/// A client that is called. It counts connections, keeps what it is sent, and answers as it is told.
struct Called {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<(String, Value)>,
}

impl Called {
    async fn listen(ip: &str, answer: &'static str) -> Self {
        let listener = TcpListener::bind((ip.parse::<IpAddr>().unwrap(), 0)).await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Seen>>::default());
        let mut serving = JoinSet::new();
        let to = seen.clone();
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                to.lock().unwrap().connections += 1;
                let mut stream = BufReader::new(stream);
                while let Some(request) = request(&mut stream).await {
                    to.lock().unwrap().requests.push(request);
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        Self { address, seen, _serving: serving }
    }

    fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    async fn first_request(&self) -> (String, Value) {
        wait_for("a call", async || self.seen.lock().unwrap().requests.first().cloned()).await
    }
}

/// The head of a request and its body.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, serde_json::from_slice(&body).unwrap()))
}

const TAKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test(flavor = "multi_thread")]
async fn d_a_client_that_finds_no_room_is_told_to_ask_again_and_gets_the_place_of_one_who_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["--set", "edge.viewers_max=2"]);
    let address = server.address;
    let register = async |client: &str| call(address, "/register", &json!({"client_id": client})).await;
    for client in ["c1", "c2", "c1"] {
        let answer = register(client).await;
        assert_eq!((answer.status, &answer.json()["capacity"]), (200, &json!(2)), "{answer:?}");
        assert!(
            answer.json()["subscriber"].is_string() && answer.json()["cluster"].is_string(),
            "{answer:?}"
        );
    }
    let full = register("c3").await;
    assert_eq!((full.status, &full.json()["capacity"]), (503, &json!(2)), "{full:?}");
    assert!(full.json()["error"].is_string(), "{full:?}");
    assert!(full.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    // The places are those of the edge: a viewer finds none either.
    assert_eq!(get(address, "/v1/channels/main/events").await.unwrap().status, 503);
    assert_eq!(call(address, "/deregister", &json!({"client_id": "c3"})).await.status, 404);
    assert_eq!(call(address, "/deregister", &json!({"client_id": "c1"})).await.status, 200);
    assert_eq!(call(address, "/deregister", &json!({"client_id": "c1"})).await.status, 404);
    assert_eq!(register("c3").await.status, 200);
    assert_eq!(get(address, "/notify-client?client_id=c1").await.unwrap().status, 404);
    assert_eq!(get(address, "/notify-client").await.unwrap().status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn d_a_client_reads_each_window_from_its_registration_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["--set", "compat.notify_idle_ms=5000", "--set", "edge.viewers_max=1"]);
    let register = json!({"client_id": "c1"});
    assert_eq!(call(server.address, "/register", &register).await.status, 200);
    // It has not begun to read: the window waits for it.
    tap(server.address, "happy");
    let mut first = Reader::open(server.address, "c1").await;
    let line = first.next().await.unwrap();
    assert_eq!((&line["emoji_type"], &line["count"], &line["shown"]), (&json!("😀"), &json!(1), &json!(0)));
    assert!(line["window_start"].as_str().unwrap().ends_with('Z'), "{line}");
    // Who connects anew is the one who reads.
    let mut second = Reader::open(server.address, "c1").await;
    assert_eq!(first.next().await, None);
    tap(server.address, "sad");
    assert_eq!(second.next().await.unwrap()["emoji_type"], "😢");
    // While it is connected it keeps its place, however quiet the event is; afterwards it loses it.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    tap(server.address, "happy");
    assert_eq!(second.next().await.unwrap()["emoji_type"], "😀");
    drop(second);
    let other = json!({"client_id": "c2"});
    let free = async || (call(server.address, "/register", &other).await.status == 200).then_some(());
    wait_for("the place of a client that reads nothing to be free", free).await;
    let mut third = Reader::open(server.address, "c2").await;
    assert_eq!(call(server.address, "/deregister", &other).await.status, 200);
    assert_eq!(third.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn d_a_client_with_a_url_is_called_with_each_line() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["--set", "compat.notify_networks=[\"127.0.0.0/8\"]"]);
    let client = Called::listen("127.0.0.1", TAKEN).await;
    let url = format!("http://127.0.0.1:{}/notify-client?of=c1", client.address.port());
    let register = json!({"client_id": "c1", "client_url": url});
    assert_eq!(call(server.address, "/register", &register).await.status, 200);
    tap(server.address, "happy");
    let (head, line) = client.first_request().await;
    assert!(head.starts_with("POST /notify-client?of=c1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!((&line["emoji_type"], &line["count"], &line["shown"]), (&json!("😀"), &json!(1), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn d_a_client_that_fails_loses_its_place_and_leads_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let networks = "compat.notify_networks=[\"127.0.0.1/32\"]";
    let server = start(dir.path(), &["--set", networks, "--set", "edge.viewers_max=1"]);
    let inner = Called::listen("127.0.0.1", TAKEN).await;
    let target = format!("http://127.0.0.1:{}/admin", inner.address.port());
    let redirect =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
    let client = Called::listen("127.0.0.1", redirect.leak()).await;
    let url = format!("http://127.0.0.1:{}/", client.address.port());
    assert_eq!(
        call(server.address, "/register", &json!({"client_id": "c1", "client_url": url})).await.status,
        200
    );
    tap(server.address, "happy");
    let let_in = async || {
        let answer = call(server.address, "/register", &json!({"client_id": "c2"})).await;
        (answer.status == 200).then_some(())
    };
    wait_for("the place of a client that fails to be free", let_in).await;
    assert_eq!(client.seen.lock().unwrap().requests.len(), 3, "one call and two more attempts");
    assert_eq!(inner.connections(), 0, "a redirect was followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn d_nobody_is_called_who_is_not_listed_however_the_address_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (listed, inner) =
        (Called::listen("127.0.0.2", TAKEN).await, Called::listen("127.0.0.1", TAKEN).await);
    let port = inner.address.port();
    let mut refusals = Vec::new();
    // Without a list nobody is called; with one, only who is in it.
    for networks in ["[]", "[\"127.0.0.2/32\", \"10.0.0.0/8\"]"] {
        let data = dir.path().join(networks.len().to_string());
        let server = start(&data, &["--set", &format!("compat.notify_networks={networks}")]);
        for host in [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "2130706433",
            "0x7f.1",
            "017700000001",
            "0.0.0.0",
            "169.254.169.254",
            "10.0.0.1@127.0.0.1",
            "nowhere.invalid",
        ] {
            let register = json!({"client_id": "c1", "client_url": format!("http://{host}:{port}/")});
            let answer = call(server.address, "/register", &register).await;
            assert_eq!(answer.status, 400, "{host}: {answer:?}");
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(error.starts_with("client_url: "), "{error}");
            if !host.contains('@') {
                refusals.push(error);
            }
        }
        for url in ["https://127.0.0.2/", "file:///etc/passwd", "127.0.0.2", "gopher://127.0.0.2/", "http://"]
        {
            let answer =
                call(server.address, "/register", &json!({"client_id": "c1", "client_url": url})).await;
            assert_eq!(answer.status, 400, "{url}: {answer:?}");
        }
        if networks != "[]" {
            let url = format!("http://127.0.0.2:{}/", listed.address.port());
            let register = json!({"client_id": "c1", "client_url": url});
            assert_eq!(call(server.address, "/register", &register).await.status, 200);
            tap(server.address, "happy");
            listed.first_request().await;
        }
    }
    // What a name stands for here, and whether it stands for anything, is not told.
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert_eq!(inner.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn d_a_registration_that_fits_nothing_is_a_400_that_names_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let long = "x".repeat(65);
    for (body, field) in [
        (json!({}), "client_id"),
        (json!([]), "client_id"),
        (json!({"client_id": ""}), "client_id: "),
        (json!({"client_id": 7}), "client_id: "),
        (json!({"client_id": long}), "client_id: "),
        (json!({"client_id": "a\u{0}b"}), "client_id: "),
        (json!({"client_id": "c1", "client_url": 7}), "client_url: "),
        (json!({"client_id": "c1", "client_url": ""}), "client_url: "),
    ] {
        let answer = call(server.address, "/register", &body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.json()["error"].as_str().unwrap().contains(field), "{body}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d_a_channel_for_members_and_an_edge_with_tickets_only_have_no_place_for_clients() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &WITH_ADMIN);
    let register = async |address: SocketAddr| call(address, "/register", &json!({"client_id": "c1"})).await;
    assert_eq!(register(server.address).await.status, 200);
    let mut reader = Reader::open(server.address, "c1").await;
    let mut admin = Signed::admin(server.address).await;
    let headers = [("if-match", "*"), ("content-type", "application/json")];
    let put = admin.send("PUT", "/v1/channels/main/settings", &headers, r#"{"guests": "refused"}"#).await;
    assert_eq!(put.status, 200, "{put:?}");
    // Who was there before has to go, and does not come back.
    while reader.next().await.is_some() {}
    let refused = wait_for("the place to be taken away", async || {
        let answer = register(server.address).await;
        (answer.status == 403).then_some(answer)
    })
    .await;
    assert!(refused.json()["error"].is_string(), "{refused:?}");

    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["--set", "placement.required=true"]);
    let refused = register(server.address).await;
    assert_eq!(refused.status, 403, "not that every place is taken: {refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn d_clients_that_answer_nothing_keep_no_other_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [r#"compat.notify_networks=["127.0.0.0/8"]"#, "compat.notify_timeout_ms=30000"];
    let args: Vec<_> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    let server = start(dir.path(), &args);
    let address = server.address;
    let register = async |client: &str, at: SocketAddr| {
        let body = json!({"client_id": client, "client_url": format!("http://{at}/")});
        assert_eq!(call(address, "/register", &body).await.status, 200);
    };
    let silent = Called::listen("127.0.0.2", "").await;
    for n in 0..100 {
        register(&format!("s{n}"), silent.address).await;
    }
    tap(address, "happy");
    wait_for("calls of the silent", async || (silent.connections() >= 8).then_some(())).await;
    // All of them want to be called now.
    let honest = Called::listen("127.0.0.1", TAKEN).await;
    register("honest", honest.address).await;
    tap(address, "sad");
    assert_eq!(honest.first_request().await.1["emoji_type"], "😢");
    // Not as many as there may be calls of all.
    assert!(silent.connections() < 64, "{}", silent.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn d_who_is_called_reads_on_one_connection_besides() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["--set", r#"compat.notify_networks=["127.0.0.0/8"]"#]);
    let called = Called::listen("127.0.0.1", TAKEN).await;
    let register = json!({"client_id": "c1", "client_url": format!("http://{}/", called.address)});
    assert_eq!(call(server.address, "/register", &register).await.status, 200);
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(Reader::open(server.address, "c1").await);
    }
    let mut newest = readers.pop().unwrap();
    for mut reader in readers {
        assert_eq!(reader.next().await, None);
    }
    tap(server.address, "sad");
    assert_eq!(newest.next().await.unwrap()["emoji_type"], "😢");
    assert_eq!(called.first_request().await.1["emoji_type"], "😢");
}
