//! Control: everything with an account or a memory of its own. It alone talks to SQL.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context;
use emostream_log::{Clock, Log, TopicPartition};
use emostream_protocol::Emotes;
use emostream_store::{Store, StoreOptions};
use futures_util::FutureExt as _;

use crate::{
    channels::Channels, config::Config, durable, http::problem::Problem, output::Output, tasks::Tasks,
    telemetry::Metrics,
};

pub mod accounts;
mod announcements;
pub mod archive;
pub mod channels;
pub mod emotes;
pub mod exports;
pub mod images;
mod members;
mod outbox;
pub mod placement;
pub mod settings;
pub mod tickets;

use accounts::{
    Accounts, Shown,
    admin::{self, Generated},
    login_keys::LoginKeys,
};
use archive::Archive;
use outbox::Outbox;
use placement::{Check, Placed, Placement, Wanted};
use tickets::TicketSigner;

/// So long a start waits until the log was told of all settings; after that it goes on in the background.
const START_PATIENCE: Duration = Duration::from_secs(2);

/// What control needs from the node.
#[derive(Clone)]
pub struct Components {
    /// The log: settings go into it, rows come out of it.
    pub log: Arc<dyn Log>,
    /// Raw topic.
    pub raw_topic: Arc<str>,
    /// Where rows are.
    pub output: Output,
    /// Where other nodes learn of channels; none where there are no others.
    pub settings_topic: Option<TopicPartition>,
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
    /// How far the archive is.
    pub archive: Arc<Archive>,
    /// What it works with.
    pub components: Components,
    /// Who logs in, and what a token is worth.
    pub accounts: Accounts,
    /// Who is sent where, and what edges report.
    pub placement: Arc<Placement>,
    first_admin: Mutex<Option<Generated>>,
    outbox: Outbox,
    changing_channels: tokio::sync::Mutex<()>,
}

impl Control {
    /// Opens the store, makes the channels of the configuration, and publishes all channels to the directory and the log.
    pub async fn start(config: &Config, components: Components, tasks: &Tasks) -> anyhow::Result<Arc<Self>> {
        let url = config.store.effective_url(&config.data_dir);
        let options = StoreOptions { readers: config.store.readers, ..StoreOptions::default() };
        let store = Store::open(&url, &options).await.context("open the store")?;
        let now_us = components.clock.now_ms() * 1_000;
        let first_admin =
            admin::ensure(&store, &config.control, now_us).await.context("set the admin account")?;
        let keys = login_keys(config)?;
        let (metrics, clock) = (components.metrics.clone(), components.clock.clone());
        let accounts = Accounts::new(store.clone(), keys, &config.accounts, metrics, clock);
        let placing = placing(config, &components, &store)?;
        let placement = Placement::start(&config.placement, &config.accounts, placing, tasks)
            .await
            .context("start placement")?;
        let first_admin = Mutex::new(first_admin);
        let archive = Archive::start(&filling(&components, &store), tasks)?;
        let control = Arc::new(Self {
            store,
            archive,
            components,
            accounts,
            placement,
            first_admin,
            outbox: Outbox::default(),
            changing_channels: tokio::sync::Mutex::default(),
        });
        control.seed(&config.channels).await?;
        control.publish_all().await?;
        // Before the first reaction, so that it is judged by what holds.
        let said = tokio::time::timeout(START_PATIENCE, control.say_again()).await;
        let is_said = matches!(said, Ok(Ok(())));
        tasks.spawn_essential("control settings", outbox::run(control.clone(), is_said, tasks.stop.clone()));
        if let Some(topic) = control.components.settings_topic.clone() {
            let announcing = announcements::run(control.clone(), topic, tasks.stop.clone());
            tasks.spawn_essential("control announcements", announcing);
        }
        Ok(control)
    }

    /// A place for a viewer; with the token that was shown, where one was. Its account is looked up before anything is given,
    /// and not for every poll of who waits in line.
    pub async fn place(&self, wanted: Wanted, shown: Option<&Shown>) -> Result<Placed, Problem> {
        let check: Check<'_> = match shown {
            Some(shown) => self.accounts.check(shown),
            None => std::future::ready(Ok(())).boxed(),
        };
        let placed = self.placement.place(wanted, check).await;
        if let (Some(shown), Err(problem)) = (shown, &placed) {
            self.accounts.told(shown, problem);
        }
        placed
    }

    /// The admin that this start made up, for the one time that its password is shown.
    pub fn take_first_admin(&self) -> Option<Generated> {
        self.first_admin.lock().unwrap_or_else(|e| e.into_inner()).take()
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

/// The configured secret, or the key in the data directory.
fn login_keys(config: &Config) -> anyhow::Result<LoginKeys> {
    match &config.control.token_secret {
        Some(secret) => LoginKeys::from_secret(secret.reveal())
            .context("control.token_secret: expected one that is not empty"),
        None => LoginKeys::load_or_create(&keys_dir(config)?.join("login.json")),
    }
}

/// Where keys are, made if need be.
fn keys_dir(config: &Config) -> anyhow::Result<PathBuf> {
    let dir = config.data_dir.join("keys");
    durable::create_dir(&dir).with_context(|| format!("create {}", dir.display()))?;
    Ok(dir)
}

/// What placement needs of it all.
fn placing(config: &Config, components: &Components, store: &Store) -> anyhow::Result<placement::Components> {
    Ok(placement::Components {
        store: store.clone(),
        signer: TicketSigner::load_or_create(&keys_dir(config)?.join("tickets.json"))?,
        dir: config.data_dir.clone(),
        metrics: components.metrics.clone(),
        clock: components.clock.clone(),
    })
}

/// What the archive needs of it all.
fn filling(components: &Components, store: &Store) -> archive::Components {
    archive::Components {
        log: components.log.clone(),
        output: components.output.clone(),
        store: store.clone(),
        emotes: components.emotes.clone(),
        metrics: components.metrics.clone(),
    }
}
