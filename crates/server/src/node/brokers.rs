//! The log of a fleet: our topics on Apache Kafka, and how this node is known there.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use emostream_log::foreign::ForeignTopics;
use emostream_log::kafka::{
    ClientCertificate, KafkaConfig, KafkaForeignTopics, KafkaLog, KafkaReport, KafkaTopic, Mechanism,
    Protocol, Security, TopicKind,
};

use super::{
    StartError,
    clock::SteadyClock,
    storage::{self, BrokerEvents, Brokers, Opened},
    topics::{
        DEAD_LETTER_TOPIC, OUTPUT_TOPIC, PARTIALS_TOPIC, PULSES_TOPIC, RAW_TOPIC, SETTINGS_TOPIC, STATE_TOPIC,
    },
};
use crate::{
    aggregate::fleet,
    bridge,
    config::{Config, Role, SaslMechanism, SecurityProtocol},
    durable, relay,
};

/// Snapshots hold the open windows of all channels, and a step what a window's end makes final.
const LARGE_MESSAGE_BYTES: usize = 16 << 20;

/// Pulses show the present.
const PULSES_KEPT_MS: u64 = 60_000;

/// Opens the log of a configuration. Blocks until the brokers answer or have had their time.
pub(super) fn open(config: &Config) -> Result<Opened, StartError> {
    let node = node_name(config)?;
    let brokers = kafka_config(config, &node);
    match KafkaLog::open(&brokers).and_then(|opened| Ok((opened, KafkaForeignTopics::new(&brokers)?))) {
        Ok(((log, report), foreign)) => {
            report.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            report.reminders.iter().for_each(|reminder| tracing::debug!("{reminder}"));
            let KafkaReport { created, brokers, clock_offset_ms, .. } = report;
            tracing::info!(node, brokers, ?created, clock_offset_ms, "brokers are reached");
            let log = Arc::new(log);
            let brokers = Arc::new(Behind { log: log.clone(), foreign: Arc::new(foreign), node });
            let clock = Arc::new(SteadyClock::new(log.clock()));
            Ok(Opened { log, clock, brokers: Some(brokers) })
        }
        Err(error) if error.is_configuration() => Err(StartError::Configuration(error.to_string())),
        Err(error) => Err(StartError::Failed(error.into())),
    }
}

/// A log's brokers, and who asks.
struct Behind {
    log: Arc<KafkaLog>,
    foreign: Arc<KafkaForeignTopics>,
    node: String,
}

impl Brokers for Behind {
    fn node(&self) -> &str {
        &self.node
    }

    fn is_connected(&self) -> bool {
        self.log.is_connected()
    }

    fn clock_offset_ms(&self) -> i64 {
        self.log.clock_offset_ms()
    }

    fn foreign_topics(&self) -> Arc<dyn ForeignTopics> {
        self.foreign.clone()
    }

    fn events(&self) -> BrokerEvents {
        let counters = self.log.counters();
        BrokerEvents {
            rebalances: counters.rebalances,
            reconnects: counters.reconnects,
            fenced: counters.fenced,
            writer_restarts: counters.writer_restarts,
            pulses_dropped: counters.published_dropped,
        }
    }
}

/// What the log is opened with.
pub fn kafka_config(config: &Config, node: &str) -> KafkaConfig {
    let kafka = &config.kafka;
    KafkaConfig {
        security: security(config),
        client_id: format!("emostream-{node}"),
        namespace: kafka.namespace.clone(),
        node: node.to_owned(),
        state_topic: STATE_TOPIC.to_owned(),
        groups: groups(config).into_iter().map(str::to_owned).collect(),
        parameters: storage::parameters(config),
        replication: kafka.replication,
        start_timeout: Duration::from_millis(kafka.start_timeout_ms),
        session_timeout: Duration::from_millis(kafka.session_timeout_ms.into()),
        ..KafkaConfig::new(kafka.bootstrap_servers.clone(), topics(config))
    }
}

