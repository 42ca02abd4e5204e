//! `GET /v1/channels/{channel}/stream`: a viewer's WebSocket.

use std::{future::Future, sync::Arc};

use axum::{
    extract::{
        Path, Query, State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes},
    },
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use emostream_protocol::{close::CloseCode, frame, frame::SUBPROTOCOL};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::{sync::watch, time::sleep_until};

use super::{
    AtGate, JoinParameters, Viewer, bye, enter,
    wire::{self, End, Heard, Wire},
};
use crate::{
    channels::Channel,
    edge::{
        gate::Entry,
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

/// Upgrades a request to a viewer's connection.
pub async fn upgrade(
    State(app): State<Arc<App>>,
    at: AtGate,
    Path(channel): Path<String>,
    Query(parameters): Query<JoinParameters>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let join = parameters.join(&headers)?;
    let upgrade = wire::limited(upgrade).protocols([SUBPROTOCOL]);
    // A browser shows no page the status of a refused upgrade: only a close code can tell it to give up.
    let Ok(channel) = app.channel(&channel) else {
        return Ok(wire::close(app, upgrade, CloseCode::UnknownChannel));
    };
    let entry = match enter(&app, &at, parameters.ticket(), Some(&channel)).await {
        Ok(entry) => entry,
        Err(refused) => {
            let close = refused.close().ok_or(refused)?;
            return Ok(wire::close(app, upgrade, close));
        }
    };
    let viewer = Viewer::of(&app, &entry, &headers);
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
                rate,
                rate_state: 0,
                rate_refusals: 0,
                receipts: FuturesUnordered::new(),
                channel,
                wire: Wire::new(app.clone(), socket, entry.has_lease()),
                entry,
                app: app.clone(),
            };
            connection.run(session, view, first).await;
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
    wire: Wire,
    entry: Entry,
    channel: Arc<Channel>,
    receipts: FuturesUnordered<Answer>,
    rate: CellRate,
    rate_state: i64,
    rate_refusals: u32,
}

impl Connection {
    async fn run(mut self, mut session: Session, view: watch::Receiver<Arc<View>>, first: Vec<Message>) {
        let viewers = self.app.metrics.viewers.get_or_create_owned(&Labelled { kind: "websocket" });
        viewers.inc();
        let end = match self.wire.send(first).await {
            Ok(()) => self.serve(&mut session, view).await,
            Err(end) => end,
        };
        self.wire.end(end).await;
        viewers.dec();
        // Its place is free only now.
        drop(self.entry);
    }

    async fn serve(&mut self, session: &mut Session, mut view: watch::Receiver<Arc<View>>) -> End {
        let mut frames = Vec::new();
        loop {
            let may_receive = self.receipts.len() < RECEIPTS_MAX;
            let ping_at = self.wire.next_ping();
            let turn = tokio::select! {
                changed = view.changed() => match changed {
                    Ok(()) if !self.entry.may_stay_in(&self.channel) => {
                        Err(End::Close(CloseCode::GuestsRefused, None))
                    }
                    Ok(()) => {
                        let newest = view.borrow_and_update().clone();
                        session.advance(&newest, &mut frames);
                        drop(newest);
                        let messages = frames.drain(..).map(|frame| Message::Text(frame.text)).collect();
                        self.wire.send(messages).await
                    }
                    Err(_) => Err(self.bye(CloseCode::ShuttingDown)),
                },
                message = self.wire.recv(), if may_receive => {
                    self.receive(session, message).await
                }
                Some((id, result)) = self.receipts.next() => self.answer(&id, result).await,
                () = sleep_until(ping_at) => self.wire.check_alive().await,
                code = self.entry.ended() => Err(self.leave(code).await),
            };
            if let Err(end) = turn {
                return end;
            }
        }
    }

    /// Ingest has stopped before viewers are told to leave: every receipt is there, and its answer goes first.
    async fn leave(&mut self, code: CloseCode) -> End {
        while let Some(Some((id, result))) = self.receipts.next().now_or_never() {
            if let Err(end) = self.answer(&id, result).await {
                return end;
            }
        }
        self.bye(code)
    }

    fn bye(&self, code: CloseCode) -> End {
        let last = code.reconnect().then(|| text_message(bye(&self.app, code)));
        End::Close(code, last)
    }

    async fn receive(&mut self, session: &mut Session, message: Heard) -> Result<(), End> {
        match self.wire.heard(message).await? {
            Some(text) => self.take(session, &text).await,
            None => Ok(()),
        }
    }

    async fn take(&mut self, session: &mut Session, text: &Utf8Bytes) -> Result<(), End> {
        if !self.entry.may_stay_in(&self.channel) {
            return Err(End::Close(CloseCode::GuestsRefused, None));
        }
        let now_ms = self.app.clock.now_ms();
        let (reaction, id) = match session.message(text, now_ms) {
            Reply::Submit(reaction, id) => (reaction, id),
            Reply::Send(frame) => return self.wire.send(vec![Message::Text(frame.text)]).await,
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
                return self.wire.send(vec![text_message(frame)]).await;
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
        self.wire.send(vec![text_message(frame)]).await
    }
}

fn answer_later(id: String, receipt: Receipt) -> Answer {
    Box::pin(async move { (id, receipt.await) })
}

fn text_message(json: bytes::Bytes) -> Message {
    Message::Text(Utf8Bytes::try_from(json).unwrap_or_default())
}
