//! Whether the store can be reached, and from when on silence of edges tells anything: while control could not take reports,
//! nobody was heard. That is told by reports alone: what else fails, or one report that does, keeps nobody's devices alive.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use emostream_log::Clock;
use emostream_store::{LeaseTimes, StoreError};

use super::house::Hearing;

/// What is known of the contact with the store.
pub(super) struct Contact {
    clock: Arc<dyn Clock>,
    ttl_us: i64,
    ticket_us: i64,
    /// Reports that wait to be taken for longer have not been heard.
    patience: Duration,
    /// Time since the start, whatever the clock does.
    elapsed: Elapsed,
    state: Mutex<State>,
}

type Elapsed = Box<dyn Fn() -> Duration + Send + Sync>;

struct State {
    grace_from_us: i64,
    /// Since when there have been reports of which none was taken, and when the last one was tried.
    untaken: Option<(Duration, Duration)>,
    /// Reports are being taken.
    is_taking: bool,
    /// When this was last asked for anything: the elapsed time, and the clock's.
    seen: (Duration, i64),
    /// When the store last did something.
    answered: Duration,
    /// Something failed, and nothing was written since.
    is_down: bool,
    /// The last thing that was asked of it failed.
    has_failed: bool,
}

/// The store is asked something twice a second; without an answer for so long, it does not answer.
const SILENCE: Duration = Duration::from_secs(5);

impl Contact {
    /// Control starts now: edges get one time to live to report.
    pub(super) fn new(clock: Arc<dyn Clock>, hearing: Hearing, ticket_us: i64) -> Self {
        let start = Instant::now();
        Self::with_elapsed(clock, hearing, ticket_us, Box::new(move || start.elapsed()))
    }

    fn with_elapsed(clock: Arc<dyn Clock>, hearing: Hearing, ticket_us: i64, elapsed: Elapsed) -> Self {
        let (now, now_us) = (elapsed(), clock.now_ms() * 1_000);
        let state = State {
            grace_from_us: now_us,
            untaken: None,
            is_taking: false,
            seen: (now, now_us),
            answered: now,
            is_down: false,
            has_failed: false,
        };
        let patience = Duration::from_micros(u64::try_from(2 * hearing.report_us).unwrap_or(0));
        let state = Mutex::new(state);
        Self { clock, ttl_us: hearing.ttl_us, ticket_us, patience, elapsed, state }
    }

    /// The times to judge leases by, now.
    pub(super) fn times(&self) -> LeaseTimes {
        let mut state = self.state();
        if state.is_taking {
            self.judge(&mut state);
        }
        self.times_of(&state)
    }

    /// The same for reports that are about to be taken; [`Self::note_reports`] says what came of it.
    pub(super) fn begin_reports(&self) -> LeaseTimes {
        let mut state = self.state();
        let now = state.seen.0;
        // Edges try again soon: after a longer pause these are the first that wait.
        let before = state.untaken.filter(|(_, tried)| now.saturating_sub(*tried) <= self.patience);
        state.untaken = Some((before.map_or(now, |(since, _)| since), now));
        state.is_taking = true;
        self.times_of(&state)
    }

    /// Takes note of what came of taking reports.
    pub(super) fn note_reports<T>(&self, done: &Result<T, StoreError>) {
        self.note(done, true);
        let mut state = self.state();
        self.judge(&mut state);
        state.is_taking = false;
        let now = state.seen.0;
        state.untaken = state.untaken.filter(|_| done.is_err()).map(|(since, _)| (since, now));
    }

    /// From now on edges report here: they have one time to live to do so.
    pub(super) fn begin_anew(&self) {
        let mut state = self.state();
        state.grace_from_us = state.seen.1;
    }

