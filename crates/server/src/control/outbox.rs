//! The outbox of settings: what is stored goes into the log, in order and at least once, and then to this node's roles.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use emostream_log::{LogError, TopicPartition};
use emostream_protocol::{
    ChannelName, id::home_partition, record::SettingsChange, settings::SettingsDocument,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Components, Control, settings::Settings};
use crate::channels::Published;

/// After a refusal of log or store it is tried again so often.
const RETRY: Duration = Duration::from_secs(1);

/// Versions taken from the store at once.
const BATCH: u32 = 64;

/// Wakes the task that publishes.
#[derive(Debug, Default)]
pub(super) struct Outbox(Notify);

impl Outbox {
    /// Says that there is something to publish.
    pub(super) fn wake(&self) {
        self.0.notify_one();
    }
}

/// Publishes until it is stopped; first what holds for every channel, unless that is said.
pub(super) async fn run(control: Arc<Control>, is_said: bool, stop: CancellationToken) -> anyhow::Result<()> {
    let publishing = async {
        while !is_said && let Err(error) = control.say_again().await {
            report(&error);
            tokio::time::sleep(RETRY).await;
        }
        loop {
            match control.publish_stored().await {
                Ok(0) => control.outbox.0.notified().await,
                Ok(_) => {}
                Err(error) => {
                    report(&error);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    };
    stop.run_until_cancelled(publishing).await;
    Ok(())
}

fn report(error: &anyhow::Error) {
    tracing::warn!(error = format!("{error:#}"), "settings wait to be published");
}

impl Control {
    /// Appends the newest settings of every channel: the log may be another than the one that was told before.
    /// Counting leaves repeats out.
    pub(super) async fn say_again(&self) -> anyhow::Result<()> {
        let mut by_partition: BTreeMap<u32, Vec<Bytes>> = BTreeMap::new();
        for channel in self.components.channels.all() {
            let published = channel.published().clone();
            let (home, record) = self.record(&channel.name, published.version, &published.settings)?;
            by_partition.entry(home).or_default().push(record);
        }
        // One append a partition: a start must not wait for a sync a channel.
        for (partition, records) in by_partition {
            self.append(partition, records).await?;
        }
        for channel in self.components.channels.all() {
            self.say_newer(&channel.name, channel.published().version).await?;
        }
        Ok(())
    }

    /// Another node with control may have stored and appended a newer version while this one was on its way: of what is in
    /// the log the newest has to come last. Counting leaves repeats out.
    async fn say_newer(&self, name: &ChannelName, mut appended: u64) -> anyhow::Result<()> {
        if self.components.settings_topic.is_none() {
            return Ok(());
        }
        loop {
            let newest = self.settings(name).await.context("read stored settings")?;
            if newest.version <= appended {
                return Ok(());
            }
            let (home, record) = self.record(name, newest.version, &newest.document)?;
            self.append(home, vec![record]).await?;
            appended = newest.version;
        }
    }

    /// Publishes what is stored and not known to be in the log; how much that was. What can never be published is left
    /// out, so that it does not keep back what other channels change.
    async fn publish_stored(&self) -> anyhow::Result<usize> {
        let waiting = self.store.unpublished_settings(BATCH).await.context("read stored settings")?;
        let number = waiting.len();
        for stored in waiting {
            let (channel, version) = (stored.channel.clone(), stored.version);
            match Settings::read(stored) {
                Ok(_) if self.is_superseded(&channel, version) => {}
                Ok(Settings { document, .. }) => {
                    let (home, record) = self.record(&channel, version, &document)?;
                    self.append(home, vec![record]).await?;
                    self.say_newer(&channel, version).await?;
                    if let Err(error) = self.show(&channel, version, document) {
                        tracing::error!(%channel, version, error = format!("{error:#}"), "settings are not shown");
                    }
                }
                Err(error) => {
                    tracing::error!(%channel, version, %error, "stored settings cannot be published");
                }
            }
            self.store.mark_published(&channel, version).await.context("mark settings as published")?;
        }
        Ok(number)
    }

    /// Whether a newer version is in the log already, as after a start: this one must not come behind it.
    fn is_superseded(&self, channel: &ChannelName, version: u64) -> bool {
        let known = self.components.channels.get(channel);
        known.is_some_and(|channel| channel.published().version > version)
    }

    /// A version as the log carries it, with the partition that it belongs to.
    fn record(
        &self,
        channel: &ChannelName,
        version: u64,
        document: &SettingsDocument,
    ) -> anyhow::Result<(u32, Bytes)> {
        let Components { log, raw_topic, .. } = &self.components;
        let partitions = log.partitions(raw_topic).context("the raw topic exists")?;
        let change = SettingsChange { channel: channel.clone(), settings: document.for_log(version) };
        Ok((home_partition(channel, partitions), change.encode()))
    }

    async fn append(&self, partition: u32, records: Vec<Bytes>) -> anyhow::Result<()> {
        let target = TopicPartition::new(self.components.raw_topic.clone(), partition);
        match self.components.log.append_reserved(&target, records).await {
            Ok(_) => Ok(()),
            // The node is stopping: what is not marked is published at the next start.
            Err(LogError::Closed) => std::future::pending().await,
            Err(error) => Err(error).context("append settings"),
        }
    }

    /// Publishes to this node's roles, unless they know a newer version.
    pub(super) fn show(
        &self,
        name: &ChannelName,
        version: u64,
        settings: SettingsDocument,
    ) -> anyhow::Result<()> {
        let published = Published::new(version, settings, false, &self.components.emotes)?;
        Ok(self.components.channels.publish_version(name, published)?)
    }
}
