//! Of several processes with control on one store, one places: the line, and tickets that are on their way, are in its memory. The
//! others stand by, say so, and refuse.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use emostream_store::Claim;

use super::{Core, given::Given, line::Line, upkeep};
use crate::http::problem::{ErrorType, Problem};

/// At a start, the process before may not be known to be gone yet.
const START_PATIENCE: Duration = Duration::from_secs(2);

/// A claim that another has for so long is another process's. For a moment it may still be that of the own connection from
/// before the store was away.
const LOST_PATIENCE: Duration = Duration::from_secs(5);

/// Between two questions at a start.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// When to ask again for a place; another process may answer then.
const RETRY: Duration = Duration::from_secs(2);

/// Whether this process stands by.
#[derive(Default)]
pub(super) struct Standby(AtomicBool);

impl Standby {
    pub(super) fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Why nothing is done.
    pub(super) const WHY: &str = "another process with the role control places viewers; this one stands by";

    pub(super) fn problem() -> Problem {
        Problem { retry_after: Some(RETRY), ..Problem::new(ErrorType::ControlUnavailable, Self::WHY) }
    }
}

/// Waits for the claim for a little while.
pub(super) async fn begin(core: &Core, claim: &mut Claim) {
    let asking = async {
        // What cannot be asked is not answered either.
        while claim.hold().await == Ok(false) {
            tokio::time::sleep(ASK_AGAIN).await;
        }
    };
    if tokio::time::timeout(START_PATIENCE, asking).await.is_err() {
        set(core, true);
    }
}

/// Looks whether this process places. `lost`: since when it does not hold the claim and goes on.
pub(super) async fn look(core: &Core, claim: &mut Claim, lost: &mut Option<Instant>) {
    // While the store is away, everything stays as it is: guests are placed.
    let Ok(is_held) = claim.hold().await else { return };
    match (is_held, core.standby.is_on()) {
        (true, true) => {
            core.take_over();
            set(core, false);
        }
        (false, false) if lost.get_or_insert_with(Instant::now).elapsed() >= LOST_PATIENCE => set(core, true),
        (false, false) => return,
        (true, false) | (false, true) => {}
    }
    *lost = None;
}

fn set(core: &Core, is_on: bool) {
    core.standby.0.store(is_on, Ordering::Release);
    if is_on {
        tracing::warn!(
            "another process with the role control uses this store and places viewers: this one stands by, refuses placements and \
             edges' reports, and takes over when the other one has ended"
        );
    } else {
        tracing::warn!("no other process places viewers on this store any more: this one does now");
    }
}

impl Core {
    /// Begins as a start does: edges report here from now on, and those who wait line up anew.
    fn take_over(&self) {
        self.contact.begin_anew();
        let now_us = self.contact.now_us();
        // What was known of the line is on the other process's disk, unless that was here.
        let waited_us = upkeep::waited_us(&self.mark, now_us).unwrap_or(now_us);
        let (key, address_max) = self.line;
        let mut state = self.state();
        state.line = Line::new(key, Some(waited_us), address_max, now_us);
        state.given = Given::new(self.ttl_us);
    }
}
