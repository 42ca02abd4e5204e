//! The roles that deal with other people's topics.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use emostream_log::TopicPartition;
use emostream_protocol::ChannelName;

use super::{DEAD_LETTER_TOPIC, RAW_TOPIC, shared::Shared};
use crate::{bridge, config::Role, relay};

/// The running ones.
pub(super) struct Foreign {
    bridge: Option<bridge::Handles>,
    relay: Option<relay::Handles>,
}

/// A node is ready without the topics when brokers have not answered for so long.
const TOPICS_PATIENCE: Duration = Duration::from_secs(10);

impl Foreign {
    /// Waits until other people's topics are there, so that their programs find them when the node says that it is ready.
    pub(super) async fn prepared(&self) {
        let preparing = async {
            if let Some(bridge) = &self.bridge {
                bridge.prepared().await;
            }
            if let Some(relay) = &self.relay {
                relay.prepared().await;
            }
        };
        if tokio::time::timeout(TOPICS_PATIENCE, preparing).await.is_err() {
            tracing::warn!("other people's topics are not there yet");
        }
    }

    /// Takes nothing more in.
    pub(super) async fn stop_taking(&self) {
        if let Some(bridge) = &self.bridge {
            bridge.stop_taking().await;
        }
    }

    /// Writes out what is in the log by now, and ends.
    pub(super) async fn stop(&self) {
        if let Some(bridge) = &self.bridge {
            bridge.stop().await;
        }
        if let Some(relay) = &self.relay {
            relay.stop().await;
        }
    }
}

impl Shared {
    /// Starts those that the configuration names.
    pub(super) fn start_foreign(&self, roles: &[Role]) -> anyhow::Result<Foreign> {
        let bridge = roles.contains(&Role::Bridge).then(|| self.start_topic_bridge()).transpose()?;
        let relay = roles.contains(&Role::Relay).then(|| self.start_relay()).transpose()?;
        Ok(Foreign { bridge, relay })
    }

    fn start_topic_bridge(&self) -> anyhow::Result<bridge::Handles> {
        let brokers = self.brokers.as_ref().context("the role bridge needs Kafka")?;
        let components = bridge::Components {
            log: self.log.clone(),
            topics: brokers.foreign_topics(),
            raw_topic: RAW_TOPIC.into(),
            output: self.output.clone(),
            dead_letter: TopicPartition::new(DEAD_LETTER_TOPIC, 0),
            parameters: self.parameters()?,
            channel: ChannelName::new(&self.config.compat.channel)?,
            member: brokers.node().into(),
            emotes: self.emotes.clone(),
            channels: self.channels.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
        };
        let config = &self.config;
        bridge::start(&config.bridge, &config.projector, &config.topics, &components, &self.tasks)
    }

    fn start_relay(&self) -> anyhow::Result<relay::Handles> {
        let brokers = self.brokers.as_ref().context("the role relay needs Kafka")?;
        let components = relay::Components {
            log: self.log.clone(),
            topics: brokers.foreign_topics(),
            output: self.output.clone(),
            channel: ChannelName::new(&self.config.compat.channel)?,
            member: Arc::from(brokers.node()),
            emotes: self.emotes.clone(),
            metrics: self.metrics.clone(),
        };
        let config = &self.config;
        relay::start(&config.relay, config.projector.compression, &components, &self.tasks)
    }
}
