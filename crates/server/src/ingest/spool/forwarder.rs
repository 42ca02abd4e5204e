//! Takes one partition of the spool to the raw topic: in order, several appends under way at once, and after a failure
//! again from the first record that failed.

use std::{collections::VecDeque, sync::Arc};

use anyhow::Context;
use bytes::Bytes;
use emostream_log::{AppendFuture, Appended, Log, LogError, Offset, ReadBatch, Record, TopicPartition};
use emostream_protocol::record::BatchHead;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::{
    Spool,
    lane::{Lane, Progress},
    retry::Retry,
};

/// Bytes that one append holds, but for a single larger record.
const CHUNK_BYTES: usize = 256 << 10;

/// Records that one append holds.
const CHUNK_RECORDS: usize = 512;

/// Appends under way at once.
const WINDOW_APPENDS: usize = 8;

/// Bytes under way at once in all partitions together, and what one partition may have at least and at most.
const WINDOW_BYTES: usize = 32 << 20;
const WINDOW_BYTES_MIN: usize = 1 << 20;
const WINDOW_BYTES_MAX: usize = 8 << 20;

/// Bytes read at once when counting what a start finds.
const COUNT_BYTES: usize = 4 << 20;

/// The task of one partition.
pub(super) struct Forwarder {
    spool: Arc<Spool>,
    lane: usize,
    remote: Arc<dyn Log>,
    target: TopicPartition,
    /// Next offset to read.
    next: Offset,
    gathering: Chunk,
    under_way: VecDeque<(Chunk, AppendFuture)>,
    window_bytes: usize,
    retry: Retry,
}

/// Records that go to the raw topic in one append.
#[derive(Default)]
struct Chunk {
    /// Empty once they are handed over.
    values: Vec<Bytes>,
    records: usize,
    bytes: usize,
    reactions: usize,
    /// Offset behind the last one, and its place.
    end: Progress,
    /// Append time of the first one, ms.
    oldest_ms: i64,
    /// When the first one was read.
    began: Option<Instant>,
}

impl Chunk {
    fn is_empty(&self) -> bool {
        self.records == 0
    }

    fn has_room(&self) -> bool {
        self.bytes < CHUNK_BYTES && self.records < CHUNK_RECORDS
    }

    fn push(&mut self, record: Record, head: &Head) {
        if self.is_empty() {
            self.oldest_ms = record.append_time_ms;
            self.began = Some(Instant::now());
        }
        self.records += 1;
        self.bytes += record.value.len();
        self.reactions += head.reactions;
        self.end = Progress { offset: record.offset + 1, place: head.place };
        self.values.push(record.value);
    }
}

/// What a record of the spool says of itself.
struct Head {
    reactions: usize,
    place: u64,
}

