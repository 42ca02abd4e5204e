//! Topics: missing ones are made, existing ones must be as they have to be.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{
        AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
        TopicReplication,
    },
    error::RDKafkaErrorCode,
    metadata::Metadata,
};

use crate::{
    LogError,
    kafka::{
        client::{self, Context, Health},
        config::{KafkaConfig, KafkaTopic, TopicKind},
        error::{KafkaStartError, admin_code, unavailable},
        read::Reader,
        waiting::wait_until,
    },
};

/// Segments are deleted and compacted as a whole: small enough that disks do not fill with what nobody needs.
const SEGMENT_BYTES: &str = "134217728";

/// What becomes of a topic that has fewer replicas than this is the fate of one disk.
const REPLICAS_DURABLE: usize = 2;

/// What was found and done.
#[derive(Clone, Debug, Default)]
pub(in crate::kafka) struct TopicsReport {
    pub(in crate::kafka) created: Vec<String>,
    pub(in crate::kafka) warnings: Vec<String>,
}

/// Makes and checks topics.
pub(in crate::kafka) struct Topics<'a> {
    config: &'a KafkaConfig,
    reader: &'a Reader,
    admin: AdminClient<Context>,
    report: TopicsReport,
}

impl<'a> Topics<'a> {
    pub(in crate::kafka) fn new(
        config: &'a KafkaConfig,
        reader: &'a Reader,
        health: &Arc<Health>,
    ) -> Result<Self, KafkaStartError> {
        let admin = client::base(config).create_with_context(Context { health: Arc::clone(health) })?;
        Ok(Self { config, reader, admin, report: TopicsReport::default() })
    }

    /// Makes what is missing of all topics and checks the others.
    pub(in crate::kafka) fn prepare(mut self, metadata: &Metadata) -> Result<TopicsReport, KafkaStartError> {
        let missing: Vec<&KafkaTopic> =
            self.config.topics.iter().filter(|topic| !self.exists(metadata, topic)).collect();
        if !missing.is_empty() {
            self.create(&missing, metadata.brokers().len())?;
        }
        let now = self.metadata_with_all()?;
        self.check_placement(&now)?;
        self.check_settings(&now)?;
        Ok(self.report)
    }

    fn exists(&self, metadata: &Metadata, topic: &KafkaTopic) -> bool {
        let remote = self.config.remote(&topic.name);
        metadata.topics().iter().any(|known| known.name() == remote && known.error().is_none())
    }

