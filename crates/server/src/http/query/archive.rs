//! Pages from the archive, in order of the windows' begin.

use emostream_protocol::{frame, row::Row};
use emostream_store::{ArchiveCursor, ArchiveQuery, Store, StoreError};

use super::{Items, Kind, Search, moments::MomentItem};
use crate::http::{app::App, problem::Problem};

/// Rows asked of the store at once: windows may have thousands of emotes, so that few of them fill a page.
const ROWS_AT_ONCE: u32 = 128;

/// A page as JSON.
pub(super) async fn page(
    app: &App,
    store: &Store,
    search: &Search,
    after: Option<ArchiveCursor>,
) -> Result<Vec<u8>, Problem> {
    let mut items = Items::default();
    let mut after = after;
    loop {
        let missing = u32::try_from(search.limit - items.number).unwrap_or(u32::MAX);
        let query = ArchiveQuery {
            channel: &search.channel,
            from_ms: search.from_ms,
            to_ms: search.to_ms,
            order: search.order,
            after,
            limit: missing.min(ROWS_AT_ONCE),
        };
        let found = match search.kind {
            Kind::Windows => windows(app, store, &query).await,
            Kind::Moments => moments(store, &query, search.include_hidden).await,
        };
        let (found, next) = found.map_err(|error| Problem::store(&error))?;
        let last = found.len().saturating_sub(1);
        for (index, (cursor, json)) in found.iter().enumerate() {
            items.push(json);
            let follows = index < last || next.is_some();
            if follows && (items.is_long() || items.number == search.limit) {
                return Ok(items.finish(Some((*cursor).into())));
            }
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(items.finish(None)),
        }
    }
}

/// Items with the cursors behind them, and where the next ones follow.
type Found = (Vec<(ArchiveCursor, Vec<u8>)>, Option<ArchiveCursor>);

async fn windows(app: &App, store: &Store, query: &ArchiveQuery<'_>) -> Result<Found, StoreError> {
    let page = store.windows(query).await?;
    let items = page.items.iter().filter_map(|window| {
        let cursor = ArchiveCursor { window_start_ms: window.window_start_ms, position: window.position };
        match Row::decode(&window.row, &app.emotes) {
            Ok(Row::Window(row)) => Some((cursor, frame::encode_window_item(&row, &app.emotes))),
            // What cannot be read was not archived: this is damage.
            other => {
                tracing::error!(position = %window.position, ?other, "archived window cannot be read");
                None
            }
        }
    });
    Ok((items.collect(), page.next))
}

async fn moments(store: &Store, query: &ArchiveQuery<'_>, hidden: bool) -> Result<Found, StoreError> {
    let page = store.moments(query, hidden).await?;
    let items = page.items.iter().map(|moment| {
        let cursor = ArchiveCursor { window_start_ms: moment.window_start_ms, position: moment.position };
        (cursor, MomentItem::of(moment).to_json())
    });
    Ok((items.collect(), page.next))
}
