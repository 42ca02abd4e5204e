//! Makes topics, deletes them, and waits until all brokers know.

use std::time::{Duration, Instant};

use rdkafka::{
    admin::{NewTopic, TopicReplication},
    error::RDKafkaErrorCode,
    metadata::Metadata,
};

use super::{Topics, wanted::settings};
use crate::{
    LogError,
    kafka::{config::KafkaTopic, error::KafkaStartError},
};

/// How often it is looked whether brokers know of what was done.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Topics<'_> {
    /// Replicas that new topics get where there are so many brokers.
    pub(in crate::kafka) fn replicas(&self, brokers: usize) -> usize {
        usize::from(self.config.replication.max(1)).min(brokers.max(1))
    }

    /// Makes topics. Returns the names of those that were made; others that make them at the same time may be faster.
    pub(in crate::kafka) fn create(
        &self,
        missing: &[&KafkaTopic],
        brokers: usize,
    ) -> Result<Vec<String>, KafkaStartError> {
        let replicas = self.replicas(brokers);
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
        let mut created = Vec::new();
        for result in made {
            match result {
                Ok(name) => created.push(name),
                // Another node was faster; what it made is checked like any other.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => return Err(self.refused("Create", &name, code)),
            }
        }
        Ok(created)
    }

    /// Waits until every topic of the configuration has leaders: what was made just now takes a moment.
    pub(in crate::kafka) fn wait_for_leaders(&self) -> Result<(), KafkaStartError> {
        let names =
            self.config.topics.iter().map(|topic| self.config.remote(&topic.name)).collect::<Vec<_>>();
        let lacking = self.wait(&names, |metadata, name| {
            let known = metadata.topics().iter().find(|known| known.name() == name);
            known.is_some_and(|known| {
                known.error().is_none() && known.partitions().iter().all(|at| at.leader() >= 0)
            })
        })?;
        match lacking {
            None => Ok(()),
            Some(name) => {
                Err(LogError::Unavailable(format!("topic {name} has partitions without a leader")).into())
            }
        }
    }

    /// Deletes topics, with all their records, and waits until they are gone.
    pub(in crate::kafka) fn delete(&self, names: &[String]) -> Result<(), KafkaStartError> {
        let named: Vec<_> = names.iter().map(String::as_str).collect();
        let deleted = self.answer("Delete", "topics", self.admin.delete_topics(&named, &self.options()))?;
        for result in deleted {
            match result {
                Ok(_)
                | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {}
                Err((name, RDKafkaErrorCode::TopicDeletionDisabled)) => {
                    return Err(KafkaStartError::Topic {
                        topic: name,
                        problem: "cannot be deleted".to_owned(),
                        advice: "set delete.topic.enable=true at the brokers".to_owned(),
                    });
                }
                Err((name, code)) => return Err(self.refused("Delete", &name, code)),
            }
        }
        let left = self.wait(names, |metadata, name| {
            !metadata.topics().iter().any(|known| known.name() == name && known.error().is_none())
        })?;
        match left {
            None => Ok(()),
            Some(name) => {
                Err(LogError::Unavailable(format!("topic {name} is deleted and does not go away")).into())
            }
        }
    }

    /// Waits until something holds for all topics of a list; the first for which it does not when the time is over.
    fn wait(
        &self,
        names: &[String],
        holds: impl Fn(&Metadata, &str) -> bool,
    ) -> Result<Option<String>, KafkaStartError> {
        let deadline = Instant::now() + self.config.start_timeout;
        loop {
            let metadata = self.metadata()?;
            match names.iter().find(|name| !holds(&metadata, name)) {
                None => return Ok(None),
                Some(name) if Instant::now() > deadline => return Ok(Some(name.clone())),
                Some(_) => std::thread::sleep(LOOK_EVERY),
            }
        }
    }
}