fn topics(config: &Config) -> Vec<KafkaTopic> {
    let log = |retention_ms| TopicKind::Log { retention_ms };
    let (raw, output) = (log(config.log.retention_ms), log(config.log.output_retention_ms));
    let outputs = config.kafka.output_partitions;
    vec![
        KafkaTopic::new(RAW_TOPIC, config.log.effective_partitions(), raw),
        KafkaTopic::new(PARTIALS_TOPIC, outputs, raw).with_message_bytes_max(LARGE_MESSAGE_BYTES),
        KafkaTopic::new(OUTPUT_TOPIC, outputs, output).with_transactions(),
        KafkaTopic::new(STATE_TOPIC, 1, TopicKind::Compacted).with_message_bytes_max(LARGE_MESSAGE_BYTES),
        KafkaTopic::new(PULSES_TOPIC, outputs, TopicKind::ShortLived { retention_ms: PULSES_KEPT_MS }),
        KafkaTopic::new(SETTINGS_TOPIC, 1, TopicKind::Compacted),
        KafkaTopic::new(
            DEAD_LETTER_TOPIC,
            1,
            TopicKind::ShortLived { retention_ms: config.log.output_retention_ms },
        ),
    ]
}

/// The groups that the node's roles join. Other nodes need no right to them.
fn groups(config: &Config) -> Vec<&'static str> {
    let mut groups = Vec::new();
    for role in config.effective_roles() {
        match role {
            Role::Aggregate => groups.extend([fleet::COUNT_GROUP, fleet::MERGE_GROUP]),
            Role::Relay => groups.push(relay::GROUP),
            // Those of the projector belong to topics that may not be wanted.
            Role::Bridge => groups.push(bridge::GROUP),
            Role::Ingest | Role::Edge | Role::Control => {}
        }
    }
    groups
}

fn security(config: &Config) -> Security {
    let kafka = &config.kafka;
    let client = kafka.ssl_certificate_file.clone().zip(kafka.ssl_key_file.clone());
    Security {
        protocol: match kafka.security_protocol {
            SecurityProtocol::Plaintext => Protocol::Plaintext,
            SecurityProtocol::Ssl => Protocol::Ssl,
            SecurityProtocol::SaslPlaintext => Protocol::SaslPlaintext,
            SecurityProtocol::SaslSsl => Protocol::SaslSsl,
        },
        mechanism: match kafka.sasl_mechanism {
            SaslMechanism::Plain => Mechanism::Plain,
            SaslMechanism::ScramSha256 => Mechanism::ScramSha256,
            SaslMechanism::ScramSha512 => Mechanism::ScramSha512,
        },
        username: kafka.sasl_username.clone(),
        password: kafka.sasl_password.as_ref().map_or_else(String::new, |secret| secret.reveal().to_owned()),
        ca_file: kafka.ssl_ca_file.clone(),
        client: client.map(|(certificate_file, key_file)| ClientCertificate {
            certificate_file,
            key_file,
            key_password: kafka.ssl_key_password.as_ref().map(|secret| secret.reveal().to_owned()),
        }),
    }
}

/// The configured name, or the one in the data directory, made up at the first start: who comes back under its name
/// finds its partitions still its own.
pub fn node_name(config: &Config) -> anyhow::Result<String> {
    if !config.node_name.is_empty() {
        return Ok(config.node_name.clone());
    }
    durable::create_dir(&config.data_dir).with_context(|| format!("create {}", config.data_dir.display()))?;
    named_in(&config.data_dir.join("node-name"))
}

fn named_in(path: &Path) -> anyhow::Result<String> {
    match std::fs::read_to_string(path) {
        Ok(name) => {
            let name = name.trim();
            let is_name = (1..=64).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
            anyhow::ensure!(
                is_name,
                "{}: expected at most 64 letters, digits, '.', '_' or '-'",
                path.display()
            );
            Ok(name.to_owned())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let random: [u8; 4] = rand::random();
            let name = format!("node-{:08x}", u32::from_be_bytes(random));
            durable::write_private(path, name.as_bytes())
                .with_context(|| format!("write {}", path.display()))?;
            Ok(name)
        }
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::named_in;

    #[test]
    fn a_node_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node-name");
        let name = named_in(&path).unwrap();
        assert!(name.starts_with("node-"), "{name}");
        assert_eq!(named_in(&path).unwrap(), name);
        std::fs::write(&path, "not a name").unwrap();
        assert!(named_in(&path).is_err());
    }
}
