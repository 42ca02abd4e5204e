//! What topics have to be, and what they are made with.

use crate::kafka::config::{KafkaTopic, TopicKind};

/// Segments are deleted and compacted as a whole: small enough that disks do not fill with what nobody needs.
const SEGMENT_BYTES: &str = "134217728";

/// What a topic must be set to for processing to be right.
pub(super) fn required(topic: &KafkaTopic) -> Vec<(&'static str, String)> {
    let mut required = vec![("message.timestamp.type", "LogAppendTime".to_owned())];
    match topic.kind {
        TopicKind::Log { .. } => required.extend([
            ("cleanup.policy", "delete".to_owned()),
            // Brokers do not know what a replay needs.
            ("retention.ms", "-1".to_owned()),
            ("retention.bytes", "-1".to_owned()),
        ]),
        TopicKind::Compacted => required.push(("cleanup.policy", "compact".to_owned())),
        TopicKind::ShortLived { .. } => required.push(("cleanup.policy", "delete".to_owned())),
    }
    required
}

/// What a topic is made with.
pub(super) fn settings(topic: &KafkaTopic, replicas: usize) -> Vec<(&'static str, String)> {
    let mut settings = required(topic);
    settings.extend([
        ("max.message.bytes", topic.message_bytes_max.to_string()),
        // One broker may be away, and what was acknowledged is still on another.
        ("min.insync.replicas", replicas.saturating_sub(1).max(1).to_string()),
        ("segment.bytes", SEGMENT_BYTES.to_owned()),
    ]);
    match topic.kind {
        TopicKind::Log { .. } => {}
        TopicKind::Compacted => settings.push(("min.cleanable.dirty.ratio", "0.2".to_owned())),
        TopicKind::ShortLived { retention_ms } => {
            settings.push(("retention.ms", retention_ms.to_string()));
            settings.push(("segment.ms", retention_ms.max(60_000).to_string()));
        }
    }
    settings
}
