//! Writes rows and snapshots in the order in which counting produced them: a snapshot only when its rows are durable.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
    time::Duration,
};

use bytes::Bytes;
use emostream_log::{FencedWriter, Log, LogError, TopicPartition};
use tokio::runtime::Handle;

use super::{
    Components,
    snapshot::{Files, Place, Snapshot},
};
use crate::telemetry::Metrics;

/// Items that may wait: counting pauses while the output log is slower for so long.
pub(super) const ITEMS_MAX: usize = 256;

/// The identity that owns the output partition.
const OWNER: &str = "merge-0";

/// A full disk is asked again so often: it heals by itself.
const RETRY: Duration = Duration::from_millis(500);

/// What counting hands over.
pub(super) enum Item {
    /// Encoded rows, in sequence.
    Rows(Vec<Bytes>),
    /// State after all rows before it.
    Snapshot { partitions: Vec<Place>, state: Vec<u8> },
}

pub(super) type Items = SyncSender<Item>;

pub(super) struct Writer {
    log: Arc<dyn Log>,
    fenced: Box<dyn FencedWriter>,
    target: TopicPartition,
    raw_topic: Arc<str>,
    files: Files,
    metrics: Arc<Metrics>,
    runtime: Handle,
    previous: Option<Vec<Place>>,
}

impl Writer {
    pub(super) fn new(components: &Components, runtime: Handle) -> anyhow::Result<Self> {
        Ok(Self {
            log: components.log.clone(),
            fenced: components.log.fenced_writer(OWNER)?,
            target: components.output.clone(),
            raw_topic: components.raw_topic.clone(),
            files: Files::new(&components.snapshot_dir)?,
            metrics: components.metrics.clone(),
            runtime,
            previous: None,
        })
    }

    /// Runs until counting hangs up.
    pub(super) fn run(mut self, items: &Receiver<Item>) -> anyhow::Result<()> {
        while let Ok(item) = items.recv() {
            match item {
                Item::Rows(rows) => self.append(&rows)?,
                Item::Snapshot { partitions, state } => self.store(partitions, state)?,
            }
        }
        Ok(())
    }

    fn append(&self, rows: &[Bytes]) -> anyhow::Result<()> {
        let mut reported = false;
        loop {
            match self.runtime.block_on(self.fenced.append(&self.target, rows.to_vec())) {
                Ok(_) => return Ok(()),
                // After a single failure the log goes on in a new segment; after more it says `Failed`.
                Err(error @ (LogError::Full(_) | LogError::Overloaded(_) | LogError::Io { .. })) => {
                    if !std::mem::replace(&mut reported, true) {
                        tracing::warn!(%error, "windows wait for the output log");
                    }
                    std::thread::sleep(RETRY);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A snapshot that cannot be written costs only a longer replay, so a full disk does not end counting.
    fn store(&mut self, partitions: Vec<Place>, state: Vec<u8>) -> anyhow::Result<()> {
        let output_end = self.log.bounds(&self.target)?.end;
        let snapshot = Snapshot { generation: self.log.generation().id, partitions, output_end, state };
        if let Err(error) = self.files.store(&snapshot) {
            tracing::warn!(error = format!("{error:#}"), "snapshot not written");
            return Ok(());
        }
        self.metrics.snapshots_written.inc();
        // Retention keeps what the older of the two stored snapshots needs.
        if let Some(previous) = self.previous.replace(snapshot.partitions) {
            for (partition, place) in (0..).zip(previous) {
                let partition = TopicPartition::new(self.raw_topic.clone(), partition);
                self.log.set_restore_point(&partition, place.restore)?;
            }
        }
        // No replay needs old rows: they are kept for readers, by age alone.
        self.log.set_restore_point(&self.target, output_end)?;
        Ok(())
    }
}
