//! Starts a node in the order of a reaction's path and stops it in the same order: refuse input, flush batches, store
//! the state of counting, tell viewers to come back, close.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, bail};
use emostream_log::{
    Clock, Log, SystemClock, TopicPartition,
    embedded::{self, EmbeddedConfig, EmbeddedLog, Retention, TopicConfig},
};
use emostream_moments::StreamParameters;
use emostream_protocol::Emotes;
use tokio::net::TcpListener;

use crate::{
    aggregate,
    channels::Channels,
    config::{Config, Durability, LogKind, Role},
    edge,
    http::{
        app::{App, Parts, Phase},
        listener::Server,
        routes,
    },
    ingest::{self, Ingest, endpoint::Endpoint, identity::GuestKeys},
    intake::Intake,
    pressure::Pressure,
    pulse_path::PulsePath,
    tasks::Tasks,
    telemetry::Metrics,
};

/// Raw reactions, ticks and settings.
pub const RAW_TOPIC: &str = "emote-log";

/// Windows, moments and settings in sequence.
pub const OUTPUT_TOPIC: &str = "emote-output";

/// What could not be processed, with reason and place.
pub const DEAD_LETTER_TOPIC: &str = "dead-letter";

/// Where a node listens unless told otherwise.
const LISTEN_DEFAULT: &str = "127.0.0.1:8080";

/// System A's port, served as well when it is free.
const LISTEN_ALSO: &str = "127.0.0.1:3001";

/// After so long, a stop that hangs goes on to the next step.
const STEP_PATIENCE: Duration = Duration::from_secs(15);

/// A running node.
pub struct Node {
    app: Arc<App>,
    server: Arc<Server>,
    ingest: Option<Arc<Ingest>>,
    aggregate: Option<aggregate::Handles>,
    log: Arc<EmbeddedLog>,
    tasks: Tasks,
    addresses: Vec<SocketAddr>,
}

/// Why a node did not start; the two have different exit codes.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration asks for what cannot be: exit code 2.
    #[error("{0}")]
    Configuration(String),
    /// Something failed: exit code 1.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl Node {
    /// Starts the roles that the configuration names and serves them.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        if config.log.kind == LogKind::Kafka {
            let text = "log.kind: this build has no Kafka; expected \"embedded\"";
            return Err(StartError::Configuration(text.into()));
        }
        let listeners = listen(&config.listen).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let log = Arc::new(open_log(&config, clock.clone())?);
        Self::start_roles(config, listeners, clock, log).map_err(StartError::Failed)
    }

    fn start_roles(
        config: Config,
        listeners: Vec<TcpListener>,
        clock: Arc<dyn Clock>,
        log: Arc<EmbeddedLog>,
    ) -> anyhow::Result<Self> {
        let shared: Arc<dyn Log> = log.clone();
        let roles = config.effective_roles();
        let tasks = Tasks::new(tokio::runtime::Handle::current());
        let emotes = Arc::new(Emotes::new());
        let channels = Arc::new(Channels::from_config(&config.channels, &emotes)?);
        let metrics = Arc::new(Metrics::default());
        let pressure = Arc::new(Pressure::default());
        let pulses = Arc::new(PulsePath::new(&channels));
        let output = TopicPartition::new(OUTPUT_TOPIC, 0);

        let ingest = roles
            .contains(&Role::Ingest)
            .then(|| start_ingest(&config, &shared, &emotes, &pressure, &metrics, &clock, &tasks));
        let ingest = ingest.transpose()?;
        let aggregate = match roles.contains(&Role::Aggregate) {
            true => Some(aggregate::start(
                aggregate::Components {
                    log: shared.clone(),
                    raw_topic: RAW_TOPIC.into(),
                    output: output.clone(),
                    parameters: parameters(&config)?,
                    snapshot_dir: config.data_dir.join("aggregate"),
                    emotes: emotes.clone(),
                    channels: channels.clone(),
                    pulses: pulses.clone(),
                    pressure,
                    metrics: metrics.clone(),
                    clock: clock.clone(),
                },
                &tasks,
            )?),
            false => None,
        };
        let edge_components = edge::Components {
            log: shared.clone(),
            output: output.clone(),
            emotes: emotes.clone(),
            channels: channels.clone(),
            pulses,
            metrics: metrics.clone(),
            clock: clock.clone(),
            pulse_ms: config.windows.pulse_ms,
            window_ms: config.windows.window_ms,
        };
        let edge = roles
            .contains(&Role::Edge)
            .then(|| edge::start(&config.edge, &edge_components, &tasks))
            .transpose()?;

        let body_timeout = Duration::from_millis(config.http.body_timeout_ms);
        let intake = ingest.clone().map(|ingest| ingest as Arc<dyn Intake>);
        let endpoint = intake.clone().map(|intake| {
            let (channels, emotes, metrics) = (channels.clone(), emotes.clone(), metrics.clone());
            Arc::new(Endpoint { intake, channels, emotes, metrics, body_timeout })
        });
        let parts = Parts {
            config,
            log: shared,
            output,
            emotes,
            channels,
            intake,
            edge,
            metrics,
            clock,
            tasks: tasks.clone(),
        };
        let app = App::new(parts);
        let server = Server::new(app.clone(), endpoint, routes::router(app.clone()));
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<std::io::Result<_>>()?;
        for listener in listeners {
            server.serve(listener);
        }
        app.set_phase(Phase::Serving);
        Ok(Self { app, server, ingest, aggregate, log, tasks, addresses })
    }

    /// Addresses that the node listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The handlers' shared state.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Waits until a part of the node has failed for good; says which and why.
    pub async fn failed(&self) -> String {
        self.tasks.failed().await
    }

    /// Stops gracefully, in the order of a reaction's path. Nothing acknowledged is lost by it, nor by leaving it out.
    pub async fn stop(self) {
        self.app.set_phase(Phase::Stopping);
        self.server.stop_accepting();
        if let Some(ingest) = &self.ingest {
            step("flush of ingest", ingest.stop()).await;
        }
        if let Some(aggregate) = &self.aggregate
            && !self.tasks.has_failed()
        {
            step("snapshot of counting", aggregate.stop()).await;
        }
        self.app.viewers_leave.cancel();
        step("connections", self.server.finish()).await;
        self.tasks.stop.cancel();
        let log = self.log.clone();
        let closing = async {
            match tokio::task::spawn_blocking(move || log.close()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "log not closed cleanly"),
                Err(error) => tracing::error!(%error, "log not closed cleanly"),
            }
        };
        step("close of the log", closing).await;
    }
}

