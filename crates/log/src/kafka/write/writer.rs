//! The one writer of durable appends: hands records to the client in the order of the calls, answers when brokers have
//! them, and starts over when the client has given something up.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    ClientContext, Message, Statistics, Timestamp,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};

use super::lane::{Lane, Outcome, State, Ticket, Weight};
use crate::{
    AppendFuture, LogError, TopicPartition,
    embedded::Chance,
    kafka::{
        client::{self, Context, Health},
        clock::BrokerClock,
        config::KafkaConfig,
        error::words,
    },
    locks::{lock, read, write},
};

/// How long the thread waits for deliveries before it looks whether anything else is to do.
const POLL: Duration = Duration::from_millis(50);

/// First and longest pause before a client that gave something up is made anew.
const RESTART_MS: (u64, u64) = (100, 10_000);

/// An append that waits longer than this means that the brokers do not answer.
const UNANSWERED: Duration = Duration::from_secs(5);

/// A record to be written: key, where the topic is compacted, and value.
pub(in crate::kafka) type Value = (Option<Bytes>, Bytes);

/// Writes durable appends.
pub(in crate::kafka) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    config: Arc<KafkaConfig>,
    health: Arc<Health>,
    clock: Arc<BrokerClock>,
    lanes: HashMap<TopicPartition, Target>,
    live: RwLock<Live>,
    records: AtomicUsize,
    bytes: AtomicUsize,
    closed: AtomicBool,
    ended: AtomicBool,
}

/// A partition and its name and limits at the brokers.
struct Target {
    lane: Arc<Lane>,
    topic: Arc<str>,
    partition: i32,
    record_bytes_max: usize,
}

enum Live {
    Up(Arc<BaseProducer<Deliveries>>),
    /// Gave something up, for this reason, and will be made anew.
    Down(String),
}

