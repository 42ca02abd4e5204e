//! Chapters in FFmpeg's metadata format, to be muxed with `ffmpeg -i in.mp4 -i moments.ffmeta -map_metadata 1 -codec copy`.
//!
//! A chapter goes on until the next one begins, as players show them; what comes before the first moment is one as well.
//! Of moments within a second the strongest names the chapter.

use super::{ExportOptions, Placed, timeline::thinned};

/// Shortest chapter: players round to seconds.
const APART_MS: u64 = 1_000;

pub(super) fn write(placed: &[Placed<'_>], left_out: usize, options: &ExportOptions) -> String {
    let moments = thinned(placed, 1, APART_MS);
    let mut chapters: Vec<(u64, u64, &str)> = Vec::with_capacity(moments.len() + 1);
    if let Some((first, _)) = moments.first().filter(|(at_ms, _)| *at_ms > 0) {
        chapters.push((0, *first, "Start"));
    }
    for (index, (at_ms, moment)) in moments.iter().enumerate() {
        let own_end_ms = at_ms + u64::from(moment.moment.window_ms).max(APART_MS);
        let end_ms = moments.get(index + 1).map_or(own_end_ms, |(next_ms, _)| *next_ms);
        chapters.push((*at_ms, end_ms, &moment.title));
    }
    let mut text = format!(";FFMETADATA1\ntitle={}\n", escaped(&options.channel));
    if left_out > 0 {
        text += &format!("; left out, without a place on the recording: {left_out}\n");
    }
    for (start_ms, end_ms, title) in chapters {
        let title = escaped(title);
        text += &format!("\n[CHAPTER]\nTIMEBASE=1/1000\nSTART={start_ms}\nEND={end_ms}\ntitle={title}\n");
    }
    text
}

/// A value: `=`, `;`, `#`, `\` and newlines have a backslash before them.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if matches!(c, '=' | ';' | '#' | '\\' | '\n') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
