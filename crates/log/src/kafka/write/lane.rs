//! The appends of one partition under way, in order: what makes a failed append leave no gap behind it.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Instant,
};

use tokio::sync::oneshot;

use crate::{Appended, LogError, locks::lock};

/// One partition. While a failed append has not been noticed by its caller nothing more is accepted, since it would
/// take effect without what came before it.
#[derive(Default)]
pub(super) struct Lane {
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// Failed appends whose futures are still held and have not been asked.
    unnoticed: usize,
    outstanding: VecDeque<Append>,
    next_id: u64,
}

/// What an append takes of the queue's room.
#[derive(Clone, Copy, Default)]
pub(super) struct Weight {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// An append that was handed to the client.
struct Append {
    id: u64,
    undelivered: usize,
    first_offset: Option<u64>,
    weight: Weight,
    sent: Instant,
    done: oneshot::Sender<Result<Appended, LogError>>,
}

/// What a delivery was for.
pub(super) struct Ticket {
    pub(super) lane: Arc<Lane>,
    pub(super) id: u64,
}

impl Lane {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A record of an append was stored. When it was its last, `learn` is told when the append was sent, before anybody
    /// else hears of it; says what room is free again. Nothing happens to one that has failed already.
    pub(super) fn delivered(
        &self,
        id: u64,
        offset: u64,
        append_time_ms: i64,
        learn: impl FnOnce(Instant),
    ) -> Option<Weight> {
        let mut state = self.lock();
        let at = state.outstanding.iter().position(|append| append.id == id)?;
        let append = state.outstanding.get_mut(at)?;
        let first_offset = *append.first_offset.get_or_insert(offset);
        append.undelivered -= 1;
        if append.undelivered > 0 {
            return None;
        }
        let append = state.outstanding.remove(at)?;
        drop(state);
        learn(append.sent);
        // Whoever dropped the future does not want to know.
        append.done.send(Ok(Appended { first_offset, append_time_ms })).ok();
        Some(append.weight)
    }

    /// Fails everything under way, in order; what room is free again.
    pub(super) fn fail_all(&self, error: &LogError) -> Weight {
        let mut state = self.lock();
        let mut freed = Weight::default();
        while let Some(append) = state.outstanding.pop_front() {
            freed.records += append.weight.records;
            freed.bytes += append.weight.bytes;
            state.fail(append, error.clone());
        }
        freed
    }

    /// When the oldest append under way was called for.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.lock().outstanding.front().map(|append| append.sent)
    }

    fn noticed(&self) {
        let mut state = self.lock();
        state.unnoticed = state.unnoticed.saturating_sub(1);
    }
}

impl State {
    pub(super) fn has_unnoticed(&self) -> bool {
        self.unnoticed > 0
    }

    /// Registers an append of some records before they are handed to the client.
    pub(super) fn begin(&mut self, lane: &Arc<Lane>, weight: Weight) -> (u64, Outcome) {
        let (done, answer) = oneshot::channel();
        let id = self.next_id;
        self.next_id += 1;
        let sent = Instant::now();
        let append = Append { id, undelivered: weight.records, first_offset: None, weight, sent, done };
        self.outstanding.push_back(append);
        (id, Outcome { lane: Arc::clone(lane), answer: Answer::Awaited(answer) })
    }

    /// Fails the newest append, of which the client did not take every record.
    pub(super) fn fail_newest(&mut self, error: LogError) {
        if let Some(append) = self.outstanding.pop_back() {
            self.fail(append, error);
        }
    }

    fn fail(&mut self, append: Append, error: LogError) {
        if append.done.send(Err(error)).is_ok() {
            self.unnoticed += 1;
        }
    }

    /// An append that is refused at once. It counts as failed, so that what its caller sends before looking at it
    /// does not overtake it.
    pub(super) fn refuse(&mut self, lane: &Arc<Lane>, error: LogError) -> Outcome {
        self.unnoticed += 1;
        Outcome { lane: Arc::clone(lane), answer: Answer::Refused(error) }
    }
}

/// What becomes of an append. A failure counts as noticed when this has been asked and said so, or is dropped.
pub(super) struct Outcome {
    lane: Arc<Lane>,
    answer: Answer,
}

enum Answer {
    Awaited(oneshot::Receiver<Result<Appended, LogError>>),
    Refused(LogError),
    Given,
}

impl Future for Outcome {
    type Output = Result<Appended, LogError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.answer {
            Answer::Awaited(answer) => match Pin::new(answer).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(outcome)) => outcome,
                // Never sent and never failed: the sender went away with the log. Nothing was counted.
                Poll::Ready(Err(_)) => {
                    self.answer = Answer::Given;
                    return Poll::Ready(Err(LogError::Closed));
                }
            },
            Answer::Refused(error) => Err(error.clone()),
            Answer::Given => return Poll::Ready(Err(LogError::Closed)),
        };
        self.answer = Answer::Given;
        if outcome.is_err() {
            self.lane.noticed();
        }
        Poll::Ready(outcome)
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        let failed = match &mut self.answer {
            Answer::Awaited(answer) => {
                // From here on the sender sees that nobody waits.
                answer.close();
                matches!(answer.try_recv(), Ok(Err(_)))
            }
            Answer::Refused(_) => true,
            Answer::Given => false,
        };
        if failed {
            self.lane.noticed();
        }
    }
}
