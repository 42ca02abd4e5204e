//! One kept-alive HTTP/1.1 connection, and one WebSocket of the viewer subprotocol.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use emostream_protocol::frame::SUBPROTOCOL;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{client::IntoClientRequest as _, protocol::WebSocketConfig},
};

use crate::target::Target;

/// An answer that takes longer counts as a lost connection; the reactions are sent again with the same ids.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers name each rejected reaction of a batch: 1,000 of them stay far below this.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A viewer frame with many emotes has some kilobytes.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Per socket; the library's 128 KiB would be most of a viewer's memory.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// An HTTP connection, open until dropped.
pub(crate) struct HttpConnection {
    requests: SendRequest<Full<Bytes>>,
    host: String,
    /// Drives the connection; ends with it.
    _driver: JoinSet<()>,
}

impl HttpConnection {
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        let stream = target.connect().await?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        // An error here reaches the request that is waiting, where it is handled.
        driver.spawn(async move { connection.await.unwrap_or_default() });
        Ok(Self { requests, host: target.authority().to_owned(), _driver: driver })
    }

    /// Whether the server has closed it, as it may between requests.
    pub(crate) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    pub(crate) async fn request(
        &mut self,
        method: Method,
        path: &str,
        content_kind: &'static str,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, content_kind)
            .body(Full::new(body))?;
        let answer = async {
            self.requests.ready().await?;
            let (head, body) = self.requests.send_request(request).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(anyhow::Error::from_boxed).context("reading the answer")?;
            Ok((head.status, head.headers, body.to_bytes()))
        };
        timeout(ANSWER_TIMEOUT, answer).await.context("waiting for the answer")?
    }
}

/// A viewer's WebSocket.
pub(crate) type Stream = WebSocketStream<TcpStream>;

/// Opens the channel's stream. A refusal by the server is in the error as [`tokio_tungstenite::tungstenite::Error::Http`].
///
/// `query` is empty, or `?epoch=…&since=…` to resume.
pub(crate) async fn open_stream(target: &Target, query: &str) -> Result<Stream> {
    let mut request = format!("{}{query}", target.stream_url()).into_client_request()?;
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL.parse()?);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let handshake = async {
        let tcp = target.connect().await?;
        let (stream, _) = client_async_with_config(request, tcp, Some(config)).await?;
        Ok(stream)
    };
    timeout(ANSWER_TIMEOUT, handshake).await.context("waiting for the WebSocket handshake")?
}
