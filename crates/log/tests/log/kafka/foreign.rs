//! Other people's topics on real brokers: read from where a group was, through restarts, rebalances and topics that are made
//! anew; written with a header of ours.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use emostream_log::{
    LogError, TopicPartition,
    foreign::{
        Compression, ForeignBegin, ForeignLine, ForeignReader, ForeignRecord, ForeignTopic, ForeignTopics,
        Gathered, TakenPartition,
    },
    kafka::{KafkaConfig, KafkaForeignTopics},
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::setup::{PATIENCE, Space, until};
use crate::setup::wait;

const GROUP: &str = "bridge";
const STEP: Duration = Duration::from_millis(50);

/// A topic of somebody else's.
struct Theirs {
    space: Space,
    name: String,
    admin: AdminClient<DefaultClientContext>,
}

impl Theirs {
    fn new(partitions: u32) -> Option<Self> {
        let space = Space::new()?;
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &space.config.bootstrap_servers);
        let name = format!("{}theirs", space.config.namespace);
        let theirs = Self { space, name, admin: client.create().unwrap() };
        theirs.make(partitions);
        Some(theirs)
    }

    fn make(&self, partitions: u32) {
        let topics = [ForeignTopic { name: self.name.clone(), partitions }];
        let made = self.topics("maker").make(&topics).unwrap();
        assert_eq!((made[0].partitions.clone(), made[0].made), (Ok(partitions), true));
    }

    fn delete(&self) {
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        wait(self.admin.delete_topics(&[&self.name], &options)).unwrap();
        until("the topic is gone", || {
            let metadata = self.admin.inner().fetch_metadata(None, PATIENCE).unwrap();
            metadata.topics().iter().all(|topic| topic.name() != self.name).then_some(())
        });
    }

    fn topics(&self, node: &str) -> KafkaForeignTopics {
        let config = KafkaConfig { node: node.to_owned(), ..self.space.config.clone() };
        KafkaForeignTopics::new(&config).unwrap()
    }

    fn read(&self, node: &str, begin: ForeignBegin) -> Box<dyn ForeignReader> {
        self.topics(node).read(GROUP, std::slice::from_ref(&self.name), begin).unwrap()
    }

    /// What their program writes: values to partitions.
    fn write(&self, values: impl IntoIterator<Item = (u32, String)>) {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.space.config.bootstrap_servers);
        let producer: BaseProducer = client.create().unwrap();
        for (partition, value) in values {
            let record = BaseRecord::<str, str>::to(&self.name).payload(&value).partition(partition as i32);
            producer.send(record).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    fn at(&self, partition: u32) -> TopicPartition {
        TopicPartition::new(self.name.as_str(), partition)
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(2)));
        wait(self.admin.delete_topics(&[&self.name], &options)).ok();
    }
}

/// Everything that a reader has met, until it is enough.
fn gather(reader: &mut dyn ForeignReader, what: &str, enough: impl Fn(&Gathered) -> bool) -> Gathered {
    let mut all = Gathered::default();
    until(what, || {
        let more = reader.gather(STEP).unwrap();
        all.lost.extend(more.lost);
        all.taken.extend(more.taken);
        all.ends.extend(more.ends);
        all.records.extend(more.records);
        enough(&all).then_some(())
    });
    all
}

fn records(number: usize) -> impl Fn(&Gathered) -> bool {
    move |all| all.records.len() >= number
}

fn values(records: &[ForeignRecord]) -> Vec<String> {
    let text = |record: &ForeignRecord| String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap();
    records.iter().map(text).collect()
}

fn numbered(partition: u32, numbers: std::ops::Range<u32>) -> impl Iterator<Item = (u32, String)> {
    numbers.map(move |number| (partition, number.to_string()))
}

