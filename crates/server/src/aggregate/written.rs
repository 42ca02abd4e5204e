//! Which rows the output holds already: a replay finds them again, and they are not written again.

use std::ops::Range;

use emostream_log::{Log, Offset, TopicPartition};
use emostream_protocol::{ChannelName, Emotes, row::Row};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::damage;
use crate::telemetry::Metrics;

const READ_BYTES: usize = 1 << 20;

/// Newest sequence of each channel in a part of the output.
#[derive(Debug, Default)]
pub(super) struct Written(HashMap<ChannelName, u64, FixedState>);

impl Written {
    /// Reads the output from an offset to its end now.
    pub(super) fn read(
        log: &dyn Log,
        output: &TopicPartition,
        from: Offset,
        emotes: &Emotes,
    ) -> anyhow::Result<Self> {
        let bounds = log.bounds(output)?;
        Self::read_range(log, output, from.max(bounds.start)..bounds.end, emotes)
    }

    /// Reads a range of the output.
    pub(super) fn read_range(
        log: &dyn Log,
        output: &TopicPartition,
        range: Range<Offset>,
        emotes: &Emotes,
    ) -> anyhow::Result<Self> {
        let mut written = Self::default();
        let mut at = range.start;
        while at < range.end {
            let batch = log.read(output, at, READ_BYTES)?;
            at = batch.next;
            for record in &batch.records {
                let row = match Row::decode(&record.value, emotes) {
                    Ok(row) => row,
                    // Taken for not written: if it was the newest of its channel, it is written again.
                    Err(error) => {
                        damage::refuse_newer(&error, output, record)?;
                        tracing::error!(offset = record.offset, %error, "row of the output cannot be read");
                        continue;
                    }
                };
                let newest = written.0.entry(row.channel().clone()).or_insert(0);
                *newest = row.seq().max(*newest);
            }
        }
        Ok(written)
    }

    /// Whether the output holds a row that counting found.
    pub(super) fn holds(&self, row: &Row) -> bool {
        self.0.get(row.channel()).is_some_and(|newest| row.seq() <= *newest)
    }

    /// As [`holds`](Self::holds), where rows are found in their order: forgets a channel whose newest row was found.
    pub(super) fn holds_in_order(&mut self, row: &Row) -> bool {
        let Some(newest) = self.0.get(row.channel()).copied() else { return false };
        if row.seq() >= newest {
            self.0.remove(row.channel());
        }
        row.seq() <= newest
    }

    /// Forgets channels whose rows here a state has made already, `made` being its newest sequence of each.
    pub(super) fn forget_made(&mut self, made: impl Fn(&str) -> u64) {
        self.0.retain(|channel, newest| *newest > made(channel));
    }

    /// Whether nothing is left to be found again.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Counts what was found.
pub(super) fn note(row: &Row, metrics: &Metrics) {
    match row {
        Row::Window(window) => {
            metrics.windows_closed.inc();
            metrics.reactions_counted.inc_by(window.total());
        }
        Row::Moment(_) => drop(metrics.moments_found.inc()),
        Row::Settings(_) => {}
    }
}
