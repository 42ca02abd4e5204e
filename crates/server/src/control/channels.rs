//! Channels: those of the configuration, those made while the node runs, and what is published of them.

use emostream_protocol::{ChannelName, limits::CHANNELS_MAX, settings::SettingsDocument};
use emostream_store::{ChannelChange, ChannelRecord, NewChannel, NewSettings, StoreError};
use sha2::{Digest, Sha256};

use super::{Components, Control, settings};
use crate::{channels::Published, config::ChannelConfig};

/// Who changed settings that the configuration changed.
const BY_CONFIGURATION: &str = "configuration";

/// Channels of a store at most: each needs its place in the directory.
const LIMIT: u32 = CHANNELS_MAX as u32;

/// Channels read from the store at once.
const PAGE: u32 = 500;

impl Control {
    /// Makes the channels of the configuration. One that exists keeps its settings, which belong to its broadcasters,
    /// unless its part of the configuration has been changed since it was last applied.
    pub(super) async fn seed(&self, configured: &[ChannelConfig]) -> anyhow::Result<()> {
        for config in configured {
            let name = ChannelName::new(&config.name)?;
            let emotes = &self.components.emotes;
            let document = config.settings(emotes)?;
            let seed_hash = Some(seed_hash(config));
            match self.store.channel(&name).await? {
                None => {
                    let channel = NewChannel { name, title: config.title.clone(), seed_hash };
                    let json = settings::to_json(&document);
                    let first = NewSettings { document: &json, by: BY_CONFIGURATION };
                    self.store.create_channel(&channel, &first, LIMIT, self.now_us()).await?;
                }
                Some(known) if known.seed_hash == seed_hash => {}
                Some(_) => {
                    tracing::info!(channel = %name, "its configuration has changed and is applied");
                    // On top of what holds, so that the palette's version ascends.
                    let old = self.settings(&name).await?.document;
                    let json = settings::to_json(&document.validated(Some(&old), emotes)?);
                    let new = NewSettings { document: &json, by: BY_CONFIGURATION };
                    self.store.put_settings(&name, None, &new, self.now_us()).await?;
                    let change = ChannelChange { seed_hash: Some(seed_hash), ..ChannelChange::default() };
                    self.store.update_channel(&name, &change).await?;
                }
            }
        }
        Ok(())
    }

    /// Publishes every stored channel with its newest settings to the directory.
    pub(super) async fn publish_all(&self) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let page = self.store.channels(after, PAGE).await?;
            for record in page.items {
                let settings = self.settings(&record.name).await?;
                let Components { emotes, channels, .. } = &self.components;
                let published = Published::new(settings.version, settings.document, record.closed, emotes)?;
                if let Err(error) = channels.publish(&record.name, published) {
                    // The others must not suffer for it.
                    tracing::error!(channel = %record.name, %error, "a stored channel is left out");
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Publishes to the directory what the store holds of a channel; one that it does not have stays as it is.
    pub(super) async fn publish_stored_channel(&self, name: &ChannelName) -> anyhow::Result<()> {
        // A change that is stored meanwhile is published behind this one.
        let _one_at_a_time = self.changing_channels.lock().await;
        let Some(record) = self.store.channel(name).await? else { return Ok(()) };
        let settings = self.settings(name).await?;
        let Components { emotes, channels, .. } = &self.components;
        let published = Published::new(settings.version, settings.document, record.closed, emotes)?;
        Ok(channels.publish_newest(name, published)?)
    }

    /// Makes a channel with default settings; it is live when this returns.
    pub async fn create_channel(
        &self,
        name: &ChannelName,
        title: &str,
        by: &str,
    ) -> Result<ChannelRecord, StoreError> {
        let document = SettingsDocument::default();
        let json = settings::to_json(&document);
        let first = NewSettings { document: &json, by };
        let channel = NewChannel { name: name.clone(), title: title.to_owned(), seed_hash: None };
        let record = self.store.create_channel(&channel, &first, LIMIT, self.now_us()).await?;
        self.outbox.wake();
        self.published(name, 1).await;
        // Live even where the log does not take the settings now: they are the default, and follow.
        self.show(name, 1, document).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(record)
    }

    /// Changes a channel; closing and opening hold at once.
    pub async fn update_channel(
        &self,
        name: &ChannelName,
        change: &ChannelChange,
    ) -> Result<ChannelRecord, StoreError> {
        // Two changes are published in the order in which they are stored.
        let _one_at_a_time = self.changing_channels.lock().await;
        let record = self.store.update_channel(name, change).await?;
        self.components.channels.publish_closed(name, record.closed);
        Ok(record)
    }
}

/// A hash of what the operator wrote. What is left at its default hashes alike in every release, so that a new default
/// does not undo what broadcasters chose.
fn seed_hash(config: &ChannelConfig) -> String {
    let untouched = ChannelConfig { name: config.name.clone(), ..ChannelConfig::default() };
    let json = |config: &ChannelConfig| {
        serde_json::to_string(config).expect("a configuration has string keys and finite numbers")
    };
    let written = json(config);
    if written == json(&untouched) {
        return "default".into();
    }
    Sha256::digest(written.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
