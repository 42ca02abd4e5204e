//! WebVTT: one cue for each moment, as long as what was judged. Cues may overlap, as the format allows: two emotes can
//! have their moment at once.

use super::{ExportOptions, Placed};

pub(super) fn write(placed: &[Placed<'_>], left_out: usize, options: &ExportOptions) -> String {
    let mut text = format!("WEBVTT\n\nNOTE\nMoments of channel {}: {}\n", options.channel, placed.len());
    if left_out > 0 {
        text += &format!("Left out, without a place on the recording: {left_out}\n");
    }
    for placed in placed {
        let start_ms = placed.at_ms();
        let end_ms = start_ms + u64::from(placed.moment.window_ms.max(1));
        text += &format!(
            "\n{}\n{} --> {}\n{}\n",
            placed.moment.id.replace("-->", "->"),
            timestamp(start_ms),
            timestamp(end_ms),
            escaped(&placed.title)
        );
    }
    text
}

/// `HH:MM:SS.mmm`; hours have two digits or more.
fn timestamp(ms: u64) -> String {
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", ms / 1_000 % 60, ms % 1_000)
}

/// Cue text: what would begin a tag or an entity is written as an entity. So `-->` cannot appear either.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
