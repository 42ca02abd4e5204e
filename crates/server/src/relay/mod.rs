//! Relay: windows for far clusters, a topic for each, as system D's cluster publishers read them.

use std::sync::Arc;

use emostream_log::{Log, foreign::ForeignTopics};
use emostream_protocol::{ChannelName, Emotes};

use crate::{
    config::{LineCompression, LineShape, RelayConfig},
    output::Output,
    projection::{
        course::Course,
        follower::{self, Follow},
        rows::{RowKind, RowLines, RowTopic},
    },
    tasks::Tasks,
    telemetry::{Labelled, Metrics},
};

/// The group that divides partitions of rows among relays.
pub const GROUP: &str = "emostream-relay";

/// What the role needs from the node.
#[derive(Clone)]
pub struct Components {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Other people's topics.
    pub topics: Arc<dyn ForeignTopics>,
    /// Where rows are.
    pub output: Output,
    /// The channel whose windows are relayed.
    pub channel: ChannelName,
    /// This node's name in groups.
    pub member: Arc<str>,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
}

/// The running role.
#[derive(Debug)]
pub struct Handles(Course);

/// Starts to carry windows to the topics of the configuration. Contacts nobody yet.
pub fn start(
    config: &RelayConfig,
    compression: LineCompression,
    components: &Components,
    tasks: &Tasks,
) -> anyhow::Result<Handles> {
    let topic = |name: &String| RowTopic {
        name: name.as_str().into(),
        kind: RowKind::Windows,
        shape: LineShape::EmojiType,
        channel: Some(components.channel.clone()),
    };
    let output = components.output.all();
    let partitions = u32::try_from(output.len()).unwrap_or(u32::MAX);
    let topics = config.topics.iter().map(topic).collect();
    let lines = RowLines::new(topics, partitions, components.emotes.clone());
    let follow = Follow { name: "relay", group: GROUP, topic: output[0].topic.clone() };
    let (kind, metrics) = (&Labelled { kind: "relay" }, &components.metrics);
    let followed = follower::Components {
        log: components.log.clone(),
        topics: components.topics.clone(),
        compression: compression.into(),
        member: components.member.clone(),
        written: metrics.lines_written.get_or_create(kind).clone(),
        lag: metrics.lines_lag_records.get_or_create(kind).clone(),
        failures: metrics.lines_failures.get_or_create(kind).clone(),
    };
    follower::start(follow, lines, &followed, tasks).map(Handles)
}

impl Handles {
    /// Waits until the topics are there, or it is known that they cannot be.
    pub async fn prepared(&self) {
        self.0.prepared().await;
    }

    /// Relays what is in the log by now, and ends.
    pub async fn stop(&self) {
        self.0.stop().await;
    }
}
