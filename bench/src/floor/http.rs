//! A bare hyper server: parses the same body into the same struct and answers always the same.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use emostream_protocol::input::ReactionInput;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::task::TaskTracker;

/// What Emostream answers to one new reaction.
const ANSWER: &str = r#"{"accepted":1,"duplicates":0,"rejected":[]}"#;

/// Emostream's limits of a connection, which cost something too.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
const READ_BUFFER_BYTES_MAX: usize = 64 * 1024;
const BACKLOG: u32 = 4_096;

/// Serves until killed, on a runtime like Emostream's. `header_timer`: limit the time of a request's head, as Emostream
/// does.
pub(crate) fn serve(header_timer: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(BACKLOG)?;
        super::say_ready(listener.local_addr()?);
        let connections = TaskTracker::new();
        accept(&listener, &connections, header_timer).await
    })
}

async fn accept(listener: &TcpListener, connections: &TaskTracker, header_timer: bool) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        connections.spawn(connection(stream, header_timer));
    }
}

async fn connection(stream: TcpStream, header_timer: bool) {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(READ_BUFFER_BYTES_MAX);
    if header_timer {
        builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    }
    let connection = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).with_upgrades();
    // The load ends connections as it likes.
    drop(connection.await);
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let parsed = match request.into_body().collect().await {
        Ok(body) => serde_json::from_slice::<ReactionInput<'_>>(&body.to_bytes()).is_ok_and(|input| {
            // Nothing else is done with it, but it must be made.
            std::hint::black_box(input).id.is_none_or(|id| id.0.len() == 36)
        }),
        Err(_) => false,
    };
    let mut response = Response::new(Full::from(ANSWER));
    if !parsed {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    Ok(response)
}
