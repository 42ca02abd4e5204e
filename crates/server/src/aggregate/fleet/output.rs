//! One output partition that this node merges: steps of all raw partitions in, rows out, by a writer that no other node
//! has as long as its appends succeed.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use anyhow::anyhow;
use bytes::Bytes;
use emostream_log::{AppendFuture, FencedWriter, LogError, Offset, Record, TopicPartition};
use emostream_moments::{StepMerge, StepPart, step::Taken};
use emostream_protocol::{DecodeError, row::Row};
use tokio::sync::watch;

use super::{
    Components, MERGE_GROUP,
    assigned::{Assigned, changed},
    keeper::{Keeper, Needs, Outcome},
    setback::{RETRY_MS, Setback},
    snapshots::Snapshot,
    steps::Outbox,
};
use crate::{
    aggregate::{
        damage,
        written::{self, Written},
    },
    telemetry::Labelled,
};

/// Bytes of steps that are read in one turn.
const READ_BYTES: usize = 1 << 20;

/// Bytes of rows in one append.
const APPEND_BYTES_MAX: usize = 4 << 20;

/// Merging pauses while so many bytes of rows wait for the log.
const ROWS_BYTES_MAX: usize = 16 << 20;

pub(super) struct OutputPartition {
    number: u32,
    partials: TopicPartition,
    output: TopicPartition,
    merge: StepMerge,
    /// The next step to read.
    next: Offset,
    end: watch::Receiver<Offset>,
    /// What the output held at the take-over beyond the state, as far as it has not been found again.
    written: Written,
    /// End of the output at the take-over.
    taken_over_at: Offset,
    /// Rows that the state does not have yet are at or beyond this in the output, whoever writes them.
    floor: Offset,
    rows: Rows,
    keeper: Keeper,
    merged_since_snapshot: bool,
    /// Whether steps are left out until one before them comes again; reported once.
    is_missing_step: bool,
    /// End of the steps when the graceful stop began.
    stop_at: Option<Offset>,
}

/// Rows on their way to the output, one append at a time.
struct Rows {
    writer: Box<dyn FencedWriter>,
    waiting: VecDeque<Bytes>,
    bytes: usize,
    under_way: Option<(Vec<Bytes>, AppendFuture)>,
    not_before_ms: i64,
}

impl OutputPartition {
    /// Takes the partition over: from here on nobody else writes rows. Goes on from the best snapshot that is stored, or
    /// from the first step if there is none.
    pub(super) fn take_over(
        components: &Components,
        number: u32,
        raw_partitions: u32,
    ) -> Result<Self, Setback> {
        let log = &*components.log;
        // First of all: what was written before this is all that another node will ever have written.
        let writer = log.fenced_writer(&format!("merge-{number}"))?;
        let partials = TopicPartition::new(components.topics.partials.clone(), number);
        let output = TopicPartition::new(components.topics.output.clone(), number);
        let now_ms = components.clock.now_ms();
        let key = Bytes::from(format!("merge/{number}"));
        let mut keeper = Keeper::new(partials.clone(), key, components.state(), now_ms);
        let start = log.bounds(&partials)?.start;
        let found = keeper.find(log, MERGE_GROUP)?;
        let restored = restore(components, &found, (&partials, start), raw_partitions)?;
        let (merge, next, output_end) = match restored {
            Some(restored) => restored,
            None if start == 0 => {
                let emotes = components.emotes.clone();
                (StepMerge::new(components.parameters, raw_partitions as usize, emotes), 0, 0)
            }
            None => {
                return Err(Setback::Fatal(anyhow!(
                    "there is no readable snapshot of {partials} in {} and it begins at offset {start}: windows before \
                     it cannot be merged again",
                    components.topics.state
                )));
            }
        };
        keeper.follow(vec![(partials.clone(), next), (output.clone(), output_end)]);
        let bounds = log.bounds(&output)?;
        let range = output_end.max(bounds.start)..bounds.end;
        let mut written = Written::read_range(log, &output, range, &components.emotes)?;
        // A channel that is silent from now on would never be found again.
        written.forget_made(|channel| merge.newest_seq(channel));
        let floor = if written.is_empty() { bounds.end } else { output_end };
        let end = log.follow(&partials)?;
        tracing::info!(%partials, from = next, "merging");
        let rows =
            Rows { writer, waiting: VecDeque::new(), bytes: 0, under_way: None, not_before_ms: i64::MIN };
        Ok(Self {
            number,
            partials,
            output,
            merge,
            next,
            end,
            written,
            taken_over_at: bounds.end,
            floor,
            rows,
            keeper,
            merged_since_snapshot: false,
            is_missing_step: false,
            stop_at: None,
        })
    }

