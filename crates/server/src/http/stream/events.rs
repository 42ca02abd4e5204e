//! `GET /v1/channels/{channel}/events`: the same frames as server-sent events.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use emostream_protocol::{Position, close::CloseCode};
use futures_util::stream;
use tokio::sync::watch;

use super::{AtGate, JoinParameters, Viewer, bye, enter, wire::ping_of};
use crate::{
    edge::{
        gate::Entry,
        session::Session,
        view::{Frame, View},
    },
    http::{app::App, problem::Problem},
    telemetry::Labelled,
};

/// A comment is sent after so long without an event, so that proxies keep the connection and dead ones are noticed; sooner to
/// those who are pinged sooner.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Answers with a stream of events.
pub async fn events(
    State(app): State<Arc<App>>,
    at: AtGate,
    Path(channel): Path<String>,
    Query(parameters): Query<JoinParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let channel = app.channel(&channel)?;
    let join = parameters.join(&headers)?;
    let entry = enter(&app, &at, parameters.ticket(), Some(&channel)).await?;
    let edge = app.edge()?;
    let viewer = Viewer::of(&app, &entry, &headers);
    let mut view = edge.hub.follow(&channel);
    let mut first = Vec::new();
    let newest = view.borrow_and_update().clone();
    let session =
        Session::open(&edge.facts, channel, viewer.user, join, &newest, app.clock.now_ms(), &mut first);
    let gauge = Gauge(app.clone());
    app.metrics.viewers.get_or_create(&Labelled { kind: "events" }).inc();
    let due = first.drain(..).map(|frame| frame.event).collect();
    let app = app.clone();
    let keep_alive = KEEP_ALIVE.min(ping_of(&app, entry.has_lease()));
    let follow =
        Following { app, session, view, due, frames: first, ended: false, entry, keep_alive, _gauge: gauge };
    let body = Body::from_stream(stream::unfold(follow, |mut follow| async move {
        let chunk = follow.next().await?;
        Some((Ok::<_, Infallible>(chunk), follow))
    }));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Reverse proxies of the nginx kind would gather events otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    if let Some(cookie) = viewer.set_cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

struct Gauge(Arc<App>);

impl Drop for Gauge {
    fn drop(&mut self) {
        self.0.metrics.viewers.get_or_create(&Labelled { kind: "events" }).dec();
    }
}

struct Following {
    app: Arc<App>,
    session: Session,
    view: watch::Receiver<Arc<View>>,
    /// Events to send before the view is looked at again.
    due: VecDeque<Bytes>,
    frames: Vec<Frame>,
    ended: bool,
    entry: Entry,
    keep_alive: Duration,
    _gauge: Gauge,
}

impl Following {
    /// The next event, the same bytes for every viewer. The connection asks for it when there is room, so a slow reader
    /// skips to the newest state.
    async fn next(&mut self) -> Option<Bytes> {
        while self.due.is_empty() {
            if self.ended {
                return None;
            }
            tokio::select! {
                changed = self.view.changed() => {
                    if changed.is_err() {
                        return None;
                    }
                    if !self.entry.may_stay_in(self.session.channel()) {
                        self.end(CloseCode::GuestsRefused);
                        continue;
                    }
                    let newest = self.view.borrow_and_update().clone();
                    self.session.advance(&newest, &mut self.frames);
                    self.due.extend(self.frames.drain(..).map(|frame| frame.event));
                }
                code = self.entry.ended() => self.end(code),
                () = tokio::time::sleep(self.keep_alive) => return Some(Bytes::from_static(b": keep-alive\n\n")),
            }
        }
        self.app.metrics.frames_sent.inc();
        self.due.pop_front()
    }

    /// Events have no close code: the last one says why.
    fn end(&mut self, code: CloseCode) {
        self.ended = true;
        self.app.metrics.viewers_closed.get_or_create(&Labelled { kind: code.reason() }).inc();
        let position: Position = self.session.position();
        self.due.push_back(Frame::new("bye", position, &bye(&self.app, code)).event);
    }
}
