//! Lines of `emote-log`: reactions, and ticks for those who count the lines themselves.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use emostream_log::{
    Committed, Log, LogError, Offset, Record, TopicPartition,
    foreign::{ForeignLine, ForeignTopic},
};
use emostream_moments::{
    StreamParameters,
    event_time::{PartitionClock, event_time_ms, is_late},
};
use emostream_protocol::{
    ChannelName, Emotes,
    record::{
        self, LogRecord, Reaction, ReactionBatch,
        projected::{ProjectedReaction, ProjectedTick, Rfc3339},
    },
};

use self::places::Places;
use super::{follower::Lines, shapes};
use crate::config::LineShape;

mod places;

/// A topic of reactions.
#[derive(Debug, Clone)]
pub struct ReactionTopic {
    /// Its name.
    pub name: Arc<str>,
    /// How reactions stand in it.
    pub shape: LineShape,
    /// Whether records without a reaction have a line too, in our own shape.
    pub ticks: bool,
    /// Whether reactions that the bridge took in are written as well.
    pub bridged: bool,
    /// The only channel whose reactions are written; `None`: all.
    pub channel: Option<ChannelName>,
}

/// Makes lines of reactions.
pub struct ReactionLines {
    topics: Vec<ReactionTopic>,
    /// Partitions of each topic.
    partitions: Vec<u32>,
    raw_partitions: u32,
    parameters: StreamParameters,
    emotes: Arc<Emotes>,
    states: BTreeMap<u32, State>,
}

/// What is known of a raw partition at the record to be read next.
struct State {
    clock: PartitionClock,
    places: Places,
}

/// A record as lines are made of it.
struct Taken<'a> {
    partition: u32,
    offset: Offset,
    now_ms: i64,
    emotes: &'a Emotes,
    lateness_ms: i64,
}

impl ReactionLines {
    /// For these topics; `raw_partitions` of the log, of which each goes to the partition of its number.
    pub fn new(
        topics: Vec<ReactionTopic>,
        raw_partitions: u32,
        parameters: StreamParameters,
        emotes: Arc<Emotes>,
    ) -> Self {
        let partitions = vec![raw_partitions; topics.len()];
        Self { topics, partitions, raw_partitions, parameters, emotes, states: BTreeMap::new() }
    }

    fn of_batch(
        &self,
        taken: &Taken<'_>,
        batch: &ReactionBatch<'_>,
        places: &mut Places,
        lines: &mut Vec<ForeignLine>,
    ) {
        let batch_is_new = batch.spool.is_none_or(|at| places.is_new(at.spool, at.offset, taken.offset));
        // What is damaged is not counted either, and named by who counts.
        for (index, reaction) in batch.iter().map_while(Result::ok).enumerate() {
            let is_new = match (batch.placed, reaction.place) {
                (Some(spool), Some(place)) => places.is_new(spool, place, taken.offset),
                _ => batch_is_new,
            };
            let channel = batch.channels[reaction.channel];
            for (topic, &partitions) in self.topics.iter().zip(&self.partitions) {
                let is_wanted = topic.channel.as_deref().is_none_or(|only| only == channel);
                if !is_wanted || (batch.placed.is_some() && !topic.bridged) {
                    continue;
                }
                let value = match topic.shape {
                    LineShape::Native => Some(taken.native(index, channel, &reaction, !is_new)),
                    // Its readers have the line of the first one.
                    _ if !is_new => None,
                    shape => shapes::reaction(shape, channel, &reaction, taken.emotes),
                };
                lines.extend(value.map(|value| taken.line(topic, partitions, channel, value)));
            }
        }
    }
}

