//! One client of the bridge: an upgrade on `/` or `/ws` without subprotocol, from any origin, since nothing that it says is
//! heard. Without a ticket it is a guest, which the channel may refuse.

use std::sync::Arc;

use axum::{
    extract::{
        Query, State, WebSocketUpgrade,
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
    compat::{cluster_socket, stay::Stay},
    edge::gate::Entry,
    http::{
        app::App,
        page,
        problem::Problem,
        stream::{
            AtGate, TicketParameter, enter,
            wire::{self, End, Wire},
        },
    },
    telemetry::Labelled,
};

/// Messages that go out in one write.
const MESSAGES_PER_WRITE_MAX: usize = 256;

/// `GET /`: the bridge for WebSockets, system B's cluster socket for those with a ticket, else the page or service information.
pub async fn root(
    State(app): State<Arc<App>>,
    at: AtGate,
    ticket: Query<TicketParameter>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let asks = headers
        .get(header::UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
    match (upgrade, &ticket.ticket) {
        // Only system B's clients come here with a ticket: system A's, where they need one, go to `/ws`.
        (Ok(upgrade), Some(ticket)) => cluster_socket::join(app, &at, ticket, upgrade).await.into_response(),
        (Ok(upgrade), None) => join(State(app), at, ticket, upgrade).await.into_response(),
        (Err(rejection), _) if asks => rejection.into_response(),
        (Err(_), _) => page::root(State(app), headers).await,
    }
}

/// `GET /ws`: the bridge.
pub async fn join(
    State(app): State<Arc<App>>,
    at: AtGate,
    Query(parameters): Query<TicketParameter>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let upgrade = wire::limited(upgrade);
    // Before the ticket is spent: it opens one connection.
    let bridge = app.bridge()?.clone();
    let channel = app.channels.get(&app.config.compat.channel);
    let entry = match enter(&app, &at, parameters.ticket.as_deref(), channel.as_deref()).await {
        Ok(entry) => entry,
        Err(refused) => {
            let close = refused.close().ok_or(refused)?;
            return Ok(wire::close(app, upgrade, close));
        }
    };
    let messages = bridge.listen();
    Ok(upgrade.on_upgrade(move |socket| async move {
        let viewers = app.metrics.viewers.get_or_create_owned(&Labelled { kind: "bridge" });
        viewers.inc();
        let mut wire = Wire::new(app.clone(), socket, entry.has_lease());
        let end = serve(&app, &mut wire, messages, &entry).await;
        wire.end(end).await;
        viewers.dec();
        drop(entry);
    }))
}

async fn serve(app: &App, wire: &mut Wire, mut messages: Receiver<Utf8Bytes>, entry: &Entry) -> End {
    let mut stay = Stay::new(app, entry);
    loop {
        let ping_at = wire.next_ping();
        let turn = tokio::select! {
            changed = stay.changed() => changed,
            message = messages.recv() => match stay.check() {
                Ok(()) => forward(app, wire, message, &mut messages).await,
                end => end,
            },
            heard = wire.recv() => wire.heard(heard).await.map(drop),
            () = sleep_until(ping_at) => wire.check_alive().await,
            // System A's clients know no farewell but the close itself.
            code = entry.ended() => Err(End::Close(code, None)),
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
