//! A client that reads its windows as server-sent events, one a line of a window.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use tokio::{sync::broadcast::error::RecvError, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{Receiver, subscriber::Subscriber};
use crate::{http::app::App, telemetry::Labelled};

/// A comment is sent after so long without an event, so that proxies keep the connection and dead ones are noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// One read of a client's windows. What it has not read waits for the next one.
pub(in crate::compat) struct Reading {
    /// Whose it is: subscriber, client, registration and read. `None`: somebody's who is called besides.
    of: Option<(Arc<Subscriber>, String, (u64, u64))>,
    /// `None` only while it is dropped.
    windows: Option<Receiver>,
    end: CancellationToken,
}

impl Reading {
    pub(super) fn new(
        subscriber: Arc<Subscriber>,
        client: String,
        number: (u64, u64),
        windows: Receiver,
        end: CancellationToken,
    ) -> Self {
        Self { of: Some((subscriber, client, number)), windows: Some(windows), end }
    }

    pub(super) fn of_called(windows: Receiver, end: CancellationToken) -> Self {
        Self { of: None, windows: Some(windows), end }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let (Some((subscriber, client, number)), Some(windows)) = (&self.of, self.windows.take()) {
            subscriber.stopped_reading(client, *number, windows);
        }
    }
}

struct Events {
    app: Arc<App>,
    reading: Reading,
    due: VecDeque<Bytes>,
    begun: bool,
}

/// The answer that goes on until the client leaves, is deregistered, or the node stops.
pub(super) fn answer(app: Arc<App>, reading: Reading) -> Response {
    app.metrics.viewers.get_or_create(&Labelled { kind: "subscriber" }).inc();
    let events = Events { app, reading, due: VecDeque::new(), begun: false };
    let body = Body::from_stream(stream::unfold(events, |mut events| async move {
        let chunk = events.next().await?;
        Some((Ok::<_, Infallible>(chunk), events))
    }));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl Drop for Events {
    fn drop(&mut self) {
        self.app.metrics.viewers.get_or_create(&Labelled { kind: "subscriber" }).dec();
    }
}

impl Events {
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.begun, true) {
            return Some(Bytes::from_static(b": windows follow\n\n"));
        }
        let windows = self.reading.windows.as_mut()?;
        while self.due.is_empty() {
            tokio::select! {
                received = windows.recv() => match received {
                    Ok(lines) => self.due.extend(lines.emoji_type.iter().map(event)),
                    Err(RecvError::Lagged(missed)) => {
                        self.app.metrics.notifications.get_or_create(&Labelled { kind: "skipped" }).inc_by(missed);
                    }
                    Err(RecvError::Closed) => return None,
                },
                () = self.reading.end.cancelled() => return None,
                () = self.app.viewers_leave.cancelled() => return None,
                () = sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b": keep-alive\n\n")),
            }
        }
        self.app.metrics.notifications.get_or_create(&Labelled { kind: "read" }).inc();
        self.due.pop_front()
    }
}

fn event(line: &Bytes) -> Bytes {
    [b"data: ", &line[..], b"\n\n"].concat().into()
}
