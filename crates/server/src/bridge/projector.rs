//! Projector: writes reactions, windows and moments to the topics and in the words that the configuration names.

use std::sync::Arc;

use emostream_protocol::ChannelName;

use super::Components;
use crate::{
    config::{LineShape, ProjectorConfig, TopicsConfig},
    projection::{
        course::Course,
        follower::{self, Follow},
        reactions::{ReactionLines, ReactionTopic},
        rows::{RowKind, RowLines, RowTopic},
    },
    tasks::Tasks,
    telemetry::Labelled,
};

/// The group that divides raw partitions among projectors.
pub const RAW_GROUP: &str = "emostream-project-raw";

/// The group that divides partitions of rows among projectors.
pub const ROWS_GROUP: &str = "emostream-project-rows";

/// Starts what the configuration asks for.
pub(super) fn start(
    config: &ProjectorConfig,
    topics: &TopicsConfig,
    components: &Components,
    tasks: &Tasks,
) -> anyhow::Result<Vec<Course>> {
    let mut courses = Vec::new();
    let reactions = reaction_topics(config, topics, &components.channel);
    if !reactions.is_empty() {
        let raw = components.raw_topic.clone();
        let partitions = components.log.partitions(&raw).unwrap_or(1);
        let (parameters, emotes) = (components.parameters, components.emotes.clone());
        let lines = ReactionLines::new(reactions, partitions, parameters, emotes);
        let follow = Follow { name: "projector of reactions", group: RAW_GROUP, topic: raw };
        courses.push(follower::start(follow, lines, &followed(components, config, "reactions"), tasks)?);
    }
    let rows = row_topics(config, topics, &components.channel);
    if !rows.is_empty() {
        let output = components.output.all();
        let (topic, partitions) = (output[0].topic.clone(), output.len());
        let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
        let lines = RowLines::new(rows, partitions, components.emotes.clone());
        let follow = Follow { name: "projector of rows", group: ROWS_GROUP, topic };
        courses.push(follower::start(follow, lines, &followed(components, config, "rows"), tasks)?);
    }
    Ok(courses)
}

fn followed(components: &Components, config: &ProjectorConfig, kind: &'static str) -> follower::Components {
    let metrics = &components.metrics;
    follower::Components {
        log: components.log.clone(),
        topics: components.topics.clone(),
        compression: config.compression.into(),
        member: components.member.clone(),
        written: metrics.lines_written.get_or_create(&Labelled { kind }).clone(),
        lag: metrics.lines_lag_records.get_or_create(&Labelled { kind }).clone(),
        failures: metrics.lines_failures.get_or_create(&Labelled { kind }).clone(),
    }
}

/// A source system's stream is one channel; its readers know of no others.
fn only(shape: LineShape, channel: &ChannelName) -> Option<ChannelName> {
    (shape != LineShape::Native).then(|| channel.clone())
}

fn reaction_topics(
    config: &ProjectorConfig,
    topics: &TopicsConfig,
    channel: &ChannelName,
) -> Vec<ReactionTopic> {
    let mut found = Vec::new();
    if config.raw_shape != LineShape::Off {
        found.push(ReactionTopic {
            name: topics.raw.as_str().into(),
            shape: config.raw_shape,
            ticks: config.ticks,
            bridged: false,
            channel: only(config.raw_shape, channel),
        });
    }
    if !config.counting_topic.is_empty() {
        found.push(ReactionTopic {
            name: config.counting_topic.as_str().into(),
            shape: LineShape::Native,
            ticks: true,
            bridged: true,
            channel: None,
        });
    }
    found
}

fn row_topics(config: &ProjectorConfig, topics: &TopicsConfig, channel: &ChannelName) -> Vec<RowTopic> {
    let topic = |name: &str, kind, shape| {
        let name: Arc<str> = name.into();
        RowTopic { name, kind, shape, channel: only(shape, channel) }
    };
    let mut found = Vec::new();
    if config.windows_shape != LineShape::Off {
        let names = [&topics.windows].into_iter().chain(&config.windows_also);
        found.extend(names.map(|name| topic(name, RowKind::Windows, config.windows_shape)));
    }
    if config.moments_shape != LineShape::Off {
        found.push(topic(&topics.moments, RowKind::Moments, config.moments_shape));
    }
    found
}
