//! Apache Kafka as the log of a fleet: the same trait, with brokers that keep the records.
//!
//! Opening reaches the brokers, makes or checks topics and finds the generation (`start`). One idempotent client writes in the
//! order of the calls (`write`). What is new is brought into memory once for all readers of this node, and the past is read
//! through a few clients that fetch ahead (`read`). Append times are the brokers' (`clock`); they may step back where brokers'
//! clocks do, so whoever computes with them takes the highest so far.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use bytes::Bytes;
use tokio::sync::watch;

use self::{
    client::Health,
    clock::BrokerClock,
    groups::Groups,
    read::{READERS, Reader},
    start::{generation, reach, topics as start_topics},
    upkeep::Upkeep,
    waiting::wait_until,
    write::{Publisher, Transactions, Writer},
};
use crate::{
    AppendFuture, Bounds, Clock, Committed, FencedWriter, Generation, KeyedValue, Log, LogError, Membership,
    Offset, ReadBatch, TopicPartition,
};

mod admin;
mod client;
mod clock;
mod config;
mod error;
mod foreign;
mod groups;
mod read;
mod start;
mod topics;
mod upkeep;
mod waiting;
mod write;

pub use admin::{
    Broker, ClockReading, GroupLag, GroupMember, GroupState, KafkaAdmin, KafkaSnapshot, Permission,
};
pub use config::{ClientCertificate, KafkaConfig, KafkaTopic, Mechanism, Protocol, Security, TopicKind};
pub use error::KafkaStartError;
pub use foreign::KafkaForeignTopics;
pub use topics::{TopicDoubt, TopicProblem, TopicShape, TopicState};

/// A machine's clock that differs from the brokers' by more than this is worth a warning, in milliseconds.
const CLOCK_OFFSET_MS_MAX: i64 = 1000;

/// A log kept by Apache Kafka brokers.
pub struct KafkaLog {
    config: Arc<KafkaConfig>,
    health: Arc<Health>,
    clock: Arc<BrokerClock>,
    generation: Generation,
    reader: Arc<Reader>,
    writer: Arc<Writer>,
    publisher: Publisher,
    transactions: Transactions,
    groups: Groups,
    upkeep: Upkeep,
}

/// What opening found and did.
#[derive(Clone, Debug, Default)]
pub struct KafkaReport {
    /// Topics that were made, with namespace.
    pub created: Vec<String>,
    /// What works and is not as it should be: replication, clocks. One line each.
    pub warnings: Vec<String>,
    /// The same of topics that were there already: whoever made them was warned.
    pub reminders: Vec<String>,
    /// Number of brokers.
    pub brokers: usize,
    /// The brokers' time less this machine's, in milliseconds.
    pub clock_offset_ms: i64,
}

/// What happened since the log was opened, for metrics. All counts only ascend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KafkaCounters {
    /// Rebalances that memberships of this node took part in.
    pub rebalances: u64,
    /// Connections to brokers that were lost.
    pub reconnects: u64,
    /// Writers and members that lost their identity to another.
    pub fenced: u64,
    /// Times that the writer gave up what was under way and started over.
    pub writer_restarts: u64,
    /// Published values that were dropped.
    pub published_dropped: u64,
}

impl KafkaLog {
    /// Reaches the brokers, makes missing topics, checks the others, and reads or writes the generation record. Blocks, at
    /// most for about [`KafkaConfig::start_timeout`] at each of these steps.
    pub fn open(config: &KafkaConfig) -> Result<(Self, KafkaReport), KafkaStartError> {
        config.check().map_err(KafkaStartError::Configuration)?;
        reach::check_files(&config.security)?;
        let config = Arc::new(config.clone());
        let health = Arc::new(Health::default());
        let clock = Arc::new(BrokerClock::new());
        let reader = Arc::new(Reader::new(&config, &health)?);
        let (brokers, topics) = prepare(&config, &reader, &health)?;
        let writer = Arc::new(Writer::start(&config, &health, &clock)?);
        let generation = generation::find_or_begin(&config, &reader, &writer)?;
        ask_clock(&config, &writer)?;
        let upkeep = Upkeep::start(&config, &health, &clock, &reader, &writer)?;
        let mut report = KafkaReport {
            created: topics.created,
            warnings: topics.warnings,
            reminders: topics.reminders,
            brokers,
            clock_offset_ms: clock.offset_ms(),
        };
        if report.clock_offset_ms.abs() > CLOCK_OFFSET_MS_MAX {
            let offset_ms = report.clock_offset_ms;
            report.warnings.push(format!(
                "the brokers' clock differs by {offset_ms} ms from this machine's; theirs counts"
            ));
        }
        let log = Self {
            publisher: Publisher::new(&config, &health),
            transactions: Transactions::new(&config, &health, &clock),
            groups: Groups::new(&config, &health),
            config,
            health,
            clock,
            generation,
            reader,
            writer,
            upkeep,
        };
        Ok((log, report))
    }

    /// The brokers' time, by which append times go, estimated from this node's own appends. Goes on when this machine's
    /// clock is set.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    /// The brokers' time less this machine's, in milliseconds.
    pub fn clock_offset_ms(&self) -> i64 {
        self.clock.offset_ms()
    }

