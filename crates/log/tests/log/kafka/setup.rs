//! Logs on brokers, each under a namespace of its own whose topics go with it.

use std::{
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use emostream_log::{
    Clock as _, Log, SystemClock, TopicPartition,
    kafka::{KafkaConfig, KafkaLog, KafkaReport, KafkaTopic, TopicKind},
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};

use crate::setup::wait;

/// How long anything may take before a test gives up: far more than it ever takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

const DAY_MS: u64 = 86_400_000;

/// The brokers to test with, if there are any.
#[expect(clippy::print_stdout, reason = "a test that was skipped says so")]
pub(crate) fn servers() -> Option<String> {
    let servers = std::env::var("EMOSTREAM_TEST_KAFKA").ok().filter(|servers| !servers.is_empty());
    if servers.is_none() {
        println!("skipped: EMOSTREAM_TEST_KAFKA does not name Kafka brokers (scripts/kafka.sh starts some)");
    }
    servers
}

/// A namespace on brokers.
pub(crate) struct Space {
    pub(crate) config: KafkaConfig,
}

impl Space {
    /// On the common brokers; `None` without any.
    pub(crate) fn new() -> Option<Self> {
        Some(Self::on(&servers()?))
    }

    pub(crate) fn on(servers: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let log = TopicKind::Log { retention_ms: DAY_MS };
        let topics = vec![
            KafkaTopic::new("taps", 3, log),
            KafkaTopic::new("rows", 1, log).with_transactions(),
            KafkaTopic::new("emote-state", 1, TopicKind::Compacted).with_message_bytes_max(16 << 20),
            KafkaTopic::new("pulses", 1, TopicKind::ShortLived { retention_ms: 60_000 }),
        ];
        let mut config = KafkaConfig::new(servers, topics);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        config.namespace = format!("test-{}-{}-{number}.", SystemClock.now_ms(), std::process::id());
        config.replication = 1;
        config.parameters.insert("windows.window_ms".to_owned(), "2000".to_owned());
        Self { config }
    }

    pub(crate) fn open(&self) -> Opened {
        self.open_with(&self.config)
    }

    /// Opens as a node with a name.
    pub(crate) fn open_as(&self, node: &str) -> Opened {
        self.open_with(&KafkaConfig { node: node.to_owned(), ..self.config.clone() })
    }

    pub(crate) fn open_with(&self, config: &KafkaConfig) -> Opened {
        let (log, report) = KafkaLog::open(config).unwrap();
        Opened { log, report }
    }
}

pub(crate) struct Opened {
    pub(crate) log: KafkaLog,
    pub(crate) report: KafkaReport,
}

impl Deref for Opened {
    type Target = KafkaLog;

    fn deref(&self) -> &KafkaLog {
        &self.log
    }
}

/// Topics are removed, so that brokers that are used again and again do not fill.
impl Drop for Space {
    fn drop(&mut self) {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.config.bootstrap_servers);
        let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
        let names: Vec<_> = self
            .config
            .topics
            .iter()
            .map(|topic| format!("{}{}", self.config.namespace, topic.name))
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(2)));
        wait(admin.delete_topics(&names, &options)).ok();
    }
}

/// Runs a check on Kafka, where there are brokers.
pub(crate) fn on_kafka(check: impl Fn(&dyn Log)) {
    if let Some(space) = Space::new() {
        check(&space.open().log);
    }
}

pub(crate) fn row(partition: u32) -> TopicPartition {
    TopicPartition::new("rows", partition)
}

pub(crate) fn state() -> TopicPartition {
    TopicPartition::new("emote-state", 0)
}

/// Asks again and again until it is so.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until readers see what a fenced writer has written at an offset: brokers answer a commit a moment earlier.
pub(crate) fn until_visible(log: &dyn Log, of: &TopicPartition, offset: u64) {
    until("what was committed is visible", || (log.bounds(of).unwrap().end > offset).then_some(()));
}

/// All values of a partition from an offset to its end, with the offsets of their records.
pub(crate) fn read_all(log: &dyn Log, from: &TopicPartition, mut at: u64) -> Vec<(u64, String)> {
    let end = log.bounds(from).unwrap().end;
    let mut read = Vec::new();
    while at < end {
        let batch = log.read(from, at, 1 << 20).unwrap();
        assert!(batch.next > at, "a read before the end goes forward");
        assert!(batch.records.iter().all(|record| (at..batch.next).contains(&record.offset)));
        at = batch.next;
        read.extend(
            batch
                .records
                .into_iter()
                .map(|record| (record.offset, String::from_utf8_lossy(&record.value).into_owned())),
        );
    }
    read
}
