//! The spool: what ingest acknowledges while Kafka is behind it. A log on this node's own disk, forwarded to the raw topic.
//!
//! ```text
//! batcher ─▶ spool (partition p, synced: acknowledged) ─▶ forwarder p ─▶ raw topic (partition p)
//! ```
//!
//! Each record carries its position (`positions`) from the start, so that it may be forwarded again: counting drops every
//! place up to the highest of the spool. A `forwarder` goes through its partition in order, goes on at the first record
//! that Kafka is not known to have, and never leaves a gap. How far it is, is stored lazily: repeats are harmless. The
//! `backlog` is what waits; when it is too old or too large, ingest refuses new reactions.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use emostream_log::{
    Clock, Committed, Log, LogError, Membership, TopicPartition,
    embedded::{self, EmbeddedConfig, EmbeddedLog, Retention, TopicConfig},
};
use emostream_protocol::record::SpoolId;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) use self::positions::Positions;
use self::{backlog::Backlog, forwarder::Forwarder, lane::Lane};
use crate::{
    config::{Config, Durability},
    tasks::Tasks,
    telemetry::Metrics,
};

mod backlog;
mod forwarder;
mod lane;
mod positions;
mod retry;
#[cfg(test)]
mod tests;
mod waiting;

pub use waiting::{Waiting, waiting};

/// The spool's topic in its log.
const TOPIC: &str = "spool";

/// The group under which the spool's log remembers how far it is forwarded.
const GROUP: &str = "forward";

/// How often progress is stored and age is looked at: what a restart may forward again.
const KEEPER_PACE: Duration = Duration::from_secs(1);

/// Bounds of the spool.
#[derive(Debug, Clone, Copy)]
pub struct SpoolLimits {
    /// Age of the oldest record that waits, ms, beyond which new ones are refused.
    pub max_age_ms: u64,
    /// How long a stop waits for Kafka to take the rest.
    pub drain_timeout: Duration,
    /// How long records gather for an append to Kafka while another is under way. An idle forwarder sends at once.
    pub gather: Duration,
    /// How long a failed append is waited after at first; doubled each time up to `retry_max`.
    pub retry_first: Duration,
    /// Longest wait after a failed append.
    pub retry_max: Duration,
}

impl SpoolLimits {
    /// The limits of a configuration.
    pub fn of(config: &Config) -> Self {
        // Gathering must not make reactions late.
        let gather_ms = config.kafka.flush_ms.min(u64::from(config.windows.allowed_lateness_ms) / 2);
        Self {
            max_age_ms: config.spool.max_age_ms,
            drain_timeout: Duration::from_millis(config.spool.drain_timeout_ms),
            gather: Duration::from_millis(gather_ms),
            retry_first: Duration::from_millis(50),
            retry_max: Duration::from_secs(5),
        }
    }
}

/// Why there is no spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The spool on disk was made for another number of partitions: a matter of configuration.
    #[error(
        "the spool in {path} has {spool} partitions and the raw topic has {raw}: it was made for another fleet or another \
         log. Start this node once with the log that it belongs to, so that what waits in it is forwarded, or give another \
         data_dir; without that folder what waits in it is lost"
    )]
    Partitions {
        /// Where it is.
        path: String,
        /// Its partitions.
        spool: String,
        /// Those of the raw topic.
        raw: u32,
    },
    /// Its log does not open.
    #[error("open the spool: {0}")]
    Log(#[from] LogError),
}

/// Reactions on their way to Kafka.
pub struct Spool {
    log: Arc<dyn Log>,
    membership: Box<dyn Membership>,
    lanes: Vec<Lane>,
    backlog: Backlog,
    limits: SpoolLimits,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    /// Ends forwarders and keeper.
    stop: CancellationToken,
    /// A forwarder has failed for good.
    failed: CancellationToken,
    running: TaskTracker,
    /// The newest attempt to store progress failed.
    progress_fails: AtomicBool,
}

/// Opens or creates the spool of a node, for a raw topic of so many partitions. `clock` is the one by which the age of
/// what waits is told.
pub fn open(
    config: &Config,
    partitions: u32,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
) -> Result<Arc<Spool>, SpoolError> {
    let dir = dir(&config.data_dir);
    // Whatever has been forwarded may go at once.
    let retention = Retention { age_ms: Some(0), bytes: Some(config.spool.max_bytes) };
    let topics = vec![TopicConfig { name: TOPIC.into(), partitions, retention }];
    let embedded = EmbeddedConfig {
        durability: match config.log.durability {
            Durability::Fsync => embedded::Durability::Fsync,
            Durability::Os => embedded::Durability::Os,
        },
        segment_bytes: config.log.segment_bytes,
        seed: rand::random(),
        clock: clock.clone(),
        ..EmbeddedConfig::new(&dir, topics)
    };
    let (log, report) = EmbeddedLog::open(&embedded).map_err(|error| match error {
        LogError::Mismatch { stored, .. } => {
            SpoolError::Partitions { path: dir.display().to_string(), spool: stored, raw: partitions }
        }
        error => SpoolError::Log(error),
    })?;
    tracing::debug!(?report, "spool opened");
    Ok(Spool::over(Arc::new(log), SpoolLimits::of(config), clock, metrics)?)
}

/// Where the spool is in a data directory.
pub fn dir(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("spool")
}

