//! Clients that each stand at one place of one partition: whoever reads on gets the client that stands there, with what it
//! has fetched ahead.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    Message, Offset as Place, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};

use super::query::{partition_number, reader};
use crate::{
    LogError, Offset, ReadBatch, Record, TopicPartition,
    kafka::{
        client::{Context, Health},
        config::KafkaConfig,
        error::{unavailable, words},
    },
    locks::lock,
};

/// Clients in all: readers at more places than this take turns.
const CURSORS_MAX: usize = 8;

/// KiB that one fetches ahead.
const AHEAD_KIB: usize = 8 * 1024;

/// One that nobody has used for this long is ended.
const IDLE: Duration = Duration::from_secs(60);

/// The pool.
pub(super) struct Cursors {
    config: Arc<KafkaConfig>,
    health: Arc<Health>,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    /// The longest idle first.
    idle: Vec<Cursor>,
    in_use: usize,
}

struct Cursor {
    consumer: BaseConsumer<Context>,
    at: Option<Position>,
    used: Instant,
}

/// Where a cursor stands.
struct Position {
    partition: TopicPartition,
    next: Offset,
    /// Read from the client and not given out yet, because it did not fit.
    held: Option<Record>,
    /// The client has said that nothing more is there.
    at_end: bool,
}

/// A record of the log as brokers gave it.
pub(super) fn record(message: &BorrowedMessage<'_>) -> Record {
    Record {
        offset: u64::try_from(message.offset()).unwrap_or(0),
        append_time_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice).unwrap_or_default(),
    }
}

