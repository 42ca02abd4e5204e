//! Starts a node in the order of a reaction's path and stops it in the same order: refuse input, flush batches, store
//! the state of counting, tell viewers to come back, close.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use emostream_log::Log;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{
    config::{Config, Role},
    control::Control,
    edge::Edge,
    http::{
        app::{App, Phase},
        listener::Server,
        routes::{self, Surface},
        stream::AtGate,
    },
    ingest::{Ingest, spool::SpoolError},
    intake::Intake,
    tasks::Tasks,
};

#[cfg(feature = "kafka")]
mod brokers;
mod clock;
mod control_client;
mod doors;
mod foreign;
#[cfg(feature = "kafka")]
mod foreign_topics;
mod listen;
mod shared;
mod shared_keys;
mod storage;
mod tls;
mod topics;

#[cfg(feature = "kafka")]
pub use brokers::{kafka_config, node_name};
pub use control_client::ControlClient;
pub(crate) use control_client::REFUSED_NODE;
use foreign::Foreign;
#[cfg(feature = "kafka")]
pub use foreign_topics::foreign_topics;
pub(crate) use listen::wanted as listen_addresses;
use shared::{Aggregate, Shared};
use storage::Opened;
pub use storage::{BrokerEvents, Brokers, embedded_config, log_dir, parameters as embedded_parameters};
pub use topics::*;

/// After so long, a stop that hangs goes on to the next step.
const STEP_PATIENCE: Duration = Duration::from_secs(15);

/// A running node.
pub struct Node {
    app: Arc<App>,
    server: Arc<Server>,
    internal_server: Option<Arc<Server>>,
    ingest: Option<Arc<Ingest>>,
    aggregate: Option<Aggregate>,
    foreign: Foreign,
    control: Option<Arc<Control>>,
    log: Arc<dyn Log>,
    tasks: Tasks,
    addresses: Vec<SocketAddr>,
}

/// What a node listens on.
struct Listeners {
    /// The whole surface, for everybody.
    common: Vec<TcpListener>,
    /// The same, each with an edge's gate.
    edges: Vec<TcpListener>,
}

