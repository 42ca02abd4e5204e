//! Opening: topics, the generation, and mistakes that are told in one line.

use std::{collections::BTreeSet, time::Duration};

use emostream_log::{
    Log, LogError,
    kafka::{
        KafkaAdmin, KafkaConfig, KafkaLog, KafkaStartError, KafkaTopic, Permission, Protocol, Security,
        TopicDoubt, TopicKind,
    },
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use super::setup::{Space, row};
use crate::setup::{at, values, wait};

#[test]
fn all_that_open_at_once_agree_on_the_generation() {
    let Some(space) = Space::new() else { return };
    let ids: BTreeSet<_> = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..5).map(|_| scope.spawn(|| space.open().generation().clone().id)).collect();
        opening.into_iter().map(|opening| opening.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 1);
    let again = space.open();
    assert_eq!(ids.first(), Some(&again.generation().id));
    assert_eq!(again.generation().parameters["windows.window_ms"], "2000");
    assert_eq!(again.generation().parameters["partitions.taps"], "3");
    assert!(again.report.created.is_empty(), "{:?}", again.report);
    assert!(again.is_connected());
}

#[test]
fn other_parameters_are_refused() {
    let Some(space) = Space::new() else { return };
    drop(space.open());
    let mut other = space.config.clone();
    other.parameters.insert("windows.window_ms".to_owned(), "1000".to_owned());
    let error = KafkaLog::open(&other).err().unwrap();
    assert!(error.is_configuration());
    assert!(
        matches!(&error, KafkaStartError::Configuration(LogError::Mismatch { name, stored, configured, .. })
        if name == "windows.window_ms" && stored == "2000" && configured == "1000"),
        "{error}"
    );
    let mut more = space.config.clone();
    more.topics[0].partitions = 4;
    let error = KafkaLog::open(&more).err().unwrap();
    assert!(
        matches!(&error, KafkaStartError::Topic { problem, .. } if problem.contains("3 partitions")),
        "{error}"
    );
}

#[test]
fn a_log_whose_generation_is_gone_is_not_taken_for_a_new_one() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    wait(log.append(&at(0), values(&["a"]))).unwrap();
    drop(log);
    let mut lost = space.config.clone();
    lost.topics.retain(|topic| topic.name != "emote-state");
    lost.topics.push(KafkaTopic::new("other-state", 1, TopicKind::Compacted));
    lost.state_topic = "other-state".to_owned();
    let error = KafkaLog::open(&lost).err().unwrap();
    assert!(matches!(&error, KafkaStartError::Topic { topic, .. } if topic.ends_with("taps")), "{error}");
    // The topic that this has made goes as well.
    Space { config: lost };
}

