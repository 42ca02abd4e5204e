//! Opening: topics, the generation, and mistakes that are told in one line.

use std::{collections::BTreeSet, time::Duration};

use emostream_log::{
    Log, LogError,
    kafka::{
        KafkaConfig, KafkaLog, KafkaStartError, KafkaTopic, Protocol, Security, TopicKind, prepare_topics,
    },
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use super::setup::Space;
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
fn topics_are_made_without_opening_the_log() {
    let Some(mut space) = Space::new() else { return };
    space.config.replication = 3;
    let report = prepare_topics(&space.config).unwrap();
    assert_eq!(report.created.len(), 4);
    if report.brokers < 3 {
        assert!(report.warnings.iter().any(|line| line.contains("of 3 replicas")), "{report:?}");
    }
    assert!(prepare_topics(&space.config).unwrap().created.is_empty());
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
