//! System B's cluster socket: a WebSocket with a ticket on `/` of the cluster's address, which sends a line a window and emote.

use std::sync::Arc;

use axum::{
    extract::{
        WebSocketUpgrade,
        ws::{Message, Utf8Bytes},
    },
    response::Response,
};
use emostream_protocol::close::CloseCode;
use tokio::{sync::broadcast::error::RecvError, time::sleep_until};

use super::{stay::Stay, windows::Receiver};
use crate::{
    edge::gate::Entry,
    http::{
        app::App,
        problem::Problem,
        stream::{
            AtGate, enter,
            wire::{self, End, Wire},
        },
    },
    telemetry::Labelled,
};

/// Lets the holder of a ticket in, and sends every window that becomes final from then on.
pub(super) async fn join(
    app: Arc<App>,
    at: &AtGate,
    ticket: &str,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let upgrade = wire::limited(upgrade);
    // Before the ticket is spent: it opens one connection.
    let subscribers = app.subscribers()?.clone();
    let channel = app.channels.get(&app.config.compat.channel);
    let entry = match enter(&app, at, Some(ticket), channel.as_deref()).await {
        Ok(entry) => entry,
        Err(refused) => {
            let close = refused.close().ok_or(refused)?;
            return Ok(wire::close(app, upgrade, close));
        }
    };
    let windows = subscribers.windows();
    Ok(upgrade.on_upgrade(move |socket| async move {
        let viewers = app.metrics.viewers.get_or_create_owned(&Labelled { kind: "cluster" });
        viewers.inc();
        let mut wire = Wire::new(app.clone(), socket, entry.has_lease());
        let end = serve(&app, &mut wire, windows, &entry).await;
        wire.end(end).await;
        viewers.dec();
        drop(entry);
    }))
}

async fn serve(app: &App, wire: &mut Wire, mut windows: Receiver, entry: &Entry) -> End {
    let mut stay = Stay::new(app, entry);
    loop {
        let ping_at = wire.next_ping();
        let turn = tokio::select! {
            changed = stay.changed() => changed,
            received = windows.recv() => match received {
                Ok(lines) => match stay.check() {
                    Ok(()) => wire.send(lines.emoji.iter().map(text).collect()).await,
                    end => end,
                },
                Err(RecvError::Lagged(missed)) => {
                    // Newest wins.
                    app.metrics.notifications.get_or_create(&Labelled { kind: "skipped" }).inc_by(missed);
                    Ok(())
                }
                Err(RecvError::Closed) => Err(End::Close(CloseCode::ShuttingDown, None)),
            },
            heard = wire.recv() => wire.heard(heard).await.map(drop),
            () = sleep_until(ping_at) => wire.check_alive().await,
            // System B's page knows no farewell but the close itself.
            code = entry.ended() => Err(End::Close(code, None)),
        };
        if let Err(end) = turn {
            return end;
        }
    }
}

fn text(line: &Utf8Bytes) -> Message {
    Message::Text(line.clone())
}
