//! One JSON document: how positions were made, and the moments in their order.

use emostream_protocol::time;
use serde::Serialize;

use super::{ExportOptions, Placed};

#[derive(Serialize)]
struct Document<'a> {
    channel: &'a str,
    recording_started_at: Option<String>,
    offset_ms: i64,
    left_out: usize,
    moments: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    position_ms: Option<u64>,
    id: &'a str,
    seq: u64,
    emote: &'a str,
    window_start: String,
    window_ms: u32,
    count: u64,
    strength: f64,
    reactors: u64,
    rule: &'a str,
    rule_version: u64,
    media_time_ms: Option<u64>,
    title: &'a str,
    note: Option<&'a str>,
}

pub(super) fn write(placed: &[Placed<'_>], left_out: usize, options: &ExportOptions) -> String {
    let document = Document {
        channel: &options.channel,
        recording_started_at: options.timeline.recording_started_ms.map(time::format_ms),
        offset_ms: options.timeline.offset_ms,
        left_out,
        moments: placed.iter().map(|placed| item(placed)).collect(),
    };
    let mut text =
        serde_json::to_string_pretty(&document).expect("strings and numbers can be written as JSON");
    text.push('\n');
    text
}

fn item<'p>(placed: &'p Placed<'_>) -> Item<'p> {
    let m = placed.moment;
    Item {
        position_ms: placed.position_ms,
        id: &m.id,
        seq: m.seq,
        emote: &m.emote,
        window_start: time::format_ms(m.window_start_ms),
        window_ms: m.window_ms,
        count: m.count,
        strength: m.strength,
        reactors: m.reactors,
        rule: &m.rule,
        rule_version: m.rule_version,
        media_time_ms: m.media_time_ms,
        title: &placed.title,
        note: m.note.as_deref(),
    }
}
