//! Settings of channels: read, changed one version at a time, and with their history.

use std::time::Duration;

use emostream_protocol::{
    ChannelName,
    settings::{SettingsDocument, SettingsError, SettingsInput},
};
use emostream_store::{NewSettings, Page, SettingsVersion, StoreError};

use super::Control;

/// A change that others keep overtaking is given up after so many tries.
const TRIES_MAX: usize = 32;

/// So long a change is waited for to be in the log; after that the answer comes all the same, since it is stored.
const PUBLICATION_PATIENCE: Duration = Duration::from_secs(2);

/// A version of a channel's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// From 1, ascending by one.
    pub version: u64,
    /// The settings.
    pub document: SettingsDocument,
    /// When this version was stored, µs since the Unix epoch.
    pub changed_us: i64,
    /// Who stored it.
    pub changed_by: String,
}

/// Why settings were not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// A field is wrong.
    #[error(transparent)]
    Invalid(#[from] SettingsError),
    /// Somebody else changed them since the version that the caller has seen.
    #[error("settings have version {current} by now, expected {expected}")]
    Conflict {
        /// The version that the caller expected.
        expected: u64,
        /// The version in force.
        current: u64,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Settings {
    /// Reads a stored version.
    pub fn read(stored: SettingsVersion) -> Result<Self, StoreError> {
        let document = serde_json::from_str(&stored.document).map_err(|error| {
            StoreError::Damaged(format!("settings of {} version {}: {error}", stored.channel, stored.version))
        })?;
        Ok(Self {
            version: stored.version,
            document,
            changed_us: stored.changed_us,
            changed_by: stored.changed_by,
        })
    }
}

/// A document as it is stored.
pub(super) fn to_json(document: &SettingsDocument) -> String {
    serde_json::to_string(document).expect("settings have string keys and finite numbers")
}

impl Control {
    /// A channel's newest settings.
    pub async fn settings(&self, channel: &ChannelName) -> Result<Settings, StoreError> {
        Settings::read(self.store.settings(channel).await?)
    }

    /// All versions, newest first, from below `before` on.
    pub async fn settings_history(
        &self,
        channel: &ChannelName,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<Settings, u64>, StoreError> {
        let page = self.store.settings_history(channel, before, limit).await?;
        let items = page.items.into_iter().map(Settings::read).collect::<Result<_, _>>()?;
        Ok(Page { items, next: page.next })
    }

    /// Changes a channel's settings. `expected` is the version that the caller has seen; without one, what is named in
    /// `input` changes whatever others did meanwhile. Returns what holds then: durable, and live for viewers unless the
    /// log does not take records now, in which case it follows when it does.
    pub async fn change_settings(
        &self,
        channel: &ChannelName,
        expected: Option<u64>,
        input: &SettingsInput,
        by: &str,
    ) -> Result<Settings, ChangeError> {
        self.change(channel, expected, by, |old| Ok(input.clone().applied_to(old))).await
    }

    /// As [`change_settings`](Self::change_settings), by a function of the present settings, which may run several times
    /// when others change them at the same time: no change of theirs is lost.
    pub async fn update_settings(
        &self,
        channel: &ChannelName,
        by: &str,
        change: impl Fn(&SettingsDocument) -> Result<SettingsDocument, SettingsError>,
    ) -> Result<Settings, ChangeError> {
        self.change(channel, None, by, change).await
    }

    async fn change(
        &self,
        channel: &ChannelName,
        expected: Option<u64>,
        by: &str,
        change: impl Fn(&SettingsDocument) -> Result<SettingsDocument, SettingsError>,
    ) -> Result<Settings, ChangeError> {
        for _ in 0..TRIES_MAX {
            let old = self.settings(channel).await?;
            if let Some(expected) = expected.filter(|expected| *expected != old.version) {
                return Err(ChangeError::Conflict { expected, current: old.version });
            }
            let document = change(&old.document)?.validated(Some(&old.document), &self.components.emotes)?;
            if document == old.document {
                return Ok(old);
            }
            let json = to_json(&document);
            let new = NewSettings { document: &json, by };
            let now_us = self.now_us();
            let stored = self.store.put_settings(channel, Some(old.version), &new, now_us).await;
            // Also after an error: a commit may have been made whose answer was lost.
            self.outbox.wake();
            match stored {
                Ok(version) => {
                    self.published(channel, version).await;
                    return Ok(Settings { version, document, changed_us: now_us, changed_by: by.to_owned() });
                }
                Err(StoreError::VersionConflict { current }) => {
                    if let Some(expected) = expected {
                        return Err(ChangeError::Conflict { expected, current });
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("the settings are being changed by too many others".into()).into())
    }

    /// Waits until the version, or a later one, is in the log and in the directory; not for ever.
    pub(super) async fn published(&self, channel: &ChannelName, version: u64) {
        let mut changes = self.components.channels.follow();
        let is_there = || {
            let known = self.components.channels.get(channel);
            known.is_some_and(|channel| channel.published().version >= version)
        };
        let waiting = changes.wait_for(|_| is_there());
        if tokio::time::timeout(PUBLICATION_PATIENCE, waiting).await.is_err() {
            tracing::warn!(%channel, version, "settings are stored and wait for the log");
        }
    }
}
