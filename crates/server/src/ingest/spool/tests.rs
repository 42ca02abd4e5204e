//! Ingest with a spool in front of a raw log that fails: every acknowledged reaction is counted once. [`Rig`] holds what
//! outlives a process; [`Rig::process`] is one, killed at its end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use emostream_log::{Committed, Generation, Log, ManualClock, Offset, TopicPartition, memory::MemoryLog};
use emostream_moments::{Aggregate, AggregateOutput, StreamParameters};
use emostream_protocol::{
    ChannelName, EmoteId, Emotes, ReactionId,
    record::{self, BatchHead, NewReaction},
    row::Row,
    settings::SettingsDocument,
};

use self::remote::{Mood, Remote};
use super::{GROUP, Spool, SpoolLimits, TOPIC};
use crate::{
    channels::{Channel, Channels, Published},
    config::IngestConfig,
    ingest::{Components, Ingest, identity::GuestKeys},
    intake::{Accepted, Intake, Receipt, Refusal},
    tasks::Tasks,
    telemetry::Metrics,
};

mod crashes;
mod limits;
mod remote;
mod stops;

const START_MS: i64 = 1_700_000_000_000;

/// SplitMix64: small, seeded, the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn limits() -> SpoolLimits {
    SpoolLimits {
        max_age_ms: 600_000,
        drain_timeout: Duration::from_secs(20),
        gather: Duration::ZERO,
        retry_first: Duration::from_millis(1),
        retry_max: Duration::from_millis(4),
    }
}

fn generation() -> Generation {
    Generation { id: [3; 16], parameters: BTreeMap::new() }
}

/// What outlives a process: the logs, and what it was told about each reaction. Each has an emote of its own.
struct Rig {
    remote: Arc<Remote>,
    /// The spool's log: the disk of the node.
    disk: Arc<dyn Log>,
    clock: Arc<ManualClock>,
    limits: SpoolLimits,
    emotes: Arc<Emotes>,
    channel: Arc<Channel>,
    sent: Arc<Mutex<Vec<Fate>>>,
}

/// What became of a reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Acknowledged,
    /// The process ended before it answered, or the answer was no: it may be counted, once.
    Unknown,
}

/// A process while it runs.
struct Process {
    ingest: Arc<Ingest>,
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
    tasks: Tasks,
    channel: Arc<Channel>,
    sent: Arc<Mutex<Vec<Fate>>>,
}

impl Rig {
    fn new(seed: u64, partitions: u32) -> Self {
        let clock = Arc::new(ManualClock::new(START_MS));
        let disk = Arc::new(MemoryLog::new(generation(), &[(TOPIC, partitions)], clock.clone()));
        Self::on(disk, seed, partitions, clock)
    }

    /// A rig whose spool is on a given log.
    fn on(disk: Arc<dyn Log>, seed: u64, partitions: u32, clock: Arc<ManualClock>) -> Self {
        let raw = MemoryLog::new(generation(), &[("raw", partitions)], clock.clone());
        let emotes = Arc::new(Emotes::new());
        let channels = Channels::default();
        let published = Published::new(1, SettingsDocument::default(), false, &emotes).unwrap();
        let channel = channels.publish(&ChannelName::new("main").unwrap(), published).unwrap();
        let (remote, sent) = (Remote::new(Arc::new(raw), seed), Arc::default());
        Self { remote, disk, clock, limits: limits(), emotes, channel, sent }
    }

    /// A process, from its start until it is killed: that is when `life` has ended.
    fn process<T>(&self, life: impl AsyncFnOnce(Process) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let ended = runtime.block_on(async { life(self.start()).await });
        runtime.shutdown_background();
        ended
    }

    fn start(&self) -> Process {
        let metrics = Arc::<Metrics>::default();
        let spool = Spool::over(self.disk.clone(), self.limits, self.clock.clone(), metrics.clone()).unwrap();
        let components = Components {
            log: self.remote.clone(),
            topic: "raw".into(),
            pulses_topic: None,
            spool: Some(spool.clone()),
            emotes: self.emotes.clone(),
            pressure: Arc::default(),
            metrics: metrics.clone(),
            clock: self.clock.clone(),
        };
        let tasks = Tasks::new(tokio::runtime::Handle::current());
        let keys = Arc::new(ArcSwap::from_pointee(GuestKeys::random()));
        let ingest = Ingest::start(&IngestConfig::default(), keys, &components, &tasks).unwrap();
        Process { ingest, spool, metrics, tasks, channel: self.channel.clone(), sent: self.sent.clone() }
    }

    fn raw(&self) -> impl Iterator<Item = TopicPartition> {
        let partitions = self.remote.inner.partitions("raw").unwrap();
        (0..partitions).map(|number| TopicPartition::new("raw", number))
    }

