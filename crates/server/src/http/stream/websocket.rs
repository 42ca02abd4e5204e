//! `GET /v1/channels/{channel}/stream`: a viewer's WebSocket.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    extract::{
        Path, Query, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket},
    },
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use emostream_protocol::{close::CloseCode, frame, frame::SUBPROTOCOL, limits::VIEWER_MESSAGE_BYTES_MAX};
use futures_util::{FutureExt, SinkExt, StreamExt, poll, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::{JoinParameters, Viewer, seat};
use crate::{
    channels::Channel,
    edge::{
        hub::Seat,
        session::{self, Reply, Session},
        view::View,
    },
    http::{app::App, problem::Problem},
    intake::{Accepted, Receipt, Refusal},
    rate::CellRate,
    telemetry::Labelled,
};

/// Reactions of one viewer that may wait for the log; further messages are read when one is answered.
const RECEIPTS_MAX: usize = 64;

/// Reactions in a row that are refused for the viewer's rate; one more closes the connection. A person who taps wildly stays
/// far below, since each tap that passes begins the count anew.
const RATE_REFUSALS_MAX: u32 = 200;

/// Bytes read from a viewer's socket at once. Its messages have about 100; the library's default is 128 KiB a socket.
const READ_BUFFER_BYTES: usize = 1024;

/// Bytes that may wait for a viewer's socket: one turn's frames at most, with a long history resumed.
const WRITE_BUFFER_BYTES_MAX: usize = 1 << 20;

/// Upgrades a request to a viewer's connection.
pub async fn upgrade(
    State(app): State<Arc<App>>,
    Path(channel): Path<String>,
    Query(parameters): Query<JoinParameters>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let join = parameters.join(&headers)?;
    let seat = seat(&app)?;
    let viewer = Viewer::of(&app, &headers);
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(VIEWER_MESSAGE_BYTES_MAX)
        .max_frame_size(VIEWER_MESSAGE_BYTES_MAX);
    // A browser shows no page the status of a refused upgrade: only a close code can tell it to give up.
    let Ok(channel) = app.channel(&channel) else {
        return Ok(upgrade.on_upgrade(move |socket| async move {
            app.metrics
                .viewers_closed
                .get_or_create(&Labelled { kind: CloseCode::UnknownChannel.reason() })
                .inc();
            close(socket, CloseCode::UnknownChannel, None).await;
            drop(seat);
        }));
    };
    let set_cookie = viewer.set_cookie.as_deref().and_then(|cookie| HeaderValue::from_str(cookie).ok());
    let mut response = upgrade
        .on_upgrade(move |socket| async move {
            let Ok(edge) = app.edge() else { return };
            let mut view = edge.hub.follow(&channel);
            let mut frames = Vec::new();
            let newest = view.borrow_and_update().clone();
            let now_ms = app.clock.now_ms();
            let session =
                Session::open(&edge.facts, channel.clone(), viewer.user, join, &newest, now_ms, &mut frames);
            drop(newest);
            let first = frames.into_iter().map(|frame| Message::Text(frame.text)).collect();
            let rate =
                CellRate::new(app.config.ingest.viewer_reactions_per_s, app.config.ingest.viewer_burst);
            let connection = Connection {
                send_timeout: Duration::from_millis(edge.config.send_timeout_ms),
                ping: Duration::from_millis(edge.config.ping_ms),
                heard_at: Instant::now(),
                pinged: false,
                rate,
                rate_state: 0,
                rate_refusals: 0,
                receipts: FuturesUnordered::new(),
                channel,
                socket,
                app: app.clone(),
            };
            connection.run(session, view, first, seat).await;
        })
        .into_response();
    if let Some(cookie) = set_cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// A receipt that remembers whose it is.
type Answer = std::pin::Pin<Box<dyn Future<Output = (String, Result<Accepted, Refusal>)> + Send>>;

struct Connection {
    app: Arc<App>,
    socket: WebSocket,
    channel: Arc<Channel>,
    receipts: FuturesUnordered<Answer>,
    rate: CellRate,
    rate_state: i64,
    rate_refusals: u32,
    send_timeout: Duration,
    ping: Duration,
    heard_at: Instant,
    pinged: bool,
}

/// How a connection ended.
enum End {
    /// The viewer went, or the network did.
    Gone,
    /// The server closes, with a last frame where there is one.
    Close(CloseCode, Option<Message>),
}

impl Connection {
    async fn run(
        mut self,
        mut session: Session,
        view: watch::Receiver<Arc<View>>,
        first: Vec<Message>,
        seat: Seat,
    ) {
        let viewers = self.app.metrics.viewers.get_or_create_owned(&Labelled { kind: "websocket" });
        viewers.inc();
        let end = match self.send(first).await {
            Ok(()) => self.serve(&mut session, view).await,
            Err(end) => end,
        };
        if let End::Close(code, last) = end {
            self.app.metrics.viewers_closed.get_or_create(&Labelled { kind: code.reason() }).inc();
            close(self.socket, code, last).await;
        }
        viewers.dec();
        drop(seat);
    }

    async fn serve(&mut self, session: &mut Session, mut view: watch::Receiver<Arc<View>>) -> End {
        let leave = self.app.viewers_leave.clone();
        let mut frames = Vec::new();
        loop {
            let may_receive = self.receipts.len() < RECEIPTS_MAX;
            let ping_at = self.next_ping();
            let turn = tokio::select! {
                changed = view.changed() => match changed {
                    Ok(()) => {
                        let newest = view.borrow_and_update().clone();
                        session.advance(&newest, &mut frames);
                        drop(newest);
                        let messages = frames.drain(..).map(|frame| Message::Text(frame.text)).collect();
                        self.send(messages).await
                    }
                    Err(_) => Err(self.bye()),
                },
                message = self.socket.recv(), if may_receive => {
                    self.receive(session, message).await
                }
                Some((id, result)) = self.receipts.next() => self.answer(&id, result).await,
                () = sleep_until(ping_at) => self.check_alive().await,
                () = leave.cancelled() => Err(self.leave().await),
            };
            if let Err(end) = turn {
                return end;
            }
        }
    }

    /// Ingest has stopped before viewers are told to leave: every receipt is there, and its answer goes first.
    async fn leave(&mut self) -> End {
        while let Some(Some((id, result))) = self.receipts.next().now_or_never() {
            if let Err(end) = self.answer(&id, result).await {
                return end;
            }
        }
        self.bye()
    }

    fn bye(&self) -> End {
        let spread_ms = self.app.config.edge.reconnect_spread_ms.max(1);
        let reconnect_in_ms = rand::random_range(0..=spread_ms);
        let text = frame::encode_bye(CloseCode::ShuttingDown.reason(), reconnect_in_ms);
        End::Close(CloseCode::ShuttingDown, Some(text_message(text)))
    }

    async fn receive(
        &mut self,
        session: &mut Session,
        message: Option<Result<Message, axum::Error>>,
    ) -> Result<(), End> {
        self.heard_at = Instant::now();
        self.pinged = false;
        match message {
            Some(Ok(Message::Text(text))) => self.take(session, &text).await,
            Some(Ok(Message::Binary(_))) => Err(End::Close(CloseCode::BadFrame, None)),
            // The library queues an answer to each ping: it must be out before the next ping is read, or else a viewer
            // that pings and never reads would fill the buffer.
            Some(Ok(Message::Ping(_))) => self.write(Vec::new()).await,
            Some(Ok(Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Close(_))) => {
                // The answer to it is queued as well; this is the last chance to send it.
                self.write(Vec::new()).await.and(Err(End::Gone))
            }
            None => Err(End::Gone),
            Some(Err(error)) => Err(end_of(error)),
        }
    }

    async fn take(&mut self, session: &mut Session, text: &Utf8Bytes) -> Result<(), End> {
        let now_ms = self.app.clock.now_ms();
        let (reaction, id) = match session.message(text, now_ms) {
            Reply::Submit(reaction, id) => (reaction, id),
            Reply::Send(frame) => return self.send(vec![Message::Text(frame.text)]).await,
            Reply::Close(code) => return Err(End::Close(code, None)),
        };
        let submitted = match (self.rate.take(&mut self.rate_state, 1, now_ms), self.app.intake()) {
            (Err(_), _) if self.rate_refusals >= RATE_REFUSALS_MAX => {
                return Err(End::Close(CloseCode::RateLimited, None));
            }
            (Err(wait), _) => {
                self.rate_refusals += 1;
                Err(Refusal::RateLimited(wait))
            }
            (Ok(()), Ok(intake)) => {
                self.rate_refusals = 0;
                intake.submit(&self.channel, &[reaction])
            }
            (Ok(()), Err(Problem { kind, detail, .. })) => {
                let frame = frame::encode_error(Some(&id), kind.name(), &detail, None, None);
                return self.send(vec![text_message(frame)]).await;
            }
        };
        match submitted {
            Ok(receipt) => {
                self.receipts.push(answer_later(id, receipt));
                Ok(())
            }
            Err(refusal) => self.answer(&id, Err(refusal)).await,
        }
    }

    async fn answer(&mut self, id: &str, result: Result<Accepted, Refusal>) -> Result<(), End> {
        let frame = match result {
            Ok(accepted) => {
                self.app.metrics.reactions_duplicate.inc_by(accepted.duplicates.into());
                session::ack(id)
            }
            Err(refusal) => {
                self.app.metrics.submissions_refused.get_or_create(&Labelled { kind: refusal.name() }).inc();
                session::refused(id, &refusal)
            }
        };
        self.send(vec![text_message(frame)]).await
    }

    fn next_ping(&self) -> Instant {
        self.heard_at + if self.pinged { self.ping * 2 } else { self.ping }
    }

    async fn check_alive(&mut self) -> Result<(), End> {
        if std::mem::replace(&mut self.pinged, true) {
            return Err(End::Close(CloseCode::Idle, None));
        }
        self.send(vec![Message::Ping(bytes::Bytes::new())]).await
    }

    async fn send(&mut self, messages: Vec<Message>) -> Result<(), End> {
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
}

/// Says why, and waits a moment for the viewer's own close, so that the reason is not lost with the connection.
async fn close(mut socket: WebSocket, code: CloseCode, last: Option<Message>) {
    const PATIENCE: Duration = Duration::from_secs(2);
    let close =
        Message::Close(Some(CloseFrame { code: code.code(), reason: Utf8Bytes::from_static(code.reason()) }));
    let farewell = async {
        for message in last.into_iter().chain([close]) {
            socket.feed(message).await?;
        }
        socket.flush().await?;
        while let Some(Ok(message)) = socket.recv().await {
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

fn answer_later(id: String, receipt: Receipt) -> Answer {
    Box::pin(async move { (id, receipt.await) })
}

fn text_message(json: bytes::Bytes) -> Message {
    Message::Text(Utf8Bytes::try_from(json).unwrap_or_default())
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
