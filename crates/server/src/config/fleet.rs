//! What nodes of a fleet need to know of each other: the internal API, and the sections of bridge and relay.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Findings, Secret, compat::is_topic};

/// `internal`: the API between nodes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InternalConfig {
    /// What nodes show each other, 32 characters or more, the same on all. Absent: the internal API refuses every call.
    #[serde(skip_serializing)]
    pub key: Option<Secret>,
    /// Where the internal API is served, and nothing else. Absent: on the ordinary listeners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}

/// A shorter key can be guessed.
const KEY_CHARS_MIN: usize = 32;

impl InternalConfig {
    /// The keys of the secrets that are set, for those who look at the configuration.
    pub fn secrets_set(&self) -> Vec<&'static str> {
        self.key.iter().map(|_| "internal.key").collect()
    }

    pub(super) fn validate(&self, findings: &mut Findings) {
        let is_long = |key: &Secret| key.reveal().chars().count() >= KEY_CHARS_MIN;
        let is_sendable = |key: &Secret| key.reveal().bytes().all(|b| b.is_ascii_graphic());
        findings.expect(
            self.listen.is_none() || self.key.is_some(),
            "internal.listen",
            "internal.key beside it: without it every call is refused",
        );
        findings.expect(
            self.key.as_ref().is_none_or(|key| is_long(key) && is_sendable(key)),
            "internal.key",
            "32 printable ASCII characters or more, such as those of `openssl rand -hex 32`",
        );
    }
}

/// `bridge`: reactions that other people's programs write to Kafka.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BridgeConfig {
    /// Their topics. Empty: `topics.raw`.
    pub topics: Vec<String>,
    /// Where to begin in a topic that was never read before: `earliest` or `latest`.
    pub from: BridgeFrom,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self { topics: Vec::new(), from: BridgeFrom::Earliest }
    }
}

/// Where a bridge begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum BridgeFrom {
    /// At the oldest record that is kept.
    Earliest,
    /// At what comes from now on.
    Latest,
}

impl TryFrom<String> for BridgeFrom {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            _ => Err(format!("expected earliest or latest, got {text:?}")),
        }
    }
}

impl BridgeConfig {
    pub(super) fn validate(&self, findings: &mut Findings) {
        let named = self.topics.iter().all(|topic| is_topic(topic));
        findings.expect(named, "bridge.topics", "names of topics: 1 to 249 letters, digits, '.', '_' or '-'");
        findings.expect(self.topics.len() <= 64, "bridge.topics", "at most 64 topics");
    }
}

/// `relay`: windows for far clusters, as system D's cluster publishers read them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayConfig {
    /// One topic a cluster. Empty: there is no relay.
    pub topics: Vec<String>,
}

impl RelayConfig {
    pub(super) fn validate(&self, findings: &mut Findings) {
        let named = self.topics.iter().all(|topic| is_topic(topic));
        findings.expect(named, "relay.topics", "names of topics: 1 to 249 letters, digits, '.', '_' or '-'");
        findings.expect(self.topics.len() <= 64, "relay.topics", "at most 64 topics");
    }
}
