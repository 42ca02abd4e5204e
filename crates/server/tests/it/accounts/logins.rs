//! Logging in: what is told, what is not, and what a flood may cost.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
    task::JoinSet,
};

use super::{ADMIN_PASSWORD, call, login, start, try_login};
use crate::harness::{
    PATIENCE,
    client::get,
    process::{Process, Server},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_login_answers_with_a_token_that_says_who_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let answer = try_login(server.address, "ADMIN", ADMIN_PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["user"], json!({"username": "admin", "role": "admin", "tier": 3}));
    let token = answer["token"].as_str().unwrap();
    let me = call(server.address, "GET", "/v1/me", Some(token), &Value::Null).await.json();
    assert_eq!((&me["username"], &me["role"]), (&json!("admin"), &json!("admin")));
    assert_eq!(me["expires_at"], answer["expires_at"]);
    let metrics = get(server.address, "/metrics").await.unwrap();
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(text.contains("emostream_logins_total{kind=\"succeeded\"} 1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_and_a_wrong_password_cannot_be_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let told = async |name: &str, password: &str| {
        let mut answer = try_login(server.address, name, password).await;
        answer.headers.remove("date");
        (answer.status, answer.headers, answer.body)
    };
    let wrong = told("admin", "not the password").await;
    assert_eq!(wrong.0, 401);
    for (name, password) in
        [("nobody", "not the password"), ("nobody", ADMIN_PASSWORD), ("", "x"), ("admin", ""), ("\u{1}", "x")]
    {
        assert_eq!(told(name, password).await, wrong, "{name:?}");
    }
    let long = "x".repeat(600);
    assert_eq!(told("admin", &long).await, told("nobody", &long).await);
    let log = server.process.stderr();
    assert!(log.contains("login failed") && log.contains("wrong password"), "{log}");
    assert!(!log.contains("not the password") && !log.contains(ADMIN_PASSWORD), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_wrong_is_told_with_its_field() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    for (body, field) in [
        (json!({"username": "admin"}), "password"),
        (json!({"username": 1, "password": "x"}), "username"),
        (json!({"username": "admin", "password": "x", "remember": true}), "remember"),
    ] {
        let answer = call(server.address, "POST", "/v1/login", None, &body).await;
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!(field)), "{answer:?}");
    }
    let large = json!({"username": "a", "password": "x".repeat(5_000)});
    assert_eq!(call(server.address, "POST", "/v1/login", None, &large).await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_at_one_name_is_refused_and_others_still_log_in() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let token = login(server.address, "admin", ADMIN_PASSWORD).await;
    let body = json!({"username": "ada", "password": "password of ada", "role": "viewer"});
    assert_eq!(call(server.address, "POST", "/v1/users", Some(&token), &body).await.status, 201);
    let mut statuses = Vec::new();
    for _ in 0..15 {
        statuses.push(try_login(server.address, "ada", "a guess").await);
    }
    let refused: Vec<_> = statuses.iter().filter(|answer| answer.status == 429).collect();
    assert!(!refused.is_empty() && refused.len() <= 5, "{statuses:?}");
    assert!(refused.iter().all(|answer| answer.header("retry-after").is_some()), "{refused:?}");
    assert_eq!(try_login(server.address, "ada", "password of ada").await.status, 429);
    login(server.address, "admin", ADMIN_PASSWORD).await;
}

/// Logs in from an address of its own; status and whole answer.
async fn login_from(server: SocketAddr, from: IpAddr, n: usize) -> (u16, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    let mut stream = socket.connect(server).await.unwrap();
    let body = json!({"username": format!("user{n}"), "password": "a guess"}).to_string();
    let head = format!(
        "POST /v1/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

/// The value of a metric without labels.
async fn gauge(address: SocketAddr, name: &str) -> i64 {
    let text = get(address, "/metrics").await.unwrap().body;
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_logins_is_bounded_and_everything_else_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let address = server.address;
    let mut flood = JoinSet::new();
    for n in 0..300_usize {
        let from = IpAddr::from([127, 0, 1, u8::try_from(n / 10 + 1).unwrap()]);
        flood.spawn(async move {
            tokio::time::timeout(PATIENCE, login_from(address, from, n)).await.expect("an answer")
        });
    }
    let mut most = 0;
    let mut answers = Vec::new();
    while let Some(answer) = flood.join_next().await {
        answers.push(answer.unwrap());
        if answers.len() % 10 == 1 {
            most = most.max(gauge(address, "emostream_password_hashes_in_line ").await);
            let taken =
                crate::harness::client::react(address, "main", &json!({"emote": "🔥"})).await.unwrap();
            assert_eq!(taken.status, 200);
        }
    }
    assert!(most <= 68, "{most} hashes at once or in line");
    assert!(answers.iter().any(|(status, _)| *status == 401));
    for (status, answer) in &answers {
        match status {
            401 => {}
            429 | 503 => assert!(answer.to_lowercase().contains("\r\nretry-after: "), "{answer}"),
            _ => panic!("{answer}"),
        }
    }
    assert_eq!(gauge(address, "emostream_password_hashes_in_line ").await, 0);
    login(address, "admin", ADMIN_PASSWORD).await;
}

/// The password that the first start showed.
fn shown_password(server: &Server) -> Option<String> {
    let stdout = server.process.stdout();
    Some(stdout.lines().find_map(|line| line.strip_prefix("admin password: "))?.split(' ').next()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_shows_a_password_once_and_tokens_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let password = shown_password(&server).expect("a password is shown");
    let token = login(server.address, "admin", &password).await;
    assert!(!server.process.stderr().contains(&password));
    server.stop();
    let server = Server::start(dir.path(), &[]);
    assert_eq!(shown_password(&server), None);
    assert_eq!(call(server.address, "GET", "/v1/me", Some(&token), &Value::Null).await.status, 200);
    login(server.address, "admin", &password).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environments_admin_is_applied_at_every_start() {
    let dir = tempfile::tempdir().unwrap();
    let with = |password: &str| {
        let mut command = crate::harness::process::command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir.path());
        command.env("ADMIN_USERNAME", "boss").env("ADMIN_PASSWORD", password).env("TOKEN_SECRET", "short");
        Process::spawn(command).ready().unwrap_or_else(|ended| panic!("{ended:?}"))
    };
    let server = with("pw1");
    assert_eq!(shown_password(&server), None);
    let token = login(server.address, "boss", "pw1").await;
    server.stop();
    let server = with("pw1");
    assert_eq!(call(server.address, "GET", "/v1/me", Some(&token), &Value::Null).await.status, 200);
    server.stop();
    let server = with("pw2");
    assert_eq!(call(server.address, "GET", "/v1/me", Some(&token), &Value::Null).await.status, 401);
    assert_eq!(try_login(server.address, "boss", "pw1").await.status, 401);
    login(server.address, "boss", "pw2").await;
    assert!(server.process.stderr().contains("TOKEN_SECRET is shorter"), "{}", server.process.stderr());
}

#[test]
fn secrets_are_never_shown_and_empty_ones_refused() {
    let mut command = crate::harness::process::command();
    command.arg("check-config").env("ADMIN_PASSWORD", "hunter2").env("TOKEN_SECRET", "swordfish");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("control.token_secret is set"), "{output:?}");
    assert!(!text.contains("hunter2") && !text.contains("swordfish"), "{text}");
    for key in ["control.token_secret", "control.admin_password"] {
        let output = crate::harness::process::run(&["check-config", "--set", &format!("{key}=")]);
        assert_eq!(output.status.code(), Some(2), "{key}: {output:?}");
    }
}
