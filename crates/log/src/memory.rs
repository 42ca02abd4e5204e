//! The log in memory: the same semantics without a disk, for tests.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    AppendFuture, Appended, Bounds, Clock, Committed, FencedWriter, Generation, KeyedValue, Log, LogError,
    Membership, Offset, ReadBatch, Record, TopicPartition,
    fencing::{Claim, EpochStore, Owners},
    groups::{GroupStore, Groups, SavedGroup},
    locks::lock,
};

/// A log that ends with the process.
pub struct MemoryLog {
    records: Arc<Records>,
    generation: Generation,
    topics: BTreeMap<String, u32>,
    owners: Owners,
    groups: Groups,
}

struct Records {
    clock: Arc<dyn Clock>,
    closed: AtomicBool,
    partitions: HashMap<TopicPartition, Partition>,
}

struct Partition {
    records: Mutex<Vec<Record>>,
    end: watch::Sender<Offset>,
}

impl MemoryLog {
    /// An empty log with topics and their partition counts.
    pub fn new(generation: Generation, topics: &[(&str, u32)], clock: Arc<dyn Clock>) -> Self {
        let partition = || Partition { records: Mutex::default(), end: watch::Sender::new(0) };
        let names = topics.iter().flat_map(|&(topic, count)| {
            (0..count).map(move |number| (TopicPartition::new(topic, number), partition()))
        });
        let partitions = names.collect();
        Self {
            records: Arc::new(Records { clock, closed: AtomicBool::new(false), partitions }),
            generation,
            topics: topics.iter().map(|&(topic, count)| (topic.to_owned(), count)).collect(),
            owners: Owners::new(Box::new(Forgetful), []),
            groups: Groups::new(Arc::new(Forgetful), []),
        }
    }
}

impl Records {
    fn partition(&self, name: &TopicPartition) -> Result<&Partition, LogError> {
        self.partitions.get(name).ok_or_else(|| LogError::UnknownPartition(name.clone()))
    }

    fn append(
        &self,
        to: &TopicPartition,
        values: impl IntoIterator<Item = (Option<Bytes>, Bytes)>,
        claim: Option<&Claim>,
    ) -> Result<Appended, LogError> {
        let partition = self.partition(to)?;
        let mut records = lock(&partition.records);
        if self.closed.load(Ordering::SeqCst) {
            return Err(LogError::Closed);
        }
        claim.map_or(Ok(()), Claim::check)?;
        let highest = records.last().map_or(i64::MIN, |record| record.append_time_ms);
        let append_time_ms = self.clock.now_ms().max(highest);
        let first_offset = records.len() as Offset;
        let offsets = first_offset..;
        records.extend(values.into_iter().zip(offsets).map(|((key, value), offset)| Record {
            offset,
            append_time_ms,
            key,
            value,
        }));
        partition.end.send_replace(records.len() as Offset);
        Ok(Appended { first_offset, append_time_ms })
    }
}

impl Log for MemoryLog {
    fn generation(&self) -> &Generation {
        &self.generation
    }

    fn partitions(&self, topic: &str) -> Option<u32> {
        self.topics.get(topic).copied()
    }

    fn append(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture {
        Box::pin(std::future::ready(self.records.append(to, without_keys(values), None)))
    }

    /// Every record is kept, which a compacted topic may do as well.
    fn append_keyed(&self, to: &TopicPartition, values: Vec<KeyedValue>) -> AppendFuture {
        let values = values.into_iter().map(|KeyedValue { key, value }| (Some(key), value));
        Box::pin(std::future::ready(self.records.append(to, values, None)))
    }

    fn publish(&self, to: &TopicPartition, values: Vec<Bytes>) -> Result<(), LogError> {
        self.records.append(to, without_keys(values), None).map(drop)
    }

    fn read(&self, from: &TopicPartition, offset: Offset, bytes_max: usize) -> Result<ReadBatch, LogError> {
        let records = lock(&self.records.partition(from)?.records);
        let from_offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(wanted) = records.get(from_offset..) else {
            let end = records.len() as Offset;
            return Err(LogError::OutOfRange { partition: from.clone(), offset, start: 0, end });
        };
        let mut left = bytes_max;
        let fits = |(at, record): &(usize, &Record)| {
            let fits = *at == 0 || record.value.len() <= left;
            left = left.saturating_sub(record.value.len());
            fits
        };
        let read = wanted.iter().enumerate().take_while(fits).map(|(_, record)| record.clone());
        let read: Vec<_> = read.collect();
        Ok(ReadBatch { next: offset + read.len() as Offset, records: read })
    }

    fn follow(&self, partition: &TopicPartition) -> Result<watch::Receiver<Offset>, LogError> {
        Ok(self.records.partition(partition)?.end.subscribe())
    }

    fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        Ok(Bounds { start: 0, end: *self.records.partition(of)?.end.borrow() })
    }

    fn offset_at(&self, of: &TopicPartition, append_time_ms: i64) -> Result<Offset, LogError> {
        let records = lock(&self.records.partition(of)?.records);
        Ok(records.partition_point(|record| record.append_time_ms < append_time_ms) as Offset)
    }

    fn fenced_writer(&self, owner: &str) -> Result<Box<dyn FencedWriter>, LogError> {
        Ok(Box::new(Fenced { records: Arc::clone(&self.records), claim: self.owners.claim(owner)? }))
    }

    fn join(&self, group: &str, topic: &str, member: &str) -> Result<Box<dyn Membership>, LogError> {
        let partitions = Log::partitions(self, topic);
        let partitions =
            partitions.ok_or_else(|| LogError::UnknownPartition(TopicPartition::new(topic, 0)))?;
        self.groups.join(group, topic, partitions, member)
    }

    fn committed(&self, group: &str, of: &TopicPartition) -> Result<Option<Committed>, LogError> {
        self.records.partition(of)?;
        Ok(self.groups.committed(group, of))
    }

    /// Nothing is ever deleted here.
    fn set_restore_point(&self, of: &TopicPartition, _offset: Offset) -> Result<(), LogError> {
        self.records.partition(of).map(drop)
    }

    fn close(&self) -> Result<(), LogError> {
        self.records.closed.store(true, Ordering::SeqCst);
        Ok(())
    }
}

fn without_keys(values: Vec<Bytes>) -> impl Iterator<Item = (Option<Bytes>, Bytes)> {
    values.into_iter().map(|value| (None, value))
}

struct Fenced {
    records: Arc<Records>,
    claim: Claim,
}

impl FencedWriter for Fenced {
    fn append(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture {
        Box::pin(std::future::ready(self.records.append(to, without_keys(values), Some(&self.claim))))
    }
}

/// Keeps nothing.
struct Forgetful;

impl EpochStore for Forgetful {
    fn save(&self, _owner: &str, _epoch: u64) -> Result<(), LogError> {
        Ok(())
    }
}

impl GroupStore for Forgetful {
    fn save(&self, _group: &str, _saved: &SavedGroup) -> Result<(), LogError> {
        Ok(())
    }
}
