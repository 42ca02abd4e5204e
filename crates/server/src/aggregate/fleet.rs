//! Counting spread over nodes, with the log as their only meeting place: who owns a raw partition counts it into steps,
//! who owns an output partition merges the steps of all raw partitions into its rows.
//!
//! [`count`] and [`merge`] are a thread each, which does what is to be done in turns and then waits; [`raw`] and
//! [`output`] are one partition of theirs. [`assigned`] follows what the group gives a node, [`steps`] appends in order,
//! [`pulses`] forwards what is fresh. Nobody has state that the log has not: [`snapshots`] are records of the topic
//! `emote-state`, [`keeper`] stores them, and a node that is given a partition reads the newest and goes on from there.
//! [`setback`] says what becomes of what the log did not do.

use std::sync::Arc;

use anyhow::{Context, bail};
use emostream_log::{Clock, Log, TopicPartition};
use emostream_moments::StreamParameters;
use emostream_protocol::Emotes;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{pressure::Pressure, tasks::Tasks, telemetry::Metrics};

mod assigned;
mod count;
mod keeper;
mod merge;
mod output;
mod pulses;
mod raw;
mod setback;
mod snapshots;
mod steps;
mod stored;

#[cfg(test)]
mod tests;

pub use stored::{Stage, StoredState, StreamShape, decode_state};

/// The group that divides raw partitions among counting nodes.
pub const COUNT_GROUP: &str = "emostream-count";

/// The group that divides output partitions among merging nodes.
pub const MERGE_GROUP: &str = "emostream-merge";

/// On a stop, merge is asked to end after so long even where count has not.
const COUNT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(6);

/// What counting in a fleet needs from the node.
#[derive(Clone)]
pub struct Components {
    /// The log that all nodes share.
    pub log: Arc<dyn Log>,
    /// Its topics.
    pub topics: Topics,
    /// This node's name in the groups: the same after a restart, and no other node's.
    pub member: Arc<str>,
    /// Window, lateness, horizon.
    pub parameters: StreamParameters,
    /// Ids that this node may remember before it asks ingest, here and elsewhere, to take no more of them.
    pub remembered_ids_max: u64,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
    /// Where the number of remembered ids goes.
    pub pressure: Arc<Pressure>,
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// The log's clock: the one that append times come from.
    pub clock: Arc<dyn Clock>,
}

/// Names of topics.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Reactions, ticks and settings.
    pub raw: Arc<str>,
    /// Steps; as many partitions as the output.
    pub partials: Arc<str>,
    /// Rows.
    pub output: Arc<str>,
    /// Snapshots; compacted, one partition.
    pub state: Arc<str>,
    /// Batches of pulses; short-lived.
    pub pulses: Arc<str>,
    /// Where records are named whose content cannot be decoded; one partition.
    pub dead_letter: Arc<str>,
}

impl Components {
    fn partitions(&self, topic: &str) -> anyhow::Result<u32> {
        self.log.partitions(topic).with_context(|| format!("the topic {topic} does not exist"))
    }

    fn state(&self) -> TopicPartition {
        TopicPartition::new(self.topics.state.clone(), 0)
    }
}

/// The running role.
#[derive(Debug)]
pub struct Handles {
    count: Stop,
    merge: Stop,
}

#[derive(Debug, Default)]
struct Stop {
    asked: CancellationToken,
    ended: CancellationToken,
}

/// What one turn of a thread came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There may be more to do at once.
    Busy,
    /// There is nothing to do until something happens.
    Idle,
    /// The graceful stop is done.
    Ended,
}

/// Joins both groups and starts counting and merging what they give this node.
pub fn start(components: &Components, tasks: &Tasks) -> anyhow::Result<Handles> {
    let topics = &components.topics;
    let (partials, output) =
        (components.partitions(&topics.partials)?, components.partitions(&topics.output)?);
    if partials != output {
        bail!(
            "{} has {partials} partitions and {} has {output}: expected as many",
            topics.partials,
            topics.output
        );
    }
    components.pressure.set_counting_behind(true);
    let handles = Handles { count: Stop::default(), merge: Stop::default() };
    let runtime = Handle::current();
    let mut count = count::Count::new(components)?;
    let (asked, ended) = (handles.count.asked.clone(), handles.count.ended.clone());
    tasks.spawn_essential_thread("count", move || {
        let result = count.run(&runtime, &asked);
        // Leaves the group before anybody is told that this has ended.
        drop(count);
        ended.cancel();
        result
    })?;
    let runtime = Handle::current();
    let mut merge = merge::Merging::new(components)?;
    let (asked, ended) = (handles.merge.asked.clone(), handles.merge.ended.clone());
    tasks.spawn_essential_thread("merge", move || {
        let result = merge.run(&runtime, &asked);
        drop(merge);
        ended.cancel();
        result
    })?;
    Ok(handles)
}

impl Handles {
    /// Counts what is in the log by now, merges it, stores snapshots, and leaves the groups. What is open then is closed
    /// by whoever is given the partitions next.
    pub async fn stop(&self) {
        self.count.asked.cancel();
        // What count still has to say is merged too, but merge does not wait for ever where a partition takes nothing.
        drop(tokio::time::timeout(COUNT_PATIENCE, self.count.ended.cancelled()).await);
        self.merge.asked.cancel();
        self.count.ended.cancelled().await;
        self.merge.ended.cancelled().await;
    }
}
