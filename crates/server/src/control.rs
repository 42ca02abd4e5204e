//! Control: everything with an account or a memory of its own. It alone talks to SQL.

use std::sync::Arc;

use anyhow::Context;
use emostream_log::{Clock, Log};
use emostream_protocol::Emotes;
use emostream_store::{Store, StoreOptions};

use crate::{channels::Channels, config::Config, tasks::Tasks, telemetry::Metrics};

pub mod exports;

/// What control needs from the node.
#[derive(Clone)]
pub struct Components {
    /// The log: settings go into it, rows come out of it.
    pub log: Arc<dyn Log>,
    /// Raw topic.
    pub raw_topic: Arc<str>,
    /// The directory that control publishes to.
    pub channels: Arc<Channels>,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// The running control role.
pub struct Control {
    /// Accounts, channels, settings, archive.
    pub store: Store,
    /// What it works with.
    pub components: Components,
}

impl Control {
    /// Opens the store and publishes the channels in it.
    pub async fn start(config: &Config, components: Components, _tasks: &Tasks) -> anyhow::Result<Arc<Self>> {
        let url = config.store.effective_url(&config.data_dir);
        let options = StoreOptions { readers: config.store.readers, ..StoreOptions::default() };
        let store = Store::open(&url, &options).await.context("open the store")?;
        Ok(Arc::new(Self { store, components }))
    }

    /// The clock, in µs since the Unix epoch.
    pub fn now_us(&self) -> i64 {
        self.components.clock.now_ms() * 1_000
    }

    /// Ends what is under way with the store.
    pub async fn stop(&self) {
        self.store.close().await;
    }
}
