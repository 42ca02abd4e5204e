//! Other people's topics in memory, with a group whose partitions come and go, and writers that fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use emostream_log::{
    LogError, Offset, TopicPartition,
    foreign::{
        Compression, ForeignBegin, ForeignLine, ForeignReader, ForeignRecord, ForeignTopic, ForeignTopics,
        ForeignWriter, FoundTopic, Gathered, TakenPartition, TopicIdentity,
    },
};

use super::Dice;

/// The topics, and what has become of them.
#[derive(Clone)]
pub(super) struct Theirs(Arc<Mutex<State>>);

pub(super) struct State {
    partitions: BTreeMap<TopicPartition, Vec<ForeignRecord>>,
    committed: BTreeMap<TopicPartition, Offset>,
    /// Lines written, in order; those of attempts that failed as well, as far as they came.
    pub(super) lines: Vec<ForeignLine>,
    dice: Dice,
    /// Whether partitions are lost, readers thrown out, and lines not written, now and then.
    pub(super) troubles: bool,
    /// Readers that were made.
    pub(super) readers: u32,
}

impl Theirs {
    pub(super) fn new(topics: &[(&str, u32)], seed: u64) -> Self {
        let partitions = topics.iter().flat_map(|(topic, number)| {
            (0..*number).map(|number| (TopicPartition::new(*topic, number), Vec::new()))
        });
        Self(Arc::new(Mutex::new(State {
            partitions: partitions.collect(),
            committed: BTreeMap::new(),
            lines: Vec::new(),
            dice: Dice(seed),
            troubles: false,
            readers: 0,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What their program writes.
    pub(super) fn write(&self, topic: &str, partition: u32, time_ms: i64, value: &str, is_own: bool) {
        let partition = TopicPartition::new(topic, partition);
        let mut state = self.lock();
        let records = state.partitions.get_mut(&partition).unwrap();
        // As in a transaction's topic: not every offset is a record's.
        let offset = records.last().map_or(3, |record| record.offset + 1 + record.offset % 2);
        records.push(ForeignRecord {
            partition,
            offset,
            time_ms: Some(time_ms),
            is_append_time: false,
            key: None,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            is_own,
        });
    }

    /// Whether the group has committed everything.
    pub(super) fn is_done(&self) -> bool {
        let state = self.lock();
        state.partitions.iter().all(|(partition, records)| {
            let end = records.last().map_or(0, |record| record.offset + 1);
            state.committed.get(partition).copied().unwrap_or(0) >= end
        })
    }
}

impl ForeignTopics for Theirs {
    fn make(&self, topics: &[ForeignTopic]) -> Result<Vec<FoundTopic>, LogError> {
        Ok(topics.iter().map(|topic| FoundTopic { partitions: Ok(topic.partitions), made: true }).collect())
    }

    fn read(
        &self,
        _group: &str,
        topics: &[String],
        _begin: ForeignBegin,
    ) -> Result<Box<dyn ForeignReader>, LogError> {
        self.lock().readers += 1;
        Ok(Box::new(Reader {
            theirs: self.clone(),
            topics: topics.iter().cloned().collect(),
            next: BTreeMap::new(),
        }))
    }

    fn write(&self, _compression: Compression) -> Result<Box<dyn ForeignWriter>, LogError> {
        Ok(Box::new(Writer(self.clone())))
    }
}

struct Reader {
    theirs: Theirs,
    topics: BTreeSet<String>,
    next: BTreeMap<TopicPartition, Offset>,
}

impl ForeignReader for Reader {
    fn gather(&mut self, patience: Duration) -> Result<Gathered, LogError> {
        let mut state = self.theirs.lock();
        if state.troubles && state.dice.one_in(40) {
            return Err(LogError::Fenced("thrown out".into()));
        }
        if state.troubles && state.dice.one_in(10) {
            return Err(LogError::Unavailable("no broker answers".into()));
        }
        let mut gathered = Gathered::default();
        if state.troubles && state.dice.one_in(8) {
            gathered.lost = std::mem::take(&mut self.next).into_keys().collect();
        }
        let State { partitions, committed, dice, .. } = &mut *state;
        for (partition, records) in partitions.iter().filter(|(at, _)| self.topics.contains(&*at.topic)) {
            let end = records.last().map_or(0, |record| record.offset + 1);
            let next = match self.next.get(partition) {
                Some(next) => *next,
                None => {
                    let next = committed.get(partition).copied().unwrap_or(0);
                    let identity = TopicIdentity { cluster: "c".into(), topic: [1; 16] };
                    gathered.taken.push(TakenPartition { partition: partition.clone(), identity, next, end });
                    next
                }
            };
            let share = 1 + dice.below(60);
            let read: Vec<_> =
                records.iter().filter(|record| record.offset >= next).take(share).cloned().collect();
            self.next.insert(partition.clone(), read.last().map_or(next, |record| record.offset + 1));
            gathered.ends.push((partition.clone(), end));
            gathered.records.extend(read);
        }
        drop(state);
        if gathered.records.is_empty() {
            std::thread::sleep(patience.min(Duration::from_millis(1)));
        }
        Ok(gathered)
    }

    fn done(&mut self, of: &TopicPartition, next: Offset) {
        if self.next.contains_key(of) {
            let mut state = self.theirs.lock();
            let at = state.committed.entry(of.clone()).or_default();
            assert!(next >= *at, "{of}: done goes back from {at} to {next}");
            *at = next;
        }
    }

    fn close(self: Box<Self>) {}
}

struct Writer(Theirs);

impl ForeignWriter for Writer {
    fn write(&mut self, lines: &[ForeignLine]) -> Result<(), LogError> {
        let mut state = self.0.lock();
        if state.troubles && state.dice.one_in(4) {
            let written = state.dice.below(lines.len() + 1);
            state.lines.extend_from_slice(&lines[..written]);
            return Err(LogError::Unavailable("no broker answers".into()));
        }
        state.lines.extend_from_slice(lines);
        Ok(())
    }
}
