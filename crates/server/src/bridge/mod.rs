//! Bridge: reactions that other people's programs write to Kafka, taken into the log exactly once; and the projector, which
//! writes reactions, windows and moments to the topics that other people's programs read.
//!
//! [`runner`] is the thread that reads their topics. Each of their partitions is a [`source`]: a spool of its own, whose
//! places are its offsets, so that counting knows what comes again. [`foreign`] reads what they write, [`round`] makes
//! batches of it, and lines of dead letters of what nobody can read.

use std::sync::Arc;

use emostream_log::{
    Clock, Log, TopicPartition,
    foreign::{ForeignBegin, ForeignTopics},
};
use emostream_moments::StreamParameters;
use emostream_protocol::{ChannelName, Emotes};

use crate::{
    channels::Channels,
    config::{BridgeConfig, BridgeFrom, ProjectorConfig, TopicsConfig},
    output::Output,
    projection::course::Course,
    tasks::Tasks,
    telemetry::Metrics,
};

pub mod foreign;
mod projector;
mod round;
mod runner;
mod source;

#[cfg(test)]
mod tests;

pub use projector::{RAW_GROUP, ROWS_GROUP};

/// The group that divides other people's partitions among the nodes with this role.
pub const GROUP: &str = "emostream-bridge";

/// What the role needs from the node.
#[derive(Clone)]
pub struct Components {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Other people's topics.
    pub topics: Arc<dyn ForeignTopics>,
    /// Topic of reactions.
    pub raw_topic: Arc<str>,
    /// Where rows are.
    pub output: Output,
    /// Where records are named that nobody can read.
    pub dead_letter: TopicPartition,
    /// Window, lateness, horizon.
    pub parameters: StreamParameters,
    /// The channel that stands for a source system's single stream.
    pub channel: ChannelName,
    /// This node's name in groups.
    pub member: Arc<str>,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
    /// The channels that exist.
    pub channels: Arc<Channels>,
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// The log's clock.
    pub clock: Arc<dyn Clock>,
}

/// The running role.
#[derive(Debug)]
pub struct Handles {
    taking: Course,
    projecting: Vec<Course>,
}

/// Starts to read other people's topics and to write to them. Contacts nobody yet.
pub fn start(
    bridge: &BridgeConfig,
    projector: &ProjectorConfig,
    topics: &TopicsConfig,
    components: &Components,
    tasks: &Tasks,
) -> anyhow::Result<Handles> {
    let read = if bridge.topics.is_empty() { vec![topics.raw.clone()] } else { bridge.topics.clone() };
    let begin = match bridge.from {
        BridgeFrom::Earliest => ForeignBegin::Earliest,
        BridgeFrom::Latest => ForeignBegin::Latest,
    };
    let taking = Course::new(tasks);
    runner::start(read, begin, components, &taking, tasks)?;
    let projecting = projector::start(projector, topics, components, tasks)?;
    Ok(Handles { taking, projecting })
}

impl Handles {
    /// Waits until the topics are there, or it is known that they cannot be.
    pub async fn prepared(&self) {
        self.taking.prepared().await;
        for projecting in &self.projecting {
            projecting.prepared().await;
        }
    }

    /// Takes nothing more from other people's topics; returns when what was taken is durable, and others may go on.
    pub async fn stop_taking(&self) {
        self.taking.stop().await;
    }

    /// Writes what is in the log by now to other people's topics, and ends.
    pub async fn stop(&self) {
        self.stop_taking().await;
        for projecting in &self.projecting {
            projecting.stop().await;
        }
    }
}
