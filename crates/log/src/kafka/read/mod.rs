//! Reading: what was just written comes from memory, everything else from brokers through a few clients that each stand at
//! one place of one partition.

use std::sync::Arc;

use tokio::sync::watch;

use self::{cursors::Cursors, query::Query, tail::Tails};
use super::{
    client::Health,
    config::{KafkaConfig, KafkaTopic},
    error::KafkaStartError,
};
use crate::{Bounds, LogError, Offset, ReadBatch, TopicPartition};

mod cursors;
mod query;
mod ring;
mod tail;

pub(super) use query::{READERS, encode_metadata, partition_number};

/// Reads all topics of a configuration.
pub(super) struct Reader {
    config: Arc<KafkaConfig>,
    query: Arc<Query>,
    cursors: Cursors,
    tails: Tails,
}

impl Reader {
    pub(super) fn new(config: &Arc<KafkaConfig>, health: &Arc<Health>) -> Result<Self, KafkaStartError> {
        let query = Arc::new(Query::new(config, health)?);
        Ok(Self {
            config: Arc::clone(config),
            cursors: Cursors::new(config, health),
            tails: Tails::new(config, health, &query),
            query,
        })
    }

    /// The client for questions.
    pub(super) fn query(&self) -> &Query {
        &self.query
    }

    pub(super) fn topic(&self, of: &TopicPartition) -> Result<&KafkaTopic, LogError> {
        let topic = self.config.topic(&of.topic).filter(|topic| of.partition < topic.partitions);
        topic.ok_or_else(|| LogError::UnknownPartition(of.clone()))
    }

    /// See [`crate::Log::read`].
    pub(super) fn read(
        &self,
        from: &TopicPartition,
        offset: Offset,
        bytes_max: usize,
    ) -> Result<ReadBatch, LogError> {
        self.topic(from)?;
        let ring = self.tails.ring(from);
        if let Some(batch) = ring.as_ref().and_then(|ring| ring.read(offset, bytes_max)) {
            return Ok(batch);
        }
        // Below what memory holds, or at the end of what has come so far.
        if ring.as_ref().is_none_or(|ring| offset < ring.first()) {
            return match self.cursors.read(from, offset, bytes_max)? {
                Some(batch) => Ok(batch),
                None => self.read_nothing(from, offset),
            };
        }
        let end = self.bounds(from)?.end;
        if offset >= end {
            return self.read_nothing(from, offset);
        }
        // Stored, and on its way here.
        let arrived = ring.and_then(|ring| ring.wait(offset, bytes_max, self.config.request_timeout));
        arrived.ok_or_else(|| LogError::Unavailable(format!("read {from} from {offset}: no broker answers")))
    }

    /// The answer where no record is: an end, or a mistake.
    fn read_nothing(&self, from: &TopicPartition, offset: Offset) -> Result<ReadBatch, LogError> {
        let Bounds { start, end } = self.bounds(from)?;
        if (start..=end).contains(&offset) {
            return Ok(ReadBatch { records: Vec::new(), next: offset });
        }
        Err(LogError::OutOfRange { partition: from.clone(), offset, start, end })
    }

    /// See [`crate::Log::follow`].
    pub(super) fn follow(&self, partition: &TopicPartition) -> Result<watch::Receiver<Offset>, LogError> {
        self.topic(partition)?;
        self.tails.follow(partition)
    }

    /// See [`crate::Log::bounds`].
    pub(super) fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        self.topic(of)?;
        self.query.bounds(of)
    }

    /// See [`crate::Log::offset_at`].
    pub(super) fn offset_at(&self, of: &TopicPartition, append_time_ms: i64) -> Result<Offset, LogError> {
        self.topic(of)?;
        self.query.offset_at(of, append_time_ms)
    }

    /// Ends clients that nobody has used for a while, and serves what the others report.
    pub(super) fn tidy(&self) {
        self.query.serve();
        self.cursors.tidy();
    }

    pub(super) fn close(&self) {
        self.tails.close();
        self.cursors.close();
    }
}
