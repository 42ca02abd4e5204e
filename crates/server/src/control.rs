//! Control: everything with an account or a memory of its own. It alone talks to SQL.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use emostream_log::{Clock, Log};
use emostream_protocol::Emotes;
use emostream_store::{Store, StoreOptions};

use crate::{channels::Channels, config::Config, tasks::Tasks, telemetry::Metrics};

pub mod attempts;
pub mod channels;
pub mod emotes;
pub mod exports;
pub mod images;
pub mod login_keys;
mod outbox;
pub mod passwords;
pub mod settings;

use outbox::Outbox;

/// So long a start waits until the log was told of all settings; after that it goes on in the background.
const START_PATIENCE: Duration = Duration::from_secs(2);

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
    outbox: Outbox,
}

impl Control {
    /// Opens the store, makes the channels of the configuration, and publishes all channels to the directory and the log.
    pub async fn start(config: &Config, components: Components, tasks: &Tasks) -> anyhow::Result<Arc<Self>> {
        let url = config.store.effective_url(&config.data_dir);
        let options = StoreOptions { readers: config.store.readers, ..StoreOptions::default() };
        let store = Store::open(&url, &options).await.context("open the store")?;
        let control = Arc::new(Self { store, components, outbox: Outbox::default() });
        control.seed(&config.channels).await?;
        control.publish_all().await?;
        // Before the first reaction, so that it is judged by what holds.
        let said = tokio::time::timeout(START_PATIENCE, control.say_again()).await;
        let is_said = matches!(said, Ok(Ok(())));
        tasks.spawn_essential("control settings", outbox::run(control.clone(), is_said, tasks.stop.clone()));
        Ok(control)
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
