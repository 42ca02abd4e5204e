//! Edge: the newest state of each channel in memory, each frame encoded once, the same bytes for every viewer.
//!
//! [`follower`] reads the output log (and keeps [`early_rows`] of channels that are not known yet), [`beat`] the pulse path and [`announce`] the directory into [`hub`]; [`session`] decides what one viewer is
//! sent, with no socket inside. Sockets are in `http::stream`.

use std::sync::Arc;

use emostream_log::{Clock, Log};
use emostream_protocol::{Emotes, Epoch};

use crate::{
    channels::Channels, config::EdgeConfig, output::Output, pulse_path::PulsePath, tasks::Tasks,
    telemetry::Metrics,
};

pub mod admission;
mod announce;
mod beat;
mod early_rows;
mod follower;
pub mod hub;
mod pulse_follower;
pub mod session;
pub mod view;

use hub::Hub;

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
}

/// The running role.
pub struct Edge {
    /// The state of each channel.
    pub hub: Arc<Hub>,
    /// What sessions say in `hello`.
    pub facts: session::Facts,
    /// Limits.
    pub config: EdgeConfig,
}

/// Starts an edge; returns at once, [`Hub::is_caught_up`] tells when recent rows are loaded.
pub fn start(config: &EdgeConfig, components: &Components, tasks: &Tasks) -> anyhow::Result<Arc<Edge>> {
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
    Ok(Arc::new(Edge { hub, facts, config: config.clone() }))
}