impl Writer {
    /// Starts the client and its thread. Nothing is sent before the first append.
    pub(in crate::kafka) fn start(
        config: &Arc<KafkaConfig>,
        health: &Arc<Health>,
        clock: &Arc<BrokerClock>,
    ) -> Result<Self, KafkaError> {
        let mut lanes = HashMap::new();
        for topic in &config.topics {
            let remote: Arc<str> = config.remote(&topic.name).into();
            for partition in 0..topic.partitions {
                let target = Target {
                    lane: Arc::default(),
                    topic: Arc::clone(&remote),
                    partition: i32::try_from(partition).unwrap_or(i32::MAX),
                    record_bytes_max: topic.record_bytes_max(),
                };
                lanes.insert(TopicPartition::new(topic.name.as_str(), partition), target);
            }
        }
        let shared = Arc::new(Shared {
            config: Arc::clone(config),
            health: Arc::clone(health),
            clock: Arc::clone(clock),
            lanes,
            live: RwLock::new(Live::Down("not started".to_owned())),
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let producer = shared.connect()?;
        let running = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("kafka-writer".to_owned());
        let thread = thread.spawn(move || running.run(producer));
        let thread = thread.map_err(|error| KafkaError::ClientCreation(format!("thread: {error}")))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Appends in order. See [`crate::Log::append`].
    pub(in crate::kafka) fn append(&self, to: &TopicPartition, values: &[Value]) -> AppendFuture {
        let Some(target) = self.shared.lanes.get(to) else {
            return failed(LogError::UnknownPartition(to.clone()));
        };
        Box::pin(self.shared.append(target, values))
    }

    /// How long the oldest append under way has waited.
    pub(in crate::kafka) fn is_unanswered(&self) -> bool {
        let lanes = self.shared.lanes.values();
        lanes.filter_map(|target| target.lane.oldest()).any(|since| since.elapsed() > UNANSWERED)
    }

    /// Records accepted and not yet durable.
    pub(in crate::kafka) fn waiting(&self) -> usize {
        self.shared.records.load(Ordering::SeqCst)
    }

    /// Refuses further appends, waits for those under way, and fails what is left when the time is over.
    pub(in crate::kafka) fn close(&self) -> Result<(), LogError> {
        self.shared.closed.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + self.shared.config.close_timeout;
        while self.waiting() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        let left = self.waiting();
        self.shared.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = lock(&self.thread).take() {
            thread.join().map_err(|_| LogError::Failed("the writer thread has panicked".to_owned()))?;
        }
        if left == 0 {
            return Ok(());
        }
        let seconds = self.shared.config.close_timeout.as_secs();
        Err(LogError::Unavailable(format!(
            "{left} records were not acknowledged within {seconds} s of the end"
        )))
    }
}

pub(super) fn failed(error: LogError) -> AppendFuture {
    Box::pin(std::future::ready(Err(error)))
}

impl Shared {
    fn append(&self, target: &Target, values: &[Value]) -> Outcome {
        let lane = &target.lane;
        let mut state = lane.lock();
        let bytes = values.iter().map(|(key, value)| key.as_ref().map_or(0, Bytes::len) + value.len());
        let (largest, bytes) = bytes.fold((0, 0), |(most, sum), bytes| (bytes.max(most), sum + bytes));
        let weight = Weight { records: values.len(), bytes };
        if let Err(error) = self.admit(&state, target, largest, weight) {
            return state.refuse(lane, error);
        }
        // Under the lane's lock: whoever fails all that is under way comes after this append, or has set `live`.
        let live = match &*read(&self.live) {
            Live::Up(producer) => Ok(Arc::clone(producer)),
            Live::Down(reason) => Err(LogError::Unavailable(reason.clone())),
        };
        let producer = match live {
            Ok(producer) => producer,
            Err(error) => {
                self.release(weight);
                return state.refuse(lane, error);
            }
        };
        let (id, outcome) = state.begin(lane, weight);
        for (key, value) in values {
            let ticket = Box::new(Ticket { lane: Arc::clone(lane), id });
            let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&target.topic, ticket)
                .partition(target.partition)
                .payload(value);
            record.key = key.as_deref();
            if let Err((error, _)) = producer.send(record) {
                self.release(weight);
                let error = match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::QueueFull) => {
                        LogError::Overloaded(self.records.load(Ordering::SeqCst))
                    }
                    _ => {
                        // A client that has failed for good says of each further record only that it has.
                        let fatal = producer.client().fatal_error().map(|(_, reason)| reason);
                        let reason = fatal.unwrap_or_else(|| words(&error));
                        let (topic, partition) = (&target.topic, target.partition);
                        LogError::Unavailable(format!("append to {topic}-{partition}: {reason}"))
                    }
                };
                state.fail_newest(error);
                break;
            }
        }
        outcome
    }

