//! Groups reactions of all connections into records of one partition each, and answers when a record is durable.
//!
//! While the log writes one round of records, the next reactions gather; so the busier it is, the larger the batches
//! (group commit), and an idle log answers at once.
//!
//! The log is the one that counting reads, or in front of Kafka the spool's.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use emostream_log::{Log, LogError, TopicPartition};
use emostream_protocol::{
    Emotes,
    limits::RECORD_BYTES_MAX,
    record::{BatchBuilder, NewReaction},
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Duration, Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Components,
    recent::RecentIds,
    spool::{Positions, Spool},
};
use crate::{
    channels::Channel,
    config::IngestConfig,
    intake::{Accepted, Receipt, Refusal},
    pressure::Pressure,
    tasks::Tasks,
    telemetry::{Labelled, Metrics},
};

/// A record is begun anew beyond this, so that one request's reactions always fit into what is left.
const RECORD_BYTES_FULL: usize = RECORD_BYTES_MAX / 2;

/// The queues of all partitions.
pub struct Batcher {
    queues: Vec<Arc<Queue>>,
    reactions_max: usize,
    emotes: Arc<Emotes>,
    stop: CancellationToken,
}

struct Queue {
    target: TopicPartition,
    gathering: Mutex<Gathering>,
    work: Notify,
    drained: Notify,
}

/// What gathers for the next round.
#[derive(Default)]
struct Gathering {
    open: BatchBuilder,
    full: Vec<Bytes>,
    /// For records of the spool.
    positions: Option<Positions>,
    waiters: Vec<Waiter>,
    reactions: usize,
    round: u64,
    durable_round: u64,
    recent: RecentIds,
    stopping: bool,
    idle: bool,
}

/// Somebody to be told when a round is durable.
struct Waiter {
    answer: Answer,
    /// A repeat of a reaction in the round before waits for both: rounds end in order.
    needs_previous: bool,
}

enum Answer {
    Alone(oneshot::Sender<Result<(), Refusal>>),
    Shared(Arc<Shared>),
}

/// A submission whose reactions went to several partitions.
struct Shared {
    left: AtomicUsize,
    answer: Mutex<Option<oneshot::Sender<Result<(), Refusal>>>>,
}

/// What a partition made of its part of a submission.
#[derive(Default)]
struct Taken {
    accepted: Accepted,
    pending: bool,
    needs_previous: bool,
}

impl Answer {
    fn give(self, result: Result<(), Refusal>) {
        let sender = match self {
            Self::Alone(sender) => Some(sender),
            Self::Shared(shared) => {
                let last = shared.left.fetch_sub(1, Ordering::AcqRel) == 1;
                let mut sender = shared.answer.lock().unwrap_or_else(|e| e.into_inner());
                if last || result.is_err() { sender.take() } else { None }
            }
        };
        // Nobody listens when the connection is gone: the reaction is durable all the same.
        if let Some(sender) = sender {
            drop(sender.send(result));
        }
    }
}

impl Batcher {
    /// Starts one flushing task a partition.
    pub fn start(config: &IngestConfig, components: &Components, tasks: &Tasks) -> Self {
        let stop = CancellationToken::new();
        let targets = components.targets();
        let partitions = targets.len();
        let spool = components.spool.as_ref();
        let queues: Vec<_> = targets
            .into_iter()
            .enumerate()
            .map(|(partition, target)| {
                // Round 0 is durable from the start; the first that gathers is round 1.
                let gathering = Gathering {
                    round: 1,
                    idle: true,
                    recent: RecentIds::new(partitions),
                    positions: spool.map(|spool| spool.positions(partition)),
                    ..Gathering::default()
                };
                Arc::new(Queue {
                    target,
                    gathering: Mutex::new(gathering),
                    work: Notify::new(),
                    drained: Notify::new(),
                })
            })
            .collect();
        for queue in &queues {
            let flusher = Flusher {
                queue: queue.clone(),
                log: spool.map_or(&components.log, |spool| spool.log()).clone(),
                spool: spool.cloned(),
                emotes: components.emotes.clone(),
                metrics: components.metrics.clone(),
                pressure: components.pressure.clone(),
                linger: Duration::from_millis(config.flush_ms),
                stop: stop.clone(),
                previous_failure: None,
            };
            tasks.spawn_essential("ingest flush", flusher.run());
        }
        let reactions_max = config.queue_reactions_max;
        Self { queues, reactions_max, emotes: components.emotes.clone(), stop }
    }

