//! Writers that can be fenced: each has a transactional id at the brokers, and what it appends is committed as a whole.
//!
//! An append is answered when its commit is durable. Readers see it a moment later, when brokers have written that into the
//! partition as well; whoever takes an identity over waits for this moment, so that nothing of the past appears after it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};
use tokio::sync::oneshot;

use super::writer::failed;
use crate::{
    AppendFuture, Appended, Clock as _, FencedWriter, LogError, TopicPartition,
    fencing::check_name,
    kafka::{
        client::{self, Context, Health},
        clock::BrokerClock,
        config::KafkaConfig,
        error::{unavailable, words},
    },
    locks::lock,
};

/// Appends that may wait for the one before them.
const QUEUE_APPENDS: usize = 1024;

/// Appends that are committed together when they wait.
const APPENDS_TOGETHER: usize = 64;

/// After this brokers abort what a writer has begun and not committed. Whoever takes its identity need not wait for
/// that; it only bounds how long a writer that nobody replaces holds readers up.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);

/// How long one attempt to commit or abort may take before it is repeated.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The client waits in steps of 100 ms by itself, a commit takes 3.
const DELIVERY_STEP: Duration = Duration::from_micros(100);

/// Makes fenced writers, and ends their threads with the log.
pub(in crate::kafka) struct Transactions {
    config: Arc<KafkaConfig>,
    health: Arc<Health>,
    clock: Arc<BrokerClock>,
    threads: Mutex<Vec<(SyncSender<Work>, JoinHandle<()>)>>,
    /// Set when the time to commit what waits is over.
    abandoned: Arc<AtomicBool>,
}

enum Work {
    Append(Append),
    End,
}

struct Append {
    topic: String,
    partition: i32,
    values: Vec<Bytes>,
    done: oneshot::Sender<Result<Appended, LogError>>,
}

impl Transactions {
    pub(in crate::kafka) fn new(
        config: &Arc<KafkaConfig>,
        health: &Arc<Health>,
        clock: &Arc<BrokerClock>,
    ) -> Self {
        Self {
            config: Arc::clone(config),
            health: Arc::clone(health),
            clock: Arc::clone(clock),
            threads: Mutex::default(),
            abandoned: Arc::default(),
        }
    }

    /// Takes an identity. When this returns, whoever held it is fenced and what it had under way is settled.
    pub(in crate::kafka) fn take(&self, owner: &str) -> Result<Box<dyn FencedWriter>, LogError> {
        check_name("writer", owner)?;
        let timeout_ms = TRANSACTION_TIMEOUT.as_millis().to_string();
        let mut config = client::writing(&self.config);
        config
            .set("transactional.id", self.config.remote(owner))
            .set("transaction.timeout.ms", &timeout_ms)
            .set("message.timeout.ms", &timeout_ms)
            // What a transaction left out is left out as a whole.
            .set("enable.gapless.guarantee", "false")
            .remove("statistics.interval.ms");
        let context =
            Deliveries { context: Context { health: Arc::clone(&self.health) }, seen: Mutex::default() };
        let action = format!("take the identity {owner}");
        let producer: BaseProducer<Deliveries> =
            config.create_with_context(context).map_err(|error| unavailable(&action, &error))?;
        producer
            .init_transactions(self.config.request_timeout)
            .map_err(|error| unavailable(&action, &error))?;
        let (work, queue) = sync_channel(QUEUE_APPENDS);
        let mut thread = Thread {
            owner: owner.to_owned(),
            producer,
            health: Arc::clone(&self.health),
            clock: Arc::clone(&self.clock),
            abandoned: Arc::clone(&self.abandoned),
            lost: None,
        };
        let spawned =
            std::thread::Builder::new().name(format!("kafka-{owner}")).spawn(move || thread.run(&queue));
        let handle =
            spawned.map_err(|error| LogError::Failed(format!("start a writer's thread: {error}")))?;
        let mut threads = lock(&self.threads);
        threads.retain(|(_, thread)| !thread.is_finished());
        threads.push((work.clone(), handle));
        Ok(Box::new(Fenced { config: Arc::clone(&self.config), work }))
    }

