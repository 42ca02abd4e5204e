//! What handlers share: the roles that run here, and the facts around them.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use arc_swap::ArcSwap;
use emostream_log::{Clock, Log};
use emostream_protocol::Emotes;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{
    control::forward::Forwards,
    page::Page,
    problem::{ErrorType, Problem},
};
use crate::{
    channels::{Channel, Channels},
    compat::{bridge::Bridge, subscribers::Subscribers},
    config::Config,
    control::Control,
    edge::Edge,
    ingest::identity::GuestKeys,
    intake::Intake,
    node::{Brokers, ControlClient},
    output::Output,
    pressure::Pressure,
    tasks::Tasks,
    telemetry::{LogThrottle, Metrics},
};

/// Queries of the past that may run at once: each reads the log on a thread that may block.
pub const QUERIES_MAX: usize = 8;

/// Previews that may run at once: each keeps a processor busy, and holds its windows in memory.
pub const PREVIEWS_MAX: usize = 2;

/// Answers to such queries that may be on their way at once, half a MiB each: readers that take them slowly, or never, cost
/// no more memory than this.
pub const PAGES_IN_FLIGHT_MAX: usize = 64;

/// Where a node is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Not ready yet.
    Starting = 0,
    /// Serving.
    Serving = 1,
    /// Refusing new input, finishing the old.
    Stopping = 2,
}

/// Shared by all handlers of a node; its parts are reached through it.
pub struct App {
    parts: Parts,
    /// Limits queries of the past that run.
    pub queries: Semaphore,
    /// Limits previews that run.
    pub previews: Semaphore,
    /// Limits their answers that are being sent.
    pub pages_in_flight: Arc<Semaphore>,
    /// Limits calls on their way to control.
    pub forwards: Forwards,
    /// Limits what the log says of those that did not get there.
    pub forward_failures: LogThrottle,
    /// Limits what the log says of those who are no nodes and call the internal API.
    pub refused_nodes: LogThrottle,
    /// Tells of guests who ask for a place where only members watch.
    pub refused_guests: LogThrottle,
    /// Ends what listens without a place of a gate.
    pub viewers_leave: CancellationToken,
    /// The page for browsers.
    pub page: Page,
    phase: AtomicU8,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// The effective configuration.
    pub config: Config,
    /// The log.
    pub log: Arc<dyn Log>,
    /// Where rows are.
    pub output: Output,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
    /// The channels that exist.
    pub channels: Arc<Channels>,
    /// The brokers; `None` on the embedded log.
    pub brokers: Option<Arc<dyn Brokers>>,
    /// The keys that sign guests in.
    pub guest_keys: Arc<ArcSwap<GuestKeys>>,
    /// Ingest, if it runs here.
    pub intake: Option<Arc<dyn Intake>>,
    /// Edge, if it runs here.
    pub edge: Option<Arc<Edge>>,
    /// System A's bridge, in the role of edges.
    pub bridge: Option<Arc<Bridge>>,
    /// System D's subscribers, in the role of edges.
    pub subscribers: Option<Arc<Subscribers>>,
    /// The way to control, if it runs elsewhere.
    pub control_client: Option<ControlClient>,
    /// Control, if it runs here.
    pub control: Option<Arc<Control>>,
    /// How counting is.
    pub pressure: Arc<Pressure>,
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The node's tasks.
    pub tasks: Tasks,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl App {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            queries: Semaphore::new(QUERIES_MAX),
            previews: Semaphore::new(PREVIEWS_MAX),
            pages_in_flight: Arc::new(Semaphore::new(PAGES_IN_FLIGHT_MAX)),
            forwards: Forwards::default(),
            forward_failures: LogThrottle::default(),
            refused_nodes: LogThrottle::default(),
            refused_guests: LogThrottle::default(),
            viewers_leave: CancellationToken::new(),
            page: Page::embedded(),
            phase: AtomicU8::new(Phase::Starting as u8),
        })
    }

    /// Where the node is in its life.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Stopping,
        }
    }

    /// Enters a phase.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Finds a channel.
    pub fn channel(&self, name: &str) -> Result<Arc<Channel>, Problem> {
        self.channels.get(name).ok_or_else(Problem::no_channel)
    }

    /// Ingest, or the problem that it does not run here.
    pub fn intake(&self) -> Result<&Arc<dyn Intake>, Problem> {
        self.intake.as_ref().ok_or_else(|| not_here("ingest"))
    }

    /// Control, or the problem that it does not run here.
    pub fn control(&self) -> Result<&Arc<Control>, Problem> {
        self.control.as_ref().ok_or_else(|| not_here("control"))
    }

    /// System A's bridge, or the problem that its role does not run here.
    pub fn bridge(&self) -> Result<&Arc<Bridge>, Problem> {
        self.bridge.as_ref().ok_or_else(|| not_here("edge"))
    }

    /// System D's subscribers, or the problem that their role does not run here.
    pub fn subscribers(&self) -> Result<&Arc<Subscribers>, Problem> {
        self.subscribers.as_ref().ok_or_else(|| not_here("edge"))
    }

    /// Edge, or the problem that it does not run here.
    pub fn edge(&self) -> Result<&Arc<Edge>, Problem> {
        self.edge.as_ref().ok_or_else(|| not_here("edge"))
    }
}

fn not_here(role: &str) -> Problem {
    Problem::new(ErrorType::RoleNotHere, format!("this node does not run the role {role}"))
}
