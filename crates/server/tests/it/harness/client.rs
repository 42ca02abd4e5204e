//! A small client: HTTP/1.1 over one kept connection, and WebSockets.

use std::net::SocketAddr;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinSet};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest as _, protocol::CloseFrame},
};

use super::PATIENCE;

/// An answer, whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The name of the problem in the answer: `log-full` of `…/errors/log-full`.
    pub(crate) fn problem(&self) -> Option<String> {
        Some(self.json()["type"].as_str()?.rsplit_once("/errors/")?.1.to_owned())
    }
}

/// One connection, used again as long as it lives.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    /// Drives the connection, and ends with this value.
    _connection: JoinSet<()>,
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.await) });
        Ok(Self { sender, address, _connection: driver })
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let exchange = async {
            self.sender.ready().await?;
            let (parts, body) = self.sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        tokio::time::timeout(PATIENCE, exchange).await.context("no answer for too long")?
    }

    /// A request to this server, to be completed.
    pub(crate) fn request(&self, method: &str, path: &str) -> hyper::http::request::Builder {
        Request::builder().method(method).uri(path).header("host", self.address.to_string())
    }

    /// GET.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        let request = self.request("GET", path).body(Full::default())?;
        self.send(request).await
    }

    /// POST of a body with a content type.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        kind: &str,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let request = self.request("POST", path).header("content-type", kind).body(Full::new(body.into()))?;
        self.send(request).await
    }

    /// POST of JSON to a channel's reactions.
    pub(crate) async fn react(&mut self, channel: &str, body: &Value) -> anyhow::Result<Answer> {
        self.post(&reactions_path(channel), "application/json", body.to_string()).await
    }
}

/// Where a channel takes reactions.
pub(crate) fn reactions_path(channel: &str) -> String {
    format!("/v1/channels/{channel}/reactions")
}

/// GET on a connection of its own.
pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    Client::connect(address).await?.get(path).await
}

/// POST of JSON to a channel's reactions, on a connection of its own.
pub(crate) async fn react(address: SocketAddr, channel: &str, body: &Value) -> anyhow::Result<Answer> {
    Client::connect(address).await?.react(channel, body).await
}

/// A viewer's WebSocket. Read and write through it, or take `0` for more.
pub(crate) struct Viewer(pub(crate) WebSocketStream<TcpStream>);

/// What came from the server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// A frame.
    Frame(Value),
    /// A close frame with its code and reason.
    Closed(u16, String),
    /// The connection ended without a close frame.
    Gone,
}

impl Viewer {
    /// Joins a channel; `query` begins with `?`, or is empty.
    pub(crate) async fn join(address: SocketAddr, channel: &str, query: &str) -> anyhow::Result<Self> {
        let mut request =
            format!("ws://{address}/v1/channels/{channel}/stream{query}").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", "emostream.json.v1".parse()?);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let joining = tokio_tungstenite::client_async(request, stream);
        let (socket, _) =
            tokio::time::timeout(PATIENCE, joining).await.context("no upgrade for too long")??;
        Ok(Self(socket))
    }

    /// Sends a JSON frame.
    pub(crate) async fn send(&mut self, frame: &Value) -> anyhow::Result<()> {
        Ok(self.0.send(Message::text(frame.to_string())).await?)
    }

    /// The next thing from the server; pings are answered on the way.
    pub(crate) async fn next(&mut self) -> Seen {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Seen::Frame(serde_json::from_str(&text).unwrap());
                    }
                    Some(Ok(Message::Close(frame))) => return closed(frame),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Seen::Gone,
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.unwrap_or_else(|_| panic!("nothing from the server"))
    }

    /// The next frame of a type; others are passed over. Panics when the connection ends before.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            match self.next().await {
                Seen::Frame(frame) if frame["type"] == kind => return frame,
                Seen::Frame(_) => {}
                end => panic!("no {kind} before {end:?}"),
            }
        }
    }
}

fn closed(frame: Option<CloseFrame>) -> Seen {
    frame.map_or(Seen::Gone, |frame| Seen::Closed(frame.code.into(), frame.reason.to_string()))
}
