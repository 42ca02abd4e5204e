//! Topics at the start: missing ones are made, existing ones must be as they have to be.

use std::sync::Arc;

use rdkafka::{error::RDKafkaErrorCode, metadata::Metadata};

use crate::kafka::{
    client::Health,
    config::{KafkaConfig, KafkaTopic},
    error::KafkaStartError,
    topics::{TopicState, Topics, doubts_in_lines},
};

/// What was found and done.
#[derive(Clone, Debug, Default)]
pub(in crate::kafka) struct TopicsReport {
    pub(in crate::kafka) created: Vec<String>,
    pub(in crate::kafka) warnings: Vec<String>,
    pub(in crate::kafka) reminders: Vec<String>,
}

/// Makes what is missing of all topics and checks the others. What could be better is a warning for whoever makes them,
/// and a reminder for those who come later.
pub(in crate::kafka) fn prepare(
    config: &KafkaConfig,
    health: &Arc<Health>,
    metadata: &Metadata,
) -> Result<TopicsReport, KafkaStartError> {
    let topics = Topics::new(config, health)?;
    let mut report = TopicsReport::default();
    let missing: Vec<&KafkaTopic> =
        config.topics.iter().filter(|topic| !exists(config, metadata, topic)).collect();
    let brokers = metadata.brokers().len();
    if !missing.is_empty() {
        report.created = topics.create(&missing, brokers)?;
    }
    topics.wait_for_leaders()?;
    let states = topics.states()?;
    states.iter().try_for_each(refuse)?;
    let doubts = doubts_in_lines(&states);
    if report.created.is_empty() {
        report.reminders = doubts;
        return Ok(report);
    }
    let (replicas, wanted) = (topics.replicas(brokers), usize::from(config.replication.max(1)));
    if replicas < wanted {
        report.warnings.push(format!(
            "topics were made with {replicas} of {wanted} replicas, because there are no more brokers"
        ));
    }
    report.warnings.extend(doubts);
    Ok(report)
}

fn exists(config: &KafkaConfig, metadata: &Metadata, topic: &KafkaTopic) -> bool {
    let remote = config.remote(&topic.name);
    metadata.topics().iter().any(|known| known.name() == remote && known.error().is_none())
}

/// A node does not start on a topic that is not as it has to be, or that it may not look at.
pub(in crate::kafka) fn refuse(state: &TopicState) -> Result<(), KafkaStartError> {
    if let Some(problem) = state.problems.first() {
        return Err(KafkaStartError::Topic {
            topic: state.name.clone(),
            problem: problem.problem.clone(),
            advice: problem.advice.clone(),
        });
    }
    state.unseen.clone().map_or(Ok(()), Err)
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