impl Taken<'_> {
    fn native(&self, index: usize, channel: &str, reaction: &Reaction<'_>, forwarded_before: bool) -> Bytes {
        let emote = self.emotes.name(reaction.emote);
        let mut line = Vec::with_capacity(400);
        ProjectedReaction {
            emote: &emote,
            timestamp: Rfc3339(reaction.tapped_ms),
            channel,
            id: reaction.id,
            id_from_client: reaction.id_from_client,
            user_id: std::str::from_utf8(reaction.user).unwrap_or_default(),
            received_at: Rfc3339(reaction.received_ms),
            event_time: Rfc3339(event_time_ms(reaction.tapped_ms, self.now_ms, self.lateness_ms)),
            append_time: Rfc3339(self.now_ms),
            partition: self.partition,
            offset: self.offset,
            index,
            late: is_late(reaction.received_ms, self.now_ms, self.lateness_ms),
            forwarded_before,
        }
        .write(&mut line);
        line.into()
    }

    fn line(&self, topic: &ReactionTopic, partitions: u32, key: &str, value: Bytes) -> ForeignLine {
        ForeignLine {
            topic: Arc::clone(&topic.name),
            partition: Some(self.partition % partitions.max(1)),
            key: Bytes::copy_from_slice(key.as_bytes()),
            value,
        }
    }
}

impl Lines for ReactionLines {
    fn topics(&self) -> Vec<ForeignTopic> {
        let topic = |topic: &ReactionTopic| ForeignTopic {
            name: topic.name.to_string(),
            partitions: self.raw_partitions,
        };
        self.topics.iter().map(topic).collect()
    }

    fn found(&mut self, partitions: &[u32]) {
        partitions.clone_into(&mut self.partitions);
        for (topic, &partitions) in self.topics.iter().zip(partitions) {
            if topic.shape == LineShape::Native && partitions != self.raw_partitions {
                tracing::warn!(
                    topic = %topic.name,
                    partitions,
                    expected = self.raw_partitions,
                    "whoever counts the lines of this topic by event time needs as many partitions as emote-log has"
                );
            }
        }
    }

    fn begin(
        &mut self,
        log: &dyn Log,
        partition: &TopicPartition,
        committed: Option<&Committed>,
    ) -> Result<Offset, LogError> {
        let Some(committed) = committed else {
            let clock = PartitionClock::new(self.parameters);
            self.states.insert(partition.partition, State { clock, places: Places::default() });
            return Ok(log.bounds(partition)?.start);
        };
        let (highest_ms, places) = places::read(&committed.metadata).unwrap_or_else(|| {
            tracing::error!(%partition, "what is committed beside a place cannot be read; repeats may not be known");
            (None, Places::default())
        });
        let clock = PartitionClock::at(self.parameters, highest_ms);
        self.states.insert(partition.partition, State { clock, places });
        Ok(committed.offset)
    }

    fn take(&mut self, partition: &TopicPartition, record: &Record, lines: &mut Vec<ForeignLine>) {
        let Some(mut state) = self.states.remove(&partition.partition) else { return };
        let emotes = Arc::clone(&self.emotes);
        let taken = Taken {
            partition: partition.partition,
            offset: record.offset,
            now_ms: state.clock.advance(record.append_time_ms),
            emotes: &emotes,
            lateness_ms: self.parameters.lateness_ms(),
        };
        let before = lines.len();
        if let Ok(LogRecord::Reactions(batch)) = record::decode(&record.value, &emotes) {
            self.of_batch(&taken, &batch, &mut state.places, lines);
        }
        for (topic, &partitions) in self.topics.iter().zip(&self.partitions) {
            let has_line = lines[before..].iter().any(|line| Arc::ptr_eq(&line.topic, &topic.name));
            if topic.ticks && topic.shape == LineShape::Native && !has_line {
                let mut value = Vec::new();
                ProjectedTick::new(taken.now_ms, taken.partition, taken.offset).write(&mut value);
                lines.push(taken.line(topic, partitions, "", value.into()));
            }
        }
        self.states.insert(partition.partition, state);
    }

    fn metadata(&self, partition: &TopicPartition) -> Bytes {
        let state = self.states.get(&partition.partition);
        state.map_or_else(Bytes::new, |state| places::write(state.clock.highest_ms(), &state.places))
    }

    fn end(&mut self, partition: &TopicPartition) {
        self.states.remove(&partition.partition);
    }
}
