//! What a Kafka log is opened with.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    path::PathBuf,
    time::Duration,
};

use crate::{LogError, fencing::check_name};

/// Where the brokers are, what is wanted of them, and this node's limits.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    /// Brokers to ask first: `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// How brokers and this node know each other.
    pub security: Security,
    /// Name of this program in the brokers' logs and quotas.
    pub client_id: String,
    /// Set before every topic, group and transactional id, so that several installations share brokers. May be empty.
    pub namespace: String,
    /// This node's identity in groups: a node that comes back under it within the session timeout gets its
    /// partitions back without a rebalance. Unique among running nodes.
    pub node: String,
    /// All topics that will be used.
    pub topics: Vec<KafkaTopic>,
    /// Which of them (compacted, one partition) keeps the generation record and measurements of the brokers' clock.
    pub state_topic: String,
    /// Groups that will be joined: opening asks whether that is permitted.
    pub groups: Vec<String>,
    /// Parameters of the stream, compared verbatim with those the log was created with.
    pub parameters: BTreeMap<String, String>,
    /// Replicas of a topic that opening creates; as many as there are brokers, with a warning, where they are fewer.
    pub replication: u16,
    /// How long opening waits for brokers that do not answer.
    pub start_timeout: Duration,
    /// How long a read, a question or a commit waits for brokers that do not answer; then [`LogError::Unavailable`].
    pub request_timeout: Duration,
    /// How long brokers wait for something new before they tell a reader that it is at the end.
    pub fetch_wait: Duration,
    /// How long a group waits for a member that is not heard of. Brokers accept 6 s and more by default.
    pub session_timeout: Duration,
    /// How long [`Log::close`](crate::Log::close) waits for appends to become durable.
    pub close_timeout: Duration,
    /// Records that may wait; more are refused with [`LogError::Overloaded`].
    pub queue_records_max: usize,
    /// Bytes of keys and values that may wait.
    pub queue_bytes_max: usize,
    /// Bytes of the newest records of each followed partition that are kept for readers.
    pub ring_bytes: usize,
    /// How often records that no replay needs and that are old enough are deleted.
    pub trim_every: Duration,
    /// Randomness: the identity of a new log comes from it.
    pub seed: u64,
}

impl KafkaConfig {
    /// Defaults: plain text; three replicas; 30 s to start, 10 s for a question, sessions of 6 s; a queue of 100,000
    /// records and 64 MiB, rings of 8 MiB.
    pub fn new(bootstrap_servers: impl Into<String>, topics: Vec<KafkaTopic>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into(),
            security: Security::default(),
            client_id: "emostream".to_owned(),
            namespace: String::new(),
            node: String::new(),
            topics,
            state_topic: "emote-state".to_owned(),
            groups: Vec::new(),
            parameters: BTreeMap::new(),
            replication: 3,
            start_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(10),
            fetch_wait: Duration::from_millis(500),
            session_timeout: Duration::from_secs(6),
            close_timeout: Duration::from_secs(10),
            queue_records_max: 100_000,
            queue_bytes_max: 64 << 20,
            ring_bytes: 8 << 20,
            trim_every: Duration::from_secs(30),
            seed: RandomState::new().build_hasher().finish(),
        }
    }

    /// Refuses names and limits that make no sense.
    pub(super) fn check(&self) -> Result<(), LogError> {
        let mut names = BTreeSet::new();
        for topic in &self.topics {
            check_name("topic", &topic.name)?;
            if topic.partitions == 0 || !names.insert(&topic.name) {
                let name = &topic.name;
                return Err(LogError::Format(format!("topic {name} is there twice or has no partitions")));
            }
            if topic.record_bytes_max() > self.queue_bytes_max {
                return Err(LogError::Format(format!(
                    "records of topic {} may have {} bytes, which exceeds the queue's {} bytes",
                    topic.name,
                    topic.record_bytes_max(),
                    self.queue_bytes_max
                )));
            }
        }
        for (what, name) in [("namespace", &self.namespace), ("node", &self.node)] {
            if !name.is_empty() {
                check_name(what, name)?;
            }
        }
        let state = self.topics.iter().find(|topic| topic.name == self.state_topic);
        if !state.is_some_and(|topic| topic.kind == TopicKind::Compacted && topic.partitions == 1) {
            let name = &self.state_topic;
            return Err(LogError::Format(format!("topic {name} must be compacted and have one partition")));
        }
        Ok(())
    }

    /// A topic's name at the brokers.
    pub(super) fn remote(&self, name: &str) -> String {
        format!("{}{name}", self.namespace)
    }

    pub(super) fn topic(&self, name: &str) -> Option<&KafkaTopic> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// Size of the largest message of any topic.
    pub(super) fn message_bytes_max(&self) -> usize {
        self.topics.iter().map(|topic| topic.message_bytes_max).max().unwrap_or(DEFAULT_MESSAGE_BYTES_MAX)
    }
}

