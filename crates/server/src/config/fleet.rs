//! What nodes of a fleet need to know of each other: the internal API, and the sections of bridge and relay.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

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
    /// This node's certificate with those between it and the authority, as PEM. With it, `listen` speaks TLS 1.3 and
    /// answers only nodes that show a certificate of the same authority; nodes ask `control.url` of `https://` with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert_file: Option<PathBuf>,
    /// The certificate's private key, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key_file: Option<PathBuf>,
    /// The authority of the fleet's certificates, as PEM. It must sign for nobody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ca_file: Option<PathBuf>,
    /// Whether the certificate of a node must name each edge that it reports as, as a DNS name among its alternative names
    /// (`subjectAltName`): else every node may speak for every edge. Set on nodes with control.
    pub tls_names: bool,
}

/// Files of a node's certificate.
#[derive(Debug, Clone, Copy)]
pub struct TlsFiles<'a> {
    /// Its certificate.
    pub cert: &'a Path,
    /// The private key.
    pub key: &'a Path,
    /// The authority.
    pub ca: &'a Path,
}

/// A shorter key can be guessed.
const KEY_CHARS_MIN: usize = 32;

impl InternalConfig {
    /// The keys of the secrets that are set, for those who look at the configuration.
    pub fn secrets_set(&self) -> Vec<&'static str> {
        self.key.iter().map(|_| "internal.key").collect()
    }

    /// The certificate, where this node has one.
    pub fn tls(&self) -> Option<TlsFiles<'_>> {
        Some(TlsFiles {
            cert: self.tls_cert_file.as_deref()?,
            key: self.tls_key_file.as_deref()?,
            ca: self.tls_ca_file.as_deref()?,
        })
    }

    /// Whether nodes can show who they are.
    pub fn is_open_to_nodes(&self) -> bool {
        self.key.is_some() || self.tls().is_some()
    }

    pub(super) fn validate(&self, findings: &mut Findings) {
        let files = [&self.tls_cert_file, &self.tls_key_file, &self.tls_ca_file];
        let given = files.iter().filter(|file| file.is_some()).count();
        findings.expect(
            given == 0 || given == files.len(),
            "internal.tls_cert_file",
            "all three of internal.tls_cert_file, internal.tls_key_file and internal.tls_ca_file, or none",
        );
        findings.expect(
            !self.tls_names || given == files.len() && self.listen.is_some(),
            "internal.tls_names",
            "internal.listen and certificates beside it: nothing else tells nodes apart",
        );
        let is_long = |key: &Secret| key.reveal().chars().count() >= KEY_CHARS_MIN;
        let is_sendable = |key: &Secret| key.reveal().bytes().all(|b| b.is_ascii_graphic());
        findings.expect(
            self.listen.is_none() || self.is_open_to_nodes(),
            "internal.listen",
            "internal.key or certificates beside it: without them every call is refused",
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