    /// Takes room in the queue for an append, or says why it may not be.
    fn admit(&self, state: &State, target: &Target, largest: usize, weight: Weight) -> Result<(), LogError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(LogError::Closed);
        }
        if weight.records == 0 {
            return Err(LogError::Format("an append holds no record".to_owned()));
        }
        if largest > target.record_bytes_max {
            return Err(LogError::TooLarge { bytes: largest, limit: target.record_bytes_max });
        }
        if state.has_unnoticed() {
            let topic = &target.topic;
            let partition = target.partition;
            return Err(LogError::Unavailable(format!(
                "an append to {topic}-{partition} before this one has failed"
            )));
        }
        let records = self.records.fetch_add(weight.records, Ordering::SeqCst);
        let bytes = self.bytes.fetch_add(weight.bytes, Ordering::SeqCst);
        let (most_records, most_bytes) = (self.config.queue_records_max, self.config.queue_bytes_max);
        if records + weight.records > most_records || bytes + weight.bytes > most_bytes {
            self.release(weight);
            return Err(LogError::Overloaded(records));
        }
        Ok(())
    }

    fn release(&self, weight: Weight) {
        self.bytes.fetch_sub(weight.bytes, Ordering::SeqCst);
        self.records.fetch_sub(weight.records, Ordering::SeqCst);
    }

    /// What ended the client, if something has.
    fn fatal(&self) -> Option<String> {
        match &*read(&self.live) {
            Live::Up(producer) => producer.client().fatal_error().map(|(_, reason)| reason),
            Live::Down(_) => None,
        }
    }

    fn connect(self: &Arc<Self>) -> Result<Arc<BaseProducer<Deliveries>>, KafkaError> {
        let mut config = client::writing(&self.config);
        // Never the reason for a refusal: the queue's own limits are met first.
        let kib = self.config.queue_bytes_max / 1024 + 1 + self.config.queue_records_max;
        config
            .set("queue.buffering.max.messages", (self.config.queue_records_max + 1).to_string())
            .set("queue.buffering.max.kbytes", kib.clamp(1024, 2_097_151).to_string());
        let context = Context { health: Arc::clone(&self.health) };
        let given_up = AtomicBool::new(false);
        let deliveries = Deliveries { context, shared: Arc::clone(self), given_up };
        let producer: Arc<BaseProducer<Deliveries>> = Arc::new(config.create_with_context(deliveries)?);
        *write(&self.live) = Live::Up(Arc::clone(&producer));
        Ok(producer)
    }

    /// Fails everything under way, in order, and refuses the next until the client was made anew: what a client has
    /// given up can no longer be followed by anything without a gap.
    fn give_up(&self, reason: &str) {
        *write(&self.live) = Live::Down(reason.to_owned());
        let error = LogError::Unavailable(reason.to_owned());
        for target in self.lanes.values() {
            self.release(target.lane.fail_all(&error));
        }
    }

    /// The thread's work: serves deliveries, and makes the client anew after it gave something up.
    fn run(self: Arc<Self>, first: Arc<BaseProducer<Deliveries>>) {
        let mut producer = first;
        let mut pause_ms = RESTART_MS.0;
        let mut chance = Chance(self.config.seed);
        let mut since = Instant::now();
        while !self.ended.load(Ordering::SeqCst) {
            producer.poll(POLL);
            if !producer.context().given_up.load(Ordering::SeqCst) {
                continue;
            }
            self.health.writer_restarts.fetch_add(1, Ordering::Relaxed);
            // A client that did well for long is made anew at once.
            if since.elapsed() < Duration::from_millis(10 * RESTART_MS.1) {
                std::thread::sleep(Duration::from_millis(pause_ms / 2 + chance.draw() % (pause_ms / 2)));
                pause_ms = (pause_ms * 2).min(RESTART_MS.1);
            } else {
                pause_ms = RESTART_MS.0;
            }
            since = Instant::now();
            match self.connect() {
                Ok(new) => producer = new,
                Err(error) => tracing::error!(%error, "writer of the log cannot be made anew"),
            }
        }
        self.give_up("log is closed");
    }
}

/// What the client calls for each record, and when something happens to it.
struct Deliveries {
    context: Context,
    shared: Arc<Shared>,
    given_up: AtomicBool,
}

impl Deliveries {
    fn give_up(&self, reason: &str) {
        if !self.given_up.swap(true, Ordering::SeqCst) && !self.shared.ended.load(Ordering::SeqCst) {
            tracing::warn!(
                reason,
                "brokers did not take an append; it and all under way with it have failed"
            );
            self.shared.give_up(reason);
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.context.stats(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Fatal) => self.give_up(reason),
            Some(RDKafkaErrorCode::AllBrokersDown) => self.context.health.lost(reason),
            _ => {}
        }
        self.context.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Self::DeliveryOpaque) {
        let message = match result {
            Ok(message) => message,
            Err((error, message)) => {
                let (topic, partition) = (message.topic(), message.partition());
                // What was purged was so because of something else.
                let reason = self.shared.fatal().unwrap_or_else(|| words(error));
                self.give_up(&format!("append to {topic}-{partition}: {reason}"));
                return;
            }
        };
        // The client also reports what it only concludes to be stored, without place or append time: not good enough.
        let (Ok(offset), Timestamp::LogAppendTime(append_time_ms)) =
            (u64::try_from(message.offset()), message.timestamp())
        else {
            let (topic, partition) = (message.topic(), message.partition());
            self.give_up(&format!("append to {topic}-{partition}: no broker has said where it is"));
            return;
        };
        self.context.health.heard();
        // Whoever was waiting for the append may ask the clock next.
        let learn = |sent| self.shared.clock.observe(sent, Instant::now(), append_time_ms);
        if let Some(weight) = ticket.lane.delivered(ticket.id, offset, append_time_ms, learn) {
            self.shared.release(weight);
        }
    }
}