    pub(super) fn partition(&self) -> &TopicPartition {
        &self.partials
    }

    /// Reads a share of the steps and merges it, unless rows or a snapshot come first; how many records there were.
    pub(super) fn read(
        &mut self,
        components: &Components,
        dead_letters: &mut Outbox,
        now_ms: i64,
    ) -> Result<usize, Setback> {
        let end = *self.end.borrow_and_update();
        let waiting = self.rows.bytes + dead_letters.bytes();
        if self.next >= end || waiting > ROWS_BYTES_MAX || self.is_snapshot_due(now_ms) {
            return Ok(0);
        }
        let batch = components.log.read(&self.partials, self.next, READ_BYTES)?;
        for record in &batch.records {
            self.merge(components, record, dead_letters)?;
            self.merged_since_snapshot = true;
        }
        self.next = batch.next;
        Ok(batch.records.len())
    }

    fn merge(
        &mut self,
        components: &Components,
        record: &Record,
        dead_letters: &mut Outbox,
    ) -> anyhow::Result<()> {
        let (emotes, metrics) = (&components.emotes, &components.metrics);
        let raw_partitions = self.merge.raw_partitions();
        let part = match StepPart::decode(&record.value, components.parameters, raw_partitions, emotes) {
            Ok(part) => part,
            // If it was a step, those after it are left out until it comes again, and it is seen that nothing moves on.
            Err(error) => {
                damage::refuse_newer(&error, &self.partials, record)?;
                tracing::error!(partition = %self.partials, offset = record.offset, %error, "step set aside in dead-letter");
                metrics.records_set_aside.inc();
                dead_letters.push(self.number, 0, damage::dead_letter(&error, &self.partials, record));
                return Ok(());
            }
        };
        let place = part.place;
        let mut rows = Vec::new();
        let kind = match self.merge.apply(part, &mut rows) {
            Taken::Applied => {
                self.is_missing_step = false;
                rows.iter().for_each(|row| self.hand_over(components, row));
                return Ok(());
            }
            Taken::Repeat => "repeat",
            Taken::Early => {
                if !self.is_missing_step {
                    self.is_missing_step = true;
                    tracing::warn!(partition = %self.partials, offset = record.offset, ?place, "step left out: one before it is missing");
                }
                "early"
            }
        };
        metrics.steps_left_out.get_or_create(&Labelled { kind }).inc();
        Ok(())
    }

    /// Hands a row to the output, unless it was written before a restart.
    fn hand_over(&mut self, components: &Components, row: &Row) {
        written::note(row, &components.metrics);
        if !self.written.holds_in_order(row) {
            self.rows.push(row.encode(&components.emotes));
        } else if self.written.is_empty() {
            self.floor = self.floor.max(self.taken_over_at);
        }
    }

    fn is_snapshot_due(&self, now_ms: i64) -> bool {
        let is_due = now_ms >= self.keeper.due_ms() || self.has_reached_stop();
        is_due && self.merged_since_snapshot && !self.keeper.is_storing()
    }

    /// Stores a snapshot if one is due, once the rows before it are durable and before there are any after it.
    pub(super) fn store(
        &mut self,
        components: &Components,
        dead_letters: &Outbox,
        now_ms: i64,
    ) -> Result<(), Setback> {
        if !self.is_snapshot_due(now_ms) || !self.rows.is_empty() {
            return Ok(());
        }
        // For whatever it cannot be taken now.
        self.keeper.postpone(now_ms);
        if !dead_letters.is_durable(self.number, dead_letters.newest()) {
            return Ok(());
        }
        let log = &*components.log;
        let snapshot = Snapshot {
            generation: log.generation().id,
            next: self.next,
            floor: self.floor,
            state: self.merge.snapshot().into(),
        };
        let needs: Needs = vec![(self.partials.clone(), self.next), (self.output.clone(), self.floor)];
        self.keeper.store(log, &snapshot, needs, now_ms);
        self.merged_since_snapshot = false;
        Ok(())
    }

    /// Sends rows that wait.
    pub(super) fn send(&mut self, now_ms: i64) {
        self.rows.send(&self.output, now_ms);
    }

    /// Takes answers to appends under way; whether there were any.
    pub(super) fn settle(
        &mut self,
        context: &mut Context<'_>,
        components: &Components,
        assigned: &Assigned,
        now_ms: i64,
    ) -> Result<bool, Setback> {
        let with = (&*components.log, assigned, &*components.metrics);
        let outcome = self.keeper.settle(context, with, now_ms)?;
        self.merged_since_snapshot |= outcome == Some(Outcome::Failed);
        let appended = self.rows.settle(context, &self.output, now_ms)?;
        if let Some(Some(first_offset)) = appended
            && self.written.is_empty()
        {
            self.floor = self.floor.max(first_offset);
        }
        Ok(appended.is_some() || outcome.is_some())
    }

