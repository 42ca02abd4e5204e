//! The embedded log of a node: its topics, their retention, and the parameters that belong to its generation.

use std::{path::Path, sync::Arc};

use emostream_log::{
    Clock,
    embedded::{self, EmbeddedConfig, EmbeddedLog, Retention, TopicConfig},
};

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
            config.log.partitions,
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

pub(super) fn open(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<EmbeddedLog> {
    let (log, report) = EmbeddedLog::open(&embedded_config(config, clock))?;
    tracing::debug!(?report, "log opened");
    Ok(log)
}
