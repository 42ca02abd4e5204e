//! A broker and the network before it, in memory. Offsets have gaps, as transactions leave them; records below a restore
//! point are gone at once; appends take effect when the test delivers them, in order, or fail as the log's contract allows;
//! members hear of assignments when the test lets them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use emostream_log::{
    AppendFuture, Appended, Assignment, Bounds, Clock, Committed, FencedWriter, Generation, KeyedValue, Log,
    LogError, Membership, Offset, ReadBatch, Record, TopicPartition, memory::MemoryLog,
};
use futures_util::FutureExt;
use tokio::sync::{oneshot, watch};

use super::Dice;

/// Offsets that one record takes; readers see one of them.
const STRIDE: u64 = 3;

fn place(index: u64) -> Offset {
    STRIDE * index + 1
}

/// Index of the first record at or beyond an offset.
fn index_from(offset: Offset) -> u64 {
    offset.div_ceil(STRIDE).saturating_sub(u64::from(offset % STRIDE == 1))
}

/// What all nodes share.
pub(super) struct Broker {
    log: MemoryLog,
    ends: HashMap<TopicPartition, watch::Sender<Offset>>,
    floors: Mutex<HashMap<TopicPartition, Offset>>,
    /// Topics of which only the newest record of each key can be read.
    compacted: Arc<str>,
}

impl Broker {
    pub(super) fn new(topics: &[(&str, u32)], compacted: &str, clock: Arc<dyn Clock>) -> Arc<Self> {
        let generation = Generation { id: [5; 16], parameters: BTreeMap::new() };
        let partitions = topics.iter().flat_map(|&(topic, partitions)| {
            (0..partitions).map(move |partition| TopicPartition::new(topic, partition))
        });
        let ends = partitions.map(|partition| (partition, watch::Sender::new(0))).collect();
        let log = MemoryLog::new(generation, topics, clock);
        Arc::new(Self { log, ends, floors: Mutex::default(), compacted: compacted.into() })
    }

    pub(super) fn bounds_of(&self, of: &TopicPartition) -> Bounds {
        self.bounds(of).unwrap()
    }

    /// Everything of a partition below an offset is gone.
    pub(super) fn trim(&self, of: &TopicPartition, offset: Offset) {
        self.floors.lock().unwrap().insert(of.clone(), offset);
    }

    pub(super) fn append(&self, to: &TopicPartition, values: Vec<Bytes>) -> Result<Appended, LogError> {
        self.effect(to, &Payload::Plain(values), None)
    }

    pub(super) fn append_keyed(&self, topic: &str, key: &str, value: Vec<u8>) {
        let value = KeyedValue { key: key.to_owned().into(), value: value.into() };
        self.effect(&TopicPartition::new(topic, 0), &Payload::Keyed(vec![value]), None).unwrap();
    }

    /// All records that a partition ever had, whatever readers still see.
    pub(super) fn everything(&self, of: &TopicPartition) -> Vec<Record> {
        let read = self.log.read(of, 0, usize::MAX).unwrap();
        read.records.into_iter().map(|record| Record { offset: place(record.offset), ..record }).collect()
    }

    fn effect(
        &self,
        to: &TopicPartition,
        payload: &Payload,
        fence: Option<&dyn FencedWriter>,
    ) -> Result<Appended, LogError> {
        let append = match (payload, fence) {
            (Payload::Plain(values), None) => self.log.append(to, values.clone()),
            (Payload::Plain(values), Some(writer)) => writer.append(to, values.clone()),
            (Payload::Keyed(values), _) => self.log.append_keyed(to, values.clone()),
        };
        let appended = append.now_or_never().unwrap()?;
        self.ends[to].send_replace(STRIDE * self.log.bounds(to).unwrap().end);
        Ok(Appended { first_offset: place(appended.first_offset), ..appended })
    }

    fn floor(&self, of: &TopicPartition) -> Offset {
        self.floors.lock().unwrap().get(of).copied().unwrap_or(0)
    }

    fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        let end = STRIDE * self.log.bounds(of)?.end;
        Ok(Bounds { start: self.floor(of).min(end), end })
    }

    fn read(&self, from: &TopicPartition, offset: Offset, bytes_max: usize) -> Result<ReadBatch, LogError> {
        let Bounds { start, end } = self.bounds(from)?;
        if offset < start || offset > end {
            return Err(LogError::OutOfRange { partition: from.clone(), offset, start, end });
        }
        if offset == end {
            return Ok(ReadBatch { records: Vec::new(), next: end });
        }
        let read = self.log.read(from, index_from(offset), bytes_max)?;
        let mut records: Vec<_> = read
            .records
            .into_iter()
            .map(|record| Record { offset: place(record.offset), ..record })
            .collect();
        if from.topic == self.compacted {
            let newer = self.log.read(from, 0, usize::MAX)?.records;
            records.retain(|record| {
                !newer.iter().any(|newer| place(newer.offset) > record.offset && newer.key == record.key)
            });
        }
        Ok(ReadBatch { records, next: STRIDE * read.next })
    }
}

enum Payload {
    Plain(Vec<Bytes>),
    Keyed(Vec<KeyedValue>),
}

impl Payload {
    fn bytes(&self) -> usize {
        match self {
            Self::Plain(values) => values.iter().map(Bytes::len).sum(),
            Self::Keyed(values) => values.iter().map(|value| value.value.len()).sum(),
        }
    }
}

/// An append on its way from a node to the broker.
struct Packet {
    payload: Payload,
    fence: Option<Arc<dyn FencedWriter>>,
    answer: oneshot::Sender<Result<Appended, LogError>>,
}

/// What becomes of the appends of a node to one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The first takes effect.
    Delivered,
    /// The first takes effect, but its answer is lost; those behind it have none.
    AnswerLost,
    /// Neither the first nor those behind it have any effect.
    Failed,
    /// The first fails, and those behind it take effect all the same. The log's contract does not allow it; steps bear it.
    Overtaken,
}

/// The log as one node sees it.
pub(super) struct NodeLog {
    broker: Arc<Broker>,
    network: Arc<Network>,
    /// Whether the node is gone without having left anything.
    crashed: Arc<AtomicBool>,
    /// Largest snapshot that is taken.
    pub(super) state_bytes_max: AtomicUsize,
    /// So many of the next calls that wait for an answer get none.
    pub(super) unanswered: AtomicUsize,
}

/// What of a node outlives it for a while.
#[derive(Default)]
struct Network {
    packets: Mutex<BTreeMap<TopicPartition, VecDeque<Packet>>>,
    seats: Mutex<Vec<Arc<Seat>>>,
}

/// A node's place in a group, as the group sees it and as the node does.
struct Seat {
    group: String,
    topic: String,
    member: String,
    inner: Mutex<Option<Box<dyn Membership>>>,
    /// Whether the node has left of its own accord.
    left: AtomicBool,
    view: watch::Sender<Assignment>,
}

impl NodeLog {
    pub(super) fn new(broker: &Arc<Broker>) -> Arc<Self> {
        Arc::new(Self {
            broker: broker.clone(),
            network: Arc::default(),
            crashed: Arc::default(),
            state_bytes_max: AtomicUsize::new(usize::MAX),
            unanswered: AtomicUsize::new(0),
        })
    }

    /// Fails if this call is to get no answer.
    fn ask(&self) -> Result<(), LogError> {
        let left = self.unanswered.load(Ordering::SeqCst);
        if left == 0 {
            return Ok(());
        }
        self.unanswered.store(left - 1, Ordering::SeqCst);
        Err(LogError::Unavailable("no broker answers".into()))
    }

