//! One viewer's WebSocket: limits on what it reads and keeps, pings, time to take a message, and a close that says why.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket},
    },
    response::Response,
};
use emostream_protocol::{close::CloseCode, limits::VIEWER_MESSAGE_BYTES_MAX};
use futures_util::{SinkExt, poll};
use tokio::time::{Instant, timeout};

use crate::{http::app::App, telemetry::Labelled};

/// Bytes read from a viewer's socket at once. Its messages have about 100; the library's default is 128 KiB a socket.
const READ_BUFFER_BYTES: usize = 1024;

/// Bytes that may wait for a viewer's socket: one turn's frames at most, with a long history resumed.
const WRITE_BUFFER_BYTES_MAX: usize = 1 << 20;

/// Who holds a device's place and says nothing is asked whether they are still there after half of a lease's time to live, but
/// not sooner than this: nobody else of the account can have the place until it is known that they are not.
const LEASED_PING_LEAST: Duration = Duration::from_secs(5);

/// How long a viewer may say nothing before it is pinged.
pub(crate) fn ping_of(app: &App, has_lease: bool) -> Duration {
    let ping = Duration::from_millis(app.config.edge.ping_ms);
    let half = Duration::from_millis(app.config.placement.ttl_ms.into()) / 2;
    if has_lease { ping.min(half.max(LEASED_PING_LEAST)) } else { ping }
}

/// Upgrades only to close with a code.
pub(crate) fn close(app: Arc<App>, upgrade: WebSocketUpgrade, code: CloseCode) -> Response {
    upgrade.on_upgrade(move |socket| Wire::new(app, socket, false).end(End::Close(code, None)))
}

/// How a connection ended.
pub(crate) enum End {
    /// The viewer went, or the network did.
    Gone,
    /// The server closes, with a last frame where there is one.
    Close(CloseCode, Option<Message>),
}

/// What a viewer's socket said.
pub(crate) type Heard = Option<Result<Message, axum::Error>>;

/// A viewer's socket after the upgrade.
pub(crate) struct Wire {
    app: Arc<App>,
    socket: WebSocket,
    send_timeout: Duration,
    ping: Duration,
    heard_at: Instant,
    pinged: bool,
}

/// An upgrade with a viewer's limits.
pub(crate) fn limited(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(VIEWER_MESSAGE_BYTES_MAX)
        .max_frame_size(VIEWER_MESSAGE_BYTES_MAX)
}

impl Wire {
    /// Takes over a socket; its times are those of the configuration. `has_lease`: its viewer holds a device's place.
    pub(crate) fn new(app: Arc<App>, socket: WebSocket, has_lease: bool) -> Self {
        Self {
            send_timeout: Duration::from_millis(app.config.edge.send_timeout_ms),
            ping: ping_of(&app, has_lease),
            heard_at: Instant::now(),
            pinged: false,
            socket,
            app,
        }
    }

    /// Waits for the viewer; give the result to [`Self::heard`]. May be dropped at any time.
    pub(crate) async fn recv(&mut self) -> Heard {
        self.socket.recv().await
    }

    /// The text in what the viewer said, if it is one. Pings and closes are answered.
    pub(crate) async fn heard(&mut self, message: Heard) -> Result<Option<Utf8Bytes>, End> {
        self.heard_at = Instant::now();
        self.pinged = false;
        match message {
            Some(Ok(Message::Text(text))) => Ok(Some(text)),
            Some(Ok(Message::Binary(_))) => Err(End::Close(CloseCode::BadFrame, None)),
            // The library queues an answer to each ping: it must be out before the next ping is read, or else a viewer
            // that pings and never reads would fill the buffer.
            Some(Ok(Message::Ping(_))) => self.write(Vec::new()).await.map(|()| None),
            Some(Ok(Message::Pong(_))) => Ok(None),
            Some(Ok(Message::Close(_))) => {
                // The answer to it is queued as well; this is the last chance to send it.
                self.write(Vec::new()).await.and(Err(End::Gone))
            }
            None => Err(End::Gone),
            Some(Err(error)) => Err(end_of(error)),
        }
    }

    /// When [`Self::check_alive`] is due.
    pub(crate) fn next_ping(&self) -> Instant {
        self.heard_at + if self.pinged { self.ping * 2 } else { self.ping }
    }

    /// Pings a viewer that has said nothing for long, and ends one that did not answer the last ping.
    pub(crate) async fn check_alive(&mut self) -> Result<(), End> {
        if std::mem::replace(&mut self.pinged, true) {
            return Err(End::Close(CloseCode::Idle, None));
        }
        self.send(vec![Message::Ping(bytes::Bytes::new())]).await
    }

    /// Sends messages within the time that a viewer has to take them.
    pub(crate) async fn send(&mut self, messages: Vec<Message>) -> Result<(), End> {
        let number = messages.len() as u64;
        if number > 0 {
            self.write(messages).await?;
            self.app.metrics.frames_sent.inc_by(number);
        }
        Ok(())
    }

    /// Writes messages, and what the library has queued by itself, within the time that a viewer has to take them.
    async fn write(&mut self, messages: Vec<Message>) -> Result<(), End> {
        let socket = &mut self.socket;
        let mut writing = std::pin::pin!(async move {
            for message in messages {
                socket.feed(message).await?;
            }
            socket.flush().await
        });
        // Nearly every write finds room in the socket: a timer is only made for one that does not.
        let written = match poll!(&mut writing) {
            std::task::Poll::Ready(written) => written,
            std::task::Poll::Pending => {
                timeout(self.send_timeout, writing).await.map_err(|_| End::Close(CloseCode::TooSlow, None))?
            }
        };
        written.map_err(|_| End::Gone)
    }

    /// Ends the connection as told, and counts why where the server closes.
    pub(crate) async fn end(mut self, end: End) {
        const PATIENCE: Duration = Duration::from_secs(2);
        let End::Close(code, last) = end else { return };
        self.app.metrics.viewers_closed.get_or_create(&Labelled { kind: code.reason() }).inc();
        // Says why, and waits a moment for the viewer's own close, so that the reason is not lost with the connection.
        let reason = Utf8Bytes::from_static(code.reason());
        let close = Message::Close(Some(CloseFrame { code: code.code(), reason }));
        let farewell = async {
            for message in last.into_iter().chain([close]) {
                self.socket.feed(message).await?;
            }
            self.socket.flush().await?;
            while let Some(Ok(message)) = self.socket.recv().await {
                if matches!(message, Message::Close(_)) {
                    break;
                }
            }
            Ok::<(), axum::Error>(())
        };
        // A viewer that takes no farewell is closed without.
        if timeout(PATIENCE, farewell).await.is_err() {
            tracing::debug!(reason = code.reason(), "viewer took no close frame");
        }
    }
}

/// How a connection ends on which nothing more can be read: with the reason, if it is the viewer's doing.
fn end_of(error: axum::Error) -> End {
    use tokio_tungstenite::tungstenite::{Error, error::ProtocolError};
    match error.into_inner().downcast_ref::<Error>() {
        Some(Error::Capacity(_)) => End::Close(CloseCode::FrameTooLarge, None),
        Some(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => End::Gone,
        Some(Error::Protocol(_) | Error::Utf8(_)) => End::Close(CloseCode::BadFrame, None),
        _ => End::Gone,
    }
}
