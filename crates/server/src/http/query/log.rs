//! Pages from the output log, in sequence: on nodes without control, and for cursors that began there.

use std::sync::Arc;

use emostream_log::{Log, LogError, Offset, TopicPartition};
use emostream_protocol::{Emotes, frame, row::Row};

use super::{
    Items, Kind, Search,
    cursor::{Cursor, LogCursor},
    moments::MomentItem,
};
use crate::http::{
    app::App,
    problem::{ErrorType, Problem},
};

/// Rows of all channels looked at for one page: a page that finds less says where to go on, rather than hold a thread.
const ROWS_SCANNED_MAX: usize = 50_000;

/// Rows are appended after the event time in their sequence; clocks of machines may differ by this much, ms.
const CLOCK_MARGIN_MS: i64 = 5_000;

const READ_BYTES: usize = 1 << 20;

/// A page as JSON.
pub(super) async fn page(
    app: &Arc<App>,
    search: Search,
    after: Option<LogCursor>,
) -> Result<Vec<u8>, Problem> {
    let (log, output, emotes) = (app.log.clone(), app.output.of(&search.channel), app.emotes.clone());
    tokio::task::spawn_blocking(move || search.run(after, &*log, &output, &emotes))
        .await
        .map_err(|_| Problem::new(ErrorType::Internal, "the query broke off"))?
        .map_err(|error| {
            tracing::error!(%error, "query of the past failed");
            Problem::new(ErrorType::Internal, "the output log cannot be read")
        })
}

impl Search {
    /// Where to begin: rows that could match were not appended before this.
    fn begin(
        &self,
        after: Option<LogCursor>,
        log: &dyn Log,
        output: &TopicPartition,
    ) -> Result<Offset, LogError> {
        let start = log.bounds(output)?.start;
        if let Some(cursor) = after {
            return Ok(cursor.offset.max(start));
        }
        if self.from_ms <= 0 {
            return Ok(start);
        }
        log.offset_at(output, self.from_ms.saturating_sub(CLOCK_MARGIN_MS))
    }

    /// The answer as JSON.
    fn run(
        &self,
        after: Option<LogCursor>,
        log: &dyn Log,
        output: &TopicPartition,
        emotes: &Emotes,
    ) -> anyhow::Result<Vec<u8>> {
        let mut at = self.begin(after, log, output)?;
        let (mut items, mut scanned) = (Items::default(), 0);
        // Of repeated rows the first wins.
        let mut newest = after.map_or(0, |cursor| cursor.seq);
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
                let here = Cursor::Log(LogCursor { offset: record.offset, seq: newest });
                if items.is_long() || scanned >= ROWS_SCANNED_MAX {
                    return Ok(items.finish(Some(here)));
                }
                scanned += 1;
                // What cannot be read was reported when it was counted or shown.
                let Ok(row) = Row::decode(&record.value, emotes) else { continue };
                if *row.channel() != self.channel || row.seq() <= newest {
                    continue;
                }
                newest = row.seq();
                if self.is_beyond(&row) {
                    return Ok(items.finish(None));
                }
                let Some(json) = self.wanted(&row, emotes) else { continue };
                if items.number == self.limit {
                    return Ok(items.finish(Some(here)));
                }
                items.push(&json);
            }
            at = read.next;
        }
    }

    /// Whether this and all later rows of the channel begin too late. Windows come in order of their begin; a moment may
    /// be found long after its interval began.
    fn is_beyond(&self, row: &Row) -> bool {
        matches!((self.kind, row), (Kind::Windows, Row::Window(row)) if row.window_start_ms >= self.to_ms)
    }

    /// The item of a row that is looked for.
    fn wanted(&self, row: &Row, emotes: &Emotes) -> Option<Vec<u8>> {
        let span = self.from_ms..self.to_ms;
        match (self.kind, row) {
            (Kind::Windows, Row::Window(row)) if span.contains(&row.window_start_ms) => {
                Some(frame::encode_window_item(row, emotes))
            }
            (Kind::Moments, Row::Moment(row)) if span.contains(&row.window_start_ms) => {
                Some(MomentItem::of_row(row, emotes).to_json())
            }
            _ => None,
        }
    }
}
