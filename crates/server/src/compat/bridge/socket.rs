//! One client of the bridge: an upgrade on `/` or `/ws` without ticket or subprotocol, from any origin, since nothing is
//! told that is not public and nothing that it says is heard.

use std::sync::Arc;

use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use emostream_protocol::close::CloseCode;
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    time::sleep_until,
};

use crate::{
    http::{
        app::App,
        page,
        problem::Problem,
        stream::{
            seat,
            wire::{self, End, Wire},
        },
    },
    telemetry::Labelled,
};

/// Messages that go out in one write.
const MESSAGES_PER_WRITE_MAX: usize = 256;

/// `GET /`: the bridge for WebSockets, else the page or service information.
pub async fn root(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let asks = headers
        .get(header::UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
    match upgrade {
        Ok(upgrade) => join(State(app), upgrade).await.into_response(),
        Err(rejection) if asks => rejection.into_response(),
        Err(_) => page::root(State(app), headers).await,
    }
}

/// `GET /ws`: the bridge.
pub async fn join(State(app): State<Arc<App>>, upgrade: WebSocketUpgrade) -> Result<Response, Problem> {
    let seat = seat(&app)?;
    let messages = app.bridge()?.listen();
    Ok(wire::limited(upgrade).on_upgrade(move |socket| async move {
        let viewers = app.metrics.viewers.get_or_create_owned(&Labelled { kind: "bridge" });
        viewers.inc();
        let mut wire = Wire::new(app.clone(), socket);
        let end = serve(&app, &mut wire, messages).await;
        wire.end(end).await;
        viewers.dec();
        drop(seat);
    }))
}

async fn serve(app: &App, wire: &mut Wire, mut messages: Receiver<Utf8Bytes>) -> End {
    loop {
        let ping_at = wire.next_ping();
        let turn = tokio::select! {
            message = messages.recv() => forward(app, wire, message, &mut messages).await,
            heard = wire.recv() => wire.heard(heard).await.map(drop),
            () = sleep_until(ping_at) => wire.check_alive().await,
            // System A's clients know no farewell but the close itself.
            () = app.viewers_leave.cancelled() => Err(End::Close(CloseCode::ShuttingDown, None)),
        };
        if let Err(end) = turn {
            return end;
        }
    }
}

/// Sends a message and those that wait behind it. What the client was too slow for is skipped.
async fn forward(
    app: &App,
    wire: &mut Wire,
    first: Result<Utf8Bytes, RecvError>,
    messages: &mut Receiver<Utf8Bytes>,
) -> Result<(), End> {
    let mut out = Vec::new();
    let mut skipped = 0;
    match first {
        Ok(message) => out.push(Message::Text(message)),
        Err(RecvError::Lagged(missed)) => skipped += missed,
        Err(RecvError::Closed) => return Err(End::Close(CloseCode::ShuttingDown, None)),
    }
    while out.len() < MESSAGES_PER_WRITE_MAX {
        match messages.try_recv() {
            Ok(message) => out.push(Message::Text(message)),
            Err(TryRecvError::Lagged(missed)) => skipped += missed,
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    if skipped > 0 {
        app.metrics.bridge_messages_skipped.inc_by(skipped);
    }
    wire.send(out).await
}
