//! A raw log in memory that behaves as badly as the contract of appends allows.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use emostream_log::{
    AppendFuture, Appended, Bounds, Committed, FencedWriter, Generation, Log, LogError, Membership, Offset,
    ReadBatch, TopicPartition, memory::MemoryLog,
};
use tokio::sync::watch;

use super::Dice;

/// How it behaves now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Takes everything.
    Well,
    /// Fails now and then, in part, late, or although all of it took effect.
    Unsteady,
    /// Takes nothing and says so.
    Down,
    /// Takes nothing and says nothing.
    Silent,
    /// Has failed for good.
    Broken,
}

/// The log.
pub(super) struct Remote {
    pub(super) inner: Arc<MemoryLog>,
    state: Arc<Mutex<State>>,
    silent: Arc<AtomicUsize>,
}

struct State {
    inner: Arc<MemoryLog>,
    dice: Dice,
    mood: Mood,
    /// Appends by number, so that the one that failed first is known.
    calls: u64,
    /// Partitions in which an append has failed, and its caller does not know yet.
    failed: Vec<(u32, u64)>,
    /// Appends that will succeed, and take effect only when their answers are ready or a later one's are.
    held: Vec<Held>,
    /// Those that have, and whose callers do not know yet.
    taken: Vec<(u64, Appended)>,
    /// What takes effect some time, though nobody waits for it any more: from processes that were killed, and from appends
    /// that were given up. Each a sequence in order.
    ghosts: Vec<VecDeque<(TopicPartition, Bytes)>>,
}

impl Remote {
    pub(super) fn new(inner: Arc<MemoryLog>, seed: u64) -> Arc<Self> {
        let state = State {
            inner: inner.clone(),
            dice: Dice(seed),
            mood: Mood::Well,
            calls: 0,
            failed: Vec::new(),
            held: Vec::new(),
            taken: Vec::new(),
            ghosts: Vec::new(),
        };
        Arc::new(Self { inner, state: Arc::new(Mutex::new(state)), silent: Arc::default() })
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        lock(&self.state).mood = mood;
    }

    /// Appends that it was silent about and that somebody still waits for.
    pub(super) fn unanswered(&self) -> usize {
        self.silent.load(Ordering::SeqCst)
    }

    /// Ghosts take effect as far as they ever will.
    pub(super) fn settle_ghosts(&self) {
        let mut state = lock(&self.state);
        while !state.ghosts.is_empty() {
            state.haunt();
        }
    }
}

impl State {
    /// Some of what nobody waits for takes effect.
    fn haunt(&mut self) {
        let Self { inner, dice, ghosts, .. } = self;
        for ghost in ghosts.iter_mut() {
            for _ in 0..dice.below(3) {
                let Some((to, value)) = ghost.pop_front() else { break };
                take_effect(inner, &to, vec![value]);
            }
            if dice.one_in(8) {
                ghost.clear();
            }
        }
        ghosts.retain(|ghost| !ghost.is_empty());
    }

    /// What is held of a partition takes effect, through a call.
    fn let_go(&mut self, (partition, through): (u32, u64)) {
        for held in self.held.extract_if(.., |held| held.to.partition == partition && held.call <= through) {
            let appended = take_effect(&self.inner, &held.to, held.values);
            self.taken.push((held.call, appended));
        }
    }

    /// The caller knows how a call has ended, or does not want to.
    fn end(&mut self, (partition, call): (u32, u64)) -> Option<Appended> {
        self.failed.retain(|failed| *failed != (partition, call));
        let taken = self.taken.iter().position(|(taken, _)| *taken == call);
        taken.map(|at| self.taken.swap_remove(at).1)
    }

    /// Nobody waits any more for a call that is held: what is held of the partition takes effect some time or never.
    fn abandon(&mut self, (partition, call): (u32, u64)) {
        if self.held.iter().any(|held| (held.to.partition, held.call) == (partition, call)) {
            let abandoned = self.held.extract_if(.., |held| held.to.partition == partition);
            let values = |held: Held| {
                let Held { to, values, .. } = held;
                values.into_iter().map(move |value| (to.clone(), value))
            };
            self.ghosts.push(abandoned.flat_map(values).collect());
        }
    }
}

fn take_effect(inner: &MemoryLog, to: &TopicPartition, values: Vec<Bytes>) -> Appended {
    let append = inner.append(to, values);
    futures_util::FutureExt::now_or_never(append).expect("memory answers at once").expect("memory takes all")
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no test panics while it holds this")
}

