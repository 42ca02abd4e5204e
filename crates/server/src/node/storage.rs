//! The embedded log of a node: its topics, their retention, and the parameters that belong to its generation.

use std::{path::Path, sync::Arc};

use emostream_log::{
    Clock, Log, LogError, TopicPartition,
    embedded::{self, EmbeddedConfig, EmbeddedLog, Retention, TopicConfig},
};

use super::StartError;
use crate::config::{Config, Durability};

/// Raw reactions, ticks and settings.
pub const RAW_TOPIC: &str = "emote-log";

/// Windows, moments and settings in sequence.
pub const OUTPUT_TOPIC: &str = "emote-output";

/// What could not be processed, with reason and place.
pub const DEAD_LETTER_TOPIC: &str = "dead-letter";

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
    let windows = &config.windows;
    let parameters = [
        ("windows.window_ms", windows.window_ms),
        ("windows.allowed_lateness_ms", windows.allowed_lateness_ms),
        ("windows.horizon_ms", windows.horizon_ms),
    ];
    EmbeddedConfig {
        parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_string())).into(),
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

/// Where the embedded log is in a data directory.
pub fn log_dir(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("log")
}

/// Opens the log. A log that was made with other parameters is a matter of configuration.
pub(super) fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<EmbeddedLog, StartError> {
    match EmbeddedLog::open(&embedded_config(config, clock)) {
        Ok((log, report)) => {
            tracing::debug!(?report, "log opened");
            Ok(log)
        }
        Err(error @ LogError::Mismatch { .. }) => Err(StartError::Configuration(error.to_string())),
        Err(error) => Err(StartError::Failed(error.into())),
    }
}

/// The newest append time of all partitions: no clock of this node may be behind it.
pub(super) fn newest_append_ms(log: &EmbeddedLog) -> anyhow::Result<i64> {
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
