//! The directory of channels on nodes without control: read from the compacted topic `settings`, where control says what
//! holds. With it ingest and edges go on while control is down.

use std::sync::Arc;

use anyhow::Context;
use emostream_log::{Log, Offset, TopicPartition};
use emostream_protocol::{DecodeError, Emotes, settings::PublishedChannel};
use tokio::{runtime::Handle, sync::watch};

use super::channels::{Channels, Published};
use crate::tasks::Tasks;

const READ_BYTES: usize = 1 << 20;

/// Reads what control says of channels, and publishes it on this node.
pub struct Directory {
    log: Arc<dyn Log>,
    topic: TopicPartition,
    channels: Arc<Channels>,
    emotes: Arc<Emotes>,
    at: Offset,
    end: watch::Receiver<Offset>,
}

impl Directory {
    /// Publishes all that is in the topic now. Blocks on the log.
    pub fn load(
        log: Arc<dyn Log>,
        topic: TopicPartition,
        channels: Arc<Channels>,
        emotes: Arc<Emotes>,
    ) -> anyhow::Result<Self> {
        let end = log.follow(&topic)?;
        let at = log.bounds(&topic)?.start;
        let mut directory = Self { log, topic, channels, emotes, at, end };
        directory.read_to_end()?;
        Ok(directory)
    }

    /// Goes on publishing on a thread of its own, until the node stops.
    pub fn follow(mut self, tasks: &Tasks) -> anyhow::Result<()> {
        let (runtime, stop) = (Handle::current(), tasks.stop.clone());
        tasks.spawn_essential_thread("directory of channels", move || {
            while runtime
                .block_on(stop.run_until_cancelled(self.end.changed()))
                .is_some_and(|end| end.is_ok())
            {
                self.read_to_end()?;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn read_to_end(&mut self) -> anyhow::Result<()> {
        while self.at < *self.end.borrow_and_update() {
            let read = self.log.read(&self.topic, self.at, READ_BYTES)?;
            self.at = read.next;
            for record in &read.records {
                let published = PublishedChannel::decode(&record.value);
                self.publish(published, record.offset)?;
            }
        }
        Ok(())
    }

    fn publish(&self, said: Result<PublishedChannel, DecodeError>, offset: Offset) -> anyhow::Result<()> {
        let said = match said {
            Ok(said) => said,
            Err(error @ DecodeError::Version(_)) => {
                return Err(error).context("channels are published by a newer release: start that one here");
            }
            Err(error) => {
                tracing::error!(topic = %self.topic, offset, %error, "what is said of a channel cannot be read");
                return Ok(());
            }
        };
        let published = Published::new(said.version, said.settings, said.closed, &self.emotes);
        let shown = published
            .map_err(anyhow::Error::from)
            .and_then(|published| Ok(self.channels.publish_newest(&said.channel, published)?));
        if let Err(error) = shown {
            // The other channels must not suffer for it.
            tracing::error!(channel = %said.channel, error = format!("{error:#}"), "a channel is left out");
        }
        Ok(())
    }
}
