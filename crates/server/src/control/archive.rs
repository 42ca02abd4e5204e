//! The archive: follows `emote-output` and keeps its windows and moments in the store for good.
//!
//! A batch of rows and the place in the log behind it are one transaction, so that a crash anywhere neither loses nor
//! doubles a row; of repeated rows the first wins, edits included. The place belongs to the log's epoch: a new log begins
//! anew, and what is archived of older ones stays. While the store does not answer, nothing else waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use emostream_log::{Log, LogError, Offset, TopicPartition};
use emostream_protocol::{
    Emotes, Epoch, Position,
    row::{MomentRow, Row},
};
use emostream_store::{ArchiveBatch, ArchiveSource, MomentRecord, Store, StoreError, WindowRecord};
use futures_util::future::join_all;
use tokio::sync::watch;

use crate::{output::Output, tasks::Tasks, telemetry::Metrics};

/// Rows of a transaction at most: a few milliseconds of writing, so that other changes of the store get their turn.
const BATCH_ROWS_MAX: usize = 2_000;

/// Bytes of rows read at once.
const READ_BYTES: usize = 512 * 1024;

/// So many rows before the stored place are looked at again at each start: with `log.durability = "os"` a loss of power
/// may have taken the log's tail, and its places are given to new rows.
const OVERLAP: Offset = 1_000;

/// First and longest pause after a failure; it doubles in between.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What the archive is made of.
#[derive(Clone)]
pub(super) struct Components {
    pub(super) log: Arc<dyn Log>,
    pub(super) output: Output,
    pub(super) store: Store,
    pub(super) emotes: Arc<Emotes>,
    pub(super) metrics: Arc<Metrics>,
}

/// How far the archive is, in each partition of the output.
pub struct Archive(Vec<Arc<Part>>);

/// How far it is in one.
struct Part {
    end: watch::Receiver<Offset>,
    reached: watch::Sender<Offset>,
    /// Whether log or store failed at the last try: nobody waits for it then.
    is_failing: AtomicBool,
}

struct Filling {
    components: Components,
    partition: TopicPartition,
    source: ArchiveSource,
    end: watch::Receiver<Offset>,
    part: Arc<Part>,
    /// What this one adds to the gauge of rows that are not archived yet.
    lag: i64,
}

/// Rows read from the log.
struct Read {
    batch: ArchiveBatch,
    rows: u64,
    next: Offset,
}

impl Archive {
    /// Starts to fill it.
    pub(super) fn start(components: &Components, tasks: &Tasks) -> anyhow::Result<Arc<Self>> {
        let partitions = components.output.all().into_iter();
        let parts = partitions.map(|partition| Part::start(components.clone(), partition, tasks));
        Ok(Arc::new(Self(parts.collect::<anyhow::Result<_>>()?)))
    }

    /// Waits until everything is archived that the output log held at the call, but not longer than `patience`; whether
    /// it is. Does not wait at all while the archive is not filled because log or store fail.
    pub async fn catch_up(&self, patience: Duration) -> bool {
        let all = join_all(self.0.iter().map(|part| part.catch_up(patience))).await;
        all.into_iter().all(|caught_up| caught_up)
    }
}

impl Part {
    fn start(components: Components, partition: TopicPartition, tasks: &Tasks) -> anyhow::Result<Arc<Self>> {
        let end = components.log.follow(&partition)?;
        let source = ArchiveSource {
            epoch: Epoch(components.log.generation().id),
            topic: partition.topic.to_string(),
            partition: partition.partition,
        };
        let reached = watch::Sender::new(0);
        let part = Arc::new(Self { end: end.clone(), reached, is_failing: AtomicBool::new(false) });
        let filling = Filling { components, partition, source, end, part: part.clone(), lag: 0 };
        let stop = tasks.stop.clone();
        tasks.spawn_essential("archive", async move {
            stop.run_until_cancelled(filling.run()).await;
            Ok(())
        });
        Ok(part)
    }

