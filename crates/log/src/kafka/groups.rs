//! Membership in consumer groups: who owns which partition now, and up to where each was processed. Records are read elsewhere,
//! so every partition that a group assigns is paused.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset as Place, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};
use tokio::sync::watch;

use super::{
    client::{self, Context, Health},
    config::KafkaConfig,
    error::{unavailable, words},
    read::{encode_metadata, partition_number},
};
use crate::{
    Assignment, Committed, LogError, Membership, TopicPartition, embedded::Chance, fencing::check_name,
    locks::lock,
};

/// How long a member's thread waits before it looks whether it is to leave.
const POLL: Duration = Duration::from_millis(100);

/// How long leaving may take; after that the group finds out by the session's timeout.
const LEAVE: Duration = Duration::from_secs(5);

/// First and longest pause before a member that was thrown out for good joins anew.
const REJOIN_MS: (u64, u64) = (1000, 30_000);

/// All memberships of this log.
pub(super) struct Groups {
    config: Arc<KafkaConfig>,
    health: Arc<Health>,
    threads: Mutex<Vec<(Arc<AtomicBool>, JoinHandle<()>)>>,
}

impl Groups {
    pub(super) fn new(config: &Arc<KafkaConfig>, health: &Arc<Health>) -> Self {
        Self { config: Arc::clone(config), health: Arc::clone(health), threads: Mutex::default() }
    }

    /// See [`crate::Log::join`]. The first assignment comes when the group has agreed on it.
    pub(super) fn join(
        &self,
        group: &str,
        topic: &str,
        member: &str,
    ) -> Result<Box<dyn Membership>, LogError> {
        check_name("group", group)?;
        check_name("member", member)?;
        let known = self.config.topic(topic);
        let known = known.ok_or_else(|| LogError::UnknownPartition(TopicPartition::new(topic, 0)))?;
        let shared = Arc::new(Member {
            group: group.to_owned(),
            topic: known.name.as_str().into(),
            remote: self.config.remote(topic),
            assignment: watch::Sender::default(),
            consumer: Mutex::default(),
            health: Arc::clone(&self.health),
        });
        let left = Arc::new(AtomicBool::new(false));
        let thread = Thread {
            config: Arc::clone(&self.config),
            member: Arc::clone(&shared),
            name: member.to_owned(),
            left: Arc::clone(&left),
        };
        let consumer = thread.connect().map_err(|error| unavailable(format_args!("join {group}"), &error))?;
        let builder = std::thread::Builder::new().name(format!("kafka-{group}"));
        let spawned = builder.spawn(move || thread.run(consumer));
        let handle =
            spawned.map_err(|error| LogError::Failed(format!("start a member's thread: {error}")))?;
        let mut threads = lock(&self.threads);
        threads.retain(|(_, thread)| !thread.is_finished());
        threads.push((Arc::clone(&left), handle));
        Ok(Box::new(Joined { member: shared, left }))
    }

    /// Leaves all groups, and waits until that is done.
    pub(super) fn close(&self) {
        let threads: Vec<_> = lock(&self.threads).drain(..).collect();
        for (left, _) in &threads {
            left.store(true, Ordering::SeqCst);
        }
        for (_, thread) in threads {
            if thread.join().is_err() {
                tracing::error!("a member's thread has panicked");
            }
        }
    }
}

struct Joined {
    member: Arc<Member>,
    left: Arc<AtomicBool>,
}

/// What the caller, the thread and the client's calls share.
struct Member {
    group: String,
    topic: Arc<str>,
    remote: String,
    assignment: watch::Sender<Assignment>,
    /// Held for a commit and for a rebalance, so that no commit made under one generation goes out under the next.
    consumer: Mutex<Option<Arc<BaseConsumer<GroupContext>>>>,
    health: Arc<Health>,
}

impl Membership for Joined {
    fn assignments(&self) -> watch::Receiver<Assignment> {
        self.member.assignment.subscribe()
    }

    fn commit(&self, generation: u64, of: &TopicPartition, position: Committed) -> Result<(), LogError> {
        let metadata = encode_metadata(&position.metadata)?;
        let member = &self.member;
        let consumer = lock(&member.consumer);
        let stale = || {
            let current = member.assignment.borrow().generation;
            LogError::StaleGeneration { group: member.group.clone(), given: generation, current }
        };
        if generation != member.assignment.borrow().generation {
            return Err(stale());
        }
        if !member.assignment.borrow().partitions.contains(of) {
            return Err(LogError::UnknownPartition(of.clone()));
        }
        let consumer = consumer.as_ref().ok_or_else(stale)?;
        let failed =
            |error: &KafkaError| unavailable(format_args!("commit {of} of group {}", member.group), error);
        let mut positions = TopicPartitionList::with_capacity(1);
        let mut element = positions.add_partition(&member.remote, partition_number(of));
        let offset = Place::Offset(i64::try_from(position.offset).unwrap_or(i64::MAX));
        element.set_offset(offset).map_err(|error| failed(&error))?;
        element.set_metadata(&metadata);
        consumer.commit(&positions, CommitMode::Sync).map_err(|error| match error.rdkafka_error_code() {
            Some(code) if has_moved_on(code) => stale(),
            _ => failed(&error),
        })
    }
}

/// Whether an answer means that the group has another generation now, or another member in this one's place.
fn has_moved_on(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::FencedInstanceId
            | RDKafkaErrorCode::AssignmentLost
            | RDKafkaErrorCode::Fatal
    )
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.left.store(true, Ordering::SeqCst);
    }
}

