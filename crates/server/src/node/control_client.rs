//! Asks a node with control for what all nodes of a fleet share, tells it how this node's edges are, and passes on to it
//! what only it can answer.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use emostream_protocol::{
    placement::{EdgeOrders, EdgeReport},
    settings::PublishedChannel,
};
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::Bytes,
    header::{self, HeaderMap, HeaderName},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    config::{Config, Secret},
    ingest::identity::GuestKeys,
    members::{Members, NotMember},
    placement_link::{ControlLink, LinkError, TicketKeys},
    tasks::Tasks,
};

mod connections;

use connections::Connections;

/// An answer must be there after so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same for what people wait for: control may have a line of its own, of passwords to be hashed.
const PATIENCE_OF_PEOPLE: Duration = Duration::from_secs(20);

/// Bytes of an answer at most: all channels with their settings.
const ANSWER_BYTES_MAX: usize = 80 << 20;

/// Bytes of an answer to people at most.
const ANSWER_TO_PEOPLE_BYTES_MAX: usize = 1 << 20;

/// A node with control, and what opens its internal API.
#[derive(Clone)]
pub struct ControlClient {
    connections: Connections,
    key: Option<Secret>,
}

/// What came of asking.
enum Asked {
    /// The answer's body.
    Answered(Bytes),
    /// A status that says no, and what was said besides.
    Refused(StatusCode, String),
}

impl ControlClient {
    /// A client for `control.url`; `None` where that is not set.
    pub(crate) fn new(config: &Config, tasks: &Tasks) -> anyhow::Result<Option<Self>> {
        let Some(url) = &config.control.url else { return Ok(None) };
        let connections = Connections::new(url, config.internal.tls(), tasks)?;
        Ok(Some(Self { connections, key: config.internal.key.clone() }))
    }

    /// The keys that sign guests in.
    pub(crate) async fn guest_keys(&self) -> anyhow::Result<GuestKeys> {
        self.keys("guest").await
    }

    async fn keys<T: serde::de::DeserializeOwned>(&self, which: &str) -> anyhow::Result<T> {
        let answer = self.get("/internal/v1/keys").await?;
        let mut answer: serde_json::Value = serde_json::from_slice(&answer).context("read its answer")?;
        serde_json::from_value(answer[which].take()).context("read the keys in its answer")
    }

    /// All channels.
    pub(super) async fn channels(&self) -> anyhow::Result<Vec<PublishedChannel>> {
        let answer = self.get("/internal/v1/channels").await?;
        let items: Vec<&RawValue> = serde_json::from_slice(&answer).context("read its answer")?;
        items.iter().map(|item| Ok(PublishedChannel::decode(item.get().as_bytes())?)).collect()
    }

    async fn get(&self, path: &str) -> anyhow::Result<Bytes> {
        match self.ask(Request::get(path), Bytes::new()).await? {
            Asked::Answered(answer) => Ok(answer),
            Asked::Refused(status, _) => {
                bail!(
                    "control at {} answers {status}; expected the same internal.key on both nodes",
                    self.authority()
                )
            }
        }
    }

    async fn ask(&self, request: hyper::http::request::Builder, body: Bytes) -> anyhow::Result<Asked> {
        let request = self.with_key(request).body(Full::new(body))?;
        let path = request.uri().path().to_owned();
        let answer = self
            .connections
            .exchange(request, PATIENCE, ANSWER_BYTES_MAX)
            .await
            .with_context(|| format!("ask control at {} for {path}", self.authority()))?;
        let (parts, body) = answer.into_parts();
        if parts.status.is_success() {
            return Ok(Asked::Answered(body));
        }
        let said = String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
        Ok(Asked::Refused(parts.status, said))
    }

    /// Passes on what somebody asked, and returns control's answer, whatever it is.
    pub(crate) async fn forward(
        &self,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> anyhow::Result<Response<Bytes>> {
        let mut request = self.with_key(Request::post(path));
        if let Some(all) = request.headers_mut() {
            all.extend(headers);
        }
        let request = request.body(Full::new(body))?;
        let answer = self
            .connections
            .exchange(request, PATIENCE_OF_PEOPLE, ANSWER_TO_PEOPLE_BYTES_MAX)
            .await
            .with_context(|| format!("pass on to control at {}", self.authority()))?;
        // This node is refused, which concerns nobody outside.
        ensure!(
            !answer.headers().contains_key(REFUSED_NODE),
            "control at {} answers {}; expected the same internal.key on both nodes",
            self.authority(),
            answer.status()
        );
        Ok(answer)
    }

    fn with_key(&self, request: hyper::http::request::Builder) -> hyper::http::request::Builder {
        let request = request.header(header::HOST, self.authority());
        match &self.key {
            Some(key) => request.header(header::AUTHORIZATION, format!("Bearer {}", key.reveal())),
            None => request,
        }
    }

    fn authority(&self) -> &str {
        self.connections.authority()
    }

    async fn send_report(&self, report: &EdgeReport) -> Result<EdgeOrders, LinkError> {
        let body = serde_json::to_vec(report).map_err(|error| LinkError::Refused(error.to_string()))?;
        let request =
            Request::post("/internal/v1/edges/report").header(header::CONTENT_TYPE, "application/json");
        let asked = self.ask(request, body.into()).await;
        match asked.map_err(|error| LinkError::Unavailable(format!("{error:#}")))? {
            Asked::Answered(answer) => {
                serde_json::from_slice(&answer).map_err(|error| LinkError::Unavailable(error.to_string()))
            }
            Asked::Refused(status, said) if status.is_client_error() => {
                Err(LinkError::Refused(format!("{status}: {said}")))
            }
            Asked::Refused(status, said) => Err(LinkError::Unavailable(format!("{status}: {said}"))),
        }
    }
}

impl Members for ControlClient {
    fn member(&self, token: String) -> BoxFuture<'_, Result<String, NotMember>> {
        Box::pin(async move {
            let unavailable = |error: String| NotMember::Unavailable(error);
            let request =
                Request::post("/internal/v1/members").header(header::CONTENT_TYPE, "application/json");
            let body = serde_json::json!({ "token": token }).to_string();
            match self.ask(request, body.into()).await.map_err(|error| unavailable(format!("{error:#}")))? {
                Asked::Answered(answer) => {
                    let member: Member =
                        serde_json::from_slice(&answer).map_err(|error| unavailable(error.to_string()))?;
                    Ok(member.username)
                }
                Asked::Refused(StatusCode::UNAUTHORIZED, _) => Err(NotMember::Invalid),
                Asked::Refused(status, said) => Err(unavailable(format!("{status}: {said}"))),
            }
        })
    }
}

#[derive(Deserialize)]
struct Member {
    username: String,
}

/// Stands in an answer of the internal API to a node that is none of the fleet's.
pub(crate) const REFUSED_NODE: HeaderName = HeaderName::from_static("x-emostream-node-refused");

impl ControlLink for ControlClient {
    fn report(&self, report: EdgeReport) -> BoxFuture<'_, Result<EdgeOrders, LinkError>> {
        Box::pin(async move { self.send_report(&report).await })
    }

    fn ticket_keys(&self) -> BoxFuture<'_, Result<TicketKeys, LinkError>> {
        Box::pin(async {
            self.keys("tickets").await.map_err(|error| LinkError::Unavailable(format!("{error:#}")))
        })
    }
}
