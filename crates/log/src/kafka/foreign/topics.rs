//! Makes other people's topics where they are missing: with the brokers' own retention, and replicated as ours are.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    error::RDKafkaErrorCode,
    metadata::Metadata,
};

use crate::{
    LogError,
    foreign::{ForeignTopic, FoundTopic},
    kafka::{
        client::{self, Context, Health},
        config::KafkaConfig,
        error::unavailable,
        start::topics::{denied, is_denied},
        waiting::wait_until,
    },
};

/// How long a new topic may take until all brokers know of it.
const SETTLE: Duration = Duration::from_secs(10);

pub(super) fn make(
    config: &KafkaConfig,
    health: &Arc<Health>,
    topics: &[ForeignTopic],
) -> Result<Vec<FoundTopic>, LogError> {
    let context = Context { health: Arc::clone(health) };
    let admin: AdminClient<Context> = client::base(config)
        .create_with_context(context)
        .map_err(|error| unavailable("look for other people's topics", &error))?;
    let before = ask(config, &admin)?;
    let missing: Vec<_> = topics.iter().filter(|topic| partitions(&before, &topic.name).is_none()).collect();
    if missing.is_empty() {
        let found = |topic: &ForeignTopic| partitions(&before, &topic.name).unwrap_or(0);
        return Ok(topics
            .iter()
            .map(|topic| FoundTopic { partitions: Ok(found(topic)), made: false })
            .collect());
    }
    let trouble = create(config, &admin, &missing, before.brokers().len())?;
    let deadline = Instant::now() + SETTLE;
    loop {
        let now = ask(config, &admin)?;
        let answer = |topic: &ForeignTopic| {
            let refused = trouble.iter().find(|(name, _)| *name == topic.name).map(|(_, why)| why.clone());
            let partitions = match (partitions(&now, &topic.name), refused) {
                (Some(partitions), _) => Ok(partitions),
                (None, Some(why)) => Err(why),
                (None, None) => Err(format!("Kafka topic {} was made and cannot be seen yet", topic.name)),
            };
            FoundTopic { partitions, made: missing.contains(&topic) && partitions_are_new(&trouble, topic) }
        };
        let found: Vec<_> = topics.iter().map(answer).collect();
        let is_settled = |(topic, found): (&ForeignTopic, &FoundTopic)| {
            found.partitions.is_ok() || trouble.iter().any(|(name, _)| *name == topic.name)
        };
        if topics.iter().zip(&found).all(is_settled) || Instant::now() > deadline {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn partitions_are_new(trouble: &[(String, String)], topic: &ForeignTopic) -> bool {
    trouble.iter().all(|(name, _)| *name != topic.name)
}

fn ask(config: &KafkaConfig, admin: &AdminClient<Context>) -> Result<Metadata, LogError> {
    let asked = admin.inner().fetch_metadata(None, config.request_timeout);
    asked.map_err(|error| unavailable("look for other people's topics", &error))
}

fn partitions(metadata: &Metadata, name: &str) -> Option<u32> {
    let topic = metadata.topics().iter().find(|topic| topic.name() == name)?;
    let has_leaders = topic.partitions().iter().all(|partition| partition.leader() >= 0);
    let count = u32::try_from(topic.partitions().len()).ok()?;
    (topic.error().is_none() && has_leaders && count > 0).then_some(count)
}

/// Why those that could not be made were not, in words for whoever can change it.
fn create(
    config: &KafkaConfig,
    admin: &AdminClient<Context>,
    missing: &[&ForeignTopic],
    brokers: usize,
) -> Result<Vec<(String, String)>, LogError> {
    let replicas = usize::from(config.replication.max(1)).min(brokers.max(1));
    let new: Vec<_> = missing
        .iter()
        .map(|topic| {
            let partitions = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
            let replicas = TopicReplication::Fixed(i32::try_from(replicas).unwrap_or(1));
            NewTopic::new(&topic.name, partitions, replicas).set("cleanup.policy", "delete")
        })
        .collect();
    let timeout = Some(config.request_timeout);
    let options = AdminOptions::new().request_timeout(timeout).operation_timeout(timeout);
    let deadline = Instant::now() + 2 * config.request_timeout;
    let made = wait_until(deadline, admin.create_topics(&new, &options))
        .ok_or_else(|| LogError::Unavailable("make topics: no broker answers".to_owned()))?
        .map_err(|error| unavailable("make topics", &error))?;
    let trouble = made.into_iter().filter_map(Result::err);
    Ok(trouble.filter_map(|(name, code)| Some((name.clone(), words(config, &name, code)?))).collect())
}

fn words(config: &KafkaConfig, name: &str, code: RDKafkaErrorCode) -> Option<String> {
    match code {
        // Somebody was faster.
        RDKafkaErrorCode::TopicAlreadyExists => None,
        code if is_denied(code) => Some(format!(
            "Kafka topic {name} is missing: {}, or make it by hand",
            denied(config, "Create", &format!("topic {name}"))
        )),
        code => Some(format!("Kafka topic {name} is missing and cannot be made: {code}")),
    }
}