    /// Queues reactions of one channel, all or none.
    pub fn submit(&self, channel: &Arc<Channel>, reactions: &[NewReaction<'_>]) -> Result<Receipt, Refusal> {
        let Some(first) = reactions.first() else { return Ok(Receipt::Done(Accepted::default())) };
        if reactions.len() > 1 && self.queues.len() > 1 {
            return self.submit_to_many(channel, reactions);
        }
        let queue = &self.queues[self.partition_of(channel, first)];
        let mut gathering = self.room(queue, reactions.len())?;
        let taken = gathering.take_in(channel, reactions, &self.emotes);
        if !taken.pending {
            return Ok(Receipt::Done(taken.accepted));
        }
        let (sender, receiver) = oneshot::channel();
        let answer = Answer::Alone(sender);
        gathering.waiters.push(Waiter { answer, needs_previous: taken.needs_previous });
        queue.wake(gathering);
        Ok(Receipt::Waiting(receiver, taken.accepted))
    }

    fn partition_of(&self, channel: &Channel, reaction: &NewReaction<'_>) -> usize {
        let partitions = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
        reaction.id.partition(&channel.name, partitions) as usize
    }

    fn submit_to_many(
        &self,
        channel: &Arc<Channel>,
        reactions: &[NewReaction<'_>],
    ) -> Result<Receipt, Refusal> {
        let mut by_partition: Vec<Vec<NewReaction<'_>>> = vec![Vec::new(); self.queues.len()];
        for reaction in reactions {
            by_partition[self.partition_of(channel, reaction)].push(*reaction);
        }
        // All locks are taken, in one order, before the first reaction is queued: all or none.
        let mut locked = Vec::new();
        for (queue, part) in self.queues.iter().zip(&by_partition).filter(|(_, part)| !part.is_empty()) {
            locked.push((queue, self.room(queue, part.len())?, part));
        }
        let (sender, receiver) = oneshot::channel();
        let shared = Arc::new(Shared { left: AtomicUsize::new(1), answer: Mutex::new(Some(sender)) });
        let mut accepted = Accepted::default();
        for (queue, mut gathering, part) in locked {
            let taken = gathering.take_in(channel, part, &self.emotes);
            accepted.accepted += taken.accepted.accepted;
            accepted.duplicates += taken.accepted.duplicates;
            if taken.pending {
                shared.left.fetch_add(1, Ordering::AcqRel);
                let answer = Answer::Shared(shared.clone());
                gathering.waiters.push(Waiter { answer, needs_previous: taken.needs_previous });
                queue.wake(gathering);
            }
        }
        // The one that `left` began with: the answer cannot come before all partitions have been counted in.
        Answer::Shared(shared).give(Ok(()));
        Ok(Receipt::Waiting(receiver, accepted))
    }

    fn room<'q>(&self, queue: &'q Queue, more: usize) -> Result<MutexGuard<'q, Gathering>, Refusal> {
        let gathering = queue.lock();
        if gathering.stopping {
            return Err(Refusal::Stopping);
        }
        if gathering.reactions + more > self.reactions_max {
            return Err(Refusal::Overloaded);
        }
        Ok(gathering)
    }