impl Cursors {
    pub(super) fn new(config: &Arc<KafkaConfig>, health: &Arc<Health>) -> Self {
        Self {
            config: Arc::clone(config),
            health: Arc::clone(health),
            pool: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Records from an offset on; `None` where there is none, be it an end or out of range.
    pub(super) fn read(
        &self,
        from: &TopicPartition,
        offset: Offset,
        bytes_max: usize,
    ) -> Result<Option<ReadBatch>, LogError> {
        let mut cursor = self.take(from, offset)?;
        let read = cursor.read(&self.config, from, offset, bytes_max);
        if read.is_err() {
            // Where it stands is not known; it is placed anew.
            cursor.at = None;
        }
        cursor.used = Instant::now();
        let mut pool = lock(&self.pool);
        pool.in_use -= 1;
        pool.idle.push(cursor);
        drop(pool);
        self.returned.notify_one();
        read
    }

    /// The cursor that stands there, or a new one, or the one that was idle for the longest.
    fn take(&self, from: &TopicPartition, offset: Offset) -> Result<Cursor, LogError> {
        let mut pool = lock(&self.pool);
        loop {
            let stands_there = |cursor: &Cursor| cursor.at.as_ref().is_some_and(|at| at.is(from, offset));
            let at = pool.idle.iter().position(stands_there);
            let is_full = pool.in_use + pool.idle.len() >= CURSORS_MAX;
            let at = at.or(if is_full && !pool.idle.is_empty() { Some(0) } else { None });
            if let Some(at) = at {
                pool.in_use += 1;
                return Ok(pool.idle.remove(at));
            }
            if !is_full {
                pool.in_use += 1;
                break;
            }
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        drop(pool);
        let cursor = self.create(from);
        if cursor.is_err() {
            lock(&self.pool).in_use -= 1;
            self.returned.notify_one();
        }
        cursor
    }

    fn create(&self, from: &TopicPartition) -> Result<Cursor, LogError> {
        let consumer = reader(&self.config, &self.health, AHEAD_KIB)
            .map_err(|error| unavailable(format_args!("read {from}"), &error))?;
        Ok(Cursor { consumer, at: None, used: Instant::now() })
    }

    pub(super) fn tidy(&self) {
        let mut pool = lock(&self.pool);
        let (idle, used) =
            std::mem::take(&mut pool.idle).into_iter().partition(|cursor| cursor.used.elapsed() > IDLE);
        pool.idle = used;
        drop(pool);
        let idle: Vec<Cursor> = idle;
        drop(idle);
    }

    pub(super) fn close(&self) {
        let idle = std::mem::take(&mut lock(&self.pool).idle);
        drop(idle);
    }
}

impl Position {
    fn is(&self, partition: &TopicPartition, offset: Offset) -> bool {
        self.next == offset && self.partition == *partition
    }
}

impl Cursor {
    fn read(
        &mut self,
        config: &KafkaConfig,
        from: &TopicPartition,
        offset: Offset,
        bytes_max: usize,
    ) -> Result<Option<ReadBatch>, LogError> {
        let mut at = match self.at.take().filter(|at| at.is(from, offset)) {
            Some(at) => at,
            None => self.place(config, from, offset)?,
        };
        let mut records: Vec<Record> = Vec::new();
        let mut left = bytes_max;
        let deadline = Instant::now() + config.request_timeout;
        loop {
            let record = match at.held.take() {
                Some(record) => record,
                None => match self.next(&mut at, config, !records.is_empty(), deadline)? {
                    Some(record) => record,
                    None => break,
                },
            };
            if !records.is_empty() && record.value.len() > left {
                at.next = record.offset;
                at.held = Some(record);
                break;
            }
            left = left.saturating_sub(record.value.len());
            at.next = record.offset + 1;
            records.push(record);
        }
        let next = at.next;
        self.at = Some(at);
        Ok((next > offset).then_some(ReadBatch { records, next }))
    }

    /// The next record. `None` at the end, where the offset asked for does not exist, and where no further one is here
    /// at the moment while there are some already.
    fn next(
        &self,
        at: &mut Position,
        config: &KafkaConfig,
        have_some: bool,
        deadline: Instant,
    ) -> Result<Option<Record>, LogError> {
        let from = &at.partition;
        loop {
            let wait = if have_some { Duration::ZERO } else { Duration::from_millis(100) };
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    at.at_end = false;
                    return Ok(Some(record(&message)));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    at.at_end = true;
                    at.next = at.next.max(self.position(config, from));
                    return Ok(None);
                }
                Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
                ))) => return Ok(None),
                Some(Err(error)) if is_permanent(&error) => {
                    return Err(unavailable(format_args!("read {from}"), &error));
                }
                Some(Err(error)) => tracing::debug!(error = words(&error), partition = %from, "read"),
                // At an end the client says nothing until something comes: a moment was enough to see what has.
                None if have_some || at.at_end => return Ok(None),
                None => {}
            }
            if Instant::now() >= deadline {
                return Err(LogError::Unavailable(format!(
                    "read {from} from {}: no broker answers",
                    at.next
                )));
            }
        }
    }

    /// Where the client is: beyond a transaction's markers, of which readers see nothing.
    fn position(&self, config: &KafkaConfig, of: &TopicPartition) -> Offset {
        let positions = self.consumer.position().ok();
        let position = positions
            .as_ref()
            .and_then(|all| all.find_partition(&config.remote(&of.topic), partition_number(of)));
        match position.map(|position| position.offset()) {
            Some(Place::Offset(offset)) => u64::try_from(offset).unwrap_or(0),
            // Nothing has come since it was placed.
            _ => 0,
        }
    }

    fn place(
        &self,
        config: &KafkaConfig,
        from: &TopicPartition,
        offset: Offset,
    ) -> Result<Position, LogError> {
        let raw = i64::try_from(offset).unwrap_or(i64::MAX);
        let topic = config.remote(&from.topic);
        // Without this the first fetch from a topic comes half a second late.
        self.consumer
            .fetch_metadata(Some(&topic), config.request_timeout)
            .map_err(|error| unavailable(format_args!("read {from}"), &error))?;
        let mut place = TopicPartitionList::with_capacity(1);
        place
            .add_partition_offset(&topic, partition_number(from), Place::Offset(raw))
            .and_then(|()| self.consumer.assign(&place))
            .map_err(|error| unavailable(format_args!("read {from}"), &error))?;
        Ok(Position { partition: from.clone(), next: offset, held: None, at_end: false })
    }
}

/// Whether asking again brings the same answer.
pub(super) fn is_permanent(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}