impl Forwarder {
    pub(super) fn new(spool: Arc<Spool>, lane: usize, remote: Arc<dyn Log>, target: TopicPartition) -> Self {
        let window_bytes = (WINDOW_BYTES / spool.lanes.len()).clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX);
        Self {
            lane,
            remote,
            target,
            next: spool.lanes[lane].from,
            gathering: Chunk::default(),
            under_way: VecDeque::new(),
            window_bytes,
            retry: Retry::new(&spool.limits),
            spool,
        }
    }

    /// Forwards until the spool stops. Fails where the spool cannot be read, or the raw log takes nothing any more until a
    /// restart.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let stop = self.spool.stop.clone();
        let forwards = async {
            self.count_backlog().await?;
            self.forward().await
        };
        stop.run_until_cancelled(forwards).await.unwrap_or(Ok(()))
    }

    /// Adds to the backlog what this partition held at the start. Before the first of it is forwarded, which takes it away.
    /// What cannot be read ends it: forwarding comes there when everything before has gone.
    async fn count_backlog(&mut self) -> anyhow::Result<()> {
        let (mut next, end) = (self.lane().from, self.lane().end_at_open);
        while next < end {
            let Ok(read) = self.read(next, COUNT_BYTES).await else { break };
            next = read.next;
            for record in read.records.iter().filter(|record| record.offset < end) {
                self.spool.backlog.add(self.head(record)?.reactions, record.value.len());
            }
        }
        Ok(())
    }

    async fn forward(&mut self) -> anyhow::Result<()> {
        let mut end = self.spool.log.follow(&self.lane().partition).context("follow the spool")?;
        loop {
            let end_now = *end.borrow_and_update();
            if let Err(unreadable) = self.gather(end_now).await {
                return self.give_up(unreadable).await;
            }
            if self.may_send() {
                self.send();
                continue;
            }
            let window = self.window_has_room();
            let gathered = self.gathering.began.map(|began| began + self.spool.limits.gather);
            tokio::select! {
                answer = first_answer(&mut self.under_way), if !self.under_way.is_empty() => self.settle(answer).await?,
                ended = end.changed(), if self.gathering.has_room() => ended.context("follow the spool")?,
                () = sleep_until(gathered.unwrap_or_else(Instant::now)), if window && gathered.is_some() => {}
            }
        }
    }

    /// Sends what lies before a place that cannot be read, as well as that goes at once, and fails.
    async fn give_up(&mut self, unreadable: anyhow::Error) -> anyhow::Result<()> {
        if !self.gathering.is_empty() {
            self.send();
        }
        while let Some((_, append)) = self.under_way.front_mut() {
            if append.await.is_err() {
                break;
            }
            self.delivered();
        }
        Err(unreadable)
    }

    /// Reads what is durable in the spool, as far as an append has room.
    async fn gather(&mut self, end: Offset) -> anyhow::Result<()> {
        while self.next < end && self.gathering.has_room() {
            let read = self.read(self.next, CHUNK_BYTES - self.gathering.bytes).await?;
            for record in read.records {
                let head = self.head(&record)?;
                self.next = record.offset + 1;
                self.gathering.push(record, &head);
            }
            self.next = self.next.max(read.next);
            self.tell_oldest();
        }
        Ok(())
    }

    fn window_has_room(&self) -> bool {
        let bytes: usize = self.under_way.iter().map(|(chunk, _)| chunk.bytes).sum();
        self.under_way.len() < WINDOW_APPENDS && bytes < self.window_bytes
    }

    /// An idle forwarder sends at once; while Kafka has something of this partition to do, the next records gather.
    fn may_send(&self) -> bool {
        let gathered = |began: Instant| began.elapsed() >= self.spool.limits.gather;
        let ready = self.under_way.is_empty()
            || !self.gathering.has_room()
            || self.gathering.began.is_some_and(gathered);
        !self.gathering.is_empty() && ready && self.window_has_room()
    }

    fn send(&mut self) {
        let mut chunk = std::mem::take(&mut self.gathering);
        let append = self.remote.append(&self.target, std::mem::take(&mut chunk.values));
        self.under_way.push_back((chunk, append));
    }

    /// Takes the answer to the first append under way.
    async fn settle(&mut self, answer: Result<Appended, LogError>) -> anyhow::Result<()> {
        match answer {
            Ok(_) => {
                self.delivered();
                Ok(())
            }
            // Nothing heals it but a restart of this node.
            Err(error @ LogError::Failed(_)) => Err(error).context("forward the spool"),
            Err(error) => {
                self.failed(&error).await;
                Ok(())
            }
        }
    }

    fn delivered(&mut self) {
        let Some((chunk, _)) = self.under_way.pop_front() else { return };
        let (spool, metrics) = (&self.spool, &self.spool.metrics);
        spool.lanes[self.lane].has_forwarded(chunk.end);
        metrics.spool_records_forwarded.inc_by(chunk.records as u64);
        if self.retry.worked() > 0 {
            let (partition, reactions) = (&self.target, spool.backlog.reactions());
            tracing::info!(%partition, reactions, "the spool is forwarded again");
        }
        self.tell_oldest();
        self.spool.backlog.take(chunk.reactions, chunk.bytes);
    }

    /// Goes back to the first record that failed, after a while. What was called for after it had no effect, and what was
    /// part of it may have had: counting drops it when it comes again.
    async fn failed(&mut self, error: &LogError) {
        self.under_way.clear();
        self.gathering = Chunk::default();
        self.next = self.lane().forwarded();
        self.spool.metrics.spool_forward_failures.inc();
        let first = self.retry.failures() == 0;
        let wait = self.retry.after_failure(rand::random());
        let (partition, wait_ms) = (&self.target, wait.as_millis());
        if first {
            tracing::warn!(%partition, %error, "the raw log did not take reactions: they wait in the spool");
        } else {
            tracing::debug!(%partition, %error, wait_ms, "the raw log does not take reactions yet");
        }
        sleep(wait.max(Duration::from_millis(1))).await;
    }

    /// Says since when records of this partition wait.
    fn tell_oldest(&self) {
        let under_way = self.under_way.front().map(|(chunk, _)| chunk);
        let oldest = under_way.or(Some(&self.gathering).filter(|chunk| !chunk.is_empty()));
        self.spool.backlog.set_oldest_ms(self.lane, oldest.map(|chunk| chunk.oldest_ms));
    }

    fn lane(&self) -> &Lane {
        &self.spool.lanes[self.lane]
    }

    async fn read(&mut self, from: Offset, bytes_max: usize) -> anyhow::Result<ReadBatch> {
        let (log, partition) = (self.spool.log.clone(), self.lane().partition.clone());
        let read = tokio::task::spawn_blocking(move || log.read(&partition, from, bytes_max)).await?;
        read.context("read what this node has acknowledged and Kafka has not")
    }

    fn head(&self, record: &Record) -> anyhow::Result<Head> {
        let own = |head: &BatchHead| head.spool.filter(|position| position.spool == self.spool.id());
        let head = BatchHead::read(&record.value).ok().and_then(|head| Some((own(&head)?, head.reactions)));
        let unknown = || {
            let partition = &self.lane().partition;
            format!("offset {} of {partition} is no record that this release writes there", record.offset)
        };
        let (position, reactions) = head.with_context(unknown)?;
        Ok(Head { reactions, place: position.offset })
    }
}

/// The answer to the first append under way. Later ones are not looked at before: they end in order.
async fn first_answer(under_way: &mut VecDeque<(Chunk, AppendFuture)>) -> Result<Appended, LogError> {
    match under_way.front_mut() {
        Some((_, append)) => append.await,
        None => std::future::pending().await,
    }
}
