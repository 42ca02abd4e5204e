//! Every route of the table × everybody who might call it. A new route is covered as soon as it is in the table.

use std::{collections::BTreeSet, net::SocketAddr};

use emostream::http::{
    access::{Access, Role},
    routes::{Method, ROUTES, Route},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{ADMIN_PASSWORD, TOKEN_SECRET, call, login, new_user, start};
use crate::harness::{PATIENCE, now_ms};

/// Routes that change something and are open to everybody. Any other one that forgot its access is found here.
const OPEN_WRITES: &[&str] = &[
    "/v1/channels/{channel}/reactions",
    "/v1/login",
    "/v1/register",
    "/v1/placements",
    "/login",
    "/register",
    "/deregister",
    "/emoji",
    "/emojis",
    "/send-emoji",
];

/// Paths at and below which nothing is open to everybody.
const NEVER_OPEN: &[&str] =
    &["/v1/users", "/v1/me", "/v1/clusters", "/v1/edges", "/v1/channels/{channel}/settings", "/settings/"];

/// Who calls.
enum Who {
    Nobody,
    Account(Role, String),
    Expired(String),
    Unacceptable(&'static str, String),
}

fn token(header: &Header, secret: &str, username: &str, exp_s: u64) -> String {
    let claims = json!({"username": username, "iat": now_ms() / 1_000, "exp": exp_s, "role": "admin"});
    encode(header, &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// Everybody who might call.
async fn everybody(address: SocketAddr) -> Vec<Who> {
    let admin = login(address, "admin", ADMIN_PASSWORD).await;
    let mut all = vec![Who::Nobody];
    for role in [Role::Viewer, Role::Moderator, Role::Broadcaster] {
        let token = new_user(address, &admin, &format!("the {role}"), role.as_str()).await;
        all.push(Who::Account(role, token));
    }
    let gone = new_user(address, &admin, "gone", "admin").await;
    let removed = call(address, "DELETE", "/v1/users/gone", Some(&admin), &json!(null)).await;
    assert_eq!(removed.status, 204, "{removed:?}");
    let (now_s, hs256) = (now_ms() / 1_000, Header::new(Algorithm::HS256));
    let later_s = now_s + 3_000;
    all.push(Who::Expired(token(&hs256, TOKEN_SECRET, "admin", now_s - 60)));
    let unacceptable = [
        ("account removed", gone),
        ("no such account", token(&hs256, TOKEN_SECRET, "never there", later_s)),
        ("another key", token(&hs256, "another secret", "admin", later_s)),
        ("another algorithm", token(&Header::new(Algorithm::HS512), TOKEN_SECRET, "admin", later_s)),
        ("alg none", unsigned(&admin)),
        ("signature cut off", admin.rsplit_once('.').unwrap().0.to_owned()),
        ("no token at all", "nonsense".to_owned()),
        ("claims exchanged", exchanged(&admin, &token(&hs256, "x", "admin", later_s + 1))),
    ];
    all.extend(unacceptable.map(|(why, token)| Who::Unacceptable(why, token)));
    all.push(Who::Account(Role::Admin, admin));
    all
}

/// The claims of a token under `{"alg":"none","typ":"JWT"}`.
fn unsigned(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")
}

/// The claims of one token between header and signature of another.
fn exchanged(token: &str, claims: &str) -> String {
    let parts: Vec<_> = token.split('.').collect();
    format!("{}.{}.{}", parts[0], claims.split('.').nth(1).unwrap(), parts[2])
}

impl Who {
    fn token(&self) -> Option<&str> {
        match self {
            Self::Nobody => None,
            Self::Account(_, token) | Self::Expired(token) | Self::Unacceptable(_, token) => Some(token),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Nobody => "nobody".into(),
            Self::Account(role, _) => role.to_string(),
            Self::Expired(_) => "expired".into(),
            Self::Unacceptable(why, _) => (*why).into(),
        }
    }

    /// The status and the error with which the table says that this caller is refused; `None`: is let in.
    fn refusal(&self, access: Access) -> Option<(u16, &'static str)> {
        match (access, self) {
            (Access::Anyone, _) | (Access::Optional | Access::Waiting, Self::Nobody | Self::Account(..)) => {
                None
            }
            // Nobody is a node, whatever token of an account they have.
            (Access::Node, _) => Some((403, "forbidden")),
            (Access::Role(needed), Self::Account(role, _)) => (*role < needed).then_some((403, "forbidden")),
            (Access::Role(_), Self::Nobody) => Some((401, "token-missing")),
            (_, Self::Expired(_)) => Some((401, "token-expired")),
            (_, Self::Unacceptable(..)) => Some((401, "token-invalid")),
        }
    }
}

/// The head of the answer, and of a refusal the body: some routes answer for ever.
async fn ask(address: SocketAddr, route: &Route, token: Option<&str>) -> (u16, String) {
    let path: Vec<_> = route.path.split('/').map(fill).collect();
    let (method, path) = (route.method.name(), path.join("/"));
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let body = if matches!(route.method, Method::Get | Method::Delete) { "" } else { "{}" };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{authorization}content-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let asking = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&answer);
            let head = text.split_once("\r\n\r\n").map(|(head, _)| head);
            let status = head.map(|head| head.split(' ').nth(1).unwrap().parse::<u16>().unwrap());
            match status {
                Some(status) if !matches!(status, 401 | 403) => return (status, text.into_owned()),
                _ => {}
            }
            if stream.read_buf(&mut answer).await.unwrap() == 0 {
                let text = String::from_utf8_lossy(&answer).into_owned();
                return (status.unwrap_or_else(|| panic!("no answer: {text}")), text);
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{method} {path}: no answer"))
}

/// A parameter of a path, filled in with what is there or not; nothing that is there is removed by these requests.
fn fill(part: &str) -> &str {
    match part {
        "{channel}" => "main",
        part if part.starts_with('{') => "none-of-this-name",
        part => part,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_the_table_says_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let everybody = everybody(server.address).await;
    let mut wrong = Vec::new();
    for route in ROUTES {
        for who in &everybody {
            let (status, answer) = ask(server.address, route, who.token()).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let as_expected = match who.refusal(route.access) {
                None => !matches!(status, 401 | 403 | 500),
                Some((expected, error)) => {
                    let named = !route.path.starts_with("/v1/") || body.contains(&format!("/errors/{error}"));
                    let challenged = head.to_lowercase().contains("www-authenticate: bearer");
                    status == expected && named && challenged == (expected == 401)
                }
            };
            if !as_expected {
                let (method, path, access) = (route.method.name(), route.path, route.access);
                wrong.push(format!("{method} {path} ({access}) for {}: {answer}", who.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_changes_something_is_open_to_nobody_by_accident() {
    let open: Vec<&Route> =
        ROUTES.iter().filter(|route| !matches!(route.access, Access::Role(_) | Access::Node)).collect();
    let unexpected: BTreeSet<_> = open
        .iter()
        .filter(|route| route.method != Method::Get && !OPEN_WRITES.contains(&route.path))
        .map(|route| route.path)
        .collect();
    assert!(unexpected.is_empty(), "open to everybody: {unexpected:?}");
    for route in &open {
        assert!(!NEVER_OPEN.iter().any(|start| route.path.starts_with(start)), "{}", route.path);
    }
}
