//! A reaction as a line of CSV, a JSON object, and a row of a table: the same columns in each.

use emostream_protocol::{Emotes, time as rfc3339};
use serde::Serialize;

use super::scan::Found;
use crate::control::exports::csv_cell;

/// A reaction with every value as it is stored.
#[derive(Debug, Serialize)]
pub(super) struct StoredReaction {
    pub(super) event_time: String,
    pub(super) emote: String,
    pub(super) id: String,
    pub(super) id_from_client: bool,
    pub(super) user_id: Option<String>,
    pub(super) media_time_ms: Option<u64>,
    pub(super) tapped_at: String,
    pub(super) received_at: String,
    pub(super) appended_at: String,
    pub(super) late: bool,
    pub(super) log_partition: u32,
    pub(super) log_offset: u64,
    pub(super) place: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duplicate: Option<bool>,
}

const COLUMNS: &str = "event_time,emote,id,id_from_client,user_id,media_time_ms,tapped_at,received_at,appended_at,late,\
    log_partition,log_offset,place";

/// RFC 3339.
pub(super) fn time(ms: i64) -> String {
    rfc3339::format_ms(ms)
}

/// All values of a reaction, with the mark of repeats.
pub(super) fn stored(found: &Found<'_>, emotes: &Emotes) -> StoredReaction {
    StoredReaction {
        event_time: time(found.event_ms),
        emote: emotes.name(found.emote).to_string(),
        id: found.id.to_string(),
        id_from_client: found.id_from_client,
        user_id: (!found.user.is_empty()).then(|| found.user.to_owned()),
        media_time_ms: found.media_time_ms,
        tapped_at: time(found.tapped_ms),
        received_at: time(found.received_ms),
        appended_at: time(found.appended_ms),
        late: found.late,
        log_partition: found.partition,
        log_offset: found.offset,
        place: found.place,
        duplicate: Some(found.duplicate),
    }
}

/// The first line of a table.
pub(super) fn csv_head(with_duplicates: bool) -> String {
    format!("{COLUMNS}{}\r\n", if with_duplicates { ",duplicate" } else { "" })
}

/// A line of a table.
pub(super) fn csv_line(found: &Found<'_>, emotes: &Emotes, with_duplicates: bool) -> String {
    let row = stored(found, emotes);
    let mut cells = [
        row.event_time,
        csv_cell(&row.emote),
        row.id,
        row.id_from_client.to_string(),
        csv_cell(row.user_id.as_deref().unwrap_or_default()),
        row.media_time_ms.map(|ms| ms.to_string()).unwrap_or_default(),
        row.tapped_at,
        row.received_at,
        row.appended_at,
        row.late.to_string(),
        row.log_partition.to_string(),
        row.log_offset.to_string(),
        row.place.to_string(),
    ]
    .join(",");
    if with_duplicates {
        cells.push_str(if found.duplicate { ",true" } else { ",false" });
    }
    cells.push_str("\r\n");
    cells
}

/// A JSON object on a line.
pub(super) fn json_line(found: &Found<'_>, emotes: &Emotes, with_duplicates: bool) -> String {
    let mut row = stored(found, emotes);
    row.duplicate = row.duplicate.filter(|_| with_duplicates);
    let mut line = serde_json::to_string(&row).expect("strings and numbers can be written as JSON");
    line.push('\n');
    line
}