impl Spool {
    /// A spool on a log that has topic `spool`.
    pub fn over(
        log: Arc<dyn Log>,
        limits: SpoolLimits,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, LogError> {
        let partitions = log.partitions(TOPIC).unwrap_or(0);
        let membership = log.join(GROUP, TOPIC, "forwarder")?;
        let now_ms = clock.now_ms();
        let lanes = (0..partitions)
            .map(|number| Lane::open(&*log, &*membership, TopicPartition::new(TOPIC, number), now_ms))
            .collect::<Result<Vec<_>, _>>()?;
        let backlog = Backlog::new(&metrics, lanes.iter().map(Lane::oldest_at_open_ms));
        Ok(Arc::new(Self {
            log,
            membership,
            lanes,
            backlog,
            limits,
            clock,
            metrics,
            stop: CancellationToken::new(),
            failed: CancellationToken::new(),
            running: TaskTracker::new(),
            progress_fails: AtomicBool::new(false),
        }))
    }

    /// Starts to forward: one task a partition, to the partition of the same number of `topic`.
    pub(super) fn start(self: &Arc<Self>, remote: &Arc<dyn Log>, topic: &Arc<str>, tasks: &Tasks) {
        for lane in 0..self.lanes.len() {
            let target = TopicPartition::new(topic.clone(), self.lanes[lane].partition.partition);
            let forwarder = Forwarder::new(self.clone(), lane, remote.clone(), target);
            let (spool, node_stops) = (self.clone(), tasks.stop.clone());
            let forwards = async move {
                let ended = node_stops.run_until_cancelled(forwarder.run()).await.unwrap_or(Ok(()));
                if ended.is_err() {
                    spool.failed.cancel();
                }
                ended
            };
            tasks.spawn_essential("spool forward", self.running.track_future(forwards));
        }
        let (spool, node_stops) = (self.clone(), tasks.stop.clone());
        let keeps = async move { node_stops.run_until_cancelled(spool.keep()).await.unwrap_or(Ok(())) };
        tasks.spawn_essential("spool progress", keeps);
    }

    /// The log that batches go to instead of the raw topic.
    pub(super) fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// The log's partitions.
    pub(super) fn partitions(&self) -> impl Iterator<Item = TopicPartition> {
        self.lanes.iter().map(|lane| lane.partition.clone())
    }

    /// Positions for the records of a partition from now on. To be asked for once.
    pub(super) fn positions(&self, partition: usize) -> Positions {
        Positions::new(self.id(), self.lanes[partition].first_place)
    }

    /// What waits for Kafka.
    pub(super) fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Why nothing new is taken: the age of the oldest record that waits, if that is beyond the limit.
    pub(super) fn too_old(&self) -> Option<Duration> {
        let oldest_ms = self.backlog.oldest_ms()?;
        let age_ms = u64::try_from(self.clock.now_ms() - oldest_ms).unwrap_or(0);
        (age_ms > self.limits.max_age_ms).then(|| Duration::from_millis(age_ms))
    }

    /// Waits until Kafka has everything, as long as the limit says; then ends forwarding and closes the spool's log. The
    /// batcher must have been stopped before.
    pub(super) async fn stop(self: &Arc<Self>) {
        let drained = tokio::select! {
            () = self.backlog.emptied() => true,
            () = self.failed.cancelled() => false,
            () = tokio::time::sleep(self.limits.drain_timeout) => false,
        };
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
        let spool = self.clone();
        let closed = tokio::task::spawn_blocking(move || {
            spool.store_progress();
            spool.log.close()
        });
        match closed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "spool not closed cleanly"),
            Err(error) => tracing::error!(%error, "spool not closed cleanly"),
        }
        if drained {
            tracing::info!("the spool is drained: Kafka has every reaction");
        } else {
            tracing::warn!(
                reactions = self.backlog.reactions(),
                bytes = self.backlog.bytes(),
                "the spool was not drained in time: what is left in it goes to Kafka at the next start of this node"
            );
        }
    }

    fn id(&self) -> SpoolId {
        self.log.generation().id
    }

    /// Stores progress and tells of age, until the stop.
    async fn keep(self: Arc<Self>) -> anyhow::Result<()> {
        let mut refusing = false;
        while self.stop.run_until_cancelled(tokio::time::sleep(KEEPER_PACE)).await.is_some() {
            let spool = self.clone();
            tokio::task::spawn_blocking(move || spool.store_progress()).await?;
            let age_ms = self.backlog.oldest_ms().map_or(0, |oldest_ms| self.clock.now_ms() - oldest_ms);
            self.metrics.spool_age_seconds.set(age_ms.max(0) / 1_000);
            let too_old = self.too_old().is_some();
            if too_old && !refusing {
                let reactions = self.backlog.reactions();
                tracing::warn!(age_ms, reactions, "spool.max_age_ms is reached: new reactions are refused");
            } else if refusing && !too_old {
                tracing::info!("reactions are taken again");
            }
            refusing = too_old;
        }
        Ok(())
    }

    /// Makes durable how far partitions are forwarded, and lets go of what lies behind. Blocks on the disk.
    fn store_progress(&self) {
        let generation = self.membership.assignments().borrow().generation;
        for lane in &self.lanes {
            let Some(progress) = lane.to_be_stored() else { continue };
            // Also when it cannot be stored: on a full disk this is what makes room.
            let freed = self.log.set_restore_point(&lane.partition, progress.offset);
            let stored = freed.and_then(|()| {
                let metadata = progress.place.to_le_bytes().to_vec().into();
                let position = Committed { offset: progress.offset, metadata };
                self.membership.commit(generation, &lane.partition, position)
            });
            match stored {
                Ok(()) => {
                    lane.stored(progress.offset);
                    self.progress_fails.store(false, Ordering::Relaxed);
                }
                Err(error) => {
                    if !self.progress_fails.swap(true, Ordering::Relaxed) {
                        let partition = &lane.partition;
                        tracing::warn!(%partition, %error, "progress of the spool not stored: a restart forwards again");
                    }
                }
            }
        }
    }
}