    fn packets(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, VecDeque<Packet>>> {
        self.network.packets.lock().unwrap()
    }

    /// Partitions to which something is on its way.
    pub(super) fn busy(&self) -> Vec<TopicPartition> {
        let packets = self.packets();
        packets.iter().filter(|(_, waiting)| !waiting.is_empty()).map(|(to, _)| to.clone()).collect()
    }

    /// Lets the appends to a partition meet their fate.
    pub(super) fn deliver(&self, to: &TopicPartition, fate: Fate) {
        let mut packets = self.packets();
        let Some(waiting) = packets.get_mut(to) else { return };
        let Some(first) = waiting.pop_front() else { return };
        let behind = if fate == Fate::Delivered { VecDeque::new() } else { std::mem::take(waiting) };
        drop(packets);
        let effect = |packet: &Packet| self.broker.effect(to, &packet.payload, packet.fence.as_deref());
        let lost = || LogError::Io { action: "append".into(), detail: "timed out".into() };
        let answer = match fate {
            Fate::Delivered => effect(&first),
            Fate::AnswerLost => effect(&first).and(Err(lost())),
            Fate::Failed | Fate::Overtaken => Err(lost()),
        };
        drop(first.answer.send(answer));
        for packet in behind {
            let answer = if fate == Fate::Overtaken { effect(&packet) } else { Err(lost()) };
            drop(packet.answer.send(answer));
        }
    }

    /// Delivers everything, in order.
    pub(super) fn deliver_all(&self) {
        for to in self.busy() {
            while self.packets().get(&to).is_some_and(|waiting| !waiting.is_empty()) {
                self.deliver(&to, Fate::Delivered);
            }
        }
    }

    /// The node hears what it is assigned.
    pub(super) fn hear(&self) {
        for seat in &*self.network.seats.lock().unwrap() {
            if let Some(inner) = &*seat.inner.lock().unwrap() {
                let now = inner.assignments().borrow().clone();
                seat.view.send_if_modified(|view| {
                    let is_news = *view != now;
                    *view = now;
                    is_news
                });
            }
        }
    }

    /// The node is gone; for its groups it is not, until its session ends, and what it sent may still arrive.
    pub(super) fn crash(&self) {
        self.crashed.store(true, Ordering::SeqCst);
    }

    /// The groups take the node for gone. It goes on with what it heard last.
    pub(super) fn end_session(&self) {
        for seat in &*self.network.seats.lock().unwrap() {
            drop(seat.inner.lock().unwrap().take());
        }
    }

    /// The node joins its groups again, which it does not hear of yet.
    pub(super) fn wake(&self) {
        for seat in &*self.network.seats.lock().unwrap() {
            let mut inner = seat.inner.lock().unwrap();
            if inner.is_none() && !seat.left.load(Ordering::SeqCst) {
                *inner = Some(self.broker.log.join(&seat.group, &seat.topic, &seat.member).unwrap());
            }
        }
    }
}

impl Log for NodeLog {
    fn generation(&self) -> &Generation {
        self.broker.log.generation()
    }

    fn partitions(&self, topic: &str) -> Option<u32> {
        Log::partitions(&self.broker.log, topic)
    }

    fn append(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture {
        submit(&self.network, to, Payload::Plain(values), None)
    }

    fn append_keyed(&self, to: &TopicPartition, values: Vec<KeyedValue>) -> AppendFuture {
        let payload = Payload::Keyed(values);
        let (bytes, limit) = (payload.bytes(), self.state_bytes_max.load(Ordering::SeqCst));
        if bytes > limit {
            return Box::pin(async move { Err(LogError::TooLarge { bytes, limit }) });
        }
        submit(&self.network, to, payload, None)
    }

    fn publish(&self, to: &TopicPartition, values: Vec<Bytes>) -> Result<(), LogError> {
        self.broker.append(to, values).map(drop)
    }

    fn read(&self, from: &TopicPartition, offset: Offset, bytes_max: usize) -> Result<ReadBatch, LogError> {
        self.ask()?;
        self.broker.read(from, offset, bytes_max.min(2_000))
    }

    fn follow(&self, partition: &TopicPartition) -> Result<watch::Receiver<Offset>, LogError> {
        Ok(self.broker.ends[partition].subscribe())
    }

    fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        self.ask()?;
        self.broker.bounds(of)
    }

