//! The end at which a client of system D is called: a small HTTP server on its port.

use std::convert::Infallible;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::answers::line;
use crate::console;

/// Where calls come to.
pub(super) const PATH: &str = "/notify-client";

/// A line of a window is far below.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Connections at once; there is one server that calls.
const CONNECTIONS_MAX: usize = 64;

/// Shows each line that it is called with.
pub(super) struct Called {
    listener: TcpListener,
    /// Where the server reaches it.
    pub(super) url: String,
}

impl Called {
    /// Listens on this machine.
    pub(super) async fn listen(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.with_context(|| format!("PORT {port}: listening for calls"))?;
        let url = format!("http://{}{PATH}", listener.local_addr()?);
        Ok(Self { listener, url })
    }

    /// Serves until it is dropped.
    pub(super) async fn serve(&self) -> Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = self.listener.accept().await.context("taking calls")?;
            if connections.len() >= CONNECTIONS_MAX {
                // The oldest one that has ended makes room.
                drop(connections.join_next().await);
            }
            connections.spawn(connection(stream));
        }
    }
}

async fn connection(stream: TcpStream) {
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(take));
    // The server calls again on another one.
    serving.await.unwrap_or_default();
}

async fn take(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_call = request.method() == Method::POST && request.uri().path() == PATH;
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
    let shown = match body {
        Ok(body) if is_call => line(&body.to_bytes(), "emoji_type"),
        _ => None,
    };
    let mut answer = Response::new(Full::new(Bytes::from_static(b"{}")));
    match shown {
        Some(line) => console::print(&line),
        None => *answer.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(answer)
}
