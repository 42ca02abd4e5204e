//! Rows of channels that this node has not heard of yet: the directory and the rows reach a node on two ways, and a
//! channel's first row may be the faster one.

use std::collections::{BTreeMap, VecDeque};

use emostream_protocol::{ChannelName, row::Row};

/// Channels that may wait at once; of one more nothing is kept.
const CHANNELS_MAX: usize = 64;

/// Newest rows kept of each.
const ROWS_MAX: usize = 512;

/// What was kept of a channel.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Its rows, in sequence.
    pub(super) rows: VecDeque<Row>,
    /// Rows with a sequence up to this one were not kept; 0 if all were.
    pub(super) lost_through: u64,
}

/// Rows that wait for their channel.
#[derive(Debug, Default)]
pub(super) struct EarlyRows {
    channels: BTreeMap<ChannelName, Kept>,
    /// Newest sequence of a row of which nothing was kept.
    lost_through: u64,
}

impl EarlyRows {
    /// Keeps a row for when its channel is known.
    pub(super) fn keep(&mut self, row: Row) {
        if self.channels.len() >= CHANNELS_MAX && !self.channels.contains_key(row.channel()) {
            tracing::warn!(channel = %row.channel(), "a row of a channel that is not known here is left out");
            self.lost_through = self.lost_through.max(row.seq());
            return;
        }
        let kept = self.channels.entry(row.channel().clone()).or_default();
        kept.rows.push_back(row);
        while kept.rows.len() > ROWS_MAX {
            kept.lost_through = kept.rows.pop_front().map_or(kept.lost_through, |row| row.seq());
        }
    }

    /// What was kept of a channel that is known now.
    pub(super) fn take(&mut self, channel: &ChannelName) -> Kept {
        let mut kept = self.channels.remove(channel).unwrap_or_default();
        kept.lost_through = kept.lost_through.max(self.lost_through);
        kept
    }
}

#[cfg(test)]
mod tests {
    use emostream_protocol::{
        ChannelName, ChannelSettings,
        record::SettingsChange,
        row::{Row, SettingsRow},
    };

    use super::{CHANNELS_MAX, EarlyRows, ROWS_MAX};

    fn row(channel: &str, seq: u64) -> Row {
        let channel = ChannelName::new(channel).unwrap();
        Row::Settings(SettingsRow {
            seq,
            change: SettingsChange { channel, settings: ChannelSettings::default() },
        })
    }

    #[test]
    fn the_newest_rows_are_kept_and_what_is_missing_is_said() {
        let main = ChannelName::new("main").unwrap();
        let mut early = EarlyRows::default();
        for seq in 1..=ROWS_MAX as u64 + 3 {
            early.keep(row("main", seq));
        }
        let kept = early.take(&main);
        assert_eq!((kept.rows.len(), kept.lost_through, kept.rows[0].seq()), (ROWS_MAX, 3, 4));
        assert_eq!((early.take(&main).rows.len(), early.take(&main).lost_through), (0, 0));
        for channel in 0..=CHANNELS_MAX {
            early.keep(row(&format!("c{channel}"), 9));
        }
        let late = early.take(&ChannelName::new(&format!("c{CHANNELS_MAX}")).unwrap());
        assert_eq!((late.rows.len(), late.lost_through), (0, 9));
    }
}