/// What brokers accept where nothing else is said.
const DEFAULT_MESSAGE_BYTES_MAX: usize = 1_048_588;

/// Room for what surrounds a record's key and value in a message of its own.
const MESSAGE_OVERHEAD_BYTES: usize = 512;

/// One topic.
#[derive(Clone, Debug)]
pub struct KafkaTopic {
    /// Name, before which the namespace is set.
    pub name: String,
    /// Number of partitions. An existing topic must have as many.
    pub partitions: u32,
    /// What becomes of its records.
    pub kind: TopicKind,
    /// Largest message: a record with what surrounds it.
    pub message_bytes_max: usize,
    /// Whether it is written by fenced writers. (Readers never see what is not committed, in any topic.)
    pub transactional: bool,
}

impl KafkaTopic {
    /// A topic with messages of up to 1 MiB, without transactions.
    pub fn new(name: impl Into<String>, partitions: u32, kind: TopicKind) -> Self {
        let message_bytes_max = DEFAULT_MESSAGE_BYTES_MAX;
        Self { name: name.into(), partitions, kind, message_bytes_max, transactional: false }
    }

    /// The same with larger (or smaller) messages.
    #[must_use]
    pub fn with_message_bytes_max(mut self, bytes: usize) -> Self {
        self.message_bytes_max = bytes;
        self
    }

    /// The same, written by fenced writers.
    #[must_use]
    pub fn with_transactions(mut self) -> Self {
        self.transactional = true;
        self
    }

    /// Bytes of key and value that a record may have.
    pub(super) fn record_bytes_max(&self) -> usize {
        self.message_bytes_max.saturating_sub(MESSAGE_OVERHEAD_BYTES)
    }
}

/// What becomes of a topic's records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TopicKind {
    /// Kept until they are older than `retention_ms` and no replay needs them
    /// ([`Log::set_restore_point`](crate::Log::set_restore_point)); brokers delete nothing by themselves.
    Log {
        /// Age up to which they are kept in any case, in milliseconds.
        retention_ms: u64,
    },
    /// The newest of each key is kept for ever.
    Compacted,
    /// Deleted by the brokers at this age, in milliseconds.
    ShortLived {
        /// The age.
        retention_ms: u64,
    },
}

/// How brokers and this node know each other. Which fields count is a matter of the protocol.
#[derive(Clone, Default)]
pub struct Security {
    /// Which of the four protocols.
    pub protocol: Protocol,
    /// How this node logs in, for the two SASL protocols.
    pub mechanism: Mechanism,
    /// User, for the SASL protocols.
    pub username: String,
    /// Password, for the SASL protocols.
    pub password: String,
    /// PEM file of the authority that signed the brokers' certificates; the system's authorities when missing.
    pub ca_file: Option<PathBuf>,
    /// PEM files of this node's own certificate and private key, where brokers ask for one.
    pub client: Option<ClientCertificate>,
}

/// A certificate by which this node is known, and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// PEM file of the certificate, with those in between if there are any.
    pub certificate_file: PathBuf,
    /// PEM file of the private key.
    pub key_file: PathBuf,
    /// What the private key is encrypted with, if it is.
    pub key_password: Option<String>,
}

/// Encryption and login.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// Neither.
    #[default]
    Plaintext,
    /// Encryption.
    Ssl,
    /// Login.
    SaslPlaintext,
    /// Both.
    SaslSsl,
}

impl Protocol {
    /// Kafka's own name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    pub(super) fn encrypts(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    pub(super) fn logs_in(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// How a user and password are shown to the brokers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mechanism {
    /// As they are.
    #[default]
    Plain,
    /// By proof, SHA-256.
    ScramSha256,
    /// By proof, SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// Kafka's own name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Without the password.
impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security")
            .field("protocol", &self.protocol)
            .field("mechanism", &self.mechanism)
            .field("username", &self.username)
            .field("ca_file", &self.ca_file)
            .field("client", &self.client.as_ref().map(|client| &client.certificate_file))
            .finish_non_exhaustive()
    }
}
