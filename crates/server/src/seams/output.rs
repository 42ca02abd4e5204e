//! The topic of rows: which of its partitions holds those of a channel.

use std::sync::Arc;

use emostream_log::{Log, TopicPartition};
use emostream_protocol::id::home_partition;

/// The topic `emote-output` of one log. All rows of a channel are in one of its partitions, in sequence.
#[derive(Debug, Clone)]
pub struct Output {
    topic: Arc<str>,
    partitions: u32,
}

impl Output {
    /// The output of a log; `None` if it has no such topic.
    pub fn new(log: &dyn Log, topic: impl Into<Arc<str>>) -> Option<Self> {
        let topic = topic.into();
        let partitions = log.partitions(&topic)?;
        Some(Self { topic, partitions })
    }

    /// The partition that holds a channel's rows.
    pub fn of(&self, channel: &str) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), home_partition(channel, self.partitions))
    }

    /// All partitions.
    pub fn all(&self) -> Vec<TopicPartition> {
        (0..self.partitions).map(|number| TopicPartition::new(self.topic.clone(), number)).collect()
    }
}
