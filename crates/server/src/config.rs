//! Configuration: defaults, then a preset, a file, the environment, `--set`; each section validates itself.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

mod channels;
mod compat;
mod control;
mod dotenv;
mod layers;
mod path;
mod preset;
mod site;
mod store;
mod variables;

pub use channels::ChannelConfig;
pub use compat::{BridgeSource, CompatConfig, KafkaConfig, TopicsConfig, WebSocketBridgeConfig};
pub use control::{ControlConfig, Secret};
pub use dotenv::with_dotenv;
pub use layers::{ConfigError, Layers, load};
pub use path::{Durability, EdgeConfig, HttpConfig, IngestConfig, LogConfig, LogKind, WindowsConfig};
pub use preset::Preset;
pub use site::{ContactConfig, SiteConfig};
pub use store::{StoreConfig, StoreUrl};

/// A part of the reaction's path that a node can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum Role {
    /// Takes reactions and writes them to the log.
    Ingest,
    /// Counts the log and emits windows and moments.
    Aggregate,
    /// Holds viewers' connections.
    Edge,
    /// Accounts, channels, settings and the archive: what needs the store.
    Control,
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
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Aggregate, Self::Edge, Self::Control];

    /// The role's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Aggregate => "aggregate",
            Self::Edge => "edge",
            Self::Control => "control",
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
    /// Roles to run. Empty: all.
    pub roles: Vec<Role>,
    /// The store of accounts, settings and the archive.
    pub store: StoreConfig,
    /// How people log in.
    pub control: ControlConfig,
    /// The log.
    pub log: LogConfig,
    /// Windows and pulses.
    pub windows: WindowsConfig,
    /// Taking reactions.
    pub ingest: IngestConfig,
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
    /// The broker.
    pub kafka: KafkaConfig,
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
            roles: Vec::new(),
            store: StoreConfig::default(),
            control: ControlConfig::default(),
            log: LogConfig::default(),
            windows: WindowsConfig::default(),
            ingest: IngestConfig::default(),
            edge: EdgeConfig::default(),
            http: HttpConfig::default(),
            compat: CompatConfig::default(),
            websocket_bridge: WebSocketBridgeConfig::default(),
            topics: TopicsConfig::default(),
            kafka: KafkaConfig::default(),
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
        Role::ALL.into_iter().filter(|role| self.roles.is_empty() || self.roles.contains(role)).collect()
    }

    /// Checks every section; returns all findings, not only the first.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut findings = Findings::default();
        self.store.validate(&mut findings);
        self.control.validate(&mut findings);
        self.log.validate(&mut findings);
        self.windows.validate(&mut findings);
        self.ingest.validate(&mut findings);
        self.edge.validate(&mut findings);
        self.http.validate(&mut findings);
        self.compat.validate(&mut findings);
        self.topics.validate(&mut findings);
        self.kafka.validate(&mut findings);
        self.site.validate(&mut findings);
        channels::validate(&self.channels, &mut findings);
        findings.expect(
            self.log.kind == LogKind::Kafka || self.kafka.bootstrap_servers.is_empty(),
            "kafka.bootstrap_servers",
            "log.kind = \"kafka\" beside it",
        );
        if findings.0.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(findings.0)) }
    }
}
