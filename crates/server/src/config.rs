//! Configuration: defaults, then a preset, a file, the environment, `--set`; each section validates itself.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

mod channels;
mod compat;
mod control;
mod dotenv;
mod edges;
mod fleet;
mod kafka;
mod layers;
mod path;
mod preset;
mod projector;
mod site;
mod spool;
mod variables;

pub use channels::ChannelConfig;
pub use compat::{BridgeSource, CompatConfig, Network, TopicsConfig, WebSocketBridgeConfig};
pub use control::{
    AccountsConfig, ClusterConfig, ControlConfig, PlacementConfig, Secret, StoreConfig, StoreUrl,
};
pub use dotenv::with_dotenv;
pub use edges::NamedEdge;
pub use fleet::{BridgeConfig, BridgeFrom, InternalConfig, RelayConfig, TlsFiles};
pub use kafka::{KafkaConfig, SaslMechanism, SecurityProtocol};
pub use layers::{ConfigError, Layers, load};
pub use path::{
    Durability, EdgeConfig, HttpConfig, IngestConfig, LogConfig, LogKind, ProxyHeader, WindowsConfig,
};
pub use preset::Preset;
pub use projector::{LineCompression, LineShape, ProjectorConfig};
pub use site::{ContactConfig, SiteConfig};
pub use spool::SpoolConfig;

/// A part of the reaction's path that a node can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum Role {
    /// Takes reactions and writes them to the log.
    Ingest,
    /// Counts the log and emits windows and moments.
    Aggregate,
    /// Carries windows to a topic for each cluster.
    Relay,
    /// Holds viewers' connections.
    Edge,
    /// Accounts, channels, settings and the archive: what needs the store.
    Control,
    /// Takes reactions out of other people's topics, and writes reactions, windows and moments to theirs.
    Bridge,
}

impl TryFrom<String> for Role {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name);
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| format!("expected one of {}, got {text:?}", known.join(", ")))
    }
}

impl Role {
    /// All roles, in the order of a reaction's path.
    pub const ALL: [Self; 6] =
        [Self::Ingest, Self::Aggregate, Self::Relay, Self::Edge, Self::Control, Self::Bridge];

    /// The role's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Aggregate => "aggregate",
            Self::Relay => "relay",
            Self::Edge => "edge",
            Self::Control => "control",
            Self::Bridge => "bridge",
        }
    }
}

/// Everything that can be configured. Field names are the keys that users write.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The source system whose defaults a bare start takes over; its layer lies below all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Addresses that serve the whole HTTP surface. Empty: 127.0.0.1:8080, and 127.0.0.1:3001 if it is free.
    pub listen: Vec<SocketAddr>,
    /// Where the log, the snapshots and the keys are.
    pub data_dir: PathBuf,
    /// What the node is called in a fleet, where no two are called the same. Empty: a random name in the data directory.
    pub node_name: String,
    /// Roles to run. Empty: all that the configuration needs.
    pub roles: Vec<Role>,
    /// The store of accounts, settings and the archive.
    pub store: StoreConfig,
    /// How people log in.
    pub control: ControlConfig,
    /// Accounts that people make themselves, and their tiers.
    pub accounts: AccountsConfig,
    /// How viewers are sent to edges.
    pub placement: PlacementConfig,
    /// Edges of this process that have a listener and a capacity of their own. None: the node is one edge, on `listen`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<NamedEdge>,
    /// The log.
    pub log: LogConfig,
    /// Windows and pulses.
    pub windows: WindowsConfig,
    /// Taking reactions.
    pub ingest: IngestConfig,
    /// What waits for Kafka.
    pub spool: SpoolConfig,
    /// Viewers' connections.
    pub edge: EdgeConfig,
    /// Limits of all HTTP connections.
    pub http: HttpConfig,
    /// The source systems' endpoints.
    pub compat: CompatConfig,
    /// System A's WebSocket.
    pub websocket_bridge: WebSocketBridgeConfig,
    /// Names of other people's topics on Kafka.
    pub topics: TopicsConfig,
    /// The brokers.
    pub kafka: KafkaConfig,
    /// The API between nodes.
    pub internal: InternalConfig,
    /// Reactions that other people's programs write to Kafka.
    pub bridge: BridgeConfig,
    /// What is written to Kafka for other people's programs.
    pub projector: ProjectorConfig,
    /// Windows for far clusters.
    pub relay: RelayConfig,
    /// What the page says about those who run this server.
    pub site: SiteConfig,
    /// The channels that exist.
    pub channels: Vec<ChannelConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            preset: None,
            listen: Vec::new(),
            data_dir: PathBuf::from("data"),
            node_name: String::new(),
            roles: Vec::new(),
            store: StoreConfig::default(),
            control: ControlConfig::default(),
            accounts: AccountsConfig::default(),
            placement: PlacementConfig::default(),
            edges: Vec::new(),
            log: LogConfig::default(),
            windows: WindowsConfig::default(),
            ingest: IngestConfig::default(),
            spool: SpoolConfig::default(),
            edge: EdgeConfig::default(),
            http: HttpConfig::default(),
            compat: CompatConfig::default(),
            websocket_bridge: WebSocketBridgeConfig::default(),
            topics: TopicsConfig::default(),
            kafka: KafkaConfig::default(),
            internal: InternalConfig::default(),
            bridge: BridgeConfig::default(),
            projector: ProjectorConfig::default(),
            relay: RelayConfig::default(),
            site: SiteConfig::default(),
            channels: vec![ChannelConfig::default()],
        }
    }
}

