//! A table by RFC 4180: commas, CRLF, quotes doubled; UTF-8. No cell can begin a formula in a spreadsheet.

use emostream_protocol::time;

use super::Placed;

const COLUMNS: &str = "position_ms,window_start,window_ms,emote,count,strength,reactors,title,note,media_time_ms,\
    rule,rule_version,seq,id";

pub(super) fn write(placed: &[Placed<'_>]) -> String {
    let mut text = format!("{COLUMNS}\r\n");
    for placed in placed {
        let m = placed.moment;
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        text += &format!(
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n",
            number(placed.position_ms),
            time::format_ms(m.window_start_ms),
            m.window_ms,
            cell(&m.emote),
            m.count,
            m.strength,
            m.reactors,
            cell(&placed.title),
            cell(m.note.as_deref().unwrap_or_default()),
            number(m.media_time_ms),
            cell(&m.rule),
            m.rule_version,
            m.seq,
            cell(&m.id)
        );
    }
    text
}

/// A text as a cell: quoted where it must be, and with an apostrophe before what a spreadsheet would take for a formula
/// (OWASP, CSV injection).
pub fn cell(text: &str) -> String {
    let formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
        || text.starts_with(['\t', '\r', '\n']);
    let safe = if formula { format!("'{text}") } else { text.to_owned() };
    let quoted = safe.contains([',', '"', '\r', '\n']) || safe.starts_with(' ') || safe.ends_with(' ');
    if quoted { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}
