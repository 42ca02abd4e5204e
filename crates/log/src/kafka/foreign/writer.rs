//! Writes lines to foreign topics and waits until brokers have them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig},
};

use crate::{
    LogError,
    foreign::{Compression, ForeignLine, ForeignWriter, OWN_HEADER, OWN_HEADER_VALUE},
    kafka::{
        client::{self, Context, Health},
        config::KafkaConfig,
        error::words,
    },
    locks::lock,
};

/// A line that brokers have not taken after so long has failed.
const DELIVERY_MS: u64 = 10_000;

/// How much longer than that the answers may take before the client is given up.
const ANSWERS: Duration = Duration::from_secs(5);

/// How long one look for answers takes.
const POLL: Duration = Duration::from_millis(1);

pub(super) struct Writer {
    config: Arc<KafkaConfig>,
    health: Arc<Health>,
    compression: Compression,
    producer: Option<BaseProducer<Answers>>,
}

impl Writer {
    pub(super) fn new(
        config: &Arc<KafkaConfig>,
        health: &Arc<Health>,
        compression: Compression,
    ) -> KafkaResult<Self> {
        let (config, health) = (Arc::clone(config), Arc::clone(health));
        let mut writer = Self { config, health, compression, producer: None };
        writer.producer = Some(writer.connect()?);
        Ok(writer)
    }

    fn connect(&self) -> KafkaResult<BaseProducer<Answers>> {
        let mut config = client::base(&self.config);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", self.compression.name())
            .set("linger.ms", "2")
            // Where Kafka's own clients put a key.
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", DELIVERY_MS.to_string())
            .set("request.timeout.ms", "5000")
            .set("queue.buffering.max.kbytes", "65536");
        let context = Context { health: Arc::clone(&self.health) };
        config.create_with_context(Answers {
            context,
            waiting: AtomicUsize::new(0),
            failure: Mutex::default(),
        })
    }
}

impl ForeignWriter for Writer {
    fn write(&mut self, lines: &[ForeignLine]) -> Result<(), LogError> {
        let failed = |error: &KafkaError| LogError::Unavailable(format!("write lines: {}", words(error)));
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => self.connect().map_err(|error| failed(&error))?,
        };
        let written = write(&producer, lines);
        // A client that can write no more, or still holds lines, would write them behind those that come again.
        if producer.context().waiting.load(Ordering::SeqCst) == 0 && producer.client().fatal_error().is_none()
        {
            self.producer = Some(producer);
        } else {
            producer.purge(PurgeConfig::default().queue().inflight());
        }
        written
    }
}

fn write(producer: &BaseProducer<Answers>, lines: &[ForeignLine]) -> Result<(), LogError> {
    let answers = producer.context();
    for line in lines {
        if let Err(error) = send(producer, line) {
            answers.fail(format!("write to topic {}: {}", line.topic, words(&error)));
            break;
        }
    }
    let deadline = Instant::now() + Duration::from_millis(DELIVERY_MS) + ANSWERS;
    while answers.waiting.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        producer.poll(POLL);
    }
    let left = answers.waiting.load(Ordering::SeqCst);
    match lock(&answers.failure).take() {
        Some(failure) => Err(LogError::Unavailable(failure)),
        None if left > 0 => Err(LogError::Unavailable(format!("{left} lines were not answered"))),
        None => Ok(()),
    }
}

fn send(producer: &BaseProducer<Answers>, line: &ForeignLine) -> KafkaResult<()> {
    let header = OwnedHeaders::new_with_capacity(1)
        .insert(Header { key: OWN_HEADER, value: Some(OWN_HEADER_VALUE.as_bytes()) });
    let mut record =
        BaseRecord::to(&line.topic).key(line.key.as_ref()).payload(line.value.as_ref()).headers(header);
    record.partition = line.partition.map(|partition| i32::try_from(partition).unwrap_or(i32::MAX));
    loop {
        match producer.send(record) {
            Ok(()) => {
                producer.context().waiting.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                record = again;
                producer.poll(POLL);
            }
            Err((error, _)) => return Err(error),
        }
    }
}

/// Counts what brokers have answered.
struct Answers {
    context: Context,
    waiting: AtomicUsize,
    /// The first that failed.
    failure: Mutex<Option<String>>,
}

impl Answers {
    fn fail(&self, reason: String) {
        lock(&self.failure).get_or_insert(reason);
    }
}

impl ClientContext for Answers {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.context.stats(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ProducerContext for Answers {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            use rdkafka::Message;
            self.fail(format!("write to topic {}: {}", message.topic(), words(error)));
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
