//! Brokers to test with, and a namespace of a test's own on them, whose topics go with it.

use std::{
    process::Output,
    sync::atomic::{AtomicU64, Ordering},
};

use emostream_log::kafka::{KafkaAdmin, KafkaConfig, KafkaTopic, TopicKind};

use super::{now_ms, process::run};

/// The brokers to test with, if there are any.
pub(crate) fn servers() -> Option<String> {
    let servers = std::env::var("EMOSTREAM_TEST_KAFKA").ok().filter(|servers| !servers.is_empty());
    if servers.is_none() {
        println!("skipped: EMOSTREAM_TEST_KAFKA does not name Kafka brokers (scripts/kafka.sh starts some)");
    }
    servers
}

/// A namespace on brokers.
pub(crate) struct Namespace {
    pub(crate) servers: String,
    pub(crate) name: String,
}

impl Namespace {
    /// On the common brokers; `None` without any.
    pub(crate) fn new() -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Some(Self { servers: servers()?, name: format!("it-{}-{}-{number}.", now_ms(), std::process::id()) })
    }

    /// What makes a command work here.
    pub(crate) fn settings(&self) -> Vec<String> {
        let settings = [
            "log.kind=kafka".to_owned(),
            format!("kafka.bootstrap_servers={}", self.servers),
            format!("kafka.namespace={}", self.name),
            "kafka.replication=1".to_owned(),
        ];
        // Other people's topics have no namespace: theirs lie in it by their names.
        let theirs =
            [("raw", "raw-emote-data"), ("windows", "emote-windows"), ("moments", "aggregated-emote-data")];
        let theirs = theirs.map(|(key, topic)| format!("topics.{key}={}", self.theirs(topic)));
        settings.into_iter().chain(theirs).flat_map(|setting| ["--set".to_owned(), setting]).collect()
    }

    /// A topic of other people's that lies in this namespace by its name.
    pub(crate) fn theirs(&self, topic: &str) -> String {
        format!("{}{topic}", self.name)
    }

    /// Runs a command here.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let settings = self.settings();
        run(&[args, &settings.iter().map(String::as_str).collect::<Vec<_>>()].concat())
    }

    /// Brokers, without an opinion on topics.
    pub(crate) fn admin(&self) -> KafkaAdmin {
        let state = KafkaTopic::new("emote-state", 1, TopicKind::Compacted);
        let mut config = KafkaConfig::new(&self.servers, vec![state]);
        config.namespace = self.name.clone();
        KafkaAdmin::connect(&config).unwrap()
    }

    /// Names at the brokers of the topics that are here now.
    pub(crate) fn topics(&self) -> Vec<String> {
        let mut names = self.admin().topic_names().unwrap();
        names.retain(|name| name.starts_with(&self.name));
        names.sort();
        names
    }
}

/// Topics are removed, so that brokers that are used again and again do not fill.
impl Drop for Namespace {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.admin().delete_topics(&self.topics()).unwrap();
        }
    }
}