    /// Refuses from now on; returns when everything queued was answered.
    pub async fn stop(&self) {
        self.stop.cancel();
        for queue in &self.queues {
            queue.drained.notified().await;
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Gathering> {
        self.gathering.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Wakes the flusher only when it sleeps: under load it finds the next round by itself.
    fn wake(&self, mut gathering: MutexGuard<'_, Gathering>) {
        let sleeps = std::mem::take(&mut gathering.idle);
        drop(gathering);
        if sleeps {
            self.work.notify_one();
        }
    }

    /// Refuses what waits, and what will come.
    fn refuse_all(&self, refusal: &Refusal) {
        let waiters = {
            let mut gathering = self.lock();
            gathering.stopping = true;
            std::mem::take(&mut gathering.waiters)
        };
        for waiter in waiters {
            waiter.answer.give(Err(refusal.clone()));
        }
    }
}

impl Gathering {
    /// Adds reactions to the round that gathers.
    fn take_in(&mut self, channel: &Arc<Channel>, reactions: &[NewReaction<'_>], emotes: &Emotes) -> Taken {
        if !self.open.has_room(reactions.len()) || self.open.bytes() > RECORD_BYTES_FULL {
            self.finish_open(emotes);
        }
        let mut taken = Taken::default();
        for reaction in reactions {
            if reaction.id_from_client {
                let earlier = self.recent.take(reaction.id, channel.index, self.round, reaction.received_ms);
                if let Some(round) = earlier {
                    taken.accepted.duplicates += 1;
                    taken.pending |= round > self.durable_round;
                    taken.needs_previous |= round > self.durable_round && round < self.round;
                    continue;
                }
            }
            taken.pending = true;
            taken.accepted.accepted += 1;
            self.reactions += 1;
            self.open.push(&channel.name, reaction);
        }
        taken
    }

    /// Closes the record that is open, as the last one of the round so far.
    fn finish_open(&mut self, emotes: &Emotes) {
        let position = self.positions.as_mut().map(Positions::next);
        let record = self.open.finish(position, emotes);
        self.full.push(record);
    }
}

/// What one round takes to the log.
struct Round {
    records: Vec<Bytes>,
    waiters: Vec<Waiter>,
    accepted: usize,
    number: u64,
}

/// The task that takes rounds to the log, one after the other.
struct Flusher {
    queue: Arc<Queue>,
    log: Arc<dyn Log>,
    /// Where that log is a spool's.
    spool: Option<Arc<Spool>>,
    emotes: Arc<Emotes>,
    metrics: Arc<Metrics>,
    pressure: Arc<Pressure>,
    linger: Duration,
    stop: CancellationToken,
    previous_failure: Option<Refusal>,
}

impl Flusher {
    async fn run(mut self) -> anyhow::Result<()> {
        let ended = self.take_rounds().await;
        if let Err(error) = &ended {
            self.queue.refuse_all(&refusal(error));
        }
        self.queue.drained.notify_one();
        Ok(ended?)
    }

    /// Takes rounds to the log until the stop, or until the log has failed for good: a node that could only refuse
    /// from then on ends, so that another start can find out what the disk still holds.
    async fn take_rounds(&mut self) -> Result<(), LogError> {
        loop {
            match self.next_round() {
                Some(round) => self.flush(round).await?,
                None if self.stop.is_cancelled() && self.refuse_more() => return Ok(()),
                None => tokio::select! {
                    () = self.queue.work.notified() => self.gather().await,
                    () = self.stop.cancelled() => {}
                },
            }
        }
    }

    /// Lets more reactions join a round that begins on an idle log.
    async fn gather(&self) {
        if !self.linger.is_zero() {
            sleep(self.linger).await;
        }
    }

    /// Marks the queue as stopping; true when nothing slipped in before.
    fn refuse_more(&self) -> bool {
        let mut gathering = self.queue.lock();
        gathering.stopping = true;
        gathering.waiters.is_empty() && gathering.open.is_empty() && gathering.full.is_empty()
    }

    fn next_round(&self) -> Option<Round> {
        let mut gathering = self.queue.lock();
        if gathering.waiters.is_empty() && gathering.open.is_empty() && gathering.full.is_empty() {
            gathering.idle = true;
            return None;
        }
        if !gathering.open.is_empty() {
            gathering.finish_open(&self.emotes);
        }
        let number = gathering.round;
        gathering.round += 1;
        Some(Round {
            records: std::mem::take(&mut gathering.full),
            waiters: std::mem::take(&mut gathering.waiters),
            accepted: std::mem::take(&mut gathering.reactions),
            number,
        })
    }

    /// Answers a round. Fails only where the log takes nothing any more.
    async fn flush(&mut self, round: Round) -> Result<(), LogError> {
        let appended =
            if round.records.is_empty() { Ok(()) } else { self.append(round.records, round.accepted).await };
        let result = appended.as_ref().map_err(refusal).copied();
        {
            let mut gathering = self.queue.lock();
            gathering.durable_round = round.number;
            if result.is_err() {
                gathering.recent.forget_round(round.number);
            }
        }
        if result.is_ok() {
            self.metrics.reactions_accepted.inc_by(round.accepted as u64);
        }
        for waiter in round.waiters {
            let previous = self.previous_failure.clone().filter(|_| waiter.needs_previous);
            waiter.answer.give(previous.map_or_else(|| result.clone(), Err));
        }
        self.previous_failure = result.err();
        match appended {
            Err(error @ LogError::Failed(_)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn append(&self, records: Vec<Bytes>, reactions: usize) -> Result<(), LogError> {
        let began = Instant::now();
        self.metrics.batches_appended.inc_by(records.len() as u64);
        let bytes = records.iter().map(Bytes::len).sum();
        let backlog = self.spool.as_ref().map(|spool| spool.backlog());
        if let Some(backlog) = backlog {
            backlog.add(reactions, bytes);
        }
        let result = self.log.append(&self.queue.target, records).await;
        self.metrics.append_seconds.observe(began.elapsed().as_secs_f64());
        if result.is_err() {
            if let Some(backlog) = backlog {
                backlog.take(reactions, bytes);
            }
            self.metrics.submissions_refused.get_or_create(&Labelled { kind: "append-failed" }).inc();
        }
        self.tell_room(result.as_ref().err());
        result.map(|_| ())
    }

    /// Says whether the log that counting reads has room. Failures of other kinds say nothing about it.
    fn tell_room(&self, error: Option<&LogError>) {
        if self.spool.is_none() && error.is_none_or(|error| matches!(error, LogError::Full(_))) {
            self.pressure.set_log_full(error.is_some());
        }
    }
}

fn refusal(error: &LogError) -> Refusal {
    match error {
        LogError::Full(detail) => Refusal::LogFull(detail.clone()),
        LogError::Overloaded(_) => Refusal::Overloaded,
        LogError::Closed => Refusal::Stopping,
        other => Refusal::LogUnavailable(other.to_string()),
    }
}
