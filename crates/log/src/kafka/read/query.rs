//! Questions to the brokers: where partitions begin and end, what was when, what groups have committed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    Offset as Place, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    groups::GroupList,
    metadata::Metadata,
};

use crate::{
    Bounds, COMMIT_METADATA_BYTES_MAX, Committed, LogError, Offset, TopicPartition,
    kafka::{
        client::{self, Context, Health},
        config::KafkaConfig,
        error::unavailable,
    },
    locks::lock,
};

/// Groups whose positions are asked for, each by a client of its own.
const GROUPS_MAX: usize = 16;

/// How long one question waits where the reason for no answer may come by another way.
const ATTEMPT: Duration = Duration::from_millis(250);

/// How long a question waits for whoever leads its partition as far as the client knows: a question to a broker that is gone
/// is not passed on to its successor.
const PATIENCE: Duration = Duration::from_secs(2);

/// Name of the group of clients that belong to none: never joined, never committed to, but a client must have one.
pub(in crate::kafka) const READERS: &str = "emostream-readers";

/// How long a question waits before it is asked again, where its partition or group has no leader just now.
const LEADERLESS_WAIT: Duration = Duration::from_millis(50);

/// Asks questions.
pub(in crate::kafka) struct Query {
    config: Arc<KafkaConfig>,
    health: Arc<Health>,
    consumer: BaseConsumer<Context>,
    groups: Mutex<BTreeMap<String, Arc<BaseConsumer<Context>>>>,
}

/// A partition's number as the client has it.
pub(in crate::kafka) fn partition_number(of: &TopicPartition) -> i32 {
    i32::try_from(of.partition).unwrap_or(i32::MAX)
}

/// A client that stands nowhere yet and belongs to no group.
pub(super) fn reader(
    config: &KafkaConfig,
    health: &Arc<Health>,
    buffer_kib: usize,
) -> KafkaResult<BaseConsumer<Context>> {
    let mut client = client::reading(config, READERS);
    client
        .set("queued.max.messages.kbytes", buffer_kib.to_string())
        .set("fetch.wait.max.ms", config.fetch_wait.as_millis().to_string())
        .set("fetch.message.max.bytes", (4 << 20).to_string());
    client.create_with_context(Context { health: Arc::clone(health) })
}

impl Query {
    pub(in crate::kafka) fn new(config: &Arc<KafkaConfig>, health: &Arc<Health>) -> KafkaResult<Self> {
        let mut client = client::reading(config, READERS);
        client.remove("group.id");
        Ok(Self {
            config: Arc::clone(config),
            health: Arc::clone(health),
            consumer: client.create_with_context(Context { health: Arc::clone(health) })?,
            groups: Mutex::default(),
        })
    }

    /// Serves what the clients report.
    pub(in crate::kafka) fn serve(&self) {
        // Without a subscription there is never a record, and errors have been noted by the context.
        drop(self.consumer.poll(Duration::ZERO));
        for consumer in lock(&self.groups).values() {
            drop(consumer.poll(Duration::ZERO));
        }
    }

    /// All topics, or one, and the brokers.
    pub(in crate::kafka) fn metadata(&self, topic: Option<&str>, timeout: Duration) -> KafkaResult<Metadata> {
        let metadata = self.consumer.fetch_metadata(topic, timeout);
        self.serve();
        metadata
    }

    /// Members of one group, or of all.
    pub(in crate::kafka) fn group(&self, remote: Option<&str>) -> KafkaResult<GroupList> {
        let list = self.ask(None, |timeout| self.consumer.fetch_group_list(remote, timeout));
        self.serve();
        list
    }

