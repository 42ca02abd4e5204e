//! What only the source systems' clients need: the channel they speak to, the bridge's source, topic names.

use emostream_protocol::ChannelName;
use serde::{Deserialize, Serialize};

use super::Findings;

mod networks;

pub use networks::Network;

/// `compat`: the source systems' endpoints.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompatConfig {
    /// The channel that stands for a source system's single stream.
    pub channel: String,
    /// Whether each final window of it is a line on standard output (system E).
    pub console: bool,
    /// Networks in which clients of system D may ask to be called (`client_url`), such as `127.0.0.0/8`. Empty: nobody is
    /// called; clients read `GET /notify-client`.
    pub notify_networks: Vec<Network>,
    /// A client that is called must answer within this time, ms.
    pub notify_timeout_ms: u64,
    /// A client that fails so often in a row, or is not to be reached, loses its place.
    pub notify_failures_max: u32,
    /// A client of system D that has registered and reads nothing loses its place after so long, ms.
    pub notify_idle_ms: u64,
}

impl Default for CompatConfig {
    fn default() -> Self {
        Self {
            channel: "main".into(),
            console: false,
            notify_networks: Vec::new(),
            notify_timeout_ms: 2_000,
            notify_failures_max: 3,
            notify_idle_ms: 30_000,
        }
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
        findings.expect(self.notify_networks.len() <= 64, "compat.notify_networks", "at most 64 networks");
        findings.expect(
            (100..=30_000).contains(&self.notify_timeout_ms),
            "compat.notify_timeout_ms",
            "a number from 100 to 30000",
        );
        findings.expect(
            (1..=100).contains(&self.notify_failures_max),
            "compat.notify_failures_max",
            "a number from 1 to 100",
        );
        findings.expect(
            (1_000..=3_600_000).contains(&self.notify_idle_ms),
            "compat.notify_idle_ms",
            "a number from 1000 to 3600000",
        );
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
