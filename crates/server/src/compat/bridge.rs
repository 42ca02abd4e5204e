//! System A's WebSocket: forwards each message of a topic to every client that connects, as the topic has it.
//!
//! Each message is made once and kept in one ring for all clients, so that a slow one costs no memory: it misses the
//! oldest messages, which are counted. What clients send is not looked at.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use emostream_log::{Log, Record, TopicPartition};
use emostream_protocol::{
    Emotes,
    record::{self, LogRecord},
    row::Row,
    time,
};
use serde::Serialize;
use tokio::sync::broadcast;

use super::follower;
use crate::{config::BridgeSource, output::Output, tasks::Tasks};

mod socket;

pub use socket::{join, root};

/// Moments that a client may be behind: minutes of them.
const MOMENTS_WAITING_MAX: usize = 1_024;

/// Reactions that a client may be behind: four full records of the log.
const REACTIONS_WAITING_MAX: usize = 16_384;

/// The running bridge.
pub struct Bridge {
    messages: broadcast::Sender<Utf8Bytes>,
}

/// What the bridge needs from the node.
pub struct Components {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Topic of reactions.
    pub raw_topic: Arc<str>,
    /// Where rows are.
    pub output: Output,
    /// The channel whose messages are forwarded.
    pub channel: String,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
}

/// A message of `aggregated-emote-data`.
#[derive(Serialize)]
struct MomentMessage<'a> {
    emote: &'a str,
    count: u64,
    timestamp: String,
}

/// A message of `raw-emote-data`.
#[derive(Serialize)]
struct RawMessage<'a> {
    emote: &'a str,
    timestamp: String,
}

impl Bridge {
    /// Starts to follow the log for those who will connect: from now on, since A's clients expect nothing of the past.
    pub fn start(source: BridgeSource, components: Components, tasks: &Tasks) -> anyhow::Result<Arc<Self>> {
        match source {
            BridgeSource::Moments => Self::moments(components, tasks),
            BridgeSource::Raw => Self::reactions(&components, tasks),
        }
    }

    fn moments(components: Components, tasks: &Tasks) -> anyhow::Result<Arc<Self>> {
        let bridge = Arc::new(Self { messages: broadcast::Sender::new(MOMENTS_WAITING_MAX) });
        let Components { log, output, channel, emotes, .. } = components;
        let to = bridge.clone();
        let mut newest = 0;
        follower::start("bridge", log, output.of(&channel), tasks, move |record| {
            // Of repeated rows the first wins.
            if let Ok(Row::Moment(row)) = Row::decode(&record.value, &emotes)
                && *row.channel == *channel
                && row.seq > newest
            {
                newest = row.seq;
                let timestamp = time::format_ms(row.window_start_ms);
                let emote = emotes.name(row.emote);
                to.forward(&MomentMessage { emote: &emote, count: row.count, timestamp });
            }
            true
        })?;
        Ok(bridge)
    }

    fn reactions(components: &Components, tasks: &Tasks) -> anyhow::Result<Arc<Self>> {
        let bridge = Arc::new(Self { messages: broadcast::Sender::new(REACTIONS_WAITING_MAX) });
        let Components { log, raw_topic, channel, emotes, .. } = components;
        for partition in 0..log.partitions(raw_topic).unwrap_or(0) {
            let partition = TopicPartition::new(raw_topic.clone(), partition);
            let (to, channel, emotes) = (bridge.clone(), channel.clone(), emotes.clone());
            follower::start("bridge of reactions", log.clone(), partition, tasks, move |record| {
                to.forward_reactions(record, &channel, &emotes);
                true
            })?;
        }
        Ok(bridge)
    }

    /// Makes a message of each reaction of a record, where anybody listens.
    fn forward_reactions(&self, record: &Record, channel: &str, emotes: &Emotes) {
        if self.messages.receiver_count() == 0 {
            return;
        }
        let Ok(LogRecord::Reactions(batch)) = record::decode(&record.value, emotes) else { return };
        for reaction in batch.iter().flatten() {
            if batch.channels[reaction.channel] == channel {
                let timestamp = time::format_ms(reaction.tapped_ms);
                emotes.with_name(reaction.emote, |emote| self.forward(&RawMessage { emote, timestamp }));
            }
        }
    }

    fn forward(&self, message: &impl Serialize) {
        if let Ok(json) = serde_json::to_string(message) {
            // An error says that nobody listens.
            drop(self.messages.send(json.into()));
        }
    }

    /// Messages from now on.
    fn listen(&self) -> broadcast::Receiver<Utf8Bytes> {
        self.messages.subscribe()
    }
}
