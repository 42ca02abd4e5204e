//! `GET /v1/channels/{channel}/events`: the same frames as server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use emostream_protocol::{Position, close::CloseCode, frame};
use futures_util::stream;
use tokio::sync::watch;

use super::{JoinParameters, Viewer, seat};
use crate::{
    edge::{
        hub::Seat,
        session::Session,
        view::{Frame, View},
    },
    http::{app::App, problem::Problem},
    telemetry::Labelled,
};

/// A comment is sent after so long without an event, so that proxies keep the connection and dead ones are noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Answers with a stream of events.
pub async fn events(
    State(app): State<Arc<App>>,
    Path(channel): Path<String>,
    Query(parameters): Query<JoinParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let channel = app.channel(&channel)?;
    let join = parameters.join(&headers)?;
    let seat = seat(&app)?;
    let edge = app.edge()?;
    let viewer = Viewer::of(&app, &headers);
    let mut view = edge.hub.follow(&channel);
    let mut first = Vec::new();
    let newest = view.borrow_and_update().clone();
    let session =
        Session::open(&edge.facts, channel, viewer.user, join, &newest, app.clock.now_ms(), &mut first);
    let gauge = Gauge(app.clone());
    app.metrics.viewers.get_or_create(&Labelled { kind: "events" }).inc();
    let follow =
        Following { app: app.clone(), session, view, first, ended: false, _seat: seat, _gauge: gauge };
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
    first: Vec<Frame>,
    ended: bool,
    _seat: Seat,
    _gauge: Gauge,
}

impl Following {
    /// The next events, all that are due in one chunk. The connection asks for it when the last one is written, so a
    /// slow reader skips to the newest state.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut frames = std::mem::take(&mut self.first);
        let leave = self.app.viewers_leave.clone();
        while frames.is_empty() {
            tokio::select! {
                changed = self.view.changed() => {
                    if changed.is_err() {
                        return None;
                    }
                    let newest = self.view.borrow_and_update().clone();
                    self.session.advance(&newest, &mut frames);
                }
                () = leave.cancelled() => {
                    self.ended = true;
                    frames.push(self.bye());
                }
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b": keep-alive\n\n")),
            }
        }
        self.app.metrics.frames_sent.inc_by(frames.len() as u64);
        let mut chunk = BytesMut::with_capacity(frames.iter().map(|frame| frame.event.len()).sum());
        frames.iter().for_each(|frame| chunk.extend_from_slice(&frame.event));
        Some(chunk.freeze())
    }

    fn bye(&self) -> Frame {
        let reconnect_in_ms = rand::random_range(0..=self.app.config.edge.reconnect_spread_ms.max(1));
        let json = frame::encode_bye(CloseCode::ShuttingDown.reason(), reconnect_in_ms);
        let position: Position = self.session.position();
        Frame::new("bye", position, &json)
    }
}
