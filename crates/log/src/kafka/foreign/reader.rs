//! A member of a group that reads foreign topics.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    ClientContext, Message, Offset as Place, Timestamp, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers},
    types::RDKafkaRespErr,
};

use super::places::{self, ANSWER};
use crate::{
    LogError, Offset, TopicPartition,
    foreign::{
        ForeignBegin, ForeignReader, ForeignRecord, Gathered, OWN_HEADER, TakenPartition, TopicIdentity,
    },
    kafka::{
        client::{self, Context, Health},
        config::KafkaConfig,
        error::{unavailable, words},
    },
    locks::lock,
};

/// How long records gather after the first: every batch costs a question for the topics' ids, and an append.
const LINGER: Duration = Duration::from_millis(10);

/// Records of one batch …
const RECORDS_MAX: usize = 8_192;

/// … and bytes of their keys and values, beyond which no more are added.
const BYTES_MAX: usize = 4 << 20;

/// How often the ends of partitions are asked for.
const ENDS_EVERY: Duration = Duration::from_millis(500);

/// How often topics are confirmed of which nothing comes: the client may wait for ever for the old one.
const CONFIRM_EVERY: Duration = Duration::from_secs(2);

/// After a question that was not answered, the next one waits so long.
const REST: Duration = Duration::from_millis(250);

/// How long giving everything back may take.
const LEAVE: Duration = Duration::from_secs(5);

pub(super) struct Reader {
    consumer: BaseConsumer<Rebalances>,
    begin: ForeignBegin,
    cluster: Option<Arc<str>>,
    /// Topics' ids as they were when their partitions were taken.
    identities: BTreeMap<Arc<str>, TopicIdentity>,
    /// Partitions that are read.
    taken: BTreeSet<TopicPartition>,
    /// Partitions that the group has given to this member, and of which it is not known yet where to begin.
    waiting: BTreeSet<TopicPartition>,
    /// Whether the client waits for an answer to what the group has given.
    must_answer: bool,
    lost: Vec<TopicPartition>,
    /// Polled, and not given out because the topics could not be confirmed.
    held: Vec<ForeignRecord>,
    ends_asked: Instant,
    confirmed: Instant,
    rest_until: Instant,
    /// The last trouble that was told.
    told: Option<String>,
}

