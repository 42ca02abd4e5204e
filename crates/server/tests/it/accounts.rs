//! Accounts: logging in, what a token may do, and what becomes of it when the account changes.

mod command;
mod logins;
mod matrix;
mod registration;
mod users;

use std::{net::SocketAddr, path::Path};

use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::harness::{
    client::{Answer, Client},
    process::Server,
};

/// Password of the admin of these tests.
const ADMIN_PASSWORD: &str = "correct horse battery";

/// What these tests' servers sign tokens with.
const TOKEN_SECRET: &str = "the secret of the tests, long enough to be one";

/// A server with an admin of a known password, and a known key.
fn start(dir: &Path) -> Server {
    let password = format!("control.admin_password={ADMIN_PASSWORD}");
    let secret = format!("control.token_secret={TOKEN_SECRET}");
    Server::start(dir, &["--set", &password, "--set", &secret])
}

/// One request with a JSON body, and a token if there is one.
async fn call(address: SocketAddr, method: &str, path: &str, token: Option<&str>, body: &Value) -> Answer {
    let mut client = Client::connect(address).await.unwrap();
    let mut request = client.request(method, path).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    client.send(request.body(Full::new(body)).unwrap()).await.unwrap()
}

/// Tries to log in.
async fn try_login(address: SocketAddr, username: &str, password: &str) -> Answer {
    let body = json!({"username": username, "password": password});
    call(address, "POST", "/v1/login", None, &body).await
}

/// Logs in; the token.
async fn login(address: SocketAddr, username: &str, password: &str) -> String {
    let answer = try_login(address, username, password).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["token"].as_str().unwrap().to_owned()
}

/// Makes an account, and logs in with it.
async fn new_user(address: SocketAddr, admin: &str, username: &str, role: &str) -> String {
    let password = format!("password of {username}");
    let body = json!({"username": username, "password": password, "role": role});
    let made = call(address, "POST", "/v1/users", Some(admin), &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    login(address, username, &password).await
}
