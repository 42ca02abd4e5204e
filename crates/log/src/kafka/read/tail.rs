//! One client for each followed topic, on a thread of its own, that brings what is new into memory and tells followers.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset as Place, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::watch;

use super::{
    cursors::record,
    query::{Query, partition_number, reader},
    ring::Ring,
};
use crate::{
    LogError, Offset, TopicPartition,
    kafka::{
        client::{Context, Health},
        config::KafkaConfig,
        error::{unavailable, words},
    },
    locks::{lock, read, write},
};

/// How long a tail waits for records before it looks whether it follows other partitions now.
const POLL: Duration = Duration::from_millis(50);

/// Records taken at a time before followers are told.
const RECORDS_AT_ONCE: usize = 1000;

/// How often partitions are looked for that nobody follows any more.
const PRUNE_EVERY: Duration = Duration::from_secs(1);

/// KiB that a tail has fetched and not taken yet.
const AHEAD_KIB: usize = 16 * 1024;

/// All tails.
pub(super) struct Tails {
    config: Arc<KafkaConfig>,
    health: Arc<Health>,
    query: Arc<Query>,
    topics: RwLock<HashMap<Arc<str>, Arc<Tail>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    ended: Arc<AtomicBool>,
}

/// What is followed of one topic.
struct Tail {
    topic: Arc<str>,
    rings: RwLock<HashMap<u32, Arc<Ring>>>,
    /// Held while a partition is added or dropped, so that a new follower never gets one that is being dropped.
    changing: Mutex<()>,
}

impl Tails {
    pub(super) fn new(config: &Arc<KafkaConfig>, health: &Arc<Health>, query: &Arc<Query>) -> Self {
        Self {
            config: Arc::clone(config),
            health: Arc::clone(health),
            query: Arc::clone(query),
            topics: RwLock::default(),
            threads: Mutex::default(),
            ended: Arc::default(),
        }
    }

    /// What is in memory of a partition, if it is followed.
    pub(super) fn ring(&self, of: &TopicPartition) -> Option<Arc<Ring>> {
        let tail = read(&self.topics).get(&of.topic).cloned()?;
        read(&tail.rings).get(&of.partition).cloned()
    }

    /// Follows a partition from its present end on.
    pub(super) fn follow(&self, partition: &TopicPartition) -> Result<watch::Receiver<Offset>, LogError> {
        if self.ended.load(Ordering::SeqCst) {
            return Err(LogError::Closed);
        }
        let tail = self.tail(&partition.topic)?;
        let _changing = lock(&tail.changing);
        if let Some(ring) = read(&tail.rings).get(&partition.partition) {
            return Ok(ring.subscribe());
        }
        let end = self.query.bounds(partition)?.end;
        let ring = Arc::new(Ring::new(end, self.config.ring_bytes));
        let follower = ring.subscribe();
        write(&tail.rings).insert(partition.partition, ring);
        Ok(follower)
    }

    fn tail(&self, topic: &Arc<str>) -> Result<Arc<Tail>, LogError> {
        let mut topics = write(&self.topics);
        if let Some(tail) = topics.get(topic) {
            return Ok(Arc::clone(tail));
        }
        let failed = |error: &KafkaError| unavailable(format_args!("follow {topic}"), error);
        let consumer = reader(&self.config, &self.health, AHEAD_KIB).map_err(|error| failed(&error))?;
        let tail =
            Arc::new(Tail { topic: Arc::clone(topic), rings: RwLock::default(), changing: Mutex::default() });
        let thread = Thread {
            config: Arc::clone(&self.config),
            query: Arc::clone(&self.query),
            tail: Arc::clone(&tail),
            consumer,
            assigned: BTreeSet::new(),
            lost_place: Cell::new(false),
            ended: Arc::clone(&self.ended),
        };
        let builder = std::thread::Builder::new().name(format!("kafka-tail-{topic}"));
        let spawned = builder.spawn(move || thread.run());
        let handle = spawned.map_err(|error| LogError::Failed(format!("start a thread: {error}")))?;
        lock(&self.threads).push(handle);
        topics.insert(Arc::clone(topic), Arc::clone(&tail));
        Ok(tail)
    }

    pub(super) fn close(&self) {
        self.ended.store(true, Ordering::SeqCst);
        for thread in lock(&self.threads).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that follows the log has panicked");
            }
        }
        // Followers learn that nothing more comes.
        write(&self.topics).clear();
    }
}

struct Thread {
    config: Arc<KafkaConfig>,
    query: Arc<Query>,
    tail: Arc<Tail>,
    consumer: BaseConsumer<Context>,
    assigned: BTreeSet<u32>,
    /// A place was gone, and where to go on is still to be asked: the client does not read that partition any more.
    lost_place: Cell<bool>,
    ended: Arc<AtomicBool>,
}

impl Thread {
    fn run(mut self) {
        let remote = self.config.remote(&self.tail.topic);
        // Without this the first fetch comes half a second late; when it fails, later.
        self.consumer.fetch_metadata(Some(&remote), self.config.request_timeout).ok();
        let mut pruned = Instant::now();
        while !self.ended.load(Ordering::SeqCst) {
            if pruned.elapsed() > PRUNE_EVERY {
                self.prune();
                pruned = Instant::now();
            }
            self.follow_new(&remote);
            if self.lost_place.get() {
                self.lost_place.set(!self.find_place_again());
            }
            if self.assigned.is_empty() {
                std::thread::sleep(POLL / 5);
            } else {
                self.take();
            }
        }
    }