    fn offset_at(&self, of: &TopicPartition, append_time_ms: i64) -> Result<Offset, LogError> {
        self.ask()?;
        Ok(STRIDE * self.broker.log.offset_at(of, append_time_ms)?)
    }

    fn fenced_writer(&self, owner: &str) -> Result<Box<dyn FencedWriter>, LogError> {
        self.ask()?;
        let writer: Arc<dyn FencedWriter> = Arc::from(self.broker.log.fenced_writer(owner)?);
        Ok(Box::new(NodeWriter { network: self.network.clone(), writer }))
    }

    fn join(&self, group: &str, topic: &str, member: &str) -> Result<Box<dyn Membership>, LogError> {
        let inner = self.broker.log.join(group, topic, member)?;
        let seat = Arc::new(Seat {
            group: group.into(),
            topic: topic.into(),
            member: member.into(),
            inner: Mutex::new(Some(inner)),
            left: AtomicBool::new(false),
            view: watch::Sender::new(Assignment::default()),
        });
        self.network.seats.lock().unwrap().push(seat.clone());
        Ok(Box::new(Joined { seat, crashed: self.crashed.clone() }))
    }

    fn committed(&self, group: &str, of: &TopicPartition) -> Result<Option<Committed>, LogError> {
        self.ask()?;
        self.broker.log.committed(group, of)
    }

    fn set_restore_point(&self, of: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        let mut floors = self.broker.floors.lock().unwrap();
        let floor = floors.entry(of.clone()).or_default();
        *floor = offset.max(*floor);
        Ok(())
    }

    fn close(&self) -> Result<(), LogError> {
        Ok(())
    }
}

struct NodeWriter {
    network: Arc<Network>,
    writer: Arc<dyn FencedWriter>,
}

impl FencedWriter for NodeWriter {
    fn append(&self, to: &TopicPartition, values: Vec<Bytes>) -> AppendFuture {
        submit(&self.network, to, Payload::Plain(values), Some(self.writer.clone()))
    }
}

fn submit(
    network: &Network,
    to: &TopicPartition,
    payload: Payload,
    fence: Option<Arc<dyn FencedWriter>>,
) -> AppendFuture {
    let (answer, answered) = oneshot::channel();
    let packet = Packet { payload, fence, answer };
    network.packets.lock().unwrap().entry(to.clone()).or_default().push_back(packet);
    Box::pin(async { answered.await.unwrap_or(Err(LogError::Closed)) })
}

struct Joined {
    seat: Arc<Seat>,
    crashed: Arc<AtomicBool>,
}

impl Membership for Joined {
    fn assignments(&self) -> watch::Receiver<Assignment> {
        self.seat.view.subscribe()
    }

    fn commit(&self, generation: u64, of: &TopicPartition, position: Committed) -> Result<(), LogError> {
        match &*self.seat.inner.lock().unwrap() {
            Some(inner) => inner.commit(generation, of, position),
            None => {
                let group = self.seat.group.clone();
                Err(LogError::StaleGeneration { group, given: generation, current: u64::MAX })
            }
        }
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if !self.crashed.load(Ordering::SeqCst) {
            self.seat.left.store(true, Ordering::SeqCst);
            drop(self.seat.inner.lock().unwrap().take());
        }
    }
}

/// A fate for what is on its way, mostly a good one.
pub(super) fn any_fate(dice: &mut Dice) -> Fate {
    match dice.below(24) {
        0 => Fate::AnswerLost,
        1 => Fate::Failed,
        2 => Fate::Overtaken,
        _ => Fate::Delivered,
    }
}
