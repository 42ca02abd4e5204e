//! Whether the store can be reached, and from when on silence of edges tells anything: while control or the store was away,
//! nobody was heard.

use std::sync::{Arc, Mutex, MutexGuard};

use emostream_log::Clock;
use emostream_store::{LeaseTimes, StoreError};

/// What is known of the contact with the store.
pub(super) struct Contact {
    clock: Arc<dyn Clock>,
    ttl_us: i64,
    ticket_us: i64,
    state: Mutex<State>,
}

struct State {
    grace_from_us: i64,
    /// When the store last did something.
    heard_us: i64,
    /// Something failed, and nothing was written since.
    is_down: bool,
    /// The last thing that was asked of it failed.
    has_failed: bool,
}

/// The store is asked something twice a second; without an answer for so long, it does not answer.
const SILENCE_US: i64 = 5_000_000;

impl Contact {
    /// Control starts now: edges get one time to live to report.
    pub(super) fn new(clock: Arc<dyn Clock>, ttl_us: i64, ticket_us: i64) -> Self {
        let now_us = clock.now_ms() * 1_000;
        let state = State { grace_from_us: now_us, heard_us: now_us, is_down: false, has_failed: false };
        Self { clock, ttl_us, ticket_us, state: Mutex::new(state) }
    }

    /// The times to judge leases by, now. The first one to come after an outage finds everybody's grace begun.
    pub(super) fn times(&self) -> LeaseTimes {
        let now_us = self.now_us();
        let mut state = self.state();
        if state.is_down || now_us - state.heard_us > self.ttl_us / 2 {
            state.grace_from_us = now_us;
        }
        let grace_from_us = state.grace_from_us;
        LeaseTimes { now_us, ttl_us: self.ttl_us, grace_from_us, ticket_us: self.ticket_us }
    }

    /// Takes note of what came of a change of records, or of reading them.
    pub(super) fn note<T>(&self, done: &Result<T, StoreError>, is_change: bool) {
        let now_us = self.now_us();
        let mut state = self.state();
        match done {
            Err(StoreError::Unavailable(error)) => {
                if !state.is_down {
                    tracing::warn!(error, "the store does not answer; placements and reports wait");
                }
                state.is_down = true;
                state.has_failed = true;
            }
            _ => {
                state.heard_us = now_us;
                state.has_failed = false;
                if is_change && state.is_down {
                    tracing::info!("the store answers again; edges have one time to live to report");
                    state.is_down = false;
                }
            }
        }
    }

    /// Whether the store answered when it was asked last, and that not long ago.
    pub(super) fn is_answering(&self) -> bool {
        let now_us = self.now_us();
        let state = self.state();
        !state.has_failed && now_us - state.heard_us <= SILENCE_US
    }

    /// Now, µs since the Unix epoch.
    pub(super) fn now_us(&self) -> i64 {
        self.clock.now_ms() * 1_000
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use emostream_log::ManualClock;
    use emostream_store::StoreError;

    use super::Contact;

    #[test]
    fn whether_the_store_answers_is_known_by_its_last_answer() {
        let clock = Arc::new(ManualClock::new(1_000_000));
        let contact = Contact::new(clock.clone(), 10_000_000, 30_000_000);
        assert!(contact.is_answering());
        contact.note(&Err::<(), _>(StoreError::Unavailable("gone".into())), false);
        assert!(!contact.is_answering());
        contact.note(&Ok(()), false);
        assert!(contact.is_answering(), "reading is enough");
        clock.set(1_005_001);
        assert!(!contact.is_answering(), "asked again and again, and nothing came");
    }

    #[test]
    fn grace_begins_when_something_can_be_written_again() {
        let clock = Arc::new(ManualClock::new(1_000_000));
        let contact = Contact::new(clock.clone(), 10_000_000, 30_000_000);
        let grace_ms = || contact.times().grace_from_us / 1_000;
        assert_eq!(grace_ms(), 1_000_000);
        clock.set(1_004_000);
        contact.note(&Ok(()), true);
        assert_eq!(grace_ms(), 1_000_000);
        let failed = Err::<(), _>(StoreError::Unavailable("gone".into()));
        contact.note(&failed, true);
        clock.set(1_006_000);
        assert_eq!(grace_ms(), 1_006_000);
        // That it can be read says nothing of reports.
        contact.note(&Ok(()), false);
        clock.set(1_009_000);
        assert_eq!(grace_ms(), 1_009_000);
        contact.note(&Ok(()), true);
        clock.set(1_010_000);
        assert_eq!(grace_ms(), 1_009_000);
        // Another error is no outage.
        contact.note(&Err::<(), _>(StoreError::Invalid { field: "x", expected: "y".into() }), true);
        assert_eq!(grace_ms(), 1_009_000);
        // Neither heard nor failed: the process itself was away.
        clock.set(1_030_000);
        assert_eq!(grace_ms(), 1_030_000);
    }
}
