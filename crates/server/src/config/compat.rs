//! What only the source systems' clients need: the channel they speak to, the bridge's source, topic names.

use emostream_protocol::ChannelName;
use serde::{Deserialize, Serialize};

use super::Findings;

/// `compat`: the source systems' endpoints.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompatConfig {
    /// The channel that stands for a source system's single stream.
    pub channel: String,
    /// Whether each final window of it is a line on standard output (system E).
    pub console: bool,
}

impl Default for CompatConfig {
    fn default() -> Self {
        Self { channel: "main".into(), console: false }
    }
}

/// `websocket_bridge`: system A's WebSocket.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocketBridgeConfig {
    /// Which topic's messages it forwards.
    pub source: BridgeSource,
}

/// What the bridge forwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum BridgeSource {
    /// Moments.
    #[default]
    Moments,
    /// Every reaction: system A's debug setting.
    Raw,
}

impl TryFrom<String> for BridgeSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "moments" => Ok(Self::Moments),
            "raw" => Ok(Self::Raw),
            _ => Err(format!("expected moments or raw, got {text:?}")),
        }
    }
}

/// `topics`: names of the topics that other people's programs read on Kafka. No effect on the embedded log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicsConfig {
    /// Reactions.
    pub raw: String,
    /// Final windows.
    pub windows: String,
    /// Moments.
    pub moments: String,
}

impl Default for TopicsConfig {
    fn default() -> Self {
        Self {
            raw: "raw-emote-data".into(),
            windows: "emote-windows".into(),
            moments: "aggregated-emote-data".into(),
        }
    }
}

/// Kafka's limit on the name of a topic, in bytes.
const TOPIC_BYTES_MAX: usize = 249;

/// Whether Kafka takes a name for a topic.
pub(super) fn is_topic(name: &str) -> bool {
    (1..=TOPIC_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

impl CompatConfig {
    pub(super) fn validate(&self, findings: &mut Findings) {
        let named = ChannelName::new(&self.channel).is_ok();
        findings.expect(named, "compat.channel", "the name of a channel");
    }
}

impl TopicsConfig {
    pub(super) fn validate(&self, findings: &mut Findings) {
        for (key, name) in
            [("topics.raw", &self.raw), ("topics.windows", &self.windows), ("topics.moments", &self.moments)]
        {
            findings.expect(is_topic(name), key, "1 to 249 letters, digits, '.', '_' or '-'");
        }
    }
}