impl Reader {
    pub(super) fn join(
        config: &KafkaConfig,
        health: &Arc<Health>,
        group: &str,
        topics: &[String],
        begin: ForeignBegin,
    ) -> KafkaResult<Self> {
        let session_ms = config.session_timeout.as_millis();
        let mut client = client::reading(config, group);
        client
            .set("enable.partition.eof", "false")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", session_ms.to_string())
            .set("heartbeat.interval.ms", (session_ms / 6).clamp(100, 3000).to_string())
            .set("max.poll.interval.ms", "60000")
            // What is done is committed by the client, also when a partition is lost.
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "500")
            // A topic that was made, or made anew, is noticed within this time.
            .set("topic.metadata.refresh.interval.ms", "5000")
            .set("queued.max.messages.kbytes", "4096")
            .set("fetch.max.bytes", (8 << 20).to_string())
            .set("statistics.interval.ms", "1000");
        if !config.node.is_empty() {
            client.set("group.instance.id", format!("{}-{group}", config.node));
        }
        let context = Context { health: Arc::clone(health) };
        let consumer: BaseConsumer<Rebalances> =
            client.create_with_context(Rebalances { context, heard: Mutex::default() })?;
        let topics: Vec<_> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        let now = Instant::now();
        Ok(Self {
            consumer,
            begin,
            cluster: None,
            identities: BTreeMap::new(),
            taken: BTreeSet::new(),
            waiting: BTreeSet::new(),
            must_answer: false,
            lost: Vec::new(),
            held: Vec::new(),
            ends_asked: now,
            confirmed: now,
            rest_until: now,
            told: None,
        })
    }

    /// Says once what is wrong for as long as it is the same.
    fn tell(&mut self, action: &str, error: &KafkaError) {
        let trouble = format!("{action}: {}", words(error));
        tracing::debug!(trouble, "other people's topics");
        if self.told.as_ref() != Some(&trouble) {
            tracing::warn!(trouble, "other people's topics");
            self.told = Some(trouble);
        }
    }

    /// Takes note of what the group has decided.
    fn hear(&mut self) {
        let heard = std::mem::take(&mut *lock(&self.consumer.context().heard));
        for change in heard {
            match change {
                Change::Given(partitions) => {
                    self.waiting.extend(partitions);
                    self.must_answer = true;
                }
                Change::Lost(partitions) => {
                    for partition in partitions {
                        self.forget(&partition);
                    }
                }
            }
        }
    }

    fn forget(&mut self, partition: &TopicPartition) {
        self.waiting.remove(partition);
        self.held.retain(|record| record.partition != *partition);
        if self.taken.remove(partition) {
            self.lost.push(partition.clone());
        }
    }

    /// Begins to read what the group has given to this member: topic by topic, so that one that is gone or has no leader
    /// keeps nobody waiting.
    fn take(&mut self) -> Vec<TakenPartition> {
        if (self.waiting.is_empty() && !self.must_answer) || Instant::now() < self.rest_until {
            return Vec::new();
        }
        let topics: BTreeSet<_> = self.waiting.iter().map(|partition| Arc::clone(&partition.topic)).collect();
        let mut taken = Vec::new();
        for topic in topics {
            match self.place(&topic) {
                Ok(more) => taken.extend(more),
                Err(error) => {
                    self.tell(&format!("find where to begin in {topic}"), &error);
                    self.rest_until = Instant::now() + REST;
                }
            }
        }
        if let Err(error) = self.assign(&taken) {
            self.tell("begin", &error);
            return Vec::new();
        }
        for one in &taken {
            self.waiting.remove(&one.partition);
            self.taken.insert(one.partition.clone());
            self.identities.insert(Arc::clone(&one.partition.topic), one.identity.clone());
            // So that a group that begins at the end knows for ever where that was.
            self.store(&one.partition, one.next);
        }
        taken
    }

    /// Answers what the group has given, also with nothing.
    fn assign(&mut self, taken: &[TakenPartition]) -> KafkaResult<()> {
        if taken.is_empty() && !self.must_answer {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for TakenPartition { partition, next, .. } in taken {
            let place = Place::Offset(i64::try_from(*next).unwrap_or(i64::MAX));
            list.add_partition_offset(&partition.topic, places::number(partition), place)?;
        }
        self.consumer.incremental_assign(&list)?;
        self.must_answer = false;
        Ok(())
    }

    /// Where to begin in the partitions of a topic.
    fn place(&mut self, topic: &Arc<str>) -> KafkaResult<Vec<TakenPartition>> {
        let partitions: Vec<_> =
            self.waiting.iter().filter(|partition| partition.topic == *topic).cloned().collect();
        let cluster = match &self.cluster {
            Some(cluster) => Arc::clone(cluster),
            None => self.consumer.client().fetch_cluster_id(ANSWER).unwrap_or_default().into(),
        };
        self.cluster = Some(Arc::clone(&cluster));
        let gone = || KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition);
        // Asked before all else: what is found of a topic that is made anew in between does not hold for its new id.
        let id = places::identities(&self.consumer, &[topic])?.remove(&**topic).ok_or_else(gone)?;
        let committed = places::committed(&self.consumer, &[topic])?;
        let bounds = places::bounds(&self.consumer, &partitions)?;
        let mut taken = Vec::new();
        for partition in partitions {
            let bounds = *bounds.get(&partition).ok_or_else(gone)?;
            // A place in a topic of the same name that was deleted since means nothing.
            let place = committed.get(&partition).filter(|place| place.topic.is_none_or(|of| of == id));
            let is_known = !committed.is_empty();
            let start = places::start(place.map(|place| place.at), bounds, self.begin, is_known);
            if start.missed > 0 {
                tracing::error!(
                    %partition,
                    records = start.missed,
                    "records were deleted by their topic's retention before they were read: they are missing"
                );
            }
            let identity = TopicIdentity { cluster: Arc::clone(&cluster), topic: id };
            taken.push(TakenPartition { partition, identity, next: start.at, end: bounds.end });
        }
        Ok(taken)
    }

    fn store(&self, of: &TopicPartition, next: Offset) {
        let offset = i64::try_from(next).unwrap_or(i64::MAX);
        let topic = self.identities.get(&of.topic).map(|identity| identity.topic).unwrap_or_default();
        let mut list = TopicPartitionList::with_capacity(1);
        let mut element = list.add_partition(&of.topic, places::number(of));
        element.set_metadata(places::write_id(&topic));
        let placed = element.set_offset(Place::Offset(offset));
        if let Err(error) = placed.and_then(|()| self.consumer.store_offsets(&list)) {
            // It is somebody else's by now, who goes on where this member has committed.
            tracing::debug!(partition = %of, error = words(&error), "place not stored");
        }
    }

    /// Reads partitions anew from where they now begin to differ from what was thought of them.
    fn retake(&mut self, partitions: Vec<TopicPartition>) -> KafkaResult<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.consumer.incremental_unassign(&places::list(&partitions))?;
        for partition in &partitions {
            self.forget(partition);
        }
        self.waiting.extend(partitions);
        Ok(())
    }

    /// Adds what is there to what is held.
    fn poll(&mut self, patience: Duration) -> Result<(), LogError> {
        let mut until = Instant::now() + patience;
        let mut bytes = self.held.iter().map(size).sum::<usize>();
        while self.held.len() < RECORDS_MAX && bytes < BYTES_MAX {
            let left = until.saturating_duration_since(Instant::now());
            match self.consumer.poll(left) {
                Some(Ok(message)) => {
                    let record = record(&message);
                    drop(message);
                    bytes += size(&record);
                    if self.held.is_empty() {
                        until = until.min(Instant::now() + LINGER);
                    }
                    self.held.push(record);
                }
                Some(Err(error)) => self.trouble(&error)?,
                // Also when something else was heard than records.
                None if left.is_zero() => break,
                None => {}
            }
            if !lock(&self.consumer.context().heard).is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn trouble(&mut self, error: &KafkaError) -> Result<(), LogError> {
        if let Some((code, reason)) = self.consumer.client().fatal_error() {
            return Err(match code {
                RDKafkaErrorCode::FencedInstanceId => LogError::Fenced(format!("{reason} ({code})")),
                _ => LogError::Failed(format!("read other people's topics: {reason}")),
            });
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                let outside = self.outside();
                let again = outside.and_then(|outside| self.retake(outside));
                again.map_err(|error| unavailable("look where partitions begin", &error))?;
            }
            _ => self.tell("read", error),
        }
        Ok(())
    }

    /// Partitions that no longer have the place where this member is.
    fn outside(&self) -> KafkaResult<Vec<TopicPartition>> {
        let partitions: Vec<_> = self.taken.iter().cloned().collect();
        let bounds = places::bounds(&self.consumer, &partitions)?;
        let positions = self.consumer.position()?;
        let is_outside = |partition: &TopicPartition| {
            let at = positions.find_partition(&partition.topic, places::number(partition));
            let at = at.and_then(|at| at.offset().to_raw()).and_then(|at| u64::try_from(at).ok());
            // Where nothing was read yet the place is not known, and the partition may be the one.
            bounds.get(partition).is_none_or(|kept| at.is_none_or(|at| at < kept.start || at > kept.end))
        };
        Ok(partitions.into_iter().filter(is_outside).collect())
    }

    /// Makes sure that every topic of what is held is still the one that it was when its partitions were taken: what came
    /// before this question is of that one, since ids never return. The others are taken anew. Now and then all topics are
    /// asked for.
    fn confirm(&mut self) -> KafkaResult<()> {
        let is_due = self.confirmed.elapsed() > CONFIRM_EVERY && Instant::now() >= self.rest_until;
        let topics: BTreeSet<_> = if is_due {
            self.taken.iter().map(|partition| Arc::clone(&partition.topic)).collect()
        } else {
            self.held.iter().map(|record| Arc::clone(&record.partition.topic)).collect()
        };
        let names: Vec<_> = topics.iter().map(|topic| &**topic).collect();
        let now = places::identities(&self.consumer, &names)?;
        if is_due {
            self.confirmed = Instant::now();
        }
        let is_other = |topic: &&Arc<str>| {
            self.identities.get(*topic).map(|known| known.topic) != now.get(&***topic).copied()
        };
        let others: Vec<_> = topics.iter().filter(is_other).collect();
        let again: Vec<_> = self.taken.iter().filter(|at| others.contains(&&at.topic)).cloned().collect();
        for topic in others {
            tracing::warn!(%topic, "the topic was deleted; one of its name is read from its beginning");
        }
        self.retake(again)
    }

    fn ask_ends(&mut self) -> Vec<(TopicPartition, Offset)> {
        let now = Instant::now();
        if self.taken.is_empty() || now < self.rest_until || now < self.ends_asked + ENDS_EVERY {
            return Vec::new();
        }
        self.ends_asked = now;
        let partitions: Vec<_> = self.taken.iter().cloned().collect();
        places::ends(&self.consumer, &partitions).unwrap_or_else(|error| {
            tracing::debug!(error = words(&error), "ends of other people's partitions");
            self.rest_until = Instant::now() + REST;
            Vec::new()
        })
    }
}

