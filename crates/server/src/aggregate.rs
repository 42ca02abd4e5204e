//! Aggregate: counts the raw log into windows and moments, and writes them to the output log.
//!
//! [`runner`] is the thread that counts; its logic is `emostream-moments`, pure. [`output`] writes rows and snapshots in
//! order, [`snapshot`] is their file, [`restore`] brings a restarted node back to where it was. [`ticks`] move time on,
//! [`damage`] says what becomes of a record that cannot be decoded, [`written`] which rows the output has already.
//!
//! That is one process on one log. [`fleet`] is the same counting spread over nodes.

use std::{path::PathBuf, sync::Arc};

use emostream_log::{Clock, Log, TopicPartition};
use emostream_moments::StreamParameters;
use emostream_protocol::Emotes;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{
    channels::Channels, pressure::Pressure, pulse_path::PulsePath, tasks::Tasks, telemetry::Metrics,
};

pub mod fleet;

mod damage;
mod output;
mod restore;
mod runner;
mod snapshot;
mod ticks;
mod written;

#[cfg(test)]
mod tests;

/// What aggregate needs from the node.
#[derive(Clone)]
pub struct Components {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Raw topic.
    pub raw_topic: Arc<str>,
    /// The partition of rows.
    pub output: TopicPartition,
    /// Where records are named whose content cannot be decoded.
    pub dead_letter: TopicPartition,
    /// Window, lateness, horizon.
    pub parameters: StreamParameters,
    /// Where snapshots are kept.
    pub snapshot_dir: PathBuf,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
    /// The channels that exist: pulses are for them.
    pub channels: Arc<Channels>,
    /// Where pulses go.
    pub pulses: Arc<PulsePath>,
    /// Where the number of remembered ids goes.
    pub pressure: Arc<Pressure>,
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// The clock that tells how long a partition has been silent.
    pub clock: Arc<dyn Clock>,
}

/// The running role.
#[derive(Debug)]
pub struct Handles {
    stop: CancellationToken,
    ended: CancellationToken,
}

/// Starts counting. Returns once the snapshot is loaded; the replay goes on in the background.
pub fn start(components: Components, tasks: &Tasks) -> anyhow::Result<Handles> {
    components.pressure.set_counting_behind(true);
    let stop = CancellationToken::new();
    let ended = CancellationToken::new();
    let (items, received) = std::sync::mpsc::sync_channel(output::ITEMS_MAX);
    let mut writer = output::Writer::new(&components, Handle::current())?;
    let restored = restore::restore(&components)?;
    writer.follow(&restored.stored);
    let runner = runner::Runner::new(components, restored, items, tasks.clone(), stop.clone())?;
    let handle = Handle::current();
    tasks.spawn_essential_thread("aggregate", move || runner.run(&handle))?;
    let output_ended = ended.clone();
    tasks.spawn_essential_thread("aggregate output", move || {
        let result = writer.run(&received);
        output_ended.cancel();
        result
    })?;
    Ok(Handles { stop, ended })
}

impl Handles {
    /// Counts what is in the log by now, writes the rows and a snapshot, and ends.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.ended.cancelled().await;
    }
}