/// Makes topics by hand, with other settings.
fn make(space: &Space, name: &str, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &space.config.bootstrap_servers).create().unwrap();
    let topic = space.config.topics.iter().find(|topic| topic.name == name).unwrap();
    let name = format!("{}{name}", space.config.namespace);
    let mut new = NewTopic::new(&name, topic.partitions as i32, TopicReplication::Fixed(1));
    for (name, value) in settings {
        new = new.set(name, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    wait(admin.create_topics([&new], &options)).unwrap().remove(0).unwrap();
}

#[test]
fn topics_that_are_not_as_they_must_be_are_named() {
    type Settings = &'static [(&'static str, &'static str)];
    const STAMPED: (&str, &str) = ("message.timestamp.type", "LogAppendTime");
    const FOREVER: (&str, &str) = ("retention.ms", "-1");
    let wrong: [(&str, Settings, &str); 5] = [
        ("taps", &[FOREVER], "message.timestamp.type=CreateTime"),
        ("taps", &[STAMPED], "retention.ms=604800000"),
        ("rows", &[STAMPED, FOREVER, ("retention.bytes", "1000000")], "retention.bytes=1000000"),
        ("emote-state", &[STAMPED, ("max.message.bytes", "20000000")], "cleanup.policy=delete"),
        ("emote-state", &[STAMPED, ("cleanup.policy", "compact")], "max.message.bytes=1048588"),
    ];
    for (topic, settings, found) in wrong {
        let Some(space) = Space::new() else { return };
        make(&space, topic, settings);
        let error = KafkaLog::open(&space.config).err().unwrap();
        assert!(error.is_configuration());
        let text = error.to_string();
        assert!(text.contains(topic) && text.contains(found) && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn topics_are_made_and_deleted_without_opening_the_log() {
    let Some(mut space) = Space::new() else { return };
    space.config.replication = 3;
    let admin = KafkaAdmin::connect(&space.config).unwrap();
    assert!(admin.topics().unwrap().iter().all(|state| state.shape.is_none()));
    assert_eq!(admin.make_topics().unwrap().len(), 4);
    assert!(admin.make_topics().unwrap().is_empty());
    let states = admin.topics().unwrap();
    KafkaAdmin::check(&states).unwrap();
    for state in &states {
        let shape = state.shape.as_ref().unwrap();
        assert_eq!(shape.partitions, state.topic.partitions);
        assert_eq!(shape.settings["message.timestamp.type"], "LogAppendTime");
        assert_eq!(shape.replicas, admin.brokers().unwrap().len().min(3));
    }
    if admin.brokers().unwrap().len() == 1 {
        let doubted = states.iter().filter(|state| state.doubts == [TopicDoubt::OneReplica]);
        assert_eq!(doubted.count(), 3, "all but the short-lived one");
        let opened = space.open();
        assert!(opened.report.warnings.is_empty(), "whoever made the topics was warned: {:?}", opened.report);
        assert_eq!(opened.report.reminders.len(), 1, "one line for all topics: {:?}", opened.report);
    }
    let names: Vec<_> = states.iter().map(|state| state.name.clone()).collect();
    admin.delete_topics(&names).unwrap();
    admin.delete_topics(&names).unwrap();
    assert!(admin.topics().unwrap().iter().all(|state| state.shape.is_none()));
    assert_eq!(admin.make_topics().unwrap().len(), 4);
}

#[test]
fn asking_what_is_permitted_changes_nothing() {
    let Some(space) = Space::new() else { return };
    let log = space.open();
    wait(log.append(&at(0), values(&["a"]))).unwrap();
    let admin = KafkaAdmin::connect(&space.config).unwrap();
    let ends = || {
        let seen = admin.snapshot().unwrap();
        seen.partitions().map(|of| (of.clone(), seen.bounds(&of).unwrap())).collect::<Vec<_>>()
    };
    let before = ends();
    let topics = ["taps", "rows", "emote-state", "pulses"].map(str::to_owned);
    let asked = topics.clone().map(Permission::Read).into_iter().chain(topics.map(Permission::Write));
    let others = [
        Permission::Delete("taps".to_owned()),
        Permission::Group("count".to_owned()),
        Permission::Owner("merge-x".to_owned()),
    ];
    for permission in asked.chain(others) {
        let refusal = admin.refusal(&permission).unwrap();
        assert!(refusal.is_none(), "{permission:?}: {refusal:?}");
    }
    assert_eq!(ends(), before);
    let clock = admin.clock().unwrap();
    assert!(clock.offset_ms.abs() < 5_000, "one machine has one clock: {clock:?}");
}

#[test]
fn a_log_can_be_looked_at_without_taking_part() {
    let Some(space) = Space::new() else { return };
    let empty = KafkaAdmin::connect(&space.config).unwrap().snapshot().unwrap();
    assert!(empty.generation().is_none() && empty.partitions().next().is_none());
    let log = space.open();
    wait(log.append(&at(1), values(&["a", "b"]))).unwrap();
    wait(log.append(&at(1), values(&["c"]))).unwrap();
    let writer = log.fenced_writer("one").unwrap();
    wait(writer.append(&row(0), values(&["row"]))).unwrap();
    let mut other = space.config.clone();
    other.topics[0].partitions = 7;
    let admin = KafkaAdmin::connect(&other).unwrap();
    let seen = admin.snapshot().unwrap();
    assert_eq!(seen.generation(), Some(log.generation()));
    assert_eq!(seen.partitions_of("taps"), Some(3), "what is there counts, not what is configured");
    assert_eq!(seen.partitions().count(), 6);
    assert_eq!(seen.last(&at(0)).unwrap(), None);
    assert_eq!(seen.last(&at(1)).unwrap().unwrap().value, "c");
    assert_eq!(seen.last(&row(0)).unwrap().unwrap().value, "row", "the marker behind it is passed over");
    let read = seen.read(&at(1), 0, 1 << 20).unwrap();
    assert_eq!(read.records.len(), 3);
    assert_eq!(seen.read(&at(1), read.next, 1 << 20).unwrap().next, read.next);
    assert!(admin.group("nobodys").unwrap().members.is_empty());
}

#[test]
fn what_cannot_be_reached_is_told_in_one_line() {
    let unreachable = |servers: &str| {
        let topics = vec![KafkaTopic::new("emote-state", 1, TopicKind::Compacted)];
        let mut config = KafkaConfig::new(servers, topics);
        config.start_timeout = Duration::from_millis(1500);
        config
    };
    let error = KafkaLog::open(&unreachable("127.0.0.1:1")).err().unwrap();
    assert!(matches!(error, KafkaStartError::Unreachable { .. }) && !error.is_configuration(), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    let error = KafkaLog::open(&unreachable("no-such-host.invalid:9092")).err().unwrap();
    assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
    assert_eq!(error.to_string().lines().count(), 1);
    let mut secured = unreachable("127.0.0.1:1");
    secured.security =
        Security { protocol: Protocol::Ssl, ca_file: Some("/no/such/ca.pem".into()), ..Security::default() };
    let error = KafkaLog::open(&secured).err().unwrap();
    assert!(matches!(&error, KafkaStartError::File { what: "CA file", .. }), "{error}");
    assert!(error.to_string().contains("/no/such/ca.pem"));
}