    /// Has what waits committed, as far as that is done by the deadline, then ends all writers.
    pub(in crate::kafka) fn close(&self, deadline: Instant) {
        let threads: Vec<_> = lock(&self.threads).drain(..).collect();
        for (work, _) in &threads {
            // A writer that was dropped has ended by itself; one whose queue is full is ended by the deadline.
            work.try_send(Work::End).ok();
        }
        while Instant::now() < deadline && threads.iter().any(|(_, thread)| !thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.abandoned.store(true, Ordering::SeqCst);
        for (_, thread) in threads {
            if thread.join().is_err() {
                tracing::error!("a fenced writer's thread has panicked");
            }
        }
    }
}

struct Fenced {
    config: Arc<KafkaConfig>,
    work: SyncSender<Work>,
}

impl FencedWriter for Fenced {
    fn append(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture {
        let topic = self.config.topic(&to.topic).filter(|topic| to.partition < topic.partitions);
        let Some(topic) = topic else { return failed(LogError::UnknownPartition(to.clone())) };
        if !topic.transactional {
            return failed(LogError::Unsupported("transactions in this topic"));
        }
        if values.is_empty() {
            return failed(LogError::Format("an append holds no record".to_owned()));
        }
        let limit = topic.record_bytes_max();
        if let Some(bytes) = values.iter().map(Bytes::len).find(|&bytes| bytes > limit) {
            return failed(LogError::TooLarge { bytes, limit });
        }
        let (done, answer) = oneshot::channel();
        let partition = i32::try_from(to.partition).unwrap_or(i32::MAX);
        let append = Append { topic: self.config.remote(&to.topic), partition, values, done };
        match self.work.try_send(Work::Append(append)) {
            Ok(()) => Box::pin(async move { answer.await.unwrap_or(Err(LogError::Closed)) }),
            Err(TrySendError::Full(_)) => failed(LogError::Overloaded(QUEUE_APPENDS)),
            Err(TrySendError::Disconnected(_)) => failed(LogError::Closed),
        }
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // When the queue is full the thread ends with the log.
        self.work.try_send(Work::End).ok();
    }
}

/// What became of the records of the transaction under way, by the number each was sent with.
#[derive(Default)]
struct Seen {
    stored: Vec<(usize, u64, i64)>,
    failed: Option<String>,
}

struct Deliveries {
    context: Context,
    seen: Mutex<Seen>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let mut seen = lock(&self.seen);
        match result {
            Ok(message) => {
                let offset = u64::try_from(message.offset()).unwrap_or(0);
                seen.stored.push((number, offset, message.timestamp().to_millis().unwrap_or(i64::MIN)));
            }
            Err((error, _)) => {
                seen.failed.get_or_insert_with(|| words(error));
            }
        }
    }
}

struct Thread {
    owner: String,
    producer: BaseProducer<Deliveries>,
    health: Arc<Health>,
    clock: Arc<BrokerClock>,
    abandoned: Arc<AtomicBool>,
    /// Why this writer can do nothing any more.
    lost: Option<LogError>,
}

/// What an attempt at a transaction came to when it did not succeed.
enum Setback {
    /// The transaction was begun and left nothing: it can be tried again.
    Abort(String),
    /// This writer is over.
    Lost(LogError),
}

impl Thread {
    fn run(&mut self, queue: &Receiver<Work>) {
        let mut ending = false;
        while !ending && !self.abandoned.load(Ordering::SeqCst) {
            // Wakes now and then to serve what the client reports.
            let first = match queue.recv_timeout(Duration::from_millis(500)) {
                Ok(Work::Append(append)) => append,
                Ok(Work::End) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    self.producer.poll(Duration::ZERO);
                    continue;
                }
            };
            let mut appends = vec![first];
            while appends.len() < APPENDS_TOGETHER {
                match queue.try_recv() {
                    Ok(Work::Append(append)) => appends.push(append),
                    Ok(Work::End) => {
                        ending = true;
                        break;
                    }
                    Err(_) => break,
                }
            }
            self.settle(appends);
        }
    }

