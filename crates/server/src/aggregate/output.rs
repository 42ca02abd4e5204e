//! Writes rows and snapshots in the order in which counting produced them: a snapshot only when its rows are durable.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
    time::Duration,
};

use bytes::Bytes;
use emostream_log::{AppendFuture, FencedWriter, Log, TopicPartition};
use tokio::runtime::Handle;

use super::{
    Components,
    restore::Stored,
    snapshot::{Files, Place, Snapshot},
};
use crate::telemetry::Metrics;

/// Items that may wait: counting pauses while the output log is slower for so long.
pub(super) const ITEMS_MAX: usize = 256;

/// The identity that owns the output partition.
const OWNER: &str = "merge-0";

/// A full disk is asked again so often: it heals by itself.
const RETRY: Duration = Duration::from_millis(500);

/// Bytes of rows in one append: far below what a log lets wait, however many windows a record closes.
const APPEND_BYTES_MAX: usize = 4 << 20;

/// What counting hands over.
pub(super) enum Item {
    /// Encoded rows, in sequence.
    Rows(Vec<Bytes>),
    /// What is to be said of a record that could not be decoded.
    DeadLetter(Bytes),
    /// State after all rows before it.
    Snapshot { partitions: Vec<Place>, state: Vec<u8> },
}

pub(super) type Items = SyncSender<Item>;

pub(super) struct Writer {
    log: Arc<dyn Log>,
    fenced: Box<dyn FencedWriter>,
    target: TopicPartition,
    dead_letter: TopicPartition,
    raw_topic: Arc<str>,
    files: Files,
    metrics: Arc<Metrics>,
    runtime: Handle,
    newest: Option<Vec<Place>>,
    newest_is_good: bool,
}

impl Writer {
    pub(super) fn new(components: &Components, runtime: Handle) -> anyhow::Result<Self> {
        Ok(Self {
            log: components.log.clone(),
            fenced: components.log.fenced_writer(OWNER)?,
            target: components.output.clone(),
            dead_letter: components.dead_letter.clone(),
            raw_topic: components.raw_topic.clone(),
            files: Files::new(&components.snapshot_dir)?,
            metrics: components.metrics.clone(),
            runtime,
            newest: None,
            newest_is_good: false,
        })
    }

    /// Goes on after the snapshots that counting found.
    pub(super) fn follow(&mut self, stored: &Stored) {
        self.newest = stored.current.clone();
        self.newest_is_good = stored.newest_is_good;
    }

    /// Runs until counting hangs up.
    pub(super) fn run(mut self, items: &Receiver<Item>) -> anyhow::Result<()> {
        while let Ok(item) = items.recv() {
            match item {
                Item::Rows(rows) => self.append_rows(&rows)?,
                Item::DeadLetter(line) => self.set_aside(&line)?,
                Item::Snapshot { partitions, state } => self.store(partitions, state)?,
            }
        }
        Ok(())
    }

    pub(super) fn append_rows(&self, mut rows: &[Bytes]) -> anyhow::Result<()> {
        while !rows.is_empty() {
            let (share, rest) = rows.split_at(share(rows));
            self.append(|| self.fenced.append(&self.target, share.to_vec()))?;
            rows = rest;
        }
        Ok(())
    }

    /// Durable before the next snapshot: no record is passed over without a line, though one may have several.
    fn set_aside(&self, line: &Bytes) -> anyhow::Result<()> {
        self.append(|| self.log.append(&self.dead_letter, vec![line.clone()]))?;
        // Lines are kept for readers, by age alone.
        let end = self.log.bounds(&self.dead_letter)?.end;
        Ok(self.log.set_restore_point(&self.dead_letter, end)?)
    }

    fn append(&self, append: impl Fn() -> AppendFuture) -> anyhow::Result<()> {
        let mut reported = false;
        loop {
            match self.runtime.block_on(append()) {
                Ok(_) => return Ok(()),
                // After a single failure the log goes on in a new segment; after more it says `Failed`.
                Err(error) if error.is_transient() => {
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
        if let Err(error) = self.files.store(&snapshot, self.newest_is_good) {
            tracing::warn!(error = format!("{error:#}"), "snapshot not written");
            return Ok(());
        }
        self.metrics.snapshots_written.inc();
        // Retention keeps what the older of the two stored snapshots needs.
        self.newest_is_good = true;
        if let Some(previous) = self.newest.replace(snapshot.partitions) {
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

/// How many of the rows go into one append: as many as fit, at least one.
fn share(rows: &[Bytes]) -> usize {
    let mut bytes = 0;
    let fits = |row: &&Bytes| {
        bytes += row.len();
        bytes <= APPEND_BYTES_MAX
    };
    rows.iter().take_while(fits).count().max(1)
}