    pub(super) fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        let topic = self.config.remote(&of.topic);
        let asked = self.ask(Some(&topic), |timeout| {
            self.consumer.fetch_watermarks(&topic, partition_number(of), timeout)
        });
        let (start, end) =
            asked.map_err(|error| unavailable(format_args!("ask for the bounds of {of}"), &error))?;
        let offset = |raw| u64::try_from(raw).unwrap_or(0);
        Ok(Bounds { start: offset(start), end: offset(end) })
    }

    pub(super) fn offset_at(&self, of: &TopicPartition, append_time_ms: i64) -> Result<Offset, LogError> {
        let action = || format!("ask for the offset at a time in {of}");
        let topic = self.config.remote(&of.topic);
        let mut times = TopicPartitionList::with_capacity(1);
        // A time is asked for in the place of an offset; negative ones mean something else there.
        times
            .add_partition_offset(&topic, partition_number(of), Place::Offset(append_time_ms.max(0)))
            .map_err(|error| unavailable(action(), &error))?;
        let found = self.ask(Some(&topic), |timeout| {
            let found = self.consumer.offsets_for_times(times.clone(), timeout)?;
            first_error(&found).map_or(Ok(found), Err)
        });
        let found = found.map_err(|error| unavailable(action(), &error))?;
        let Some(found) = found.find_partition(&topic, partition_number(of)) else {
            return Err(LogError::Unavailable(format!("{}: no answer", action())));
        };
        match found.offset() {
            Place::Offset(offset) => Ok(u64::try_from(offset).unwrap_or(0)),
            _ => Ok(self.bounds(of)?.end),
        }
    }

    pub(in crate::kafka) fn committed(
        &self,
        group: &str,
        of: &TopicPartition,
    ) -> Result<Option<Committed>, LogError> {
        let action = || format!("ask for the position of group {group} in {of}");
        let asked = self
            .of_group(group)
            .and_then(|consumer| self.ask(None, |timeout| self.ask_committed(&consumer, of, timeout)))
            .map_err(|error| unavailable(action(), &error))?;
        let topic = self.config.remote(&of.topic);
        let Some(found) = asked.find_partition(&topic, partition_number(of)) else {
            return Err(LogError::Unavailable(format!("{}: no answer", action())));
        };
        let Place::Offset(offset) = found.offset() else { return Ok(None) };
        let metadata = decode_metadata(found.metadata())
            .ok_or_else(|| LogError::Format(format!("metadata of group {group} in {of} is not ours")))?;
        Ok(Some(Committed { offset: u64::try_from(offset).unwrap_or(0), metadata }))
    }

    /// Whether brokers do not permit the use of a group.
    pub(in crate::kafka) fn is_denied(&self, group: &str) -> bool {
        let of = TopicPartition::new(self.config.state_topic.as_str(), 0);
        let Ok(consumer) = self.of_group(group) else { return false };
        let is_refusal = |error: &KafkaError| {
            error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed)
        };
        let deadline = Instant::now() + self.config.request_timeout;
        while Instant::now() < deadline {
            let asked = self.ask_committed(&consumer, &of, ATTEMPT);
            match asked {
                Ok(_) => return false,
                Err(error) if is_refusal(&error) => return true,
                // Who may not even ask for the group's coordinator asks in vain, and hears the reason here.
                Err(_) => {
                    while let Some(polled) = consumer.poll(Duration::ZERO) {
                        if polled.is_err_and(|error| is_refusal(&error)) {
                            return true;
                        }
                    }
                }
            }
        }
        false
    }

    /// A group's position, as the client gives it.
    fn ask_committed(
        &self,
        consumer: &BaseConsumer<Context>,
        of: &TopicPartition,
        timeout: Duration,
    ) -> KafkaResult<TopicPartitionList> {
        let mut asked = TopicPartitionList::with_capacity(1);
        asked.add_partition(&self.config.remote(&of.topic), partition_number(of));
        let found = consumer.committed_offsets(asked, timeout)?;
        first_error(&found).map_or(Ok(found), Err)
    }

    /// Asks, and where there is no leader to answer asks again until the time for questions is over: a topic that was
    /// made just now, or whose broker has died, has one soon.
    ///
    /// What the client knows of the topic is asked for anew in between. A broker that has just come up may describe a
    /// topic with some of its partitions only, and the client takes that as settled until its next regular refresh,
    /// which is minutes away.
    fn ask<T>(&self, topic: Option<&str>, question: impl Fn(Duration) -> KafkaResult<T>) -> KafkaResult<T> {
        let deadline = Instant::now() + self.config.request_timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        loop {
            let answer = question(left().min(PATIENCE));
            match answer {
                Err(error) if is_elsewhere(&error) && left() > LEADERLESS_WAIT => {
                    std::thread::sleep(LEADERLESS_WAIT);
                    if let Some(topic) = topic {
                        drop(self.consumer.fetch_metadata(Some(topic), left().min(PATIENCE)));
                    }
                }
                answer => return answer,
            }
        }
    }

    fn of_group(&self, group: &str) -> KafkaResult<Arc<BaseConsumer<Context>>> {
        let mut groups = lock(&self.groups);
        if let Some(consumer) = groups.get(group) {
            return Ok(Arc::clone(consumer));
        }
        let context = Context { health: Arc::clone(&self.health) };
        let consumer = Arc::new(client::reading(&self.config, group).create_with_context(context)?);
        if groups.len() >= GROUPS_MAX {
            groups.pop_first();
        }
        groups.insert(group.to_owned(), Arc::clone(&consumer));
        Ok(consumer)
    }
}