fn refused(dice: &mut Dice) -> LogError {
    if dice.one_in(3) {
        LogError::Overloaded(17)
    } else {
        LogError::Io { action: "append".into(), detail: "delivery timed out".into() }
    }
}

/// An append on its way.
struct Held {
    to: TopicPartition,
    call: u64,
    values: Vec<Bytes>,
}

/// An answer that takes its time.
struct Answer {
    state: Arc<Mutex<State>>,
    /// Partition and number of the call.
    call: (u32, u64),
    polls_left: u64,
    /// Absent where the call is held.
    result: Option<Result<Appended, LogError>>,
    /// Counted among those that never come.
    silent: Option<Arc<AtomicUsize>>,
}

impl Future for Answer {
    type Output = Result<Appended, LogError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.silent.is_some() {
            return Poll::Pending;
        }
        if self.polls_left > 0 {
            self.polls_left -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let taken = {
            let mut state = lock(&self.state);
            state.let_go(self.call);
            state.end(self.call)
        };
        Poll::Ready(self.result.take().or(taken.map(Ok)).expect("what does not fail is held, then taken"))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.abandon(self.call);
        state.end(self.call);
        if let Some(silent) = &self.silent {
            silent.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Remote {
    fn answer(&self, to: &TopicPartition, values: Vec<Bytes>) -> Answer {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        state.calls += 1;
        let call = (to.partition, state.calls);
        let polls_left = state.dice.below(if state.mood == Mood::Unsteady { 40 } else { 4 });
        let mut answer = Answer { state: self.state.clone(), call, polls_left, result: None, silent: None };
        state.haunt();
        if state.failed.iter().any(|(partition, _)| *partition == to.partition) {
            answer.result = Some(Err(refused(&mut state.dice)));
            return answer;
        }
        let fails = match state.mood {
            Mood::Well => false,
            Mood::Unsteady => state.dice.one_in(4),
            Mood::Silent => {
                self.silent.fetch_add(1, Ordering::SeqCst);
                answer.silent = Some(self.silent.clone());
                return answer;
            }
            Mood::Broken => {
                answer.result = Some(Err(LogError::Failed("the producer is fenced".into())));
                return answer;
            }
            Mood::Down => true,
        };
        if !fails {
            state.held.push(Held { to: to.clone(), call: call.1, values });
            return answer;
        }
        // What was called for before it is not concerned.
        state.let_go(call);
        if state.mood == Mood::Unsteady {
            let effective = state.dice.below(values.len() as u64 + 1) as usize;
            take_effect(&state.inner, to, values[..effective].to_vec());
            if state.dice.one_in(2) {
                let late = values[effective..].iter().map(|value| (to.clone(), value.clone()));
                state.ghosts.push(late.collect());
            }
        }
        state.failed.push(call);
        answer.result = Some(Err(refused(&mut state.dice)));
        answer
    }
}

impl Log for Remote {
    fn generation(&self) -> &Generation {
        self.inner.generation()
    }

    fn partitions(&self, topic: &str) -> Option<u32> {
        self.inner.partitions(topic)
    }

    fn append(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture {
        Box::pin(self.answer(to, values))
    }

    fn read(&self, from: &TopicPartition, offset: Offset, bytes_max: usize) -> Result<ReadBatch, LogError> {
        self.inner.read(from, offset, bytes_max)
    }

    fn follow(&self, partition: &TopicPartition) -> Result<watch::Receiver<Offset>, LogError> {
        self.inner.follow(partition)
    }

    fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        self.inner.bounds(of)
    }

    fn offset_at(&self, of: &TopicPartition, append_time_ms: i64) -> Result<Offset, LogError> {
        self.inner.offset_at(of, append_time_ms)
    }

    fn fenced_writer(&self, owner: &str) -> Result<Box<dyn FencedWriter>, LogError> {
        self.inner.fenced_writer(owner)
    }

    fn join(&self, group: &str, topic: &str, member: &str) -> Result<Box<dyn Membership>, LogError> {
        self.inner.join(group, topic, member)
    }

    fn committed(&self, group: &str, of: &TopicPartition) -> Result<Option<Committed>, LogError> {
        self.inner.committed(group, of)
    }

    fn set_restore_point(&self, of: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        self.inner.set_restore_point(of, offset)
    }

    fn close(&self) -> Result<(), LogError> {
        self.inner.close()
    }
}