#[test]
fn a_reader_goes_on_where_its_group_was() {
    let Some(theirs) = Theirs::new(2) else { return };
    theirs.write(numbered(0, 0..5).chain(numbered(1, 100..103)));
    let mut reader = theirs.read("one", ForeignBegin::Earliest);
    let all = gather(&mut *reader, "eight records", records(8));
    let of = |partition: u32| -> Vec<_> {
        let own: Vec<_> =
            all.records.iter().filter(|record| record.partition.partition == partition).cloned().collect();
        own.iter().zip(values(&own)).map(|(record, value)| (record.offset, value)).collect()
    };
    assert_eq!(of(0), (0..5).map(|number| (number, number.to_string())).collect::<Vec<_>>());
    assert_eq!(of(1), [(0, "100".into()), (1, "101".into()), (2, "102".into())]);
    let first = &all.records[0];
    assert!(first.time_ms.is_some_and(|ms| ms > 1_700_000_000_000) && !first.is_append_time && !first.is_own);
    let mut taken: Vec<_> =
        all.taken.iter().map(|taken| (taken.partition.partition, taken.next, taken.end)).collect();
    taken.sort_unstable();
    assert_eq!(taken, [(0, 0, 5), (1, 0, 3)]);
    let identity = &all.taken[0].identity;
    assert!(identity.topic != [0; 16] && !identity.cluster.is_empty(), "{identity:?}");
    reader.done(&theirs.at(0), 3);
    reader.close();

    // What is not done comes again, to whoever is next.
    let mut reader = theirs.read("two", ForeignBegin::Latest);
    let again = gather(&mut *reader, "what was not done", records(5));
    let mut left = values(&again.records);
    left.sort();
    assert_eq!(left, ["100", "101", "102", "3", "4"]);
    assert_eq!(again.taken[0].identity, *identity);
    theirs.write(numbered(0, 5..6));
    let new = gather(&mut *reader, "what comes now", records(1));
    assert_eq!(values(&new.records), ["5"]);
    let ends = gather(&mut *reader, "the ends", |all| all.ends.len() >= 2).ends;
    assert_eq!(ends.into_iter().collect::<BTreeMap<_, _>>(), [(theirs.at(0), 6), (theirs.at(1), 3)].into());
    reader.close();
}

#[test]
fn a_new_group_may_begin_at_the_end_and_then_misses_nothing() {
    let Some(theirs) = Theirs::new(1) else { return };
    theirs.write(numbered(0, 0..5));
    let mut reader = theirs.read("one", ForeignBegin::Latest);
    let taken = gather(&mut *reader, "the partition", |all| !all.taken.is_empty()).taken;
    assert_eq!((taken[0].next, taken[0].end), (5, 5));
    reader.close();
    theirs.write(numbered(0, 5..7));
    let mut reader = theirs.read("one", ForeignBegin::Latest);
    let all = gather(&mut *reader, "what came while nobody read", records(2));
    assert_eq!(values(&all.records), ["5", "6"]);
    reader.close();
}

#[test]
fn members_divide_partitions_and_go_on_for_each_other() {
    let Some(theirs) = Theirs::new(4) else { return };
    let mut one = theirs.read("one", ForeignBegin::Earliest);
    gather(&mut *one, "all four", |all| all.taken.len() == 4);
    theirs.write((0..4).flat_map(|partition| numbered(partition, 0..10)));
    let mut all = gather(&mut *one, "forty records", records(40));
    for partition in 0..4 {
        one.done(&theirs.at(partition), 10);
    }
    let mut two = theirs.read("two", ForeignBegin::Earliest);
    let mut given = Gathered::default();
    until("both have two", || {
        all.lost.extend(one.gather(STEP).unwrap().lost);
        let more = two.gather(STEP).unwrap();
        given.taken.extend(more.taken);
        assert!(more.records.is_empty(), "what is done does not come again: {:?}", more.records);
        (given.taken.len() == 2).then_some(())
    });
    let nexts: Vec<_> = given.taken.iter().map(|taken: &TakenPartition| taken.next).collect();
    assert_eq!((all.lost.len(), nexts), (2, vec![10, 10]));
    two.close();
    // The first has all of them again, and at once.
    let back = gather(&mut *one, "two come back", |all| all.taken.len() == 2);
    assert!(back.lost.is_empty());
    one.close();
}

#[test]
fn a_member_that_dies_and_comes_back_as_itself_needs_no_rebalance() {
    let Some(mut theirs) = Theirs::new(2) else { return };
    // So long that a busy broker's rebalance is not taken for it.
    let session = Duration::from_secs(60);
    theirs.space.config.session_timeout = session;
    let mut one = theirs.read("one", ForeignBegin::Earliest);
    gather(&mut *one, "both", |all| all.taken.len() == 2);
    // Dropped without a word, as by kill -9.
    std::mem::forget(one);
    theirs.write(numbered(0, 0..3));
    let began = Instant::now();
    let mut again = theirs.read("one", ForeignBegin::Earliest);
    let all = gather(&mut *again, "its records", records(3));
    assert_eq!(values(&all.records), ["0", "1", "2"]);
    assert!(began.elapsed() < session, "it waited for its own session");
    again.close();
}

