//! Which rows the output holds already: a replay finds them again, and they are not written again.

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
    /// Reads the output from an offset on.
    pub(super) fn read(
        log: &dyn Log,
        output: &TopicPartition,
        from: Offset,
        emotes: &Emotes,
    ) -> anyhow::Result<Self> {
        let mut written = Self::default();
        let bounds = log.bounds(output)?;
        let mut at = from.max(bounds.start);
        while at < bounds.end {
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
