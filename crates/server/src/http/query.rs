//! Windows and moments of the past, read from the output log in sequence, page by page.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use emostream_log::{Log, LogError, Offset, TopicPartition};
use emostream_protocol::{ChannelName, Emotes, frame, row::Row, time};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    app::App,
    problem::{ErrorType, Problem},
};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// Rows of all channels looked at for one page: a page that finds less says where to go on, rather than hold a thread.
const ROWS_SCANNED_MAX: usize = 50_000;

/// Bytes of items in one page: a page that grows beyond says where to go on.
const PAGE_BYTES_MAX: usize = 512 * 1024;

/// Rows are appended after the event time in their sequence; clocks of machines may differ by this much, ms.
const CLOCK_MARGIN_MS: i64 = 5_000;

const READ_BYTES: usize = 1 << 20;

/// Parameters of a page.
#[derive(Debug, Deserialize)]
pub struct PageParameters {
    from: Option<String>,
    to: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// What a query looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Windows,
    Moments,
}

struct Search {
    kind: Kind,
    channel: ChannelName,
    from_ms: i64,
    to_ms: i64,
    limit: usize,
    after: Option<Cursor>,
}

/// Where a page ended: the next offset to look at, and the newest sequence looked at. Written `offset-seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    offset: Offset,
    seq: u64,
}

/// A page's bytes; its place among those in flight is free when the last byte was written.
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
    page(app, &channel, parameters, Kind::Windows).await
}

/// `GET /v1/channels/{channel}/moments`.
pub async fn moments(
    State(app): State<Arc<App>>,
    Path(channel): Path<String>,
    Query(parameters): Query<PageParameters>,
) -> Result<Response, Problem> {
    page(app, &channel, parameters, Kind::Moments).await
}

async fn page(
    app: Arc<App>,
    channel: &str,
    parameters: PageParameters,
    kind: Kind,
) -> Result<Response, Problem> {
    let search = parameters.search(app.channel(channel)?.name.clone(), kind)?;
    let busy = || Problem {
        retry_after: Some(std::time::Duration::from_secs(1)),
        ..Problem::new(ErrorType::Overloaded, "too many queries of the past are running")
    };
    let in_flight = app.pages_in_flight.clone().try_acquire_owned().map_err(|_| busy())?;
    let _running = app.queries.try_acquire().map_err(|_| busy())?;
    let (log, output, emotes) = (app.log.clone(), app.output.clone(), app.emotes.clone());
    let bytes = tokio::task::spawn_blocking(move || search.run(&*log, &output, &emotes))
        .await
        .map_err(|_| Problem::new(ErrorType::Internal, "the query broke off"))?
        .map_err(|error| {
            tracing::error!(%error, "query of the past failed");
            Problem::new(ErrorType::Internal, "the output log cannot be read")
        })?;
    let body = Body::from(Bytes::from_owner(Sent { bytes, _permit: in_flight }));
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

impl PageParameters {
    fn search(self, channel: ChannelName, kind: Kind) -> Result<Search, Problem> {
        let time = |name: &'static str, text: Option<String>, default: i64| match text {
            Some(text) => time::parse_ms(&text).map_err(|error| Problem::parameter(name, &error.to_string())),
            None => Ok(default),
        };
        let limit = match self.limit {
            None => LIMIT_DEFAULT,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(|| {
                    Problem::parameter("limit", &format!("expected a whole number from 1 to {LIMIT_MAX}"))
                })?
            }
        };
        let after = match self.cursor {
            None => None,
            Some(text) => Some(Cursor::parse(&text).ok_or_else(|| {
                Problem::parameter("cursor", "expected the next_cursor of an earlier answer")
            })?),
        };
        let from_ms = time("from", self.from, i64::MIN)?;
        let to_ms = time("to", self.to, i64::MAX)?;
        Ok(Search { kind, channel, from_ms, to_ms, limit, after })
    }
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let (offset, seq) = text.split_once('-')?;
        Some(Self { offset: offset.parse().ok()?, seq: seq.parse().ok()? })
    }
}

