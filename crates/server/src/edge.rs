//! Edge: the newest state of each channel in memory, each frame encoded once, the same bytes for every viewer.
//!
//! [`follower`] reads the output log (and keeps [`early_rows`] of channels that are not known yet), [`beat`] the pulse path and [`announce`] the directory into [`hub`]; [`session`] decides what one viewer is
//! sent, with no socket inside. Sockets are in `http::stream`. Each edge that placement knows has a [`gate`], which lets viewers in by what
//! [`admission`] decides, and [`report`]s to control.

use std::{sync::Arc, time::Duration};

use emostream_log::{Clock, Log};
use emostream_protocol::{Emotes, Epoch};

use crate::{
    channels::Channels,
    config::{EdgeConfig, PlacementConfig},
    output::Output,
    placement_link::ControlLink,
    pulse_path::PulsePath,
    tasks::Tasks,
    telemetry::Metrics,
};

pub mod admission;
mod announce;
mod beat;
mod control_time;
mod early_rows;
mod follower;
pub mod gate;
pub mod hub;
mod keyring;
mod pulse_follower;
mod report;
pub mod session;
pub mod view;

use admission::Identity;
use control_time::ControlTime;
use gate::{Gate, Surroundings};
use hub::Hub;
use keyring::Keyring;
use report::Reports;

/// What an edge needs from the node.
#[derive(Clone)]
pub struct Components {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Where rows are.
    pub output: Output,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
    /// The channels that exist.
    pub channels: Arc<Channels>,
    /// The topic on which other nodes forward pulses; none where counting is in this process.
    pub pulses_topic: Option<Arc<str>>,
    /// Where pulses come from.
    pub pulses: Arc<PulsePath>,
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// The clock that viewers are told.
    pub clock: Arc<dyn Clock>,
    /// Length of a pulse, ms.
    pub pulse_ms: u32,
    /// Length of a window, ms.
    pub window_ms: u32,
    /// The way to control; none where this node knows of none.
    pub link: Option<Arc<dyn ControlLink>>,
}

/// An edge that viewers are sent to, and how many it takes.
#[derive(Debug, Clone)]
pub struct Door {
    /// What placement knows of it.
    pub identity: Identity,
    /// Viewers that it takes.
    pub capacity: u32,
}

/// The running role.
pub struct Edge {
    /// The state of each channel.
    pub hub: Arc<Hub>,
    /// What sessions say in `hello`.
    pub facts: session::Facts,
    /// Limits.
    pub config: EdgeConfig,
    /// The gate of each edge, in the order of the configuration.
    pub gates: Vec<Arc<Gate>>,
    /// The gate of listeners that are no edge's own.
    pub common: Arc<Gate>,
    keyring: Arc<Keyring>,
    link: Option<Arc<dyn ControlLink>>,
    metrics: Arc<Metrics>,
}

/// Starts the edges of a node, which share all that they show; returns at once, [`Hub::is_caught_up`] tells when recent rows
/// are loaded. Without doors of their own, `whole` is the one edge, on all listeners.
pub fn start(
    (config, placement): (&EdgeConfig, &PlacementConfig),
    components: &Components,
    (doors, whole): (Vec<Door>, Door),
    tasks: &Tasks,
) -> anyhow::Result<Arc<Edge>> {
    let epoch = Epoch(components.log.generation().id);
    let hub = Arc::new(Hub::new(config.moments_history, components.output.all().len()));
    follower::start(components, &hub, epoch, tasks)?;
    if let Some(topic) = &components.pulses_topic {
        pulse_follower::start(components, topic, tasks)?;
    }
    tasks.spawn_essential("edge beat", beat::run(components.clone(), hub.clone(), epoch, tasks.stop.clone()));
    let announcing = announce::run(components.clone(), hub.clone(), epoch, tasks.stop.clone());
    tasks.spawn_essential("edge settings", announcing);
    let facts = session::Facts {
        epoch,
        pulse_ms: components.pulse_ms,
        window_ms: components.window_ms,
        emotes: components.emotes.clone(),
    };
    let keyring = Keyring::new(components.link.clone(), components.clock.clone());
    let around = Surroundings {
        hub: hub.clone(),
        keyring: keyring.clone(),
        control_time: Arc::new(ControlTime::new(
            components.clock.clone(),
            components.metrics.control_clock_ahead_ms.clone(),
        )),
        clock: components.clock.clone(),
        metrics: components.metrics.clone(),
        viewers_max: config.viewers_max,
        requires_ticket: placement.required,
        ttl_us: i64::from(placement.ttl_ms) * 1_000,
    };
    let gate_of = |door: Door| Gate::new(door.identity, door.capacity, around.clone());
    let (gates, common) = if doors.is_empty() {
        let whole = gate_of(whole);
        (vec![whole.clone()], whole)
    } else {
        // No ticket is for an edge without a name.
        let nobody = Identity { name: String::new(), cluster: String::new(), url: String::new(), port: 0 };
        let common = gate_of(Door { identity: nobody, capacity: whole.capacity });
        (doors.into_iter().map(gate_of).collect(), common)
    };
    Ok(Arc::new(Edge {
        hub,
        facts,
        config: config.clone(),
        gates,
        common,
        keyring,
        link: components.link.clone(),
        metrics: components.metrics.clone(),
    }))
}

impl Edge {
    /// Begins to report to control, which sends viewers here from then on.
    pub fn report(&self, placement: &PlacementConfig, tasks: &Tasks) {
        for gate in &self.gates {
            let Some(link) = self.link.clone() else {
                gate.told.cancel();
                gate.reported.cancel();
                continue;
            };
            let (keyring, metrics) = (self.keyring.clone(), self.metrics.clone());
            let every = Duration::from_millis(placement.report_ms.into());
            let reports = Reports { gate: gate.clone(), link, keyring, metrics, every };
            tasks.spawn_essential("edge reports", reports.run(tasks.stop.clone()));
        }
    }

    /// Lets nobody in from now on; control sends viewers elsewhere.
    pub fn leave(&self) {
        self.each_gate(Gate::leave);
    }

    /// Waits until control knows that edges are left, or does not answer.
    pub async fn told(&self) {
        for gate in &self.gates {
            gate.told().await;
        }
    }

    /// Tells all viewers to go elsewhere.
    pub fn empty(&self) {
        self.each_gate(Gate::empty);
    }

    /// Tells control that everybody has gone, so that what they held is free at once.
    pub async fn finish(&self) {
        for gate in &self.gates {
            gate.finish().await;
        }
    }

    fn each_gate(&self, what: impl Fn(&Gate)) {
        self.gates.iter().chain([&self.common]).for_each(|gate| what(gate));
    }
}