impl ForeignReader for Reader {
    fn gather(&mut self, patience: Duration) -> Result<Gathered, LogError> {
        self.hear();
        let taken = self.take();
        let ends = self.ask_ends();
        self.poll(patience)?;
        self.hear();
        if let Err(error) = self.confirm() {
            self.tell("confirm topics", &error);
            self.rest_until = Instant::now() + REST;
            if !self.held.is_empty() {
                std::thread::sleep(REST.min(patience));
            }
            return Ok(Gathered { lost: std::mem::take(&mut self.lost), taken, ends, records: Vec::new() });
        }
        let lost = std::mem::take(&mut self.lost);
        // One that was lost within this call is not taken by it.
        let taken = taken.into_iter().filter(|taken| self.taken.contains(&taken.partition)).collect();
        Ok(Gathered { lost, taken, ends, records: std::mem::take(&mut self.held) })
    }

    fn done(&mut self, of: &TopicPartition, next: Offset) {
        if self.taken.contains(of) {
            self.store(of, next);
        }
    }

    fn close(mut self: Box<Self>) {
        let deadline = Instant::now() + LEAVE;
        self.hear();
        if let Err(error) = self.assign(&[]) {
            tracing::debug!(error = words(&error), "leave");
        }
        self.consumer.unsubscribe();
        while Instant::now() < deadline {
            drop(self.consumer.poll(Duration::from_millis(10)));
            if self.consumer.assignment().is_ok_and(|list| list.count() == 0) {
                break;
            }
        }
    }
}