    /// Takes note of what came of a change of records, or of reading them.
    pub(super) fn note<T>(&self, done: &Result<T, StoreError>, is_change: bool) {
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
                state.answered = state.seen.0;
                state.has_failed = false;
                if is_change && state.is_down {
                    tracing::info!("the store answers again");
                    state.is_down = false;
                }
            }
        }
    }

    /// Whether the store answered when it was asked last, and that not long ago.
    pub(super) fn is_answering(&self) -> bool {
        let state = self.state();
        !state.has_failed && state.seen.0.saturating_sub(state.answered) <= SILENCE
    }

    /// Now, µs since the Unix epoch.
    pub(super) fn now_us(&self) -> i64 {
        self.state().seen.1
    }

    /// Grace begins anew where reports have waited for too long.
    fn judge(&self, state: &mut State) {
        let (now, now_us) = state.seen;
        if state.untaken.is_some_and(|(since, _)| now.saturating_sub(since) > self.patience) {
            state.grace_from_us = now_us;
        }
    }

    fn times_of(&self, state: &State) -> LeaseTimes {
        let (now_us, grace_from_us) = (state.seen.1, state.grace_from_us);
        LeaseTimes { now_us, ttl_us: self.ttl_us, grace_from_us, ticket_us: self.ticket_us }
    }

    /// The state as it is by now. It is asked for several times a second: where it was not for long, the process itself was
    /// away; where only the clock has gone on, all that edges said seems long ago.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        let (now, now_us) = ((self.elapsed)(), self.clock.now_ms() * 1_000);
        let away_us = i64::try_from(now.saturating_sub(state.seen.0).as_micros()).unwrap_or(i64::MAX);
        if away_us.max(now_us - state.seen.1) > self.ttl_us / 2 {
            tracing::info!(
                "this process was away, or its clock was set; edges have one time to live to report"
            );
            state.grace_from_us = now_us;
        }
        state.seen = (now, now_us);
        state
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    use emostream_log::ManualClock;
    use emostream_store::StoreError;

    use super::{Contact, Hearing};

    /// A contact with a time to live of 10 s and reports every 2 s, and its two clocks.
    struct Desk {
        contact: Contact,
        clock: Arc<ManualClock>,
        elapsed_ms: Arc<AtomicU64>,
    }

    const START_MS: i64 = 1_000_000;

    impl Desk {
        fn new() -> Self {
            let (clock, elapsed_ms) = (Arc::new(ManualClock::new(START_MS)), Arc::new(AtomicU64::new(0)));
            let hearing = Hearing { ttl_us: 10_000_000, report_us: 2_000_000 };
            let elapsed = elapsed_ms.clone();
            let elapsed = Box::new(move || Duration::from_millis(elapsed.load(Ordering::SeqCst)));
            let contact = Contact::with_elapsed(clock.clone(), hearing, 30_000_000, elapsed);
            Self { contact, clock, elapsed_ms }
        }

        /// So much time passes at once.
        fn jump(&self, ms: u32) {
            self.elapsed_ms.fetch_add(ms.into(), Ordering::SeqCst);
            self.clock.set(emostream_log::Clock::now_ms(&*self.clock) + i64::from(ms));
        }

        /// So many seconds pass, in which others ask for the time.
        fn pass(&self, seconds: u32) {
            for _ in 0..2 * seconds {
                self.jump(500);
                self.contact.now_us();
            }
        }

        /// From when on edges are judged, s since the start.
        fn grace_s(&self) -> i64 {
            (self.contact.times().grace_from_us / 1_000 - START_MS) / 1_000
        }

        fn report(&self, done: &Result<(), StoreError>) {
            self.contact.begin_reports();
            self.contact.note_reports(done);
        }
    }

    fn failed() -> Result<(), StoreError> {
        Err(StoreError::Unavailable("gone".into()))
    }

    #[test]
    fn whether_the_store_answers_is_known_by_its_last_answer() {
        let desk = Desk::new();
        assert!(desk.contact.is_answering());
        desk.contact.note(&failed(), false);
        assert!(!desk.contact.is_answering());
        desk.contact.note(&Ok(()), false);
        assert!(desk.contact.is_answering(), "reading is enough");
        desk.jump(5_001);
        assert!(!desk.contact.is_answering(), "asked again and again, and nothing came");
    }

    #[test]
    fn what_fails_beside_reports_keeps_nobody_alive() {
        let desk = Desk::new();
        for _ in 0..20 {
            desk.contact.note(&failed(), false);
            desk.contact.note(&failed(), true);
            desk.pass(1);
            desk.report(&Ok(()));
            assert_eq!(desk.grace_s(), 0);
        }
        // One report that fails now and then does neither.
        for _ in 0..20 {
            desk.report(&failed());
            assert_eq!(desk.grace_s(), 0);
            desk.pass(2);
            desk.report(&failed());
            desk.pass(2);
            desk.report(&Ok(()));
            assert_eq!(desk.grace_s(), 0);
        }
        // Nor that there is nobody who reports.
        desk.report(&failed());
        desk.pass(60);
        desk.contact.note(&failed(), true);
        assert_eq!(desk.grace_s(), 0);
        desk.report(&Ok(()));
        assert_eq!(desk.grace_s(), 0);
    }

    #[test]
    fn grace_begins_when_reports_can_be_taken_again() {
        let desk = Desk::new();
        for _ in 0..5 {
            desk.pass(2);
            desk.report(&failed());
        }
        assert_eq!(desk.grace_s(), 10);
        desk.contact.note(&Ok(()), true);
        desk.pass(1);
        desk.report(&Ok(()));
        assert_eq!(desk.grace_s(), 11, "that others were served says nothing of reports");
        desk.pass(4);
        desk.report(&Ok(()));
        assert_eq!(desk.grace_s(), 11);
    }

    #[test]
    fn reports_that_take_long_have_not_been_heard() {
        let desk = Desk::new();
        desk.contact.begin_reports();
        desk.pass(4);
        assert_eq!(desk.grace_s(), 0);
        desk.pass(1);
        assert_eq!(desk.grace_s(), 5, "others are judged meanwhile");
        desk.pass(30);
        desk.contact.note_reports(&Ok(()));
        assert_eq!(desk.grace_s(), 35);
        desk.pass(60);
        assert_eq!(desk.grace_s(), 35);
    }

    #[test]
    fn a_process_that_was_away_and_a_clock_that_was_set_forward_give_grace() {
        let desk = Desk::new();
        desk.jump(5_000);
        assert_eq!(desk.grace_s(), 0);
        desk.jump(6_000);
        assert_eq!(desk.grace_s(), 11);
        desk.pass(1);
        desk.clock.set(START_MS + 3_600_000);
        assert_eq!(desk.grace_s(), 3_600);
        desk.pass(20);
        assert_eq!(desk.grace_s(), 3_600);
        // The machine slept, and its clock stood still.
        desk.elapsed_ms.fetch_add(60_000, Ordering::SeqCst);
        assert_eq!(desk.grace_s(), 3_620);
    }
}
