//! The final windows of the source systems' channel as lines of systems B and D, from now on, for all their clients at once.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use emostream_log::Log;
use emostream_protocol::{
    Emotes,
    limits::EMOTES_PER_FRAME_MAX,
    row::{Row, WindowRow},
};
use tokio::sync::broadcast;

use super::follower;
use crate::{config::LineShape, output::Output, projection::shapes, tasks::Tasks};

/// Windows that a client may be behind, two minutes of them. A slower one misses the oldest, and gets the newest.
const WINDOWS_WAITING_MAX: usize = 64;

/// One window: a line an emote, the most frequent first.
#[derive(Debug)]
pub(super) struct Lines {
    /// `{"emoji", "count", "shown", "window_start"}`, as system B's cluster socket sends them.
    pub(super) emoji: Vec<Utf8Bytes>,
    /// `{"emoji_type", "count", "shown", "window_start"}`, as system D's subscribers send them.
    pub(super) emoji_type: Vec<Bytes>,
}

/// Windows from now on, kept once for all clients.
#[derive(Debug, Clone)]
pub struct Windows(broadcast::Sender<Arc<Lines>>);

/// One client's place in them.
pub(super) type Receiver = broadcast::Receiver<Arc<Lines>>;

impl Windows {
    /// Starts to follow a channel's windows.
    pub fn start(
        log: Arc<dyn Log>,
        output: &Output,
        channel: String,
        emotes: Arc<Emotes>,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let windows = Self::new();
        let to = windows.clone();
        let mut newest = 0;
        follower::start("windows of source systems", log, output.of(&channel), tasks, move |record| {
            // Of repeated rows the first wins.
            if let Ok(Row::Window(row)) = Row::decode(&record.value, &emotes)
                && *row.channel == *channel
                && row.seq > newest
            {
                newest = row.seq;
                if to.0.receiver_count() > 0 {
                    to.publish(lines(row, &emotes));
                }
            }
            true
        })?;
        Ok(windows)
    }

    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(WINDOWS_WAITING_MAX))
    }

    pub(super) fn publish(&self, lines: Lines) {
        // An error says that nobody listens.
        drop(self.0.send(Arc::new(lines)));
    }

    /// Windows from now on.
    pub(super) fn listen(&self) -> Receiver {
        self.0.subscribe()
    }
}

/// The lines of a window; as in frames, one sender who uses every emoji does not cost every client thousands of lines.
fn lines(mut row: WindowRow, emotes: &Emotes) -> Lines {
    row.emotes.sort_by_key(|emote| std::cmp::Reverse(emote.count));
    row.emotes.truncate(EMOTES_PER_FRAME_MAX);
    let texts = shapes::window(LineShape::Emoji, &row, emotes).into_iter();
    Lines {
        emoji: texts.map(|line| Utf8Bytes::try_from(line).unwrap_or_default()).collect(),
        emoji_type: shapes::window(LineShape::EmojiType, &row, emotes),
    }
}