/// What the client calls when the group is divided anew.
struct GroupContext {
    context: Context,
    member: Arc<Member>,
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let _no_commit = lock(&self.member.consumer);
        let done = if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            take(consumer, list)
        } else {
            consumer.incremental_unassign(list)
        };
        if let Err(error) = done {
            tracing::error!(group = self.member.group, error = words(&error), "rebalance");
        }
        let named: BTreeSet<_> = list
            .elements()
            .iter()
            .filter_map(|element| u32::try_from(element.partition()).ok())
            .map(|partition| TopicPartition::new(Arc::clone(&self.member.topic), partition))
            .collect();
        let gains = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        self.member.change(|partitions| {
            if gains { partitions.extend(named) } else { partitions.retain(|at| !named.contains(at)) }
        });
    }
}

/// Takes partitions over without reading them.
fn take(consumer: &BaseConsumer<GroupContext>, list: &mut TopicPartitionList) -> KafkaResult<()> {
    // A place of its own, so that the client asks for no committed one and fetches nothing before the pause holds.
    list.set_all_offsets(Place::End)?;
    consumer.incremental_assign(list)?;
    if list.count() > 0 { consumer.pause(list) } else { Ok(()) }
}

impl Member {
    fn change(&self, change: impl FnOnce(&mut BTreeSet<TopicPartition>)) {
        self.health.rebalances.fetch_add(1, Ordering::Relaxed);
        self.assignment.send_modify(|assignment| {
            let mut partitions = std::mem::take(&mut assignment.partitions).into_iter().collect();
            change(&mut partitions);
            assignment.partitions = partitions.into_iter().collect();
            assignment.generation += 1;
        });
        let Assignment { generation, partitions } = &*self.assignment.borrow();
        let numbers: Vec<_> = partitions.iter().map(|partition| partition.partition).collect();
        tracing::info!(group = self.group, topic = %self.topic, generation, partitions = ?numbers, "group was divided anew");
    }
}

struct Thread {
    config: Arc<KafkaConfig>,
    member: Arc<Member>,
    name: String,
    left: Arc<AtomicBool>,
}

impl Thread {
    fn connect(&self) -> KafkaResult<Arc<BaseConsumer<GroupContext>>> {
        let session_ms = self.config.session_timeout.as_millis();
        let mut config = client::reading(&self.config, &self.member.group);
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", session_ms.to_string())
            .set("heartbeat.interval.ms", (session_ms / 6).clamp(100, 3000).to_string());
        if !self.config.node.is_empty() {
            config.set("group.instance.id", format!("{}-{}", self.config.node, self.name));
        }
        let context = Context { health: Arc::clone(&self.member.health) };
        let context = GroupContext { context, member: Arc::clone(&self.member) };
        let consumer: Arc<BaseConsumer<GroupContext>> = Arc::new(config.create_with_context(context)?);
        consumer.subscribe(&[&self.member.remote])?;
        *lock(&self.member.consumer) = Some(Arc::clone(&consumer));
        Ok(consumer)
    }

    fn run(self, consumer: Arc<BaseConsumer<GroupContext>>) {
        let mut chance = Chance(self.config.seed);
        let mut pause_ms = REJOIN_MS.0;
        let mut consumer = Some(consumer);
        while !self.left.load(Ordering::SeqCst) {
            let started = Instant::now();
            if let Some(consumer) = consumer.take() {
                let Some(reason) = self.stay(&consumer) else {
                    self.leave(&consumer);
                    break;
                };
                let group = &self.member.group;
                tracing::error!(group, reason, "member was thrown out of its group for good and joins anew");
                self.member.health.fenced.fetch_add(1, Ordering::Relaxed);
                self.disconnect();
                self.member.change(BTreeSet::clear);
            }
            if started.elapsed() > Duration::from_millis(4 * REJOIN_MS.1) {
                pause_ms = REJOIN_MS.0;
            }
            self.pause(Duration::from_millis(pause_ms / 2 + chance.draw() % pause_ms));
            pause_ms = (2 * pause_ms).min(REJOIN_MS.1);
            match self.connect() {
                Ok(new) => consumer = Some(new),
                Err(error) => tracing::error!(error = words(&error), "join"),
            }
        }
        self.disconnect();
    }

    /// Ends the client outside the lock: it may divide the group once more while it ends.
    fn disconnect(&self) {
        let consumer = lock(&self.member.consumer).take();
        drop(consumer);
    }

    fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.left.load(Ordering::SeqCst) {
            std::thread::sleep(POLL);
        }
    }

    /// Stays in the group until asked to leave; gives a reason when the group ended it for good.
    fn stay(&self, consumer: &BaseConsumer<GroupContext>) -> Option<String> {
        let mut told = None;
        while !self.left.load(Ordering::SeqCst) {
            let Some(polled) = consumer.poll(POLL) else { continue };
            let Err(error) = polled else { continue };
            if let Some((_, reason)) = consumer.client().fatal_error() {
                return Some(reason);
            }
            // Said once for as long as it stays the same: the client tries on by itself.
            if told.as_ref() != Some(&error) && !matches!(error, KafkaError::PartitionEOF(_)) {
                tracing::warn!(group = self.member.group, error = words(&error), "member of a group");
                told = Some(error);
            }
        }
        None
    }

    /// Gives everything back and says so: the others need not wait for the session to time out, static or not.
    fn leave(&self, consumer: &BaseConsumer<GroupContext>) {
        let deadline = Instant::now() + LEAVE;
        consumer.unsubscribe();
        while Instant::now() < deadline {
            drop(consumer.poll(POLL / 10));
            let is_empty = consumer.assignment().is_ok_and(|list| list.count() == 0);
            if is_empty && self.member.assignment.borrow().partitions.is_empty() {
                break;
            }
        }
    }
}