async fn step(name: &str, work: impl Future<Output = ()>) {
    if tokio::time::timeout(STEP_PATIENCE, work).await.is_err() {
        tracing::error!(step = name, "step of the stop did not end in time");
    }
}

fn start_ingest(
    config: &Config,
    log: &Arc<dyn Log>,
    emotes: &Arc<Emotes>,
    pressure: &Arc<Pressure>,
    metrics: &Arc<Metrics>,
    clock: &Arc<dyn Clock>,
    tasks: &Tasks,
) -> anyhow::Result<Arc<Ingest>> {
    let keys_dir = config.data_dir.join("keys");
    std::fs::create_dir_all(&keys_dir).with_context(|| format!("create {}", keys_dir.display()))?;
    let keys = GuestKeys::load_or_create(&keys_dir.join("guest.json"))?;
    let components = ingest::Components {
        log: log.clone(),
        topic: RAW_TOPIC.into(),
        emotes: emotes.clone(),
        pressure: pressure.clone(),
        metrics: metrics.clone(),
        clock: clock.clone(),
    };
    Ok(Ingest::start(&config.ingest, keys, &components, tasks))
}

fn parameters(config: &Config) -> anyhow::Result<StreamParameters> {
    let windows = &config.windows;
    Ok(StreamParameters::new(windows.window_ms, windows.allowed_lateness_ms, windows.horizon_ms)?)
}

/// The embedded log of a configuration.
pub fn embedded_config(config: &Config, clock: Arc<dyn Clock>) -> EmbeddedConfig {
    let kept = |ms: u64, bytes: Option<u64>| Retention { age_ms: i64::try_from(ms).ok(), bytes };
    let topic = |name: &str, partitions, retention| TopicConfig { name: name.into(), partitions, retention };
    let output_kept = kept(config.log.output_retention_ms, None);
    let topics = vec![
        topic(
            RAW_TOPIC,
            config.log.partitions,
            kept(config.log.retention_ms, Some(config.log.retention_bytes)),
        ),
        topic(OUTPUT_TOPIC, 1, output_kept),
        topic(DEAD_LETTER_TOPIC, 1, output_kept),
    ];
    let windows = &config.windows;
    let parameters = [
        ("windows.window_ms", windows.window_ms),
        ("windows.allowed_lateness_ms", windows.allowed_lateness_ms),
        ("windows.horizon_ms", windows.horizon_ms),
    ];
    EmbeddedConfig {
        parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_string())).into(),
        durability: match config.log.durability {
            Durability::Fsync => embedded::Durability::Fsync,
            Durability::Os => embedded::Durability::Os,
        },
        segment_bytes: config.log.segment_bytes,
        seed: rand::random(),
        clock,
        ..EmbeddedConfig::new(log_dir(&config.data_dir), topics)
    }
}

/// Where the embedded log is in a data directory.
pub fn log_dir(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("log")
}

fn open_log(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<EmbeddedLog> {
    let (log, report) = EmbeddedLog::open(&embedded_config(config, clock))?;
    tracing::debug!(?report, "log opened");
    Ok(log)
}

/// Binds all addresses. Of the defaults, only the first must be free.
async fn listen(configured: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in configured {
        listeners.push(bind(*address).await?);
    }
    if configured.is_empty() {
        listeners.push(bind(LISTEN_DEFAULT.parse()?).await?);
        match bind(LISTEN_ALSO.parse()?).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => tracing::warn!("{error:#}; going on without this second port"),
        }
    }
    Ok(listeners)
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    /// Connections that the kernel holds while the accept loop is busy: a crowd comes at once.
    const BACKLOG: u32 = 4_096;
    let socket =
        if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    if let Err(error) = socket.bind(address) {
        bail!("cannot listen on {address}: {error}");
    }
    socket.listen(BACKLOG).with_context(|| format!("listen on {address}"))
}

/// When this process began, for the ready line.
pub fn since_start() -> Duration {
    static BEGAN: OnceLock<std::time::Instant> = OnceLock::new();
    BEGAN.get_or_init(std::time::Instant::now).elapsed()
}
