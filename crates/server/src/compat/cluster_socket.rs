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

use super::windows::Receiver;
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
    let may_stay = || {
        let channel = app.channels.get(&app.config.compat.channel);
        channel.is_none_or(|channel| entry.may_stay_in(&channel))
    };
    let mut settings = app.channels.follow();
    // They may have changed since the ticket was looked at.
    settings.mark_changed();
    loop {
        let ping_at = wire.next_ping();
        let turn = tokio::select! {
            changed = settings.changed() => match changed {
                Ok(()) if may_stay() => Ok(()),
                Ok(()) => Err(End::Close(CloseCode::GuestsRefused, None)),
                Err(_) => Err(End::Close(CloseCode::ShuttingDown, None)),
            },
            received = windows.recv() => match received {
                // Both may have come at once.
                Ok(_) if !may_stay() => Err(End::Close(CloseCode::GuestsRefused, None)),
                Ok(lines) => wire.send(lines.emoji.iter().map(text).collect()).await,
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
