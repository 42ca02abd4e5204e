//! Topics: what they have to be (`wanted`), what they are (`state`), and making and deleting them (`make`).

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{AdminClient, AdminOptions, ConfigResourceResult, OwnedResourceSpecifier, ResourceSpecifier},
    error::{KafkaResult, RDKafkaErrorCode},
    metadata::Metadata,
};

use super::{
    client::{self, Context, Health},
    config::KafkaConfig,
    error::{KafkaStartError, admin_code, unavailable},
    start::topics::{denied, is_denied},
    waiting::wait_until,
};
use crate::LogError;

mod make;
mod state;
mod wanted;

pub(super) use state::lines as doubts_in_lines;
pub use state::{TopicDoubt, TopicProblem, TopicShape, TopicState};

/// By then every broker has heard of a topic that one of them has made, even on a busy machine.
const HEARD_OF: Duration = Duration::from_secs(5);

/// A topic's settings by name.
type Settings = std::collections::BTreeMap<String, String>;

/// Asks about topics, makes and deletes them.
pub(super) struct Topics<'a> {
    config: &'a KafkaConfig,
    admin: AdminClient<Context>,
}

impl<'a> Topics<'a> {
    pub(super) fn new(config: &'a KafkaConfig, health: &Arc<Health>) -> Result<Self, KafkaStartError> {
        let admin = client::base(config).create_with_context(Context { health: Arc::clone(health) })?;
        Ok(Self { config, admin })
    }

    /// All of the configuration's topics as brokers have them now, in its order.
    pub(super) fn states(&self) -> Result<Vec<TopicState>, KafkaStartError> {
        let metadata = self.metadata()?;
        let exists = |name: &String| metadata.topics().iter().any(|topic| topic.name() == name);
        let names: Vec<_> = self.config.topics.iter().map(|topic| self.config.remote(&topic.name)).collect();
        let there: Vec<_> = names.iter().filter(|name| exists(name)).cloned().collect();
        let mut settings = self.settings(&there)?;
        let topics = self.config.topics.iter().zip(&names);
        Ok(topics.map(|(topic, name)| state::state(topic, name, &metadata, settings.remove(name))).collect())
    }

    pub(super) fn metadata(&self) -> Result<Metadata, LogError> {
        let asked = self.admin.inner().fetch_metadata(None, self.config.request_timeout);
        asked.map_err(|error| unavailable("ask for topics", &error))
    }

    /// Settings of topics that exist; an error in place of those that may not be seen.
    fn settings(
        &self,
        names: &[String],
    ) -> Result<HashMap<String, Result<Settings, KafkaStartError>>, KafkaStartError> {
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let mut found = HashMap::new();
        for (resource, asked) in self.described(names)?.into_iter().zip(names) {
            match resource {
                // Every topic has settings: none are shown to whoever may not see them.
                Ok(resource) if resource.entries.is_empty() => {
                    let error = self.denied("DescribeConfigs", &format!("topic {asked}"));
                    found.insert(asked.clone(), Err(error));
                }
                Ok(resource) => {
                    let OwnedResourceSpecifier::Topic(name) = resource.specifier else { continue };
                    let entries = resource.entries.into_iter();
                    let entries = entries.filter_map(|entry| Some((entry.name, entry.value?)));
                    found.insert(name, Ok(entries.collect()));
                }
                Err(code) if is_denied(code) => {
                    let error = self.denied("DescribeConfigs", &format!("topic {asked}"));
                    found.insert(asked.clone(), Err(error));
                }
                Err(code) => {
                    let words = format!("ask for the settings of {asked}: {code}");
                    return Err(LogError::Unavailable(words).into());
                }
            }
        }
        Ok(found)
    }

    /// What brokers say of topics. They show no settings of one that may not be looked into, and none of one that was made
    /// just now and that the broker asked has not heard of yet; the client library does not tell which, so they are asked
    /// again for a while.
    fn described(&self, names: &[String]) -> Result<Vec<ConfigResourceResult>, KafkaStartError> {
        let asked: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let deadline = Instant::now() + HEARD_OF;
        loop {
            let described = self.admin.describe_configs(&asked, &self.options());
            let described = self.answer("DescribeConfigs", "topics", described)?;
            let is_empty = |resource: &ConfigResourceResult| {
                resource.as_ref().is_ok_and(|resource| resource.entries.is_empty())
            };
            if !described.iter().any(is_empty) || Instant::now() > deadline {
                return Ok(described);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
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
        future: impl Future<Output = KafkaResult<T>>,
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

    /// What brokers did not do to a topic, as an error.
    fn refused(&self, action: &'static str, name: &str, code: RDKafkaErrorCode) -> KafkaStartError {
        if is_denied(code) {
            return self.denied(action, &format!("topic {name}"));
        }
        LogError::Unavailable(format!("{} topic {name}: {code}", action.to_lowercase())).into()
    }
}