/// Collects what is wrong, each with the key and what was expected.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<String>);

impl Findings {
    /// Notes a finding unless `holds`.
    pub(crate) fn expect(&mut self, holds: bool, key: &str, expected: impl std::fmt::Display) {
        if !holds {
            self.0.push(format!("{key}: expected {expected}"));
        }
    }
}

impl Config {
    /// Roles to run, in path order, each once.
    pub fn effective_roles(&self) -> Vec<Role> {
        Role::ALL.into_iter().filter(|role| self.needs(*role)).collect()
    }

    /// Whether a role runs: as named, or where none is named, if the configuration needs it.
    fn needs(&self, role: Role) -> bool {
        if !self.roles.is_empty() {
            return self.roles.contains(&role);
        }
        match role {
            Role::Bridge => self.log.kind == LogKind::Kafka,
            Role::Relay => self.log.kind == LogKind::Kafka && !self.relay.topics.is_empty(),
            Role::Ingest | Role::Aggregate | Role::Edge | Role::Control => true,
        }
    }

    /// The keys of the secrets that are set, for those who look at the configuration.
    pub fn secrets_set(&self) -> Vec<&'static str> {
        [self.control.secrets_set(), self.kafka.secrets_set(), self.internal.secrets_set()].concat()
    }

    /// Checks every section; returns all findings, not only the first.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut findings = Findings::default();
        self.store.validate(&mut findings);
        self.control.validate(&mut findings);
        self.accounts.validate(&mut findings);
        self.placement.validate(&mut findings);
        edges::validate(&self.edges, self.edge.viewers_max, &mut findings);
        self.log.validate(&mut findings);
        self.windows.validate(&mut findings);
        self.ingest.validate(&mut findings);
        self.spool.validate(&mut findings);
        self.edge.validate(&mut findings);
        self.http.validate(&mut findings);
        self.compat.validate(&mut findings);
        self.topics.validate(&mut findings);
        self.kafka.validate(&mut findings);
        self.internal.validate(&mut findings);
        self.bridge.validate(&mut findings);
        self.projector.validate(&mut findings);
        self.relay.validate(&mut findings);
        self.site.validate(&mut findings);
        channels::validate(&self.channels, &mut findings);
        self.validate_together(&mut findings);
        if findings.0.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(findings.0)) }
    }

    /// What sections ask of each other.
    fn validate_together(&self, findings: &mut Findings) {
        let on_kafka = self.log.kind == LogKind::Kafka;
        findings.expect(
            on_kafka || self.kafka.bootstrap_servers.is_empty(),
            "kafka.bootstrap_servers",
            "log.kind = \"kafka\" beside it",
        );
        findings.expect(
            !on_kafka || !self.kafka.bootstrap_servers.is_empty(),
            "kafka.bootstrap_servers",
            "addresses of brokers, since log.kind is \"kafka\"",
        );
        let fleet_only = [Role::Bridge, Role::Relay].into_iter().find(|role| self.roles.contains(role));
        findings.expect(
            on_kafka || fleet_only.is_none(),
            "roles",
            format_args!("log.kind = \"kafka\" beside {}", fleet_only.map_or("", Role::name)),
        );
        findings.expect(
            !self.roles.contains(&Role::Relay) || !self.relay.topics.is_empty(),
            "relay.topics",
            "topics to relay to, since the role relay is asked for",
        );
        findings.expect(
            self.control.url.as_ref().is_none_or(|url| {
                url.starts_with("http://") || url.starts_with("https://")
            }),
            "control.url",
            "the address of a node with control, such as http://10.0.0.5:8080 or https://control.internal:8443",
        );
        let is_encrypted = self.control.url.as_ref().is_some_and(|url| url.starts_with("https://"));
        findings.expect(
            !is_encrypted || self.internal.tls().is_some(),
            "control.url",
            "internal.tls_cert_file and its companions beside an https:// address",
        );
        findings.expect(
            self.control.url.is_none() || self.internal.key.is_some() || is_encrypted,
            "control.url",
            "internal.key beside it, the same as on the node with control",
        );
        let is_name = self.node_name.is_empty() || is_short_name(&self.node_name);
        findings.expect(is_name, "node_name", "at most 64 letters, digits, '.', '_' or '-'");
        findings.expect(
            self.edges.is_empty() || self.needs(Role::Edge),
            "edges",
            "the role edge beside them",
        );
    }
}

/// Whether a text may name a node, a cluster or an edge.
fn is_short_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