    fn options(&self) -> AdminOptions {
        // Part of the start, and slower than a question on brokers that have just started themselves.
        let timeout = self.config.start_timeout;
        AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout))
    }

    fn answer<T>(
        &self,
        action: &'static str,
        resource: &str,
        future: impl Future<Output = Result<T, rdkafka::error::KafkaError>>,
    ) -> Result<T, KafkaStartError> {
        let deadline = Instant::now() + 2 * self.config.start_timeout;
        let answer = wait_until(deadline, future)
            .ok_or_else(|| LogError::Unavailable(format!("{action} {resource}: no broker answers")))?;
        answer.map_err(|error| match admin_code(&error) {
            Some(code) if is_denied(code) => self.denied(action, resource),
            _ => unavailable(format_args!("{action} {resource}"), &error).into(),
        })
    }

    fn denied(&self, action: &'static str, resource: &str) -> KafkaStartError {
        denied(self.config, action, resource)
    }

    fn create(&mut self, missing: &[&KafkaTopic], brokers: usize) -> Result<(), KafkaStartError> {
        let wanted = usize::from(self.config.replication.max(1));
        let replicas = wanted.min(brokers.max(1));
        if replicas < wanted {
            self.report.warnings.push(format!(
                "topics are made with {replicas} of {wanted} replicas, because there are only {brokers} brokers"
            ));
        }
        let settings: Vec<_> = missing.iter().map(|topic| settings(topic, replicas)).collect();
        let names: Vec<_> = missing.iter().map(|topic| self.config.remote(&topic.name)).collect();
        let new: Vec<NewTopic<'_>> = missing
            .iter()
            .zip(&names)
            .zip(&settings)
            .map(|((topic, name), settings)| NewTopic {
                name,
                num_partitions: i32::try_from(topic.partitions).unwrap_or(i32::MAX),
                replication: TopicReplication::Fixed(i32::try_from(replicas).unwrap_or(1)),
                config: settings.iter().map(|(name, value)| (*name, value.as_str())).collect(),
            })
            .collect();
        let made = self.answer("Create", "cluster", self.admin.create_topics(&new, &self.options()))?;
        for result in made {
            match result {
                Ok(name) => self.report.created.push(name),
                // Another node was faster; what it made is checked like any other.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) if is_denied(code) => {
                    return Err(self.denied("Create", &format!("topic {name}")));
                }
                Err((name, code)) => {
                    return Err(LogError::Unavailable(format!("create topic {name}: {code}")).into());
                }
            }
        }
        Ok(())
    }

    /// What brokers know once every topic has leaders: what was made just now takes a moment.
    fn metadata_with_all(&self) -> Result<Metadata, KafkaStartError> {
        let deadline = Instant::now() + self.config.start_timeout;
        loop {
            let asked = self.reader.query().metadata(None, self.config.request_timeout);
            let metadata = asked.map_err(|error| unavailable("ask for topics", &error))?;
            let has_leaders = |topic: &KafkaTopic| {
                let remote = self.config.remote(&topic.name);
                let known = metadata.topics().iter().find(|known| known.name() == remote);
                known.is_some_and(|known| {
                    known.error().is_none() && known.partitions().iter().all(|at| at.leader() >= 0)
                })
            };
            match self.config.topics.iter().find(|topic| !has_leaders(topic)) {
                None => return Ok(metadata),
                Some(topic) if Instant::now() > deadline => {
                    let remote = self.config.remote(&topic.name);
                    return Err(LogError::Unavailable(format!(
                        "topic {remote} has partitions without a leader"
                    ))
                    .into());
                }
                Some(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Partition counts, and replicas.
    fn check_placement(&mut self, metadata: &Metadata) -> Result<(), KafkaStartError> {
        for topic in &self.config.topics {
            let remote = self.config.remote(&topic.name);
            let Some(known) = metadata.topics().iter().find(|known| known.name() == remote) else { continue };
            let found = known.partitions().len();
            if found != topic.partitions as usize {
                let problem = format!("has {found} partitions, configured are {}", topic.partitions);
                let advice =
                    "configure what it has; the count cannot change while its records are kept".to_owned();
                return Err(KafkaStartError::Topic { topic: remote, problem, advice });
            }
            let replicas = known.partitions().iter().map(|at| at.replicas().len()).min().unwrap_or(0);
            if replicas < REPLICAS_DURABLE && !matches!(topic.kind, TopicKind::ShortLived { .. }) {
                self.report.warnings.push(format!(
                    "topic {remote} has one replica: what was acknowledged is lost with that broker's disk"
                ));
            }
        }
        Ok(())
    }

    fn check_settings(&mut self, metadata: &Metadata) -> Result<(), KafkaStartError> {
        let names: Vec<_> = self.config.topics.iter().map(|topic| self.config.remote(&topic.name)).collect();
        let asked: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let described =
            self.answer("DescribeConfigs", "topics", self.admin.describe_configs(&asked, &self.options()))?;
        let mut found: HashMap<String, ConfigResource> = HashMap::new();
        for (resource, name) in described.into_iter().zip(&names) {
            match resource {
                // Every topic has settings: none are shown to whoever may not see them.
                Ok(resource) if resource.entries.is_empty() => {
                    return Err(self.denied("DescribeConfigs", &format!("topic {name}")));
                }
                Ok(resource) => {
                    if let OwnedResourceSpecifier::Topic(name) = &resource.specifier {
                        found.insert(name.clone(), resource);
                    }
                }
                Err(code) if is_denied(code) => {
                    return Err(self.denied("DescribeConfigs", &format!("topic {name}")));
                }
                Err(code) => {
                    return Err(
                        LogError::Unavailable(format!("ask for the settings of {name}: {code}")).into()
                    );
                }
            }
        }
        for topic in &self.config.topics {
            let remote = self.config.remote(&topic.name);
            let Some(resource) = found.get(&remote) else { continue };
            let entries: BTreeMap<&str, &str> = resource
                .entries
                .iter()
                .filter_map(|entry| Some((entry.name.as_str(), entry.value.as_deref()?)))
                .collect();
            let replicas = metadata.topics().iter().find(|known| known.name() == remote);
            let replicas =
                replicas.and_then(|known| known.partitions().first()).map_or(1, |at| at.replicas().len());
            self.check_one(topic, &remote, &entries, replicas)?;
        }
        Ok(())
    }

    fn check_one(
        &mut self,
        topic: &KafkaTopic,
        remote: &str,
        entries: &BTreeMap<&str, &str>,
        replicas: usize,
    ) -> Result<(), KafkaStartError> {
        for (name, wanted) in required(topic) {
            let Some(&found) = entries.get(name) else { continue };
            if found != wanted {
                return Err(must_be(remote, name, found, &wanted));
            }
        }
        let number = |name: &str| entries.get(name).and_then(|value| value.parse::<usize>().ok());
        if let Some(found) = number("max.message.bytes").filter(|&found| found < topic.message_bytes_max) {
            return Err(must_be(
                remote,
                "max.message.bytes",
                &found.to_string(),
                &topic.message_bytes_max.to_string(),
            ));
        }
        let in_sync = number("min.insync.replicas").unwrap_or(1);
        if in_sync > replicas {
            let problem = format!(
                "has min.insync.replicas={in_sync} and {replicas} replicas, so that nothing can be written"
            );
            let advice =
                format!("set min.insync.replicas={} or add replicas", replicas.saturating_sub(1).max(1));
            return Err(KafkaStartError::Topic { topic: remote.to_owned(), problem, advice });
        }
        if replicas > REPLICAS_DURABLE && in_sync < 2 && !matches!(topic.kind, TopicKind::ShortLived { .. }) {
            self.report.warnings.push(format!(
                "topic {remote} has min.insync.replicas={in_sync}: what was acknowledged may be on one broker only"
            ));
        }
        Ok(())
    }
}

fn must_be(remote: &str, name: &str, found: &str, wanted: &str) -> KafkaStartError {
    KafkaStartError::Topic {
        topic: remote.to_owned(),
        problem: format!("has {name}={found}"),
        advice: format!(
            "set {name}={wanted} (kafka-configs.sh --alter --entity-type topics --entity-name {remote})"
        ),
    }
}

/// What a topic must be set to for processing to be right.
fn required(topic: &KafkaTopic) -> Vec<(&'static str, String)> {
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
fn settings(topic: &KafkaTopic, replicas: usize) -> Vec<(&'static str, String)> {
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

pub(in crate::kafka) fn is_denied(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
    )
}

pub(in crate::kafka) fn denied(
    config: &KafkaConfig,
    action: &'static str,
    resource: &str,
) -> KafkaStartError {
    let user = match config.security.username.as_str() {
        "" => "this node's user".to_owned(),
        name => format!("user {name}"),
    };
    KafkaStartError::Denied { action, resource: resource.to_owned(), user }
}
