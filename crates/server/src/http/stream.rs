//! Viewers' connections: WebSocket and server-sent events. The session decides, this moves bytes.

pub mod events;
pub mod websocket;
pub(crate) mod wire;

use std::{str::FromStr, sync::Arc};

use axum::http::HeaderMap;
use emostream_protocol::{Epoch, Position};
use serde::Deserialize;

use super::{
    app::{App, Phase},
    problem::{ErrorType, Problem},
};
use crate::{
    edge::{hub::Seat, session::Join, view::WINDOWS_KEPT},
    ingest::endpoint::{guest_cookie, guest_set_cookie},
};

/// Query parameters of a viewer's connection.
#[derive(Debug, Deserialize)]
pub struct JoinParameters {
    epoch: Option<String>,
    since: Option<String>,
    replay_window: Option<String>,
}

impl JoinParameters {
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
    fn of(app: &App, headers: &HeaderMap) -> Self {
        let Some(intake) = &app.intake else { return Self { user: String::new(), set_cookie: None } };
        if let Some(user) = guest_cookie(headers).and_then(|token| intake.guest(token)) {
            return Self { user, set_cookie: None };
        }
        let (user, token) = intake.new_guest();
        Self { user, set_cookie: Some(guest_set_cookie(&token)) }
    }
}

/// A place for one more viewer, unless the node is full or stopping.
pub(crate) fn seat(app: &Arc<App>) -> Result<Seat, Problem> {
    if app.phase() == Phase::Stopping {
        return Err(Problem {
            retry_after: Some(std::time::Duration::from_secs(1)),
            ..Problem::new(ErrorType::Stopping, "the node is stopping")
        });
    }
    let edge = app.edge()?;
    edge.hub.seat(edge.config.viewers_max).ok_or_else(|| Problem {
        retry_after: Some(std::time::Duration::from_secs(5)),
        ..Problem::new(ErrorType::NodeFull, "the node holds as many viewers as it may")
    })
}
