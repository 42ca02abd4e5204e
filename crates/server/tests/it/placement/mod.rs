//! Placement as viewers, edges and admins meet it. The edges of these tests are played: they report over the internal API.

mod clusters;
mod devices;
mod line;
mod outage;
mod standby;

use std::{net::SocketAddr, path::Path};

use emostream::placement_link::TicketKeys;
use emostream_protocol::placement::{EdgeReport, TicketClaims};
use http_body_util::Full;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{
    client::{Answer, Client},
    now_ms,
    process::Server,
    signed::{Signed, WITH_ADMIN},
};

/// What nodes of these tests show each other.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Edges are not lost because a machine is busy.
const PATIENT: &str = "placement.ttl_ms=600000";

/// A server that holds no viewers itself.
fn start(dir: &Path, settings: &[&str]) -> Server {
    let key = format!("internal.key={KEY}");
    let roles = r#"roles=["ingest", "aggregate", "control"]"#;
    let mut args = [&WITH_ADMIN[..], &["--set", &key, "--set", roles, "--set", PATIENT]].concat();
    settings.iter().for_each(|setting| args.extend(["--set", *setting]));
    Server::start(dir, &args)
}

/// One request with JSON and a token, if there is one.
async fn call(address: SocketAddr, method: &str, path: &str, token: Option<&str>, body: &Value) -> Answer {
    let mut client = Client::connect(address).await.unwrap();
    let mut request = client.request(method, path).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    client.send(request.body(Full::new(body.into())).unwrap()).await.unwrap()
}

/// Registers, and logs in.
async fn member(address: SocketAddr, name: &str) -> String {
    let new = json!({"username": name, "password": "a long password"});
    let made = call(address, "POST", "/v1/register", None, &new).await;
    assert_eq!(made.status, 201, "{made:?}");
    Signed::login(address, name, "a long password").await.token
}

/// Asks for a place.
async fn place(address: SocketAddr, token: Option<&str>, mut more: Value) -> Answer {
    more["channel"] = "main".into();
    call(address, "POST", "/v1/placements", token, &more).await
}

/// What a ticket says, for who knows control's keys.
async fn opened(address: SocketAddr, ticket: &str) -> TicketClaims {
    let keys = call(address, "GET", "/internal/v1/keys", Some(KEY), &Value::Null).await;
    let keys: TicketKeys = serde_json::from_value(keys.json()["tickets"].clone()).unwrap();
    keys.verify(ticket, i64::try_from(now_ms()).unwrap()).unwrap()
}

/// An edge that is played.
struct Edge {
    address: SocketAddr,
    report: EdgeReport,
}

impl Edge {
    /// An edge that reports for the first time.
    async fn join(address: SocketAddr, name: &str, cluster: &str, capacity: u32) -> Self {
        let report = EdgeReport {
            edge: name.into(),
            cluster: cluster.into(),
            url: String::new(),
            port: 3005,
            capacity,
            generation: Uuid::from_bytes(rand::random()),
            number: 0,
            viewers: 0,
            is_leaving: false,
            opened: Vec::new(),
            closed: Vec::new(),
            held: Some(Vec::new()),
        };
        let mut edge = Self { address, report };
        edge.tell(0, &[], &[]).await;
        edge.report.held = None;
        edge
    }

    /// Reports; what the edge is to do.
    async fn tell(&mut self, viewers: u32, opened: &[Uuid], closed: &[Uuid]) -> Value {
        let answer = self.send(viewers, opened, closed).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Reports; the answer as it is, for who goes on meanwhile.
    fn send(
        &mut self,
        viewers: u32,
        opened: &[Uuid],
        closed: &[Uuid],
    ) -> impl Future<Output = Answer> + Send + use<> {
        self.report.number += 1;
        self.report.viewers = viewers;
        (self.report.opened, self.report.closed) = (opened.to_vec(), closed.to_vec());
        let report = serde_json::to_value(&self.report).unwrap();
        let address = self.address;
        async move { call(address, "POST", "/internal/v1/edges/report", Some(KEY), &report).await }
    }
}