/// What the answer says of a partition instead of answering.
fn first_error(answer: &TopicPartitionList) -> Option<KafkaError> {
    answer.elements().iter().find_map(|element| element.error().err())
}

/// Whether whoever was asked does not lead the partition or the group, or is gone: another does, or will.
fn is_elsewhere(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::UnknownLeaderEpoch
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
        )
    )
}

/// Begins metadata that is not text and was written in hexadecimal digits: Kafka stores text.
const HEXADECIMAL: char = '\u{1}';

/// Metadata as the text that Kafka stores: as it is where it is text, else twice as long.
pub(in crate::kafka) fn encode_metadata(metadata: &[u8]) -> Result<String, LogError> {
    let text = match std::str::from_utf8(metadata) {
        Ok(text) if !text.starts_with(HEXADECIMAL) => text.to_owned(),
        _ => metadata.iter().fold(HEXADECIMAL.to_string(), |text, byte| format!("{text}{byte:02x}")),
    };
    if text.len() > COMMIT_METADATA_BYTES_MAX {
        return Err(LogError::TooLarge { bytes: text.len(), limit: COMMIT_METADATA_BYTES_MAX });
    }
    Ok(text)
}

fn decode_metadata(text: &str) -> Option<Bytes> {
    let Some(digits) = text.strip_prefix(HEXADECIMAL) else {
        return Some(Bytes::copy_from_slice(text.as_bytes()));
    };
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(|pair| (pair.len() == 2).then(|| byte(pair)).flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_survives_as_text() {
        let samples: [&[u8]; 6] =
            [b"", b"count/3@17", "ünï".as_bytes(), b"\x01ab", b"\xff\x00\x7f", &[0xfe; 2047]];
        for sample in samples {
            let text = encode_metadata(sample).unwrap();
            assert_eq!(decode_metadata(&text).unwrap(), sample);
        }
        assert_eq!(encode_metadata(b"count/3@17").unwrap(), "count/3@17", "text stays readable");
        assert!(matches!(
            encode_metadata(&[b'a'; 4097]),
            Err(LogError::TooLarge { bytes: 4097, limit: 4096 })
        ));
        assert!(matches!(encode_metadata(&[0xff; 2048]), Err(LogError::TooLarge { bytes: 4097, .. })));
        for bad in ["\u{1}abc", "\u{1}zz"] {
            assert_eq!(decode_metadata(bad), None);
        }
    }
}