    /// How far off the estimate of the brokers' time may be; grows while nothing is appended.
    pub fn clock_uncertainty(&self) -> std::time::Duration {
        self.clock.uncertainty().unwrap_or_default()
    }

    /// Whether brokers answer: at least one is connected, and no append has waited for 5 s.
    pub fn is_connected(&self) -> bool {
        self.health.is_up() && !self.writer.is_unanswered()
    }

    /// Records appended and not yet acknowledged by the brokers.
    pub fn waiting(&self) -> usize {
        self.writer.waiting()
    }

    /// What happened so far.
    pub fn counters(&self) -> KafkaCounters {
        let Health { reconnects, rebalances, fenced, writer_restarts, published_dropped, .. } = &*self.health;
        KafkaCounters {
            rebalances: rebalances.load(Ordering::Relaxed),
            reconnects: reconnects.load(Ordering::Relaxed),
            fenced: fenced.load(Ordering::Relaxed),
            writer_restarts: writer_restarts.load(Ordering::Relaxed),
            published_dropped: published_dropped.load(Ordering::Relaxed),
        }
    }

    /// The topics that the log was opened with.
    pub fn topics(&self) -> &[KafkaTopic] {
        &self.config.topics
    }

    /// A topic's name at the brokers: with the namespace.
    pub fn remote_name(&self, topic: &str) -> String {
        self.config.remote(topic)
    }

    /// Deletes now what restore points and retention allow, instead of within [`KafkaConfig::trim_every`].
    pub fn retain(&self) -> Result<(), LogError> {
        self.upkeep.trim()
    }
}

fn prepare(
    config: &KafkaConfig,
    reader: &Reader,
    health: &Arc<Health>,
) -> Result<(usize, start_topics::TopicsReport), KafkaStartError> {
    let metadata = reach::brokers(config, reader, health)?;
    let brokers = metadata.brokers().len();
    let report = start_topics::prepare(config, health, &metadata)?;
    for group in config.groups.iter().map(String::as_str).chain([READERS]) {
        // Whatever else is wrong with a group shows when it is joined.
        if reader.query().is_denied(group) {
            return Err(start_topics::denied(config, "Read", &format!("group {}", config.remote(group))));
        }
    }
    Ok((brokers, report))
}

/// Appends one record, whose append time shows the brokers' clock. Also shows whether this node may write.
fn ask_clock(config: &KafkaConfig, writer: &Writer) -> Result<(), KafkaStartError> {
    let state = TopicPartition::new(config.state_topic.as_str(), 0);
    let appended = writer.append(&state, &upkeep::clock_probe(&config.node));
    let late = || LogError::Unavailable(format!("{state} takes no record"));
    wait_until(Instant::now() + config.start_timeout, appended).ok_or_else(late)??;
    Ok(())
}

impl Log for KafkaLog {
    fn generation(&self) -> &Generation {
        &self.generation
    }

    fn partitions(&self, topic: &str) -> Option<u32> {
        self.config.topic(topic).map(|topic| topic.partitions)
    }

    fn append(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture {
        self.writer.append(to, &values.into_iter().map(|value| (None, value)).collect::<Vec<_>>())
    }

    fn append_keyed(&self, to: &TopicPartition, values: Vec<KeyedValue>) -> AppendFuture {
        let values = values.into_iter().map(|KeyedValue { key, value }| (Some(key), value));
        self.writer.append(to, &values.collect::<Vec<_>>())
    }

    fn publish(&self, to: &TopicPartition, values: Vec<Bytes>) -> Result<(), LogError> {
        self.publisher.publish(to, &values)
    }

    fn read(&self, from: &TopicPartition, offset: Offset, bytes_max: usize) -> Result<ReadBatch, LogError> {
        self.reader.read(from, offset, bytes_max)
    }

    fn follow(&self, partition: &TopicPartition) -> Result<watch::Receiver<Offset>, LogError> {
        self.reader.follow(partition)
    }

    fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        self.reader.bounds(of)
    }

    fn offset_at(&self, of: &TopicPartition, append_time_ms: i64) -> Result<Offset, LogError> {
        self.reader.offset_at(of, append_time_ms)
    }

    fn fenced_writer(&self, owner: &str) -> Result<Box<dyn FencedWriter>, LogError> {
        self.transactions.take(owner)
    }

    fn join(&self, group: &str, topic: &str, member: &str) -> Result<Box<dyn Membership>, LogError> {
        self.groups.join(group, topic, member)
    }

    fn committed(&self, group: &str, of: &TopicPartition) -> Result<Option<Committed>, LogError> {
        self.reader.topic(of)?;
        self.reader.query().committed(group, of)
    }

    /// Takes effect for topics of the kind [`TopicKind::Log`].
    fn set_restore_point(&self, of: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        self.reader.topic(of)?;
        self.upkeep.set_restore_point(of, offset);
        Ok(())
    }

    fn close(&self) -> Result<(), LogError> {
        self.upkeep.close();
        self.transactions.close(Instant::now() + self.config.close_timeout);
        let written = self.writer.close();
        self.publisher.close();
        self.groups.close();
        self.reader.close();
        written
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "log not closed cleanly");
        }
    }
}
