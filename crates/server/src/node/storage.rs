//! The embedded log of a node: its topics, their retention, and the parameters that belong to its generation.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use emostream_log::{
    Clock, Log, LogError, SystemClock, TopicPartition,
    embedded::{self, EmbeddedConfig, EmbeddedLog, Retention, TopicConfig},
    foreign::ForeignTopics,
};

use super::{
    StartError,
    clock::SteadyClock,
    topics::{DEAD_LETTER_TOPIC, OUTPUT_TOPIC, RAW_TOPIC},
};
use crate::config::{Config, Durability, LogKind};

/// The embedded log of a configuration.
pub fn embedded_config(config: &Config, clock: Arc<dyn Clock>) -> EmbeddedConfig {
    let kept = |ms: u64, bytes: Option<u64>| Retention { age_ms: i64::try_from(ms).ok(), bytes };
    let topic = |name: &str, partitions, retention| TopicConfig { name: name.into(), partitions, retention };
    let output_kept = kept(config.log.output_retention_ms, None);
    let topics = vec![
        topic(
            RAW_TOPIC,
            config.log.effective_partitions(),
            kept(config.log.retention_ms, Some(config.log.retention_bytes)),
        ),
        topic(OUTPUT_TOPIC, 1, output_kept),
        topic(DEAD_LETTER_TOPIC, 1, output_kept),
    ];
    EmbeddedConfig {
        parameters: parameters(config),
        durability: match config.log.durability {
            Durability::Fsync => embedded::Durability::Fsync,
            Durability::Os => embedded::Durability::Os,
        },
        segment_bytes: config.log.segment_bytes,
        seed: rand::random(),
        clock,
        ..EmbeddedConfig::new(log_dir(&config.data_dir), topics)
    }
}

/// What belongs to a log's generation.
pub fn parameters(config: &Config) -> BTreeMap<String, String> {
    let windows = &config.windows;
    let parameters = [
        ("windows.window_ms", windows.window_ms),
        ("windows.allowed_lateness_ms", windows.allowed_lateness_ms),
        ("windows.horizon_ms", windows.horizon_ms),
    ];
    parameters.map(|(name, value)| (name.to_owned(), value.to_string())).into()
}

/// Where the embedded log is in a data directory.
pub fn log_dir(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("log")
}

/// The log of a node, and what goes with it.
pub(super) struct Opened {
    pub(super) log: Arc<dyn Log>,
    pub(super) clock: Arc<dyn Clock>,
    /// What is known of the brokers; `None` where there are none.
    pub(super) brokers: Option<Arc<dyn Brokers>>,
}

/// The brokers behind a log, as a node watches them.
pub trait Brokers: Send + Sync {
    /// This node's name in the fleet.
    fn node(&self) -> &str;
    /// Whether they answer.
    fn is_connected(&self) -> bool;
    /// Their clock less this machine's, ms.
    fn clock_offset_ms(&self) -> i64;
    /// What happened since the start; each ascends.
    fn events(&self) -> BrokerEvents;
    /// The topics that are not the log's own.
    fn foreign_topics(&self) -> Arc<dyn ForeignTopics>;
}

/// What happened between a node and its brokers, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BrokerEvents {
    /// Rebalances that the node took part in.
    pub rebalances: u64,
    /// Connections that were lost.
    pub reconnects: u64,
    /// Identities that were lost to another node.
    pub fenced: u64,
    /// Times that writing was begun anew.
    pub writer_restarts: u64,
    /// Pulses that were dropped.
    pub pulses_dropped: u64,
}

/// Opens the log that the configuration asks for. Blocks.
pub(super) fn open(config: &Config) -> Result<Opened, StartError> {
    match config.log.kind {
        LogKind::Embedded => open_embedded(config),
        #[cfg(feature = "kafka")]
        LogKind::Kafka => super::brokers::open(config),
        #[cfg(not(feature = "kafka"))]
        LogKind::Kafka => {
            let text = "log.kind: this build has no Kafka; expected \"embedded\"";
            Err(StartError::Configuration(text.into()))
        }
    }
}

/// A log that was made with other parameters is a matter of configuration.
fn open_embedded(config: &Config) -> Result<Opened, StartError> {
    let clock = Arc::new(SteadyClock::new(Arc::new(SystemClock)));
    match EmbeddedLog::open(&embedded_config(config, clock.clone())) {
        Ok((log, report)) => {
            tracing::debug!(?report, "log opened");
            clock.not_before(newest_append_ms(&log)?);
            Ok(Opened { log: Arc::new(log), clock, brokers: None })
        }
        Err(error @ LogError::Mismatch { .. }) => Err(StartError::Configuration(error.to_string())),
        Err(error) => Err(StartError::Failed(error.into())),
    }
}

/// The newest append time of all partitions: no clock of this node may be behind it.
fn newest_append_ms(log: &EmbeddedLog) -> anyhow::Result<i64> {
    let mut newest_ms = 0;
    for topic in [RAW_TOPIC, OUTPUT_TOPIC] {
        for partition in 0..log.partitions(topic).unwrap_or(0) {
            let partition = TopicPartition::new(topic, partition);
            let bounds = log.bounds(&partition)?;
            if bounds.end > bounds.start {
                let last = log.read(&partition, bounds.end - 1, 1)?;
                newest_ms = last.records.iter().map(|record| record.append_time_ms).fold(newest_ms, i64::max);
            }
        }
    }
    Ok(newest_ms)
}
