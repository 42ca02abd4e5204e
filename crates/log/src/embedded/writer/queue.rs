//! The bounded queue between callers and the writer thread.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError, mpsc::SyncSender},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{Appended, LogError, fencing::Claim, locks::lock};

/// Which part of a topic's size limit an append may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Room {
    /// All but the reserve.
    Common,
    /// The reserve as well.
    Reserved,
}

/// One append waiting for its turn.
pub(crate) struct Append {
    /// Index of the partition in the log.
    pub(crate) partition: usize,
    pub(crate) values: Vec<Bytes>,
    /// Checked when the turn comes.
    pub(crate) claim: Option<Claim>,
    pub(crate) room: Room,
    pub(crate) done: oneshot::Sender<Result<Appended, LogError>>,
}

impl Append {
    fn bytes(&self) -> usize {
        self.values.iter().map(Bytes::len).sum()
    }

    /// Answers; a caller that no longer waits is no error.
    pub(crate) fn answer(self, answer: Result<Appended, LogError>) {
        drop(self.done.send(answer));
    }
}

/// Something that the writer does between rounds.
pub(crate) enum Control {
    /// Says when all appends queued before are done.
    Barrier(SyncSender<()>),
    /// Applies retention now.
    Retain(SyncSender<()>),
}

enum Job {
    Append(Append),
    Control(Control),
}

/// What the writer takes at once.
#[derive(Default)]
pub(crate) struct Drained {
    pub(crate) appends: Vec<Append>,
    pub(crate) control: Option<Control>,
    /// The queue is closed and this was the last of it.
    pub(crate) closed: bool,
}

/// The queue. Both limits count what waits, not the round that is being written.
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    appends_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    appends: usize,
    bytes: usize,
    closed: bool,
    /// The writer is gone without having been closed.
    dead: bool,
}

impl Queue {
    pub(crate) fn new(appends_max: usize, bytes_max: usize) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), appends_max, bytes_max }
    }

    pub(crate) fn push(&self, append: Append) -> Result<(), LogError> {
        let bytes = append.bytes();
        if bytes > self.bytes_max {
            return Err(LogError::TooLarge { bytes, limit: self.bytes_max });
        }
        let mut state = lock(&self.state);
        state.open()?;
        if state.appends >= self.appends_max || state.bytes + bytes > self.bytes_max {
            return Err(LogError::Overloaded(state.appends));
        }
        state.appends += 1;
        state.bytes += bytes;
        state.jobs.push_back(Job::Append(append));
        // The writer waits only for the first job.
        if state.jobs.len() == 1 {
            self.filled.notify_one();
        }
        Ok(())
    }

    pub(crate) fn control(&self, control: Control) -> Result<(), LogError> {
        let mut state = lock(&self.state);
        state.open()?;
        state.jobs.push_back(Job::Control(control));
        self.filled.notify_one();
        Ok(())
    }

    /// Refuses further jobs; those that wait are still done.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.filled.notify_one();
    }

    /// Drops what waits, so that its callers learn that nobody will do it.
    pub(crate) fn die(&self) {
        let mut state = lock(&self.state);
        state.dead = !state.closed;
        state.closed = true;
        state.jobs.clear();
    }

    /// Takes what one round may hold: appends up to a number of bytes, at most one control after them. Waits for
    /// the first job as long as told.
    pub(crate) fn drain(&self, bytes_max: usize, wait: Duration) -> Drained {
        let mut state = lock(&self.state);
        if state.jobs.is_empty() && !state.closed && !wait.is_zero() {
            let waited = self.filled.wait_timeout_while(state, wait, |s| s.jobs.is_empty() && !s.closed);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut drained = Drained::default();
        let mut taken = 0;
        while taken < bytes_max && drained.control.is_none() {
            match state.jobs.pop_front() {
                Some(Job::Append(append)) => {
                    let bytes = append.bytes();
                    taken += bytes;
                    state.appends -= 1;
                    state.bytes -= bytes;
                    drained.appends.push(append);
                }
                Some(Job::Control(control)) => drained.control = Some(control),
                None => break,
            }
        }
        drained.closed = state.closed && state.jobs.is_empty();
        drained
    }
}

impl State {
    fn open(&self) -> Result<(), LogError> {
        match (self.dead, self.closed) {
            (true, _) => Err(LogError::Failed("the writer thread has ended".to_owned())),
            (false, true) => Err(LogError::Closed),
            (false, false) => Ok(()),
        }
    }
}
