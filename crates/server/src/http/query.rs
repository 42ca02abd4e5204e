//! Windows and moments of the past: pages, single moments, exports, and what another rule would have found.
//!
//! Where control runs, answers come from the archive and outlive the log's output; elsewhere from the output [`log`].

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use emostream_protocol::{ChannelName, time};
use emostream_store::{ArchiveCursor, Order};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    access::{Caller, Role},
    app::App,
    problem::{ErrorType, Problem},
};

mod archive;
mod cursor;
pub mod export;
mod log;
pub mod moments;
pub mod preview;

use cursor::Cursor;

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// Bytes of items in one page: a page that grows beyond says where to go on.
const PAGE_BYTES_MAX: usize = 512 * 1024;

/// So long an answer waits for the archive to reach what is in the log already.
const ARCHIVE_PATIENCE: Duration = Duration::from_secs(2);

/// Parameters of a page.
#[derive(Debug, Deserialize)]
pub struct PageParameters {
    from: Option<String>,
    to: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
    order: Option<String>,
    include_hidden: Option<String>,
}

/// What a query looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Windows,
    Moments,
}

/// A checked query.
struct Search {
    kind: Kind,
    channel: ChannelName,
    from_ms: i64,
    to_ms: i64,
    limit: usize,
    order: Order,
    after: Option<Cursor>,
    include_hidden: bool,
}

/// An answer's bytes; its place among those in flight is free when the last byte was written.
struct Sent {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// `GET /v1/channels/{channel}/windows`.
pub async fn windows(
    State(app): State<Arc<App>>,
    Path(channel): Path<String>,
    Query(parameters): Query<PageParameters>,
) -> Result<Response, Problem> {
    let search = parameters.search(&app, &channel, Kind::Windows)?;
    page(app, search).await
}

/// `GET /v1/channels/{channel}/moments`.
pub async fn moments(
    State(app): State<Arc<App>>,
    caller: Option<Caller>,
    Path(channel): Path<String>,
    Query(parameters): Query<PageParameters>,
) -> Result<Response, Problem> {
    let search = parameters.search(&app, &channel, Kind::Moments)?;
    if search.include_hidden {
        must_moderate(caller.as_ref())?;
    }
    page(app, search).await
}

async fn page(app: Arc<App>, search: Search) -> Result<Response, Problem> {
    let in_flight = app.pages_in_flight.clone().try_acquire_owned().map_err(|_| busy())?;
    if let Some(control) = &app.control {
        // Before a place among the running is taken: waiting costs nothing.
        control.archive.catch_up(ARCHIVE_PATIENCE).await;
    }
    let _running = app.queries.try_acquire().map_err(|_| busy())?;
    let after = match search.after {
        Some(Cursor::Archive(after)) => Some(after),
        // The log knows nothing of what moderators have hidden.
        Some(Cursor::Log(_)) if app.control.is_some() && search.kind == Kind::Moments => {
            return Err(bad_cursor());
        }
        Some(Cursor::Log(_)) if search.order == Order::Descending => return Err(bad_cursor()),
        // A cursor of a page that came from the log goes on there.
        Some(Cursor::Log(after)) => return Ok(sent(log::page(&app, search, Some(after)).await?, in_flight)),
        None => None,
    };
    let bytes = match &app.control {
        Some(control) => archive::page(&app, &control.store, &search, after).await?,
        None if after.is_some() => return Err(bad_cursor()),
        // The log is read in the order in which it was written.
        None if search.order == Order::Descending => {
            return Err(Problem::parameter(
                "order",
                "expected asc: this node has no archive to read newest first",
            ));
        }
        None => log::page(&app, search, None).await?,
    };
    Ok(sent(bytes, in_flight))
}

fn sent(bytes: Vec<u8>, permit: OwnedSemaphorePermit) -> Response {
    let body = Body::from(Bytes::from_owner(Sent { bytes, _permit: permit }));
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

fn busy() -> Problem {
    Problem {
        retry_after: Some(Duration::from_secs(1)),
        ..Problem::new(ErrorType::Overloaded, "too many queries of the past are running")
    }
}

fn bad_cursor() -> Problem {
    Problem::parameter("cursor", "expected the next_cursor of an earlier answer")
}

/// Hidden moments are for those who can hide them.
fn must_moderate(caller: Option<&Caller>) -> Result<(), Problem> {
    match caller {
        Some(caller) if caller.role >= Role::Moderator => Ok(()),
        Some(_) => Err(Problem::new(ErrorType::Forbidden, "hidden moments are shown to moderators")),
        None => Err(Problem::new(ErrorType::TokenMissing, "hidden moments are shown to moderators")),
    }
}

fn no_moment() -> Problem {
    Problem::new(ErrorType::MomentNotFound, "expected the id of a moment of this channel")
}

/// A time of the query string, or of a body.
fn time_of(name: &'static str, text: Option<&str>, default: i64) -> Result<i64, Problem> {
    text.map_or(Ok(default), |text| {
        time::parse_ms(text).map_err(|error| Problem::parameter(name, &error.to_string()))
    })
}

fn order_of(text: Option<&str>) -> Result<Order, Problem> {
    match text {
        None | Some("asc") => Ok(Order::Ascending),
        Some("desc") => Ok(Order::Descending),
        Some(_) => Err(Problem::parameter("order", "expected asc or desc")),
    }
}

fn flag_of(name: &'static str, text: Option<&str>) -> Result<bool, Problem> {
    match text {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::parameter(name, "expected true or false")),
    }
}

impl PageParameters {
    fn search(&self, app: &App, channel: &str, kind: Kind) -> Result<Search, Problem> {
        let channel = app.channel(channel)?.name.clone();
        let limit = match &self.limit {
            None => LIMIT_DEFAULT,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(|| {
                    Problem::parameter("limit", &format!("expected a whole number from 1 to {LIMIT_MAX}"))
                })?
            }
        };
        let after = match &self.cursor {
            None => None,
            Some(text) => Some(Cursor::parse(text).ok_or_else(bad_cursor)?),
        };
        Ok(Search {
            kind,
            channel,
            from_ms: time_of("from", self.from.as_deref(), i64::MIN)?,
            to_ms: time_of("to", self.to.as_deref(), i64::MAX)?,
            limit,
            order: order_of(self.order.as_deref())?,
            after,
            include_hidden: flag_of("include_hidden", self.include_hidden.as_deref())?,
        })
    }
}

/// The items of a page, as JSON already.
#[derive(Default)]
struct Items {
    json: Vec<u8>,
    number: usize,
}

impl Items {
    fn is_long(&self) -> bool {
        self.json.len() >= PAGE_BYTES_MAX
    }

    fn push(&mut self, json: &[u8]) {
        if self.number > 0 {
            self.json.push(b',');
        }
        self.number += 1;
        self.json.extend_from_slice(json);
    }

    fn finish(self, next: Option<Cursor>) -> Vec<u8> {
        let cursor = next.map_or("null".to_owned(), |next| format!("\"{next}\""));
        let mut body = Vec::with_capacity(self.json.len() + 64);
        body.extend_from_slice(b"{\"items\":[");
        body.extend_from_slice(&self.json);
        body.extend_from_slice(format!("],\"next_cursor\":{cursor}}}").as_bytes());
        body
    }
}

impl From<ArchiveCursor> for Cursor {
    fn from(cursor: ArchiveCursor) -> Self {
        Self::Archive(cursor)
    }
}
