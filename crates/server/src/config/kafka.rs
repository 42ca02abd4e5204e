//! `kafka`: the brokers, how a node is known to them, and how it speaks to them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Findings, Secret, compat::is_topic};

/// `kafka`: the brokers, for `log.kind = "kafka"`. No effect on the embedded log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Addresses of brokers, `host:port` with commas between them.
    pub bootstrap_servers: String,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security_protocol: SecurityProtocol,
    /// `plain`, `scram-sha-256` or `scram-sha-512`, with either of the `sasl_` protocols.
    pub sasl_mechanism: SaslMechanism,
    /// User name for SASL.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sasl_username: String,
    /// Password for SASL.
    #[serde(skip_serializing)]
    pub sasl_password: Option<Secret>,
    /// Certificates that brokers are trusted by, PEM. Absent: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_ca_file: Option<PathBuf>,
    /// The node's own certificate, PEM, where brokers ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_certificate_file: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_key_file: Option<PathBuf>,
    /// What the private key is encrypted with.
    #[serde(skip_serializing)]
    pub ssl_key_password: Option<Secret>,
    /// Begins the names of our own topics, groups and transactional ids, so that several fleets share brokers.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Copies of each record in topics that a node makes; where there are fewer brokers, one on each, with a warning.
    pub replication: u16,
    /// Partitions of `emote-output`, fixed when the log is created: so many nodes can share the work of merging.
    pub output_partitions: u32,
    /// A node that has not been heard of for so long loses its partitions to others, ms.
    pub session_timeout_ms: u32,
    /// A start gives up when brokers have not answered for so long, ms.
    pub start_timeout_ms: u64,
    /// The longest time that reactions gather between an acknowledgement and Kafka, ms. Never more than half of
    /// `windows.allowed_lateness_ms`, so that gathering makes no reaction late.
    pub flush_ms: u64,
}

/// How a connection to a broker is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "String")]
pub enum SecurityProtocol {
    /// Not at all.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// A user name and a password, readable on the way.
    SaslPlaintext,
    /// A user name and a password under TLS.
    SaslSsl,
}

impl SecurityProtocol {
    const ALL: [Self; 4] = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];

    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    /// Whether it asks for a user name and a password.
    pub fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl TryFrom<String> for SecurityProtocol {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|protocol| protocol.name() == text.to_ascii_lowercase());
        let expected = Self::ALL.map(Self::name).join(", ");
        known.ok_or_else(|| format!("expected one of {expected}, got {text:?}"))
    }
}

/// How a user name and a password are shown to a broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum SaslMechanism {
    /// As they are.
    Plain,
    /// By challenge and response (RFC 7677).
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// By challenge and response, with SHA-512.
    #[default]
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

impl SaslMechanism {
    const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl TryFrom<String> for SaslMechanism {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(&text));
        known.ok_or_else(|| format!("expected plain, scram-sha-256 or scram-sha-512, got {text:?}"))
    }
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            bootstrap_servers: String::new(),
            security_protocol: SecurityProtocol::default(),
            sasl_mechanism: SaslMechanism::default(),
            sasl_username: String::new(),
            sasl_password: None,
            ssl_ca_file: None,
            ssl_certificate_file: None,
            ssl_key_file: None,
            ssl_key_password: None,
            namespace: String::new(),
            replication: 3,
            output_partitions: 4,
            session_timeout_ms: 6_000,
            start_timeout_ms: 30_000,
            flush_ms: 5,
        }
    }
}

impl KafkaConfig {
    /// The keys of the secrets that are set, for those who look at the configuration.
    pub fn secrets_set(&self) -> Vec<&'static str> {
        let secrets = [
            ("kafka.sasl_password", &self.sasl_password),
            ("kafka.ssl_key_password", &self.ssl_key_password),
        ];
        secrets.iter().filter(|(_, secret)| secret.is_some()).map(|(key, _)| *key).collect()
    }

    pub(super) fn validate(&self, findings: &mut Findings) {
        findings.expect((1..=60_000).contains(&self.flush_ms), "kafka.flush_ms", "a number from 1 to 60000");
        findings.expect(
            !self.security_protocol.has_sasl()
                || (!self.sasl_username.is_empty() && self.sasl_password.is_some()),
            "kafka.sasl_username",
            "a user name, and kafka.sasl_password beside it, for this kafka.security_protocol",
        );
        findings.expect(
            self.ssl_certificate_file.is_some() == self.ssl_key_file.is_some(),
            "kafka.ssl_certificate_file",
            "kafka.ssl_key_file beside it, and the other way round",
        );
        findings.expect(
            self.namespace.is_empty() || (is_topic(&self.namespace) && self.namespace.len() <= 64),
            "kafka.namespace",
            "at most 64 letters, digits, '.', '_' or '-'",
        );
        findings.expect((1..=9).contains(&self.replication), "kafka.replication", "a number from 1 to 9");
        findings.expect(
            (1..=256).contains(&self.output_partitions),
            "kafka.output_partitions",
            "a number from 1 to 256",
        );
        findings.expect(
            (2_000..=60_000).contains(&self.session_timeout_ms),
            "kafka.session_timeout_ms",
            "a number from 2000 to 60000",
        );
        findings.expect(
            (1_000..=600_000).contains(&self.start_timeout_ms),
            "kafka.start_timeout_ms",
            "a number from 1000 to 600000",
        );
    }
}
