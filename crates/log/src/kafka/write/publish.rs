//! Values that are worth something only now: sent without waiting, dropped when too many wait.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};

use crate::{
    LogError, TopicPartition,
    kafka::{
        client::{self, Context, Health},
        config::KafkaConfig,
        error::unavailable,
    },
};

/// Values that may wait.
const QUEUE_MESSAGES: usize = 1000;

/// KiB that may wait.
const QUEUE_KIB: usize = 8 * 1024;

/// What could not be sent within this time is worth nothing any more.
const WORTH: Duration = Duration::from_secs(2);

/// Publishes; its client is made when the first value comes.
pub(in crate::kafka) struct Publisher {
    config: Arc<KafkaConfig>,
    health: Arc<Health>,
    producer: OnceLock<Result<ThreadedProducer<Unanswered>, LogError>>,
    closed: AtomicBool,
}

impl Publisher {
    pub(in crate::kafka) fn new(config: &Arc<KafkaConfig>, health: &Arc<Health>) -> Self {
        Self {
            config: Arc::clone(config),
            health: Arc::clone(health),
            producer: OnceLock::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// See [`crate::Log::publish`].
    pub(in crate::kafka) fn publish(&self, to: &TopicPartition, values: &[Bytes]) -> Result<(), LogError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(LogError::Closed);
        }
        let topic = self.config.topic(&to.topic).filter(|topic| to.partition < topic.partitions);
        let topic = topic.ok_or_else(|| LogError::UnknownPartition(to.clone()))?;
        let limit = topic.record_bytes_max();
        if let Some(bytes) = values.iter().map(Bytes::len).find(|&bytes| bytes > limit) {
            return Err(LogError::TooLarge { bytes, limit });
        }
        let producer = self.producer.get_or_init(|| self.connect()).as_ref().map_err(Clone::clone)?;
        let remote = self.config.remote(&to.topic);
        for value in values {
            let record = BaseRecord::<[u8], [u8]>::to(&remote)
                .partition(i32::try_from(to.partition).unwrap_or(i32::MAX))
                .payload(value);
            match producer.send(record).map_err(|(error, _)| error) {
                Ok(()) => {}
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => {
                    self.health.published_dropped.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => return Err(unavailable(format_args!("publish to {to}"), &error)),
            }
        }
        Ok(())
    }

    fn connect(&self) -> Result<ThreadedProducer<Unanswered>, LogError> {
        let mut config = client::base(&self.config);
        config
            .set("acks", "1")
            .set("compression.type", "lz4")
            .set("linger.ms", "0")
            .set("queue.buffering.max.messages", QUEUE_MESSAGES.to_string())
            .set("queue.buffering.max.kbytes", QUEUE_KIB.to_string())
            .set("message.timeout.ms", WORTH.as_millis().to_string())
            .set("message.max.bytes", self.config.message_bytes_max().to_string());
        let context = Unanswered(Context { health: Arc::clone(&self.health) });
        config.create_with_context(context).map_err(|error| unavailable("start publishing", &error))
    }

    /// Sends what waits, for a moment, and takes no more.
    pub(in crate::kafka) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        if let Some(Ok(producer)) = self.producer.get() {
            // What is left after this was worth something only then.
            producer.flush(Duration::from_millis(200)).ok();
        }
    }
}

struct Unanswered(Context);

impl ClientContext for Unanswered {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Unanswered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.health.published_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