#[test]
fn a_topic_that_is_made_anew_is_another_and_read_from_its_beginning() {
    let Some(theirs) = Theirs::new(1) else { return };
    theirs.write(numbered(0, 0..5));
    let mut reader = theirs.read("one", ForeignBegin::Earliest);
    let old = gather(&mut *reader, "the old records", records(5));
    reader.done(&theirs.at(0), 5);
    theirs.delete();
    theirs.make(1);
    // More records than before: by offsets alone nobody could tell.
    theirs.write(numbered(0, 1_000..1_009));
    let new = gather(&mut *reader, "the new records", records(9));
    assert_eq!(values(&new.records), (1_000..1_009).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(new.records[0].offset, 0);
    assert_eq!(new.lost, [theirs.at(0)]);
    assert_ne!(new.taken[0].identity, old.taken[0].identity);
    reader.close();
}

#[test]
fn a_topic_that_comes_late_is_found() {
    let Some(theirs) = Theirs::new(1) else { return };
    theirs.delete();
    let mut reader = theirs.read("one", ForeignBegin::Earliest);
    assert!(reader.gather(STEP).unwrap().taken.is_empty());
    theirs.make(2);
    theirs.write(numbered(1, 0..2));
    let all = gather(&mut *reader, "its records", records(2));
    assert_eq!(all.taken.len(), 2);
    reader.close();
}

#[test]
fn another_member_under_the_same_name_takes_over() {
    let Some(theirs) = Theirs::new(1) else { return };
    let mut one = theirs.read("same", ForeignBegin::Earliest);
    gather(&mut *one, "the partition", |all| !all.taken.is_empty());
    let mut two = theirs.read("same", ForeignBegin::Earliest);
    gather(&mut *two, "the partition again", |all| !all.taken.is_empty());
    let error = until("the first is told", || one.gather(STEP).err());
    assert!(matches!(error, LogError::Fenced(_)), "{error:?}");
    two.close();
}

#[test]
fn lines_bear_our_header_and_keys_lie_where_others_put_them() {
    let Some(theirs) = Theirs::new(3) else { return };
    let topics = theirs.topics("one");
    let mut writer = topics.write(Compression::Lz4).unwrap();
    let line = |partition, key: &str, value: &str| ForeignLine {
        topic: theirs.name.as_str().into(),
        partition,
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
    };
    let lines: Vec<_> = (0..500).map(|number| line(Some(2), "main", &number.to_string())).collect();
    writer.write(&lines).unwrap();
    writer.write(&[line(None, "other", "by key")]).unwrap();
    let mut reader = theirs.read("one", ForeignBegin::Earliest);
    let all = gather(&mut *reader, "all lines", records(501)).records;
    assert!(all.iter().all(|record| record.is_own));
    let explicit: Vec<_> = all.iter().filter(|record| record.partition.partition == 2).cloned().collect();
    assert_eq!(values(&explicit), (0..500).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(explicit.iter().all(|record| record.key.as_deref() == Some(b"main".as_slice())));
    // (murmur2("other") & 0x7fffffff) % 3, as Kafka's own producers compute it.
    let by_key = all.iter().find(|record| record.value.as_deref() == Some(b"by key".as_slice())).unwrap();
    assert_eq!(by_key.partition.partition, 1);
    reader.close();
}

#[test]
fn what_cannot_be_written_or_made_is_said() {
    let Some(theirs) = Theirs::new(1) else { return };
    let topics = theirs.topics("one");
    let missing = ForeignLine {
        topic: format!("{}-missing", theirs.name).into(),
        partition: Some(0),
        key: Bytes::from_static(b"main"),
        value: Bytes::from_static(b"{}"),
    };
    let present = ForeignLine { topic: theirs.name.as_str().into(), ..missing.clone() };
    let mut writer = topics.write(Compression::None).unwrap();
    let error = writer.write(std::slice::from_ref(&missing)).unwrap_err();
    assert!(matches!(&error, LogError::Unavailable(text) if text.contains(&*missing.topic)), "{error:?}");
    writer.write(&[present]).unwrap();
    let wanted = |name: &str, partitions| ForeignTopic { name: name.to_owned(), partitions };
    let found = topics.make(&[wanted(&theirs.name, 7), wanted("not a name", 1)]).unwrap();
    assert_eq!((found[0].partitions.clone(), found[0].made), (Ok(1), false));
    let why = found[1].partitions.clone().unwrap_err();
    assert!(why.starts_with("Kafka topic not a name is missing and cannot be made: "), "{why}");
}
