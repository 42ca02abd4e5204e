//! Follows a partition of the output log and turns each row into a frame, once for all viewers.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::Context;
use emostream_log::{LogError, Offset, Record, TopicPartition};
use emostream_moments::ScaleDown;
use emostream_protocol::{Epoch, Position, frame, position::sequence, row::Row};
use tokio::runtime::Handle;

use super::{Components, early_rows::EarlyRows, hub::Hub, view::Frame};
use crate::{
    channels::{Channel, Channels},
    tasks::Tasks,
};

/// Rows of this span are loaded at the start, for those who resume.
const HISTORY_MS: i64 = 10 * 60_000;

const READ_BYTES: usize = 1 << 20;

/// After a read that failed, the next one waits so long.
const REST: Duration = Duration::from_secs(1);

/// Starts one follower for each partition.
pub(super) fn start(
    components: &Components,
    hub: &Arc<Hub>,
    epoch: Epoch,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    for partition in components.output.all() {
        let runtime = Handle::current();
        let stop = tasks.stop.clone();
        let follower = Follower {
            components: components.clone(),
            partition,
            hub: hub.clone(),
            epoch,
            early: EarlyRows::default(),
            known: HashSet::new(),
            floor: 0,
        };
        tasks.spawn_essential_thread("edge follower", move || {
            runtime.block_on(stop.run_until_cancelled(follower.run())).unwrap_or(Ok(()))
        })?;
    }
    Ok(())
}

struct Follower {
    components: Components,
    partition: TopicPartition,
    hub: Arc<Hub>,
    epoch: Epoch,
    /// Rows of channels that the directory does not have yet.
    early: EarlyRows,
    /// Channels whose view knows how far back it goes.
    known: HashSet<u32>,
    /// Moments with a sequence up to this one were not read.
    floor: u64,
}

impl Follower {
    async fn run(mut self) -> anyhow::Result<()> {
        let mut directory = self.components.channels.follow();
        let mut end = self.components.log.follow(&self.partition)?;
        let (mut at, begun_with) = (self.begin()?, *end.borrow());
        let mut loaded = false;
        self.meet_channels();
        loop {
            if !loaded && at >= begun_with {
                self.hub.partition_is_loaded();
                loaded = true;
            }
            if at >= *end.borrow_and_update() {
                tokio::select! {
                    changed = end.changed() => changed.context("the log was closed")?,
                    changed = directory.changed() => {
                        changed?;
                        self.meet_channels();
                    }
                }
                continue;
            }
            match self.components.log.read(&self.partition, at, READ_BYTES) {
                Ok(read) => {
                    at = read.next;
                    read.records.iter().for_each(|record| self.take(record));
                }
                Err(LogError::OutOfRange { start, .. }) if start > at => {
                    tracing::warn!(partition = %self.partition, from = at, to = start, "rows are gone before they were shown");
                    self.jump(start)?;
                    at = start;
                }
                Err(LogError::Closed) => return Ok(()),
                // Viewers keep what they have; the rest follows when the log answers.
                Err(error) if error.is_transient() => {
                    tracing::warn!(partition = %self.partition, %error, "rows cannot be read; trying again");
                    tokio::time::sleep(REST).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Notes that rows before an offset were never read: who resumes is told so.
    fn jump(&mut self, to: Offset) -> anyhow::Result<()> {
        let first = self.components.log.read(&self.partition, to, 1)?.records.into_iter().next();
        let row = first.and_then(|record| Row::decode(&record.value, &self.components.emotes).ok());
        if let Some(row) = row {
            self.floor = self.floor.max(row.seq().saturating_sub(1));
            self.known.clear();
            self.meet_channels();
        }
        Ok(())
    }

    /// The offset to read from. A row's event time is never after its append: all rows from the span's first instant on
    /// are read.
    fn begin(&mut self) -> anyhow::Result<Offset> {
        let from_ms = self.components.clock.now_ms() - HISTORY_MS;
        let log = &self.components.log;
        let at = log.offset_at(&self.partition, from_ms)?;
        if at > 0 {
            self.floor = sequence::at(from_ms);
        }
        Ok(at)
    }

    /// Looks at the directory's channels that were not there before, and shows what came of them too early.
    fn meet_channels(&mut self) {
        let channels: Arc<Channels> = self.components.channels.clone();
        for channel in channels.all() {
            if self.components.output.of(&channel.name) != self.partition || !self.known.insert(channel.index)
            {
                continue;
            }
            let early = self.early.take(&channel.name);
            // Rows that were too many to keep are missing like those before the span.
            let floor = self.floor.max(early.lost_through);
            if floor > 0 {
                self.hub.update(&channel, |view| super::view::View {
                    floor: view.floor.max(floor),
                    ..view.clone()
                });
            }
            for row in &early.rows {
                self.show(&channel, row);
            }
        }
    }

    fn take(&mut self, record: &Record) {
        let row = match Row::decode(&record.value, &self.components.emotes) {
            Ok(row) => row,
            // One row that nobody can read must not take the others from all viewers.
            Err(error) => {
                let partition = &self.partition;
                tracing::error!(%partition, offset = record.offset, %error, "row cannot be read and is not shown");
                return;
            }
        };
        match self.components.channels.get(row.channel()) {
            Some(channel) if self.known.contains(&channel.index) => self.show(&channel, &row),
            Some(_) => {
                self.early.keep(row);
                self.meet_channels();
            }
            None => self.early.keep(row),
        }
    }

    fn show(&self, channel: &Channel, row: &Row) {
        let emotes = &self.components.emotes;
        let seq = row.seq();
        let position = Position { epoch: self.epoch, seq };
        let shown = |count| ScaleDown::Logarithmic.shown(count);
        self.hub.update(channel, |view| {
            // Of repeated rows the first wins.
            let is_repeat = seq <= view.seq;
            match row {
                _ if is_repeat => view.clone(),
                Row::Window(row) => {
                    let json = frame::encode_window(row, self.epoch, emotes, shown);
                    view.with_window(seq, Frame::new("window", position, &json))
                }
                Row::Moment(row) => {
                    let json = frame::encode_moment(row, self.epoch, emotes);
                    view.with_moment(seq, Frame::new("moment", position, &json), self.hub.moments_history())
                }
                // Viewers learned of them when they were published.
                Row::Settings(_) => view.with_row(seq),
            }
        });
    }
}