    /// When something is due.
    pub(super) fn due_ms(&self) -> Option<i64> {
        let is_free = self.merged_since_snapshot && !self.keeper.is_storing() && self.rows.is_empty();
        let snapshot = is_free.then(|| self.keeper.due_ms());
        snapshot.into_iter().chain(self.rows.due_ms()).min()
    }

    /// Steps that are not merged yet.
    pub(super) fn lag(&self) -> u64 {
        self.end.borrow().saturating_sub(self.next)
    }

    /// Merges what is in the partition by now, and stores a snapshot of it.
    pub(super) fn stop(&mut self) {
        self.stop_at = Some(*self.end.borrow());
    }

    fn has_reached_stop(&self) -> bool {
        self.stop_at.is_some_and(|stop_at| self.next >= stop_at)
    }

    /// Whether everything is merged and stored that was to be before the stop.
    pub(super) fn has_stopped(&self) -> bool {
        let is_stored = !self.merged_since_snapshot && !self.keeper.is_storing();
        self.has_reached_stop() && self.rows.is_empty() && is_stored
    }

    /// Waits for a step.
    pub(super) fn grown(&self) -> impl Future<Output = ()> + Send + use<> {
        changed(self.end.clone())
    }
}

/// The state of the best snapshot that can be gone on from, its place, and the end of the output that goes with it.
fn restore(
    components: &Components,
    found: &[Snapshot],
    (partials, start): (&TopicPartition, Offset),
    raw_partitions: u32,
) -> Result<Option<(StepMerge, Offset, Offset)>, Setback> {
    for snapshot in found {
        if snapshot.next < start {
            tracing::error!(%partials, next = snapshot.next, start, "the snapshot needs steps that are gone");
            continue;
        }
        let (parameters, emotes) = (components.parameters, components.emotes.clone());
        match StepMerge::restore(&snapshot.state, parameters, raw_partitions as usize, emotes) {
            Ok(merge) => return Ok(Some((merge, snapshot.next, snapshot.floor))),
            Err(error @ (DecodeError::Version(_) | DecodeError::Kind(_))) => {
                let error = anyhow!("snapshot of {partials}: {error}; start that release or a newer one");
                return Err(Setback::Fatal(error));
            }
            Err(error) => tracing::error!(%partials, %error, "the state in a snapshot cannot be read"),
        }
    }
    Ok(None)
}

impl Rows {
    fn push(&mut self, row: Bytes) {
        self.bytes += row.len();
        self.waiting.push_back(row);
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_none()
    }

    fn due_ms(&self) -> Option<i64> {
        (self.under_way.is_none() && !self.waiting.is_empty()).then_some(self.not_before_ms)
    }

    fn send(&mut self, to: &TopicPartition, now_ms: i64) {
        if self.under_way.is_some() || self.waiting.is_empty() || now_ms < self.not_before_ms {
            return;
        }
        let mut bytes = 0;
        let fits = |row: &&Bytes| {
            bytes += row.len();
            bytes <= APPEND_BYTES_MAX
        };
        let share = self.waiting.iter().take_while(fits).count().max(1);
        let rows: Vec<_> = self.waiting.drain(..share).collect();
        let append = self.writer.append(to, rows.clone());
        self.under_way = Some((rows, append));
    }

    /// Takes the answer to the append under way, if there is one: the place of its first row, or nothing if it failed. Then
    /// it is made again, and its rows may be in the output twice: of repeated rows the first counts.
    fn settle(
        &mut self,
        context: &mut Context<'_>,
        to: &TopicPartition,
        now_ms: i64,
    ) -> Result<Option<Option<Offset>>, Setback> {
        let Some((_, append)) = &mut self.under_way else { return Ok(None) };
        let Poll::Ready(answer) = append.as_mut().poll(context) else { return Ok(None) };
        let Some((rows, _)) = self.under_way.take() else { return Ok(None) };
        match answer {
            Ok(appended) => {
                self.bytes -= rows.iter().map(Bytes::len).sum::<usize>();
                return Ok(Some(Some(appended.first_offset)));
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%to, %error, "rows not written; trying again");
                rows.into_iter().rev().for_each(|row| self.waiting.push_front(row));
                self.not_before_ms = now_ms + RETRY_MS;
            }
            // Another one can be had, which also settles what became of these rows.
            Err(error @ LogError::Failed(_)) => return Err(Setback::Lost(error)),
            Err(error) => return Err(error.into()),
        }
        Ok(Some(None))
    }
}