impl Search {
    /// Where to begin: rows that could match were not appended before this.
    fn begin(&self, log: &dyn Log, output: &TopicPartition) -> Result<Offset, LogError> {
        let start = log.bounds(output)?.start;
        if let Some(cursor) = self.after {
            return Ok(cursor.offset.max(start));
        }
        if self.from_ms <= 0 {
            return Ok(start);
        }
        log.offset_at(output, self.from_ms.saturating_sub(CLOCK_MARGIN_MS))
    }

    /// The answer as JSON.
    fn run(&self, log: &dyn Log, output: &TopicPartition, emotes: &Emotes) -> anyhow::Result<Vec<u8>> {
        let mut at = self.begin(log, output)?;
        let mut items = Items::default();
        // Of repeated rows the first wins.
        let mut newest = self.after.map_or(0, |cursor| cursor.seq);
        loop {
            if at >= log.bounds(output)?.end {
                return Ok(items.finish(None));
            }
            let read = match log.read(output, at, READ_BYTES) {
                Err(LogError::OutOfRange { start, .. }) if start > at => {
                    // Retention went on between the look-up and the read.
                    at = start;
                    continue;
                }
                Err(LogError::OutOfRange { .. }) => return Ok(items.finish(None)),
                read => read?,
            };
            for record in &read.records {
                let here = Cursor { offset: record.offset, seq: newest };
                if items.is_enough() {
                    return Ok(items.finish(Some(here)));
                }
                items.scanned += 1;
                // What cannot be read was reported when it was counted or shown.
                let Ok(row) = Row::decode(&record.value, emotes) else { continue };
                if *row.channel() != self.channel || row.seq() <= newest {
                    continue;
                }
                newest = row.seq();
                if self.is_beyond(&row) {
                    return Ok(items.finish(None));
                }
                if !self.wants(&row) {
                    continue;
                }
                if items.number == self.limit {
                    return Ok(items.finish(Some(here)));
                }
                items.push(&row, emotes);
            }
            at = read.next;
        }
    }

    /// Whether this and all later rows of the channel begin too late. Windows come in order of their begin; a moment may
    /// be found long after its interval began.
    fn is_beyond(&self, row: &Row) -> bool {
        matches!((self.kind, row), (Kind::Windows, Row::Window(row)) if row.window_start_ms >= self.to_ms)
    }

    fn wants(&self, row: &Row) -> bool {
        let start_ms = match (self.kind, row) {
            (Kind::Windows, Row::Window(row)) => row.window_start_ms,
            (Kind::Moments, Row::Moment(row)) => row.window_start_ms,
            _ => return false,
        };
        (self.from_ms..self.to_ms).contains(&start_ms)
    }
}

/// The items of a page, as JSON already.
#[derive(Default)]
struct Items {
    json: Vec<u8>,
    number: usize,
    scanned: usize,
}

impl Items {
    /// Whether this is all that one request may cost.
    fn is_enough(&self) -> bool {
        self.json.len() >= PAGE_BYTES_MAX || self.scanned >= ROWS_SCANNED_MAX
    }

    fn push(&mut self, row: &Row, emotes: &Emotes) {
        if self.number > 0 {
            self.json.push(b',');
        }
        self.number += 1;
        match row {
            Row::Window(row) => self.json.extend(frame::encode_window_item(row, emotes)),
            Row::Moment(row) => self.json.extend(frame::encode_moment_item(row, emotes)),
            Row::Settings(_) => {}
        }
    }

    fn finish(self, next: Option<Cursor>) -> Vec<u8> {
        let cursor = next.map_or("null".to_owned(), |next| format!("\"{}-{}\"", next.offset, next.seq));
        let mut body = Vec::with_capacity(self.json.len() + 64);
        body.extend_from_slice(b"{\"items\":[");
        body.extend_from_slice(&self.json);
        body.extend_from_slice(format!("],\"next_cursor\":{cursor}}}").as_bytes());
        body
    }
}
