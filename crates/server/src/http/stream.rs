//! Viewers' connections: WebSocket and server-sent events. The session decides, this moves bytes.

pub mod events;
pub mod websocket;
pub(crate) mod wire;

use std::{str::FromStr, sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use emostream_protocol::{Epoch, Position, close::CloseCode, frame};
use serde::Deserialize;

use super::{
    app::{App, Phase},
    problem::{ErrorType, Problem},
};
use crate::{
    channels::Channel,
    edge::{
        gate::{Denied, Entry, Gate},
        session::Join,
        view::WINDOWS_KEPT,
    },
    ingest::endpoint::{guest_cookie, guest_set_cookie},
};

/// Query parameters of a viewer's connection.
#[derive(Debug, Deserialize)]
pub struct JoinParameters {
    epoch: Option<String>,
    since: Option<String>,
    replay_window: Option<String>,
    ticket: Option<String>,
}

/// The ticket of a connection that has no other parameters.
#[derive(Debug, Deserialize)]
pub struct TicketParameter {
    /// As placement gave it.
    pub ticket: Option<String>,
}

impl JoinParameters {
    /// The ticket, if there is one.
    pub fn ticket(&self) -> Option<&str> {
        self.ticket.as_deref()
    }

    /// How the viewer joins; `Last-Event-ID` stands for `epoch` and `since`.
    pub fn join(&self, headers: &HeaderMap) -> Result<Join, Problem> {
        let replay_windows = match &self.replay_window {
            None => 0,
            Some(text) => text.parse().ok().filter(|n| *n <= WINDOWS_KEPT).ok_or_else(|| {
                let expected = format!("expected a whole number from 0 to {WINDOWS_KEPT}");
                Problem::parameter("replay_window", &expected)
            })?,
        };
        if let Some(id) = headers.get("last-event-id") {
            let position = id.to_str().ok().and_then(|id| Position::from_str(id).ok());
            let resume = position.ok_or_else(|| {
                Problem::parameter("Last-Event-ID", "expected the id of an event, epoch.seq")
            })?;
            return Ok(Join { resume: Some(resume), replay_windows });
        }
        let resume = match (&self.epoch, &self.since) {
            (Some(epoch), Some(since)) => {
                let epoch = Epoch::from_str(epoch)
                    .map_err(|_| Problem::parameter("epoch", "expected 32 hexadecimal digits"))?;
                let seq =
                    since.parse().map_err(|_| Problem::parameter("since", "expected a sequence number"))?;
                Some(Position { epoch, seq })
            }
            (None, None) => None,
            (None, Some(_)) => return Err(Problem::parameter("epoch", "expected together with since")),
            (Some(_), None) => return Err(Problem::parameter("since", "expected together with epoch")),
        };
        Ok(Join { resume, replay_windows })
    }
}

/// The viewer's identity, with the cookie to set when it is new.
struct Viewer {
    user: String,
    set_cookie: Option<String>,
}

impl Viewer {
    /// Who the ticket names; without one the guest whom the cookie names, or a new one.
    fn of(app: &App, entry: &Entry, headers: &HeaderMap) -> Self {
        if let Some(user) = entry.user() {
            return Self { user: user.to_owned(), set_cookie: None };
        }
        let Some(intake) = &app.intake else { return Self { user: String::new(), set_cookie: None } };
        if let Some(user) = guest_cookie(headers).and_then(|token| intake.guest(token)) {
            return Self { user, set_cookie: None };
        }
        let (user, token) = intake.new_guest();
        Self { user, set_cookie: Some(guest_set_cookie(&token)) }
    }
}

/// The gate that the listener of a request belongs to.
#[derive(Clone)]
pub struct AtGate(pub Option<Arc<Gate>>);

impl AtGate {
    /// Name of the edge whose listener it is; `None` where it is no edge's own.
    pub fn edge(&self) -> Option<&str> {
        self.0.as_ref().map(|gate| gate.name()).filter(|name| !name.is_empty())
    }
}

impl<S: Sync> FromRequestParts<S> for AtGate {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or(Self(None)))
    }
}

/// Why a viewer's connection was refused.
pub(crate) struct Refused {
    problem: Problem,
    close: Option<CloseCode>,
}

impl Refused {
    /// The code to close a WebSocket with, where its client must see why: a browser shows no page the status of an upgrade
    /// that was refused.
    pub(crate) fn close(&self) -> Option<CloseCode> {
        self.close
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        refused.problem
    }
}

/// Lets one more viewer in, to a channel where that is known.
pub(crate) async fn enter(
    app: &Arc<App>,
    AtGate(gate): &AtGate,
    ticket: Option<&str>,
    channel: Option<&Channel>,
) -> Result<Entry, Refused> {
    let refused = |denied| Refused { problem: problem_of(denied), close: close_of(denied, ticket.is_some()) };
    if app.phase() == Phase::Stopping {
        return Err(refused(Denied::Stopping));
    }
    let edge = app.edge().map_err(|problem| Refused { problem, close: None })?;
    gate.as_ref().unwrap_or(&edge.common).enter(ticket, channel).await.map_err(refused)
}

/// What somebody who is not let in is told.
pub(crate) fn problem_of(denied: Denied) -> Problem {
    let (kind, detail, retry_s) = match denied {
        Denied::Full => (ErrorType::NodeFull, "the node holds as many viewers as it may", Some(5)),
        Denied::Draining => (ErrorType::EdgeDraining, "the edge is being emptied: ask placement", Some(1)),
        Denied::Stopping => (ErrorType::Stopping, "the node is stopping", Some(1)),
        Denied::Ticket => (ErrorType::TicketRefused, "expected a ticket that is good here and now", None),
        Denied::Guests => (ErrorType::GuestsRefused, "expected a ticket of an account", None),
        Denied::NoTicket => (ErrorType::TicketMissing, "expected a ticket of POST /v1/placements", None),
    };
    Problem { retry_after: retry_s.map(Duration::from_secs), ..Problem::new(kind, detail) }
}

fn close_of(denied: Denied, has_ticket: bool) -> Option<CloseCode> {
    match denied {
        // Whoever has none, or no good one, gets one of placement and comes back.
        Denied::Ticket | Denied::NoTicket => Some(CloseCode::TicketRefused),
        Denied::Guests => Some(CloseCode::GuestsRefused),
        // Who was sent here by placement goes back there; others are answered as they always were.
        Denied::Full => has_ticket.then_some(CloseCode::Full),
        Denied::Draining => has_ticket.then_some(CloseCode::Draining),
        Denied::Stopping => has_ticket.then_some(CloseCode::ShuttingDown),
    }
}

/// The last frame before a close, which says when to come back where that is wanted.
pub(crate) fn bye(app: &App, code: CloseCode) -> bytes::Bytes {
    let spread_ms = app.config.edge.reconnect_spread_ms.max(1);
    let reconnect_in_ms = code.reconnect().then(|| rand::random_range(0..=spread_ms));
    frame::encode_bye(code.reason(), reconnect_in_ms)
}
