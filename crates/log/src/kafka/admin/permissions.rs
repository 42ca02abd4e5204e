//! What brokers permit, found out by asking for what changes nothing: they say whether somebody may before they say that it
//! cannot be.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message, Offset as Place, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};

use super::KafkaAdmin;
use crate::{
    Clock as _, LogError, TopicPartition,
    kafka::{
        client::{self, Context},
        clock::BrokerClock,
        config::TopicKind,
        error::{KafkaStartError, unavailable},
        read::partition_number,
        start::topics::{denied, is_denied},
        waiting::wait_until,
    },
};

/// Something that a node has to be allowed. Names are those of the configuration, without namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Permission {
    /// To read a topic.
    Read(String),
    /// To write to a topic.
    Write(String),
    /// To delete the oldest records of a topic.
    Delete(String),
    /// To be in a group.
    Group(String),
    /// To write as such an owner: a transactional id.
    Owner(String),
}

/// How brokers' clocks and this machine's compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockReading {
    /// The brokers' time less this machine's, in milliseconds.
    pub offset_ms: i64,
    /// How far off that may be.
    pub uncertainty: Duration,
}

impl KafkaAdmin {
    /// Whether brokers permit something; if not, the refusal in words. Of topics that exist. Changes nothing that anybody
    /// reads: records are such that brokers refuse them, nothing is deleted that is not gone already, and no owner is fenced.
    pub fn refusal(&self, of: &Permission) -> Result<Option<KafkaStartError>, LogError> {
        let (action, resource, asked) = match of {
            Permission::Read(topic) => ("Read", self.topic_resource(topic), self.ask_read(topic)),
            Permission::Write(topic) => ("Write", self.topic_resource(topic), self.ask_write(topic)),
            Permission::Delete(topic) => ("Delete", self.topic_resource(topic), self.ask_delete(topic)),
            Permission::Group(group) => {
                let resource = format!("group {}", self.config.remote(group));
                let is_denied = self.reader.query().is_denied(group);
                let denial = KafkaError::AdminOp(RDKafkaErrorCode::GroupAuthorizationFailed);
                ("Read", resource, if is_denied { Err(denial) } else { Ok(()) })
            }
            Permission::Owner(owner) => {
                let resource = format!("transactional id {}", self.config.remote(owner));
                ("Write", resource, self.ask_owner(owner))
            }
        };
        match asked {
            Ok(()) => Ok(None),
            Err(error) if code(&error).is_some_and(is_denied) => {
                Ok(Some(denied(&self.config, action, &resource)))
            }
            Err(error) => Err(unavailable(format_args!("{action} {resource}"), &error)),
        }
    }

    /// Compares clocks, by a record in the state topic that replaces the last one of this kind.
    pub fn clock(&self) -> Result<ClockReading, LogError> {
        let clock = BrokerClock::new();
        let failed = |error: KafkaError| unavailable("ask the brokers' clock", &error);
        let key = format!("clock/{}", self.config.node);
        // The first answer of a client takes half a second longer than the second.
        for _ in 0..2 {
            let probe = self.probe(&self.config.state_topic, Some(key.as_bytes()), &[1]).map_err(failed)?;
            clock.observe(probe.sent, probe.acknowledged, probe.append_time_ms);
        }
        let uncertainty = clock.uncertainty().unwrap_or_default();
        Ok(ClockReading { offset_ms: clock.now_ms() - crate::SystemClock.now_ms(), uncertainty })
    }

    fn topic_resource(&self, topic: &str) -> String {
        format!("topic {}", self.config.remote(topic))
    }

    fn timeout(&self) -> Duration {
        self.config.request_timeout
    }

