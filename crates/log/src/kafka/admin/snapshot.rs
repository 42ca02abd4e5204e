//! A log on brokers, only to be read.

use std::{sync::Arc, time::Duration};

use super::GroupLag;
use crate::{
    Bounds, Generation, LogError, Offset, ReadBatch, Record, TopicPartition,
    kafka::{
        client::Health,
        config::{KafkaConfig, KafkaTopic},
        error::KafkaStartError,
        read::Reader,
        start::generation,
        topics::TopicState,
    },
};

/// How long brokers wait for something new before they say that this is the end.
const END_KNOWN_AFTER: Duration = Duration::from_millis(20);

/// The topics of a log on brokers as they are, whatever is configured: looking makes nothing, writes nothing and joins no
/// group. All methods block.
pub struct KafkaSnapshot {
    config: Arc<KafkaConfig>,
    reader: Reader,
    generation: Option<Generation>,
}

impl KafkaSnapshot {
    /// Looks at those topics that exist, with as many partitions as they have.
    pub(super) fn of(
        config: &KafkaConfig,
        health: &Arc<Health>,
        states: &[TopicState],
    ) -> Result<Self, KafkaStartError> {
        let there = |state: &TopicState| {
            let partitions = state.shape.as_ref()?.partitions;
            Some(KafkaTopic { partitions, ..state.topic.clone() })
        };
        let topics = states.iter().filter_map(there).collect();
        let config = Arc::new(KafkaConfig { topics, fetch_wait: END_KNOWN_AFTER, ..config.clone() });
        let reader = Reader::new(&config, health)?;
        let has_state = config.topic(&config.state_topic).is_some();
        let generation = if has_state { generation::first(&config, &reader)? } else { None };
        Ok(Self { config, reader, generation })
    }

    /// What the log was created with; `None` before its first node has started.
    pub fn generation(&self) -> Option<&Generation> {
        self.generation.as_ref()
    }

    /// All partitions of the topics that exist.
    pub fn partitions(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        let of_topic = |topic: &KafkaTopic| {
            let name: Arc<str> = topic.name.as_str().into();
            (0..topic.partitions).map(move |partition| TopicPartition::new(Arc::clone(&name), partition))
        };
        self.config.topics.iter().flat_map(of_topic)
    }

    /// Number of partitions of a topic, `None` when it does not exist.
    pub fn partitions_of(&self, topic: &str) -> Option<u32> {
        self.config.topic(topic).map(|topic| topic.partitions)
    }

    /// A topic's name at the brokers: with the namespace.
    pub fn remote_name(&self, topic: &str) -> String {
        self.config.remote(topic)
    }

    /// First offset and end.
    pub fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        self.reader.bounds(of)
    }

    /// As [`Log::read`](crate::Log::read). Where nothing more can be read, [`ReadBatch::next`] is the offset asked for,
    /// although the partition's end may lie beyond: behind a transaction that is under way, nothing is visible yet.
    pub fn read(
        &self,
        from: &TopicPartition,
        offset: Offset,
        bytes_max: usize,
    ) -> Result<ReadBatch, LogError> {
        self.reader.read(from, offset, bytes_max)
    }

    /// The newest record of a partition, `None` where there is none. Looks back further and further from the end, because
    /// the last offsets may hold nothing for readers.
    pub fn last(&self, of: &TopicPartition) -> Result<Option<Record>, LogError> {
        const READ_BYTES: usize = 1 << 20;
        let bounds = self.bounds(of)?;
        let mut back = 1;
        loop {
            let from = bounds.end.saturating_sub(back).max(bounds.start);
            let (mut at, mut last) = (from, None);
            while at < bounds.end {
                let batch = self.read(of, at, READ_BYTES)?;
                if batch.next <= at {
                    break;
                }
                at = batch.next;
                last = batch.records.into_iter().next_back().or(last);
            }
            if last.is_some() || from == bounds.start {
                return Ok(last);
            }
            back *= 4;
        }
    }

    /// How far a group is in each partition of a topic that exists.
    pub fn group_lag(&self, group: &str, topic: &str) -> Result<Vec<GroupLag>, LogError> {
        let lag = |partition: TopicPartition| {
            let bounds = self.bounds(&partition)?;
            let committed = self.reader.query().committed(group, &partition)?;
            let from = committed.as_ref().map_or(bounds.start, |committed| committed.offset);
            Ok(GroupLag { lag: bounds.end.saturating_sub(from), partition, committed })
        };
        self.partitions().filter(|of| &*of.topic == topic).map(lag).collect()
    }

    /// The generation that a record of the state topic holds; `None` for any other record there.
    pub fn generation_in(record: &Record) -> Option<Result<Generation, LogError>> {
        generation::of_record(record)
    }
}
