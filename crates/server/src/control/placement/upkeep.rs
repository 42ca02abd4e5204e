//! What is done again and again: reading what the store knows, ending what is over, and marking that people wait.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use emostream_store::Claim;
use tokio_util::sync::CancellationToken;

use super::{Core, EdgeState, State, standby};
use crate::{durable, telemetry::Labelled};

/// What others change in the store is seen after so long.
const EVERY: Duration = Duration::from_millis(500);

/// While people wait, that is marked anew so often, in rounds of [`EVERY`].
const MARK_ROUNDS: u64 = 120;

/// Leases that have been dead for long are dropped so often, in rounds of [`EVERY`].
const SWEEP_ROUNDS: u64 = 120;

/// What the mark of a waiting line says; the time is behind it.
const WAIT: &str = "people wait in line, at ";

/// When people are known to have waited last, if they did when the node stopped. A mark that says no time is of now.
pub(super) fn waited_us(mark: &Path, now_us: i64) -> Option<i64> {
    let text = match std::fs::read(mark) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        read => read.unwrap_or_default(),
    };
    let text = String::from_utf8_lossy(&text);
    let said_us = text.trim_end().strip_prefix(WAIT).and_then(|us| us.parse().ok());
    Some(said_us.unwrap_or(now_us))
}

/// Runs until the node stops. `is_marked`: the mark of a waiting line is there.
pub(super) async fn run(
    core: Arc<Core>,
    mut claim: Claim,
    mut is_marked: bool,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut round: u64 = 0;
    let mut lost = None;
    // The time of the line: a clock that never steps.
    let mut passed_from = Instant::now();
    while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        round += 1;
        // Whether the store answers is told where it stops to do so and where it does again.
        let is_read = core.refresh().await.is_ok();
        standby::look(&core, &mut claim, &mut lost).await;
        if is_read && round.is_multiple_of(SWEEP_ROUNDS) {
            match core.store.sweep_leases(&core.contact.times()).await {
                Ok(0) => {}
                Ok(dropped) => tracing::info!(dropped, "leases of lost edges are dropped"),
                Err(error) => tracing::warn!(%error, "leases of lost edges are not dropped yet"),
            }
        }
        let passed = std::mem::replace(&mut passed_from, Instant::now()).elapsed();
        core.state().line.pass(passed, is_read);
        let is_waiting = tidy(&core);
        let is_due = is_marked != is_waiting || is_waiting && round.is_multiple_of(MARK_ROUNDS);
        if is_due && !core.standby.is_on() {
            match mark(&core, is_waiting) {
                Ok(()) => is_marked = is_waiting,
                Err(error) => {
                    let path = core.mark.display();
                    tracing::warn!(%error, %path, "a restart of control would not know whether people wait");
                }
            }
        }
    }
    Ok(())
}

/// Ends what is over, and tells the metrics; whether people wait.
fn tidy(core: &Core) -> bool {
    let now_us = core.contact.now_us();
    let mut state = core.state();
    let State { house, line, given } = &mut *state;
    house.purge(now_us);
    given.purge(now_us);
    let waiting = line.len();
    core.metrics.line_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    let mut counts = EdgeState::ALL.map(|state| (state, 0));
    for (_, state, _) in house.edges(now_us) {
        counts.iter_mut().filter(|count| count.0 == state).for_each(|count| count.1 += 1);
    }
    for (state, edges) in counts {
        core.metrics.edges_known.get_or_create(&Labelled { kind: state.name() }).set(edges);
    }
    line.is_in_use()
}

/// Makes or removes the file by which the next start knows that people wait, and when they last did, µs since the Unix epoch.
/// It is small and rarely written.
fn mark(core: &Core, is_waiting: bool) -> io::Result<()> {
    if is_waiting {
        let text = format!("{WAIT}{}\n", core.contact.now_us());
        return durable::write_private(&core.mark, text.as_bytes());
    }
    match std::fs::remove_file(&core.mark) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