    /// How often each reaction counts by what the raw log holds.
    fn counts(&self) -> Vec<u64> {
        let parameters = StreamParameters::default();
        let partitions = self.raw().count();
        let mut aggregate = Aggregate::new(parameters, partitions, self.emotes.clone(), 1);
        let mut output = AggregateOutput::default();
        for partition in self.raw() {
            let number = partition.partition as usize;
            for record in all(&*self.remote.inner, &partition) {
                let decoded = record::decode(&record.value, &self.emotes).unwrap();
                aggregate.observe(number, record.append_time_ms, &decoded, &mut output).unwrap();
            }
            let end = record::encode_tick();
            let end = record::decode(&end, &self.emotes).unwrap();
            aggregate.observe(number, START_MS + 86_400_000, &end, &mut output).unwrap();
        }
        let mut counts = vec![0; self.sent.lock().unwrap().len()];
        for row in output.rows {
            let Row::Window(row) = row else { continue };
            row.emotes.iter().for_each(|emote| counts[usize::from(emote.emote.get())] += emote.count);
        }
        counts
    }

    /// Every acknowledged reaction counts once, the others once or not at all; and the raw log has the records of the spool
    /// in their order, as they are.
    fn check(&self) {
        let fates = self.sent.lock().unwrap().clone();
        for (number, (fate, count)) in fates.iter().zip(self.counts()).enumerate() {
            match fate {
                Fate::Acknowledged => assert_eq!(count, 1, "acknowledged reaction {number}"),
                Fate::Unknown => assert!(count <= 1, "reaction {number} counts {count} times"),
            }
        }
        for partition in self.raw() {
            let mut highest = None;
            let mut first_times = Vec::new();
            for record in all(&*self.remote.inner, &partition) {
                let place = BatchHead::read(&record.value).unwrap().spool.map(|position| position.offset);
                assert!(place.is_some(), "every record says where it comes from");
                if place > highest {
                    highest = place;
                    first_times.push(record.value);
                }
            }
            let spooled = all(&*self.disk, &TopicPartition::new(TOPIC, partition.partition));
            // A spool that was cut short has less, but nothing else.
            let mut forwarded = first_times.iter();
            let in_order = spooled.iter().all(|record| forwarded.any(|value| *value == record.value));
            assert!(in_order, "{partition} has not what the spool has");
        }
    }

    /// First offset of a partition of the spool that Kafka is not known to have.
    fn committed(&self, partition: u32) -> Offset {
        let committed = self.disk.committed(GROUP, &TopicPartition::new(TOPIC, partition)).unwrap();
        committed.map_or(0, |Committed { offset, .. }| offset)
    }
}

/// What a log still has of a partition.
fn all(log: &dyn Log, partition: &TopicPartition) -> Vec<emostream_log::Record> {
    let bounds = log.bounds(partition).unwrap();
    let (mut next, mut records) = (bounds.start, Vec::new());
    while next < bounds.end {
        let read = log.read(partition, next, 1 << 20).unwrap();
        next = read.next;
        records.extend(read.records);
    }
    records
}

impl Process {
    /// Sends so many reactions at once; the receipt, and the number of the first.
    fn send(&self, many: usize) -> Result<(Receipt, usize), Refusal> {
        let first = self.sent.lock().unwrap().len();
        let reaction = |number: usize| NewReaction {
            emote: EmoteId::standard(number as u16).expect("there are more emoji than reactions in a test"),
            id: ReactionId::from_parts(START_MS, [number as u8; 10]),
            id_from_client: false,
            user: "",
            received_ms: START_MS,
            tapped_ms: None,
            media_time_ms: None,
        };
        let reactions: Vec<_> = (first..first + many).map(reaction).collect();
        let receipt = self.ingest.submit(&self.channel, &reactions)?;
        self.sent.lock().unwrap().extend(vec![Fate::Unknown; many]);
        Ok((receipt, first))
    }

    /// Sends so many reactions and waits until they are acknowledged.
    async fn send_durably(&self, many: usize) -> Result<(), Refusal> {
        let (receipt, first) = self.send(many)?;
        let accepted = receipt.await?;
        assert_eq!(accepted, Accepted { accepted: many as u32, duplicates: 0 });
        self.sent.lock().unwrap()[first..first + many].fill(Fate::Acknowledged);
        Ok(())
    }

    /// Reactions that are acknowledged and not yet in Kafka.
    fn waiting(&self) -> i64 {
        self.metrics.spool_reactions.get()
    }

    async fn drained(&self) {
        self.spool.backlog().emptied().await;
        assert_eq!(self.waiting(), 0);
    }
}

/// Waits for something that must come; how long does not matter.
async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it does not come");
}
