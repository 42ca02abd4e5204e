//! Asks a node with control for what all nodes of a fleet share. One request a connection: it is asked rarely.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use emostream_protocol::settings::PublishedChannel;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Bytes, header};
use hyper_util::rt::TokioIo;
use serde_json::value::RawValue;
use tokio::net::TcpStream;

use crate::{config::Secret, ingest::identity::GuestKeys};

/// An answer must be there after so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of an answer at most: all channels with their settings.
const ANSWER_BYTES_MAX: usize = 80 << 20;

/// A node with control, and what opens its internal API.
#[derive(Debug, Clone)]
pub(crate) struct ControlClient {
    /// `host:port`.
    authority: String,
    key: Secret,
}

impl ControlClient {
    /// A client for `control.url`, which is `http://host:port`.
    pub(crate) fn new(url: &str, key: Secret) -> anyhow::Result<Self> {
        let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let authority = authority.context("control.url: expected http://host:port")?;
        let with_port = if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        Ok(Self { authority: with_port, key })
    }

    /// The keys that sign guests in.
    pub(crate) async fn guest_keys(&self) -> anyhow::Result<GuestKeys> {
        let answer = self.get("/internal/v1/keys").await?;
        let mut answer: serde_json::Value = serde_json::from_slice(&answer).context("read its answer")?;
        serde_json::from_value(answer["guest"].take()).context("read the keys in its answer")
    }

    /// All channels.
    pub(super) async fn channels(&self) -> anyhow::Result<Vec<PublishedChannel>> {
        let answer = self.get("/internal/v1/channels").await?;
        let items: Vec<&RawValue> = serde_json::from_slice(&answer).context("read its answer")?;
        items.iter().map(|item| Ok(PublishedChannel::decode(item.get().as_bytes())?)).collect()
    }

    async fn get(&self, path: &str) -> anyhow::Result<Bytes> {
        let asking = tokio::time::timeout(PATIENCE, self.ask(path)).await;
        let answered = match asking {
            Ok(answered) => answered,
            Err(_) => bail!("no answer from control at {} in {PATIENCE:?}", self.authority),
        };
        answered.with_context(|| format!("ask control at {} for {path}", self.authority))
    }

    async fn ask(&self, path: &str) -> anyhow::Result<Bytes> {
        let stream = TcpStream::connect(&self.authority).await.context("connect")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let asking = async {
            let request = Request::get(path)
                .header(header::HOST, &self.authority)
                .header(header::AUTHORIZATION, format!("Bearer {}", self.key.reveal()))
                .body(Empty::<Bytes>::new())?;
            let response = sender.send_request(request).await?;
            let status = response.status();
            ensure!(status.is_success(), "it answers {status}; expected the same internal.key on both nodes");
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok(body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes())
        };
        // The connection moves while the question waits, and ends with it.
        let driving = async {
            match connection.await {
                Ok(()) => std::future::pending().await,
                Err(error) => error,
            }
        };
        tokio::select! {
            answered = asking => answered,
            error = driving => Err(error.into()),
        }
    }
}
