//! A log in memory whose appends fail now and then: before they take effect, in the middle, or only in their answer.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use emostream_log::{
    AppendFuture, Bounds, Committed, FencedWriter, Generation, Log, LogError, Membership, Offset, ReadBatch,
    TopicPartition, memory::MemoryLog,
};
use tokio::sync::watch;

use super::Dice;

pub(super) struct FaultyLog {
    pub(super) log: MemoryLog,
    pub(super) dice: Mutex<Dice>,
    pub(super) troubles: AtomicBool,
}

impl Log for FaultyLog {
    fn append(&self, to: &TopicPartition, mut values: Vec<Bytes>) -> AppendFuture {
        let mut dice = self.dice.lock().unwrap();
        if !self.troubles.load(Ordering::SeqCst) || !dice.one_in(5) {
            return self.log.append(to, values);
        }
        // From its first record on: what the log promises of an append that failed.
        values.truncate(dice.below(values.len() + 1));
        if !values.is_empty() {
            drop(self.log.append(to, values));
        }
        Box::pin(std::future::ready(Err(LogError::Unavailable("no broker answers".into()))))
    }

    fn generation(&self) -> &Generation {
        self.log.generation()
    }

    fn partitions(&self, topic: &str) -> Option<u32> {
        Log::partitions(&self.log, topic)
    }

    fn read(&self, from: &TopicPartition, offset: Offset, bytes_max: usize) -> Result<ReadBatch, LogError> {
        if self.troubles.load(Ordering::SeqCst) && self.dice.lock().unwrap().one_in(5) {
            return Err(LogError::Unavailable("no broker answers".into()));
        }
        self.log.read(from, offset, bytes_max)
    }

    fn follow(&self, partition: &TopicPartition) -> Result<watch::Receiver<Offset>, LogError> {
        self.log.follow(partition)
    }

    fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        self.log.bounds(of)
    }

    fn offset_at(&self, of: &TopicPartition, append_time_ms: i64) -> Result<Offset, LogError> {
        self.log.offset_at(of, append_time_ms)
    }

    fn fenced_writer(&self, owner: &str) -> Result<Box<dyn FencedWriter>, LogError> {
        self.log.fenced_writer(owner)
    }

    fn join(&self, group: &str, topic: &str, member: &str) -> Result<Box<dyn Membership>, LogError> {
        self.log.join(group, topic, member)
    }

    fn committed(&self, group: &str, of: &TopicPartition) -> Result<Option<Committed>, LogError> {
        self.log.committed(group, of)
    }

    fn set_restore_point(&self, of: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        self.log.set_restore_point(of, offset)
    }

    fn close(&self) -> Result<(), LogError> {
        self.log.close()
    }
}