impl Listeners {
    fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        self.common.iter().chain(&self.edges).map(TcpListener::local_addr).collect()
    }

    /// All ports of this process.
    fn ports(&self, internal: Option<&TcpListener>) -> std::io::Result<Vec<u16>> {
        let all = self.common.iter().chain(&self.edges).chain(internal);
        all.map(|listener| Ok(listener.local_addr()?.port())).collect()
    }

    fn serve(self, server: &Arc<Server>, edge: Option<&Edge>) {
        for listener in self.common {
            server.serve(listener, AtGate(edge.map(|edge| edge.common.clone())));
        }
        for (number, listener) in self.edges.into_iter().enumerate() {
            let gate = edge.and_then(|edge| edge.gates.get(number).cloned());
            server.serve(listener, AtGate(gate));
        }
    }
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
        let listeners =
            Listeners { common: listen::all(&config).await?, edges: listen::edges(&config).await? };
        let internal = listen::internal(&config).await?;
        let tls = config.internal.tls().map(tls::acceptor).transpose();
        let tls = tls.map_err(|error| StartError::Configuration(format!("{error:#}")))?;
        let (config, opened) = tokio::task::spawn_blocking(move || (storage::open(&config), config))
            .await
            .map(|(opened, config)| (config, opened))
            .map_err(|error| StartError::Failed(error.into()))?;
        Self::start_roles(config, listeners, (internal, tls), opened?).await.map_err(start_error)
    }

    async fn start_roles(
        config: Config,
        listeners: Listeners,
        (internal, tls): (Option<TcpListener>, Option<TlsAcceptor>),
        opened: Opened,
    ) -> anyhow::Result<Self> {
        let log = opened.log.clone();
        let shared = Shared::new(config, opened)?;
        let roles = shared.config.effective_roles();
        let tasks = shared.tasks.clone();

        // First, since it says which channels there are.
        let control = if roles.contains(&Role::Control) {
            Some(shared.start_control().await?)
        } else {
            shared.learn_channels().await?;
            None
        };
        shared.share_keys().await?;
        let ingest = roles.contains(&Role::Ingest).then(|| shared.start_ingest()).transpose()?;
        let aggregate = roles.contains(&Role::Aggregate).then(|| shared.start_aggregate()).transpose()?;
        let starting_edge = || shared.start_edge(&listeners, control.as_ref());
        let edge = roles.contains(&Role::Edge).then(starting_edge).transpose()?;
        let bridge = roles.contains(&Role::Edge).then(|| shared.start_bridge()).transpose()?;
        let own_ports = listeners.ports(internal.as_ref())?;
        let starting = |edge| shared.start_subscribers(edge, &own_ports);
        let subscribers = edge.as_ref().map(starting).transpose()?;
        shared.start_console()?;
        let foreign = shared.start_foreign(&roles)?;

        let intake = ingest.clone().map(|ingest| ingest as Arc<dyn Intake>);
        let endpoint = intake.clone().map(|intake| shared.endpoint(intake, control.as_ref()));
        let parts = shared.parts(intake, edge.clone(), bridge, subscribers, control.clone());
        let app = App::new(parts);
        let surface = if internal.is_some() { Surface::Public } else { Surface::Whole };
        let server = Server::new(app.clone(), endpoint, routes::router(app.clone(), surface), None);
        let internal_server = internal.map(|listener| {
            let router = routes::router(app.clone(), Surface::Internal);
            let server = Server::new(app.clone(), None, router, tls);
            server.serve(listener, AtGate(None));
            server
        });
        foreign.prepared().await;
        let addresses = listeners.addresses()?;
        listeners.serve(&server, edge.as_deref());
        app.set_phase(Phase::Serving);
        if let Some(edge) = &edge {
            edge.report(&app.config.placement, &tasks);
        }
        Ok(Self { app, server, internal_server, ingest, aggregate, foreign, control, log, tasks, addresses })
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
        if let Some(edge) = &self.app.edge {
            edge.leave();
        }
        if let Some(ingest) = &self.ingest {
            // Besides its flush, it waits for Kafka.
            let patience = STEP_PATIENCE + Duration::from_millis(self.app.config.spool.drain_timeout_ms);
            step_within("flush of ingest", patience, ingest.stop()).await;
        }
        step("end of what other people write", self.foreign.stop_taking()).await;
        if let Some(aggregate) = &self.aggregate
            && !self.tasks.has_failed()
        {
            step("snapshot of counting", aggregate.stop()).await;
        }
        step("lines for other people", self.foreign.stop()).await;
        self.app.viewers_leave.cancel();
        if let Some(edge) = &self.app.edge {
            step("news to control that edges are left", edge.told()).await;
            edge.empty();
        }
        step("connections", self.server.finish()).await;
        if let Some(edge) = &self.app.edge {
            step("last reports of edges", edge.finish()).await;
        }
        if let Some(server) = &self.internal_server {
            server.stop_accepting();
            step("connections of other nodes", server.finish()).await;
        }
        self.tasks.stop.cancel();
        if let Some(control) = &self.control {
            step("close of the store", control.stop()).await;
        }
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

/// A spool that belongs elsewhere is a matter of configuration.
fn start_error(error: anyhow::Error) -> StartError {
    match error.downcast_ref() {
        Some(SpoolError::Partitions { .. }) => StartError::Configuration(format!("{error:#}")),
        _ => StartError::Failed(error),
    }
}

async fn step(name: &str, work: impl Future<Output = ()>) {
    step_within(name, STEP_PATIENCE, work).await;
}

async fn step_within(name: &str, patience: Duration, work: impl Future<Output = ()>) {
    if tokio::time::timeout(patience, work).await.is_err() {
        tracing::error!(step = name, "step of the stop did not end in time");
    }
}

/// When this process began, for the ready line.
pub fn since_start() -> Duration {
    static BEGAN: OnceLock<std::time::Instant> = OnceLock::new();
    BEGAN.get_or_init(std::time::Instant::now).elapsed()
}
