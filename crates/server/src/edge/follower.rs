//! Follows the output log and turns each row into a frame, once for all viewers.

use std::sync::Arc;

use anyhow::Context;
use emostream_log::Record;
use emostream_moments::ScaleDown;
use emostream_protocol::{Epoch, Position, frame, position::sequence, row::Row};
use tokio::runtime::Handle;

use super::{Components, hub::Hub, view::Frame};
use crate::tasks::Tasks;

/// Rows of this span are loaded at the start, for those who resume.
const HISTORY_MS: i64 = 10 * 60_000;

const READ_BYTES: usize = 1 << 20;

pub(super) fn start(
    components: Components,
    hub: Arc<Hub>,
    epoch: Epoch,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let runtime = Handle::current();
    let stop = tasks.stop.clone();
    tasks.spawn_essential_thread("edge follower", move || {
        let follower = Follower { components, hub, epoch };
        runtime.block_on(stop.run_until_cancelled(follower.run())).unwrap_or(Ok(()))
    })?;
    Ok(())
}

struct Follower {
    components: Components,
    hub: Arc<Hub>,
    epoch: Epoch,
}

impl Follower {
    async fn run(self) -> anyhow::Result<()> {
        let Components { log, output, .. } = &self.components;
        let from_ms = self.components.clock.now_ms() - HISTORY_MS;
        let mut at = log.offset_at(output, from_ms)?;
        if at > 0 {
            // A row's event time is never after its append: all rows from this instant on are read.
            for channel in self.components.channels.all() {
                self.hub.update(&channel, |view| super::view::View {
                    floor: sequence::at(from_ms),
                    ..view.clone()
                });
            }
        }
        let mut end = log.follow(output)?;
        loop {
            if at >= *end.borrow_and_update() {
                self.hub.set_caught_up();
                end.wait_for(|end| *end > at).await.context("the log was closed")?;
            }
            let read = log.read(output, at, READ_BYTES)?;
            at = read.next;
            for record in &read.records {
                self.show(record);
            }
        }
    }

    fn show(&self, record: &Record) {
        let emotes = &self.components.emotes;
        let row = match Row::decode(&record.value, emotes) {
            Ok(row) => row,
            // One row that nobody can read must not take the others from all viewers.
            Err(error) => {
                let output = &self.components.output;
                tracing::error!(%output, offset = record.offset, %error, "row cannot be read and is not shown");
                return;
            }
        };
        let Some(channel) = self.components.channels.get(row.channel()) else { return };
        let seq = row.seq();
        let position = Position { epoch: self.epoch, seq };
        let shown = |count| ScaleDown::Logarithmic.shown(count);
        self.hub.update(&channel, |view| {
            // Of repeated rows the first wins.
            let is_repeat = seq <= view.seq;
            match &row {
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
