//! Lines of `emote-output`: windows and moments.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use emostream_log::{
    Committed, Log, LogError, Offset, Record, TopicPartition,
    foreign::{ForeignLine, ForeignTopic},
};
use emostream_protocol::{
    ChannelName, Emotes,
    row::{Row, WindowRow},
};

use super::{follower::Lines, shapes};
use crate::config::LineShape;

/// Rows of this span before the committed place are read again, to know which of those behind it are repeats: a merge that
/// takes over repeats what it cannot find, and finds all that is older, in ms.
const BEFORE_MS: i64 = 60_000;

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// Final windows.
    Windows,
    /// Moments.
    Moments,
}

/// A topic of rows.
#[derive(Debug, Clone)]
pub struct RowTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Which rows.
    pub kind: RowKind,
    /// How they stand in it.
    pub shape: LineShape,
    /// The only channel whose rows are written; `None`: all.
    pub channel: Option<ChannelName>,
}

/// Makes lines of rows. A row that comes again, as its sequence tells, has none.
pub struct RowLines {
    topics: Vec<RowTopic>,
    output_partitions: u32,
    emotes: Arc<Emotes>,
    states: BTreeMap<u32, State>,
}

/// What is known of an output partition at the record to be read next.
#[derive(Default)]
struct State {
    /// Newest sequence of each channel.
    newest: HashMap<ChannelName, u64>,
    /// Records below have their lines.
    written: Offset,
    last_append_ms: i64,
}

impl RowLines {
    /// For these topics; missing ones are made with as many partitions as the output has.
    pub fn new(topics: Vec<RowTopic>, output_partitions: u32, emotes: Arc<Emotes>) -> Self {
        Self { topics, output_partitions, emotes, states: BTreeMap::new() }
    }

    fn of_row(&self, row: &Row) -> Vec<ForeignLine> {
        let mut lines = Vec::new();
        let channel = row.channel();
        for topic in &self.topics {
            if topic.channel.as_ref().is_some_and(|only| only != channel) {
                continue;
            }
            let values: Vec<Bytes> = match (row, topic.kind) {
                (Row::Window(row), RowKind::Windows) => self.window(topic.shape, row),
                (Row::Moment(row), RowKind::Moments) => {
                    shapes::moment(topic.shape, row, &self.emotes).into_iter().collect()
                }
                _ => continue,
            };
            let key = Bytes::copy_from_slice(channel.as_bytes());
            lines.extend(values.into_iter().map(|value| ForeignLine {
                topic: Arc::clone(&topic.name),
                partition: None,
                key: key.clone(),
                value,
            }));
        }
        lines
    }

    fn window(&self, shape: LineShape, row: &WindowRow) -> Vec<Bytes> {
        shapes::window(shape, row, &self.emotes)
    }
}

impl Lines for RowLines {
    fn topics(&self) -> Vec<ForeignTopic> {
        let topic = |topic: &RowTopic| ForeignTopic {
            name: topic.name.to_string(),
            partitions: self.output_partitions,
        };
        self.topics.iter().map(topic).collect()
    }

    fn found(&mut self, _partitions: &[u32]) {}

    fn begin(
        &mut self,
        log: &dyn Log,
        partition: &TopicPartition,
        committed: Option<&Committed>,
    ) -> Result<Offset, LogError> {
        let mut state = State::default();
        let at = match committed {
            None => log.bounds(partition)?.start,
            Some(committed) => {
                state.written = committed.offset;
                state.last_append_ms = read(&committed.metadata).unwrap_or(0);
                let from = log.offset_at(partition, state.last_append_ms.saturating_sub(BEFORE_MS))?;
                from.min(committed.offset)
            }
        };
        self.states.insert(partition.partition, state);
        Ok(at)
    }

    fn take(&mut self, partition: &TopicPartition, record: &Record, lines: &mut Vec<ForeignLine>) {
        let Some(state) = self.states.get_mut(&partition.partition) else { return };
        state.last_append_ms = state.last_append_ms.max(record.append_time_ms);
        let row = match Row::decode(&record.value, &self.emotes) {
            Ok(row) => row,
            Err(error) => {
                let offset = record.offset;
                tracing::error!(%partition, offset, %error, "row cannot be read and is not written to other people's topics");
                return;
            }
        };
        let newest = state.newest.entry(row.channel().clone()).or_default();
        // Of repeated rows the first wins.
        let is_new = row.seq() > *newest;
        *newest = row.seq().max(*newest);
        if is_new && record.offset >= state.written {
            lines.extend(self.of_row(&row));
        }
    }

    fn metadata(&self, partition: &TopicPartition) -> Bytes {
        let state = self.states.get(&partition.partition);
        state.map_or_else(Bytes::new, |state| format!("append_ms {}", state.last_append_ms).into())
    }

    fn end(&mut self, partition: &TopicPartition) {
        self.states.remove(&partition.partition);
    }
}

/// The append time of the last record, as it is committed beside a place.
fn read(metadata: &[u8]) -> Option<i64> {
    std::str::from_utf8(metadata).ok()?.strip_prefix("append_ms ")?.parse().ok()
}