    /// Begins to read partitions that were added, at the end of their rings.
    fn follow_new(&mut self, remote: &str) {
        let new: Vec<_> = {
            let rings = read(&self.tail.rings);
            let new = rings.iter().filter(|(partition, _)| !self.assigned.contains(partition));
            new.map(|(&partition, ring)| (partition, ring.end())).collect()
        };
        if new.is_empty() {
            return;
        }
        match self.consumer.incremental_assign(&places(remote, &new)) {
            Ok(()) => self.assigned.extend(new.iter().map(|(partition, _)| partition)),
            Err(error) => self.complain("cannot be followed", &error),
        }
    }

    /// Stops reading what nobody follows any more.
    fn prune(&mut self) {
        let _changing = lock(&self.tail.changing);
        let mut rings = write(&self.tail.rings);
        let left: Vec<_> = rings
            .iter()
            .filter(|(_, ring)| !ring.has_followers())
            .map(|(&partition, _)| (partition, 0))
            .collect();
        if left.is_empty() {
            return;
        }
        for (partition, _) in &left {
            rings.remove(partition);
        }
        drop(rings);
        let assigned: Vec<_> =
            left.into_iter().filter(|(partition, _)| self.assigned.remove(partition)).collect();
        let remote = self.config.remote(&self.tail.topic);
        if let Err(error) = self.consumer.incremental_unassign(&places(&remote, &assigned)) {
            self.complain("is followed on", &error);
        }
    }

    /// Takes what has come, and tells followers once for all of it.
    fn take(&self) {
        let mut touched = HashMap::new();
        let mut wait = POLL;
        for _ in 0..RECORDS_AT_ONCE {
            let Some(polled) = self.consumer.poll(wait) else { break };
            wait = Duration::ZERO;
            match polled {
                Ok(message) => {
                    let partition = u32::try_from(message.partition()).unwrap_or(u32::MAX);
                    let ring = touched.entry(partition).or_insert_with(|| self.ring(partition));
                    if let Some(ring) = ring {
                        ring.push(record(&message));
                    }
                }
                Err(KafkaError::PartitionEOF(partition)) => {
                    let partition = u32::try_from(partition).unwrap_or(u32::MAX);
                    let ring = touched.entry(partition).or_insert_with(|| self.ring(partition));
                    if let Some((ring, end)) = ring.as_ref().zip(self.position(partition)) {
                        ring.advance(end);
                    }
                }
                Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
                )) => self.lost_place.set(true),
                Err(error) => tracing::debug!(error = words(&error), topic = %self.tail.topic, "follow"),
            }
        }
        touched.into_values().flatten().for_each(|ring| ring.announce());
    }

    fn ring(&self, partition: u32) -> Option<Arc<Ring>> {
        read(&self.tail.rings).get(&partition).cloned()
    }

    /// Where the client is in a topic with transactions, whose markers take offsets that hold nothing.
    fn position(&self, partition: u32) -> Option<Offset> {
        self.config.topic(&self.tail.topic).filter(|topic| topic.transactional)?;
        let positions = self.consumer.position().ok()?;
        let remote = self.config.remote(&self.tail.topic);
        let of = TopicPartition::new(Arc::clone(&self.tail.topic), partition);
        match positions.find_partition(&remote, partition_number(&of))?.offset() {
            Place::Offset(offset) => u64::try_from(offset).ok(),
            _ => None,
        }
    }

    /// A place that brokers do not have: the partition was cut off in front, faster than it was read, or lost its end.
    /// Goes on where there is something; readers meet what is missing by reading. Which partition it was is not said, so
    /// that all are placed anew. Whether that is done.
    fn find_place_again(&self) -> bool {
        let rings: Vec<_> = read(&self.tail.rings).iter().map(|(&at, ring)| (at, Arc::clone(ring))).collect();
        let remote = self.config.remote(&self.tail.topic);
        for (partition, ring) in rings {
            let of = TopicPartition::new(Arc::clone(&self.tail.topic), partition);
            let Ok(bounds) = self.query.bounds(&of) else { return false };
            let from = ring.end().clamp(bounds.start, bounds.end);
            if from != ring.end() {
                tracing::warn!(partition = %of, from = ring.end(), to = from, "a followed place is gone; following on elsewhere");
                ring.restart(from);
            }
            if !self.assigned.contains(&partition) {
                continue;
            }
            let place = places(&remote, &[(partition, from)]);
            let moved = self
                .consumer
                .incremental_unassign(&place)
                .and_then(|()| self.consumer.incremental_assign(&place));
            if let Err(error) = moved {
                self.complain("is not followed any more", &error);
                return false;
            }
        }
        true
    }

    fn complain(&self, what: &str, error: &KafkaError) {
        tracing::error!(topic = %self.tail.topic, error = words(error), "{what}");
    }
}

fn places(topic: &str, partitions: &[(u32, Offset)]) -> TopicPartitionList {
    let element = |&(partition, offset): &(u32, Offset)| {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        (topic.to_owned(), partition, Place::Offset(i64::try_from(offset).unwrap_or(i64::MAX)))
    };
    partitions.iter().map(element).collect()
}