    /// Appends all of them in one transaction, trying again for as long as that may help, and answers.
    fn settle(&mut self, appends: Vec<Append>) {
        let mut pause = Duration::from_millis(50);
        let outcome = loop {
            if let Some(error) = &self.lost {
                break Err(error.clone());
            }
            match self.transact(&appends) {
                Ok(appended) => break Ok(appended),
                Err(Setback::Lost(error)) => self.lose(error),
                Err(Setback::Abort(reason)) => {
                    let owner = &self.owner;
                    tracing::warn!(owner, reason, "a transaction was aborted and is tried again");
                    if let Err(Setback::Lost(error)) = self.abort() {
                        self.lose(error);
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(ATTEMPT);
                }
            }
        };
        match outcome {
            Ok(appended) => {
                for (append, appended) in appends.into_iter().zip(appended) {
                    append.done.send(Ok(appended)).ok();
                }
            }
            Err(error) => appends.into_iter().for_each(|append| {
                append.done.send(Err(error.clone())).ok();
            }),
        }
    }

    /// Gives up for good.
    fn lose(&mut self, error: LogError) {
        if matches!(error, LogError::Fenced(_)) {
            self.health.fenced.fetch_add(1, Ordering::Relaxed);
        }
        self.lost = Some(error);
    }

    fn transact(&self, appends: &[Append]) -> Result<Vec<Appended>, Setback> {
        *lock(&self.producer.context().seen) = Seen::default();
        let sent = Instant::now();
        self.producer.begin_transaction().map_err(|error| self.setback(&error))?;
        for (number, append) in appends.iter().enumerate() {
            for value in &append.values {
                let record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&append.topic, number)
                    .partition(append.partition)
                    .payload(value);
                self.producer.send(record).map_err(|(error, _)| self.setback(&error))?;
            }
        }
        while self.producer.in_flight_count() > 0 {
            self.check_abandoned()?;
            self.producer.poll(Duration::ZERO);
            std::thread::sleep(DELIVERY_STEP);
        }
        let acknowledged = Instant::now();
        if let Some(reason) = lock(&self.producer.context().seen).failed.take() {
            return Err(self.fatal().unwrap_or(Setback::Abort(reason)));
        }
        self.repeatedly(|producer| producer.commit_transaction(ATTEMPT))?;
        let stored = std::mem::take(&mut lock(&self.producer.context().seen).stored);
        if let Some(&(_, _, append_time_ms)) = stored.last() {
            self.clock.observe(sent, acknowledged, append_time_ms);
        }
        Ok((0..appends.len()).map(|number| appended(number, &stored, self.clock.now_ms())).collect())
    }

    fn abort(&self) -> Result<(), Setback> {
        self.repeatedly(|producer| producer.abort_transaction(ATTEMPT))
    }

    /// Until the brokers have said yes or no: a commit whose answer was lost may have taken effect.
    fn repeatedly(
        &self,
        attempt: impl Fn(&BaseProducer<Deliveries>) -> Result<(), KafkaError>,
    ) -> Result<(), Setback> {
        loop {
            self.check_abandoned()?;
            match attempt(&self.producer) {
                Ok(()) => return Ok(()),
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !error.is_fatal() => {
                    self.producer.poll(Duration::ZERO);
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) => return Err(self.setback(&error)),
            }
        }
    }

    fn check_abandoned(&self) -> Result<(), Setback> {
        if self.abandoned.load(Ordering::SeqCst) { Err(Setback::Lost(LogError::Closed)) } else { Ok(()) }
    }

    fn setback(&self, error: &KafkaError) -> Setback {
        let fatal = matches!(error, KafkaError::Transaction(error) if error.is_fatal());
        match self.fatal() {
            Some(lost) => lost,
            None if fatal => self.lost(error.rdkafka_error_code(), &words(error)),
            None => Setback::Abort(words(error)),
        }
    }

    /// What ended the client for good, if something has.
    fn fatal(&self) -> Option<Setback> {
        let (code, reason) = self.producer.client().fatal_error()?;
        Some(self.lost(Some(code), &reason))
    }

    fn lost(&self, code: Option<RDKafkaErrorCode>, reason: &str) -> Setback {
        let fenced = [
            RDKafkaErrorCode::Fenced,
            RDKafkaErrorCode::ProducerFenced,
            RDKafkaErrorCode::InvalidProducerEpoch,
            RDKafkaErrorCode::InvalidProducerIdMapping,
        ];
        Setback::Lost(match code {
            Some(code) if fenced.contains(&code) => LogError::Fenced(self.owner.clone()),
            _ => LogError::Failed(format!("writer {}: {reason}", self.owner)),
        })
    }
}

/// Where the records of one append were stored.
fn appended(number: usize, stored: &[(usize, u64, i64)], now_ms: i64) -> Appended {
    let own = || stored.iter().filter(|record| record.0 == number);
    let first_offset = own().map(|record| record.1).min().unwrap_or(0);
    let append_time_ms = own().map(|record| record.2).max().unwrap_or(now_ms);
    Appended { first_offset, append_time_ms }
}
