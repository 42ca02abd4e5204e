//! Tells the other nodes of a fleet what holds for channels, through the compacted topic `settings`.
//!
//! The store decides. Whenever this node's directory or the topic changes, what the topic says last of each channel is
//! compared with what the store says, and said again where it differs: so several nodes with control come to agree, in
//! whatever order their words arrive, and nothing is forgotten while the log does not answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use emostream_log::{KeyedValue, LogError, Offset, TopicPartition};
use emostream_protocol::{ChannelName, settings::PublishedChannel};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Control;

/// After a refusal of log or store it is tried again so often.
const RETRY: Duration = Duration::from_secs(1);

const READ_BYTES: usize = 1 << 20;

/// Says what holds until it is stopped.
pub(super) async fn run(
    control: Arc<Control>,
    topic: TopicPartition,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let end = control.components.log.follow(&topic)?;
    let mut announcer =
        Announcer { control, topic, end, at: None, said: BTreeMap::new(), heard: BTreeSet::new() };
    let announcing = async {
        let mut directory = announcer.control.components.channels.follow();
        loop {
            directory.mark_unchanged();
            if let Err(error) = announcer.agree().await {
                if matches!(error.downcast_ref(), Some(LogError::Closed)) {
                    return;
                }
                tracing::warn!(error = format!("{error:#}"), "other nodes wait for news of channels");
                tokio::time::sleep(RETRY).await;
                continue;
            }
            tokio::select! {
                changed = directory.changed() => if changed.is_err() { return },
                changed = announcer.end.changed() => if changed.is_err() { return },
            }
        }
    };
    stop.run_until_cancelled(announcing).await;
    Ok(())
}

struct Announcer {
    control: Arc<Control>,
    topic: TopicPartition,
    end: watch::Receiver<Offset>,
    /// The next record to read, once the beginning is known.
    at: Option<Offset>,
    /// What the topic says last of each channel.
    said: BTreeMap<ChannelName, Bytes>,
    /// Channels of which another node has said something, and of which the store was not asked yet.
    heard: BTreeSet<ChannelName>,
}

impl Announcer {
    /// Reads what is new in the topic, then says what is missing there.
    async fn agree(&mut self) -> anyhow::Result<()> {
        self.listen().await?;
        // Another node with control may have changed them. Until the store was asked, this node's word may be the older.
        while let Some(name) = self.heard.first().cloned() {
            self.control.publish_stored_channel(&name).await.context("read a channel from the store")?;
            self.heard.remove(&name);
        }
        let channels = self.control.components.channels.all();
        for channel in channels {
            let published = channel.published().clone();
            let holds = PublishedChannel {
                channel: channel.name.clone(),
                version: published.version,
                closed: published.closed,
                settings: published.settings.clone(),
            };
            let value = Bytes::from(holds.encode());
            if self.said.get(&channel.name) == Some(&value) {
                continue;
            }
            let key = Bytes::copy_from_slice(channel.name.as_bytes());
            let record = KeyedValue { key, value: value.clone() };
            self.control.components.log.append_keyed(&self.topic, vec![record]).await?;
            self.said.insert(channel.name.clone(), value);
        }
        Ok(())
    }

    /// Takes in what the topic says, and notes the channels of which it says something else than this node said last.
    async fn listen(&mut self) -> anyhow::Result<()> {
        loop {
            let end = *self.end.borrow_and_update();
            let (log, topic, at) = (self.control.components.log.clone(), self.topic.clone(), self.at);
            if at.is_some_and(|at| at >= end) {
                return Ok(());
            }
            // The log may block.
            let read = tokio::task::spawn_blocking(move || {
                let at = at.map_or_else(|| log.bounds(&topic).map(|bounds| bounds.start), Ok)?;
                if at >= end {
                    Ok((Vec::new(), at))
                } else {
                    log.read(&topic, at, READ_BYTES).map(|r| (r.records, r.next))
                }
            });
            let (records, next) = read.await.context("the reading broke off")??;
            self.at = Some(next);
            for record in records {
                let Ok(said) = PublishedChannel::decode(&record.value) else { continue };
                if self.said.insert(said.channel.clone(), record.value.clone()).as_ref()
                    != Some(&record.value)
                {
                    self.heard.insert(said.channel);
                }
            }
        }
    }
}
