//! System E's console: one line on standard output for each final window of the channel.

use std::{fmt::Write as _, io::Write as _, sync::Arc};

use emostream_log::Log;
use emostream_moments::ScaleDown;
use emostream_protocol::{
    Emotes,
    limits::EMOTES_PER_FRAME_MAX,
    row::{Row, WindowRow},
    time,
};

use super::follower;
use crate::{output::Output, tasks::Tasks};

/// Starts printing the windows of a channel that become final from now on. When nobody reads standard output any more,
/// printing ends and the node goes on.
pub fn start(
    log: Arc<dyn Log>,
    output: &Output,
    channel: String,
    emotes: Arc<Emotes>,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let mut newest = 0;
    let rows = output.of(&channel);
    follower::start("console", log, rows, tasks, move |record| {
        let Ok(Row::Window(row)) = Row::decode(&record.value, &emotes) else { return true };
        if *row.channel != *channel || row.seq <= newest {
            return true;
        }
        newest = row.seq;
        match writeln!(std::io::stdout().lock(), "{}", line(&row, &emotes)) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "console: standard output takes no more lines");
                false
            }
        }
    })
}

/// A window for people: its begin, and of each emote the count and how many system E shows for it.
fn line(row: &WindowRow, emotes: &Emotes) -> String {
    let mut most_first: Vec<_> = row.emotes.iter().collect();
    most_first.sort_by_key(|emote| std::cmp::Reverse(emote.count));
    let mut line = format!("window {}", time::format_ms(row.window_start_ms));
    for one in most_first.iter().take(EMOTES_PER_FRAME_MAX) {
        let shown = ScaleDown::PerThousand.shown(one.count);
        let name = emotes.name(one.emote);
        write!(line, "  {name} {} (scaled {shown})", one.count).expect("writing to a String cannot fail");
    }
    if let Some(more) = most_first.len().checked_sub(EMOTES_PER_FRAME_MAX).filter(|more| *more > 0) {
        write!(line, "  and {more} more").expect("writing to a String cannot fail");
    }
    line
}

#[cfg(test)]
mod tests {
    use emostream_protocol::{
        ChannelName, Emotes,
        row::{EmoteCount, WindowRow},
    };

    use super::line;

    #[test]
    fn a_line_has_the_time_the_counts_and_what_is_shown() {
        let emotes = Emotes::new();
        let of = |text: &str, count| EmoteCount {
            emote: emotes.resolve(text).unwrap(),
            count,
            late: 0,
            reactors: count,
        };
        let row = WindowRow {
            channel: ChannelName::new("main").unwrap(),
            seq: 1,
            window_start_ms: 1_000,
            window_ms: 2_000,
            emotes: vec![of("sad", 999), of("happy", 2_500)],
            reactors: 3,
            unverified: 0,
        };
        assert_eq!(
            line(&row, &emotes),
            "window 1970-01-01T00:00:01.000Z  😀 2500 (scaled 2)  😢 999 (scaled 0)"
        );
    }
}