    fn ask_read(&self, topic: &str) -> KafkaResult<()> {
        let mut config = client::reading(&self.config, crate::kafka::read::READERS);
        config.set("fetch.wait.max.ms", "20");
        let context = Context { health: self.health.clone() };
        let consumer: BaseConsumer<Context> = config.create_with_context(context)?;
        let remote = self.config.remote(topic);
        consumer.fetch_metadata(Some(&remote), self.timeout())?;
        let mut end = TopicPartitionList::with_capacity(1);
        end.add_partition_offset(&remote, 0, Place::End)?;
        consumer.assign(&end)?;
        let deadline = Instant::now() + self.timeout();
        while Instant::now() < deadline {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) if code(&error).is_some_and(is_denied) => return Err(error),
                Some(Err(_)) | None => {}
            }
        }
        Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))
    }

    /// Sends what brokers cannot take: a record without key to a compacted topic, to others one that is too large.
    fn ask_write(&self, topic: &str) -> KafkaResult<()> {
        let known = self.config.topic(topic);
        let is_compacted = known.is_some_and(|topic| topic.kind == TopicKind::Compacted);
        let largest = known.map_or(1 << 20, |topic| topic.message_bytes_max);
        let value = if is_compacted { vec![1] } else { vec![1; largest + 1] };
        match self.probe(topic, None, &value) {
            Err(error) if code(&error).is_some_and(is_refused) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Asks to delete what lies before the first record that is kept.
    fn ask_delete(&self, topic: &str) -> KafkaResult<()> {
        let first = TopicPartition::new(topic, 0);
        let bounds = self.reader.bounds(&first);
        let start = bounds.map_err(|_| KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))?.start;
        let mut cuts = TopicPartitionList::with_capacity(1);
        let offset = Place::Offset(i64::try_from(start).unwrap_or(0));
        cuts.add_partition_offset(&self.config.remote(topic), partition_number(&first), offset)?;
        let context = Context { health: self.health.clone() };
        let admin: rdkafka::admin::AdminClient<Context> =
            client::base(&self.config).create_with_context(context)?;
        let options = rdkafka::admin::AdminOptions::new().request_timeout(Some(self.timeout()));
        let done = wait_until(Instant::now() + 2 * self.timeout(), admin.delete_records(&cuts, &options));
        let done = done.unwrap_or(Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut)))?;
        done.elements().into_iter().try_for_each(|cut| cut.error())
    }

    /// Takes an owner that nobody is.
    fn ask_owner(&self, owner: &str) -> KafkaResult<()> {
        let mut config = client::base(&self.config);
        config.set("transactional.id", self.config.remote(owner)).set("transaction.timeout.ms", "10000");
        let (context, _answers) = Answers::new(self);
        let producer: BaseProducer<Answers> = config.create_with_context(context)?;
        producer.init_transactions(self.timeout())
    }

    /// Writes one record and waits for what becomes of it.
    fn probe(&self, topic: &str, key: Option<&[u8]>, value: &[u8]) -> KafkaResult<Probe> {
        let mut config = client::base(&self.config);
        let bytes_max = value.len() + (1 << 20);
        config
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("message.max.bytes", bytes_max.to_string())
            .set("message.timeout.ms", self.timeout().as_millis().to_string());
        let (context, answers) = Answers::new(self);
        let producer: BaseProducer<Answers> = config.create_with_context(context)?;
        let remote = self.config.remote(topic);
        producer.client().fetch_metadata(Some(&remote), self.timeout())?;
        let mut record = BaseRecord::<[u8], [u8], _>::to(&remote).partition(0).payload(value);
        record.key = key;
        let sent = Instant::now();
        producer.send(record).map_err(|(error, _)| error)?;
        let deadline = sent + self.timeout() + Duration::from_secs(1);
        while Instant::now() < deadline {
            producer.poll(Duration::from_millis(5));
            if let Ok((acknowledged, answer)) = answers.try_recv() {
                return answer.map(|append_time_ms| Probe { sent, acknowledged, append_time_ms });
            }
        }
        Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut))
    }
}

/// A record that was taken.
struct Probe {
    sent: Instant,
    acknowledged: Instant,
    append_time_ms: i64,
}

fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    crate::kafka::error::admin_code(error)
}

/// Whether brokers have looked at a record and not taken it.
fn is_refused(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidMessage
    )
}

type Answer = (Instant, KafkaResult<i64>);

/// Notes what becomes of a record.
struct Answers {
    context: Context,
    answers: SyncSender<Answer>,
}

impl Answers {
    fn new(admin: &KafkaAdmin) -> (Self, Receiver<Answer>) {
        let (answers, received) = sync_channel(1);
        (Self { context: Context { health: admin.health.clone() }, answers }, received)
    }
}

impl ClientContext for Answers {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ProducerContext for Answers {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let answer = match result {
            Ok(message) => Ok(message.timestamp().to_millis().unwrap_or(0)),
            Err((error, _)) => Err(error.clone()),
        };
        // One record, one answer: there is room for it.
        self.answers.try_send((Instant::now(), answer)).ok();
    }
}