fn size(record: &ForeignRecord) -> usize {
    record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len)
}

fn record(message: &BorrowedMessage<'_>) -> ForeignRecord {
    let timestamp = message.timestamp();
    let is_own =
        message.headers().is_some_and(|headers| headers.iter().any(|header| header.key == OWN_HEADER));
    ForeignRecord {
        partition: TopicPartition::new(message.topic(), u32::try_from(message.partition()).unwrap_or(0)),
        offset: u64::try_from(message.offset()).unwrap_or(0),
        time_ms: timestamp.to_millis(),
        is_append_time: matches!(timestamp, Timestamp::LogAppendTime(_)),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        is_own,
    }
}

/// What the group has decided, noted until the reader looks.
enum Change {
    Given(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
}

/// What the client calls when the group is divided anew. Partitions that are given are not begun with here, since that takes
/// questions to the brokers: the reader does it when it has the answers.
struct Rebalances {
    context: Context,
    heard: Mutex<Vec<Change>>,
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn stats(&self, statistics: rdkafka::Statistics) {
        self.context.stats(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = places::partitions(list);
        tracing::debug!(?what, ?partitions, "other people's topics were divided anew");
        if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            lock(&self.heard).push(Change::Given(partitions));
            return;
        }
        // The client refuses to take back what was not begun with. What is done in the others is committed by this as well.
        let begun = consumer.assignment().map(|list| places::partitions(&list)).unwrap_or_default();
        let begun = partitions.iter().filter(|partition| begun.contains(partition));
        if let Err(error) = consumer.incremental_unassign(&places::list(begun)) {
            tracing::warn!(error = words(&error), "give partitions of other people's topics back");
        }
        lock(&self.heard).push(Change::Lost(partitions));
    }
}