    async fn catch_up(&self, patience: Duration) -> bool {
        let end = *self.end.borrow();
        if self.is_failing.load(Ordering::Relaxed) {
            return *self.reached.borrow() >= end;
        }
        let mut reached = self.reached.subscribe();
        let waiting = reached.wait_for(|reached| *reached >= end);
        matches!(tokio::time::timeout(patience, waiting).await, Ok(Ok(_)))
    }
}

impl Filling {
    async fn run(mut self) {
        let mut at = self.first().await;
        loop {
            let end = *self.end.borrow_and_update();
            self.note_lag(end.saturating_sub(at));
            if at >= end {
                self.part.reached.send_replace(at);
                if self.end.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let read = self.read(at).await;
            self.keep(&read).await;
            at = read.next;
            self.part.reached.send_replace(at);
        }
    }

    fn note_lag(&mut self, rows: u64) {
        let lag = i64::try_from(rows).unwrap_or(i64::MAX);
        self.components.metrics.archive_lag_rows.inc_by(lag - std::mem::replace(&mut self.lag, lag));
    }

    /// Where to begin: a little before the stored place, or at it where retention has been there since.
    async fn first(&self) -> Offset {
        let Components { store, log, .. } = &self.components;
        let stored = self.insist("read the archive's place", || store.archive_position(&self.source)).await;
        let stored = stored.unwrap_or(0).min(*self.end.borrow());
        let kept = log.bounds(&self.partition).map_or(0, |bounds| bounds.start);
        stored.saturating_sub(OVERLAP).max(kept).min(stored)
    }

    /// The next rows; goes on behind what retention has deleted.
    async fn read(&self, at: Offset) -> Read {
        let mut at = at;
        loop {
            let Components { log, emotes, .. } = &self.components;
            let (log, output, emotes) = (log.clone(), self.partition.clone(), emotes.clone());
            let epoch = self.source.epoch;
            let reading = tokio::task::spawn_blocking(move || read(&*log, &output, at, epoch, &emotes)).await;
            match reading {
                Ok(Ok(read)) => {
                    self.part.is_failing.store(false, Ordering::Relaxed);
                    return read;
                }
                Ok(Err(LogError::OutOfRange { start, .. })) if start > at => {
                    // At the first start on an old log there is nothing to regret.
                    if at > 0 {
                        tracing::warn!(
                            from = at,
                            to = start,
                            "retention has deleted rows before they were archived"
                        );
                    }
                    at = start;
                }
                Ok(Err(error)) => self.report(at, &error).await,
                Err(error) => self.report(at, &error).await,
            }
        }
    }

    async fn report(&self, at: Offset, error: &(dyn std::error::Error + Sync)) {
        tracing::error!(%error, offset = at, "output log cannot be read for the archive");
        self.count_failure();
        tokio::time::sleep(PAUSE_MAX).await;
    }

    async fn keep(&self, read: &Read) {
        let Components { store, metrics, .. } = &self.components;
        let what = "archive rows";
        let kept = self.insist(what, || async {
            match store.archive(&read.batch, &self.source, read.next).await {
                // One row that the store refuses must not keep out all that come after it.
                Err(error @ StoreError::Invalid { .. }) => {
                    tracing::error!(%error, next = read.next, "a row is not archived");
                    self.keep_singly(read).await
                }
                archived => archived.map(drop),
            }
        });
        kept.await;
        metrics.archive_rows.inc_by(read.rows);
    }

    async fn keep_singly(&self, read: &Read) -> Result<(), StoreError> {
        let windows = read
            .batch
            .windows
            .iter()
            .map(|window| ArchiveBatch { windows: vec![window.clone()], ..ArchiveBatch::default() });
        let moments = read
            .batch
            .moments
            .iter()
            .map(|moment| ArchiveBatch { moments: vec![moment.clone()], ..ArchiveBatch::default() });
        for single in windows.chain(moments) {
            match self.components.store.archive(&single, &self.source, 0).await {
                Err(StoreError::Invalid { .. }) => {}
                archived => drop(archived?),
            }
        }
        self.components.store.archive(&ArchiveBatch::default(), &self.source, read.next).await.map(drop)
    }

    fn count_failure(&self) {
        self.part.is_failing.store(true, Ordering::Relaxed);
        self.components.metrics.archive_failures.inc();
    }

    /// Tries until the store does it.
    async fn insist<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        what: &str,
        mut call: impl FnMut() -> F,
    ) -> T {
        let mut pause = PAUSE_MIN;
        loop {
            match call().await {
                Ok(done) => {
                    if pause > PAUSE_MIN {
                        tracing::info!("the archive goes on");
                    }
                    self.part.is_failing.store(false, Ordering::Relaxed);
                    return done;
                }
                Err(error) => {
                    tracing::warn!(%error, ?pause, "cannot {what}; trying again");
                    self.count_failure();
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }
}

fn read(
    log: &dyn Log,
    output: &TopicPartition,
    at: Offset,
    epoch: Epoch,
    emotes: &Emotes,
) -> Result<Read, LogError> {
    let records = log.read(output, at, READ_BYTES)?;
    let mut read = Read { batch: ArchiveBatch::default(), rows: 0, next: records.next };
    for record in records.records {
        if read.rows as usize == BATCH_ROWS_MAX {
            read.next = record.offset;
            break;
        }
        read.rows += 1;
        match Row::decode(&record.value, emotes) {
            Ok(Row::Window(row)) => read.batch.windows.push(WindowRecord {
                position: Position { epoch, seq: row.seq },
                window_start_ms: row.window_start_ms,
                channel: row.channel,
                row: record.value,
            }),
            Ok(Row::Moment(row)) => read.batch.moments.push(found(row, epoch, emotes)),
            // Settings have their own history in the store.
            Ok(Row::Settings(_)) => {}
            Err(error) => {
                tracing::error!(%output, offset = record.offset, %error, "row cannot be read and is not archived");
            }
        }
    }
    Ok(read)
}

/// A moment that nobody has edited yet.
fn found(row: MomentRow, epoch: Epoch, emotes: &Emotes) -> MomentRecord {
    MomentRecord {
        position: Position { epoch, seq: row.seq },
        id: row.id(),
        emote: emotes.name(row.emote).to_string(),
        window_start_ms: row.window_start_ms,
        window_ms: row.window_ms,
        count: row.count,
        strength: row.strength,
        reactors: row.reactors,
        rule: row.rule.as_str().to_owned(),
        rule_version: row.rule_version,
        media_time_ms: row.media_time_ms,
        channel: row.channel,
        title: None,
        note: None,
        hidden: false,
        edited_by: None,
        edited_us: None,
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicBool, time::Duration};

    use tokio::sync::watch;

    use super::{Archive, Part};

    #[tokio::test]
    async fn nobody_waits_for_an_archive_that_is_not_filled_now() {
        let (_log, end) = watch::channel(7);
        let archive = |reached, is_failing| {
            let (end, reached) = (end.clone(), watch::Sender::new(reached));
            let caught_up =
                Part { end: end.clone(), reached: watch::Sender::new(7), is_failing: false.into() };
            let part = Part { end, reached, is_failing: AtomicBool::new(is_failing) };
            Archive(vec![caught_up.into(), part.into()])
        };
        let hour = Duration::from_secs(3_600);
        let asked = |archive: Archive| async move {
            tokio::time::timeout(Duration::from_secs(60), archive.catch_up(hour)).await.unwrap()
        };
        assert!(!asked(archive(3, true)).await);
        assert!(asked(archive(7, true)).await);
        assert!(asked(archive(7, false)).await);
        assert!(!archive(3, false).catch_up(Duration::from_millis(1)).await);
    }
}
