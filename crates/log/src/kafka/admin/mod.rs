//! What an operator asks of brokers and does to topics, beside the log and without opening it: nothing here joins a group,
//! and nothing is made, written or deleted unless a function says so.

use std::sync::Arc;

use super::{
    client::Health,
    config::KafkaConfig,
    error::KafkaStartError,
    read::Reader,
    start::{reach, topics::refuse},
    topics::{TopicState, Topics, doubts_in_lines},
};

mod groups;
mod permissions;
mod snapshot;

pub use groups::{GroupLag, GroupMember, GroupState};
pub use permissions::{ClockReading, Permission};
pub use snapshot::KafkaSnapshot;

/// The brokers of a configuration, and its topics there.
pub struct KafkaAdmin {
    config: Arc<KafkaConfig>,
    health: Arc<Health>,
    reader: Reader,
}

/// A broker that others know of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// The address that it tells clients.
    pub address: String,
}

impl KafkaAdmin {
    /// Reaches the brokers. Blocks, at most for about [`KafkaConfig::start_timeout`].
    pub fn connect(config: &KafkaConfig) -> Result<Self, KafkaStartError> {
        config.check().map_err(KafkaStartError::Configuration)?;
        reach::check_files(&config.security)?;
        let config = Arc::new(config.clone());
        let health = Arc::new(Health::default());
        let reader = Reader::new(&config, &health)?;
        reach::brokers(&config, &reader, &health)?;
        Ok(Self { config, health, reader })
    }

    fn talk(&self) -> Result<Topics<'_>, KafkaStartError> {
        Topics::new(&self.config, &self.health)
    }

    /// The brokers that are up, as they know each other.
    pub fn brokers(&self) -> Result<Vec<Broker>, KafkaStartError> {
        let metadata = self.talk()?.metadata()?;
        let address = |host: &str, port| format!("{host}:{port}");
        let brokers = metadata.brokers().iter();
        Ok(brokers.map(|at| Broker { id: at.id(), address: address(at.host(), at.port()) }).collect())
    }

    /// All topics of the configuration, in its order: what they are, held against what they have to be.
    pub fn topics(&self) -> Result<Vec<TopicState>, KafkaStartError> {
        self.talk()?.states()
    }

    /// Names at the brokers of all topics there, also of other people's.
    pub fn topic_names(&self) -> Result<Vec<String>, KafkaStartError> {
        let metadata = self.talk()?.metadata()?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    /// A topic's name at the brokers: with the namespace.
    pub fn remote_name(&self, topic: &str) -> String {
        self.config.remote(topic)
    }

    /// Replicas that a topic would be made with now.
    pub fn replicas(&self) -> Result<usize, KafkaStartError> {
        let topics = self.talk()?;
        Ok(topics.replicas(topics.metadata()?.brokers().len()))
    }

    /// Makes those topics of the configuration that are missing and waits until they can be written. Returns the names at
    /// the brokers of those that were made.
    pub fn make_topics(&self) -> Result<Vec<String>, KafkaStartError> {
        let topics = self.talk()?;
        let states = topics.states()?;
        let missing: Vec<_> =
            states.iter().filter(|state| state.shape.is_none()).map(|state| &state.topic).collect();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let made = topics.create(&missing, topics.metadata()?.brokers().len())?;
        topics.wait_for_leaders()?;
        Ok(made)
    }

    /// Deletes topics and everything in them, and waits until they are gone. Names are those at the brokers; one that does
    /// not exist is no mistake.
    pub fn delete_topics(&self, names: &[String]) -> Result<(), KafkaStartError> {
        self.talk()?.delete(names)
    }

    /// What is in the log now. [`KafkaStartError::Topic`] when one of its topics must not be read as it is.
    pub fn snapshot(&self) -> Result<KafkaSnapshot, KafkaStartError> {
        KafkaSnapshot::of(&self.config, &self.health, &self.topics()?)
    }

    /// What could be better about topics: one line for each kind of doubt, which names all topics that it is about.
    pub fn doubts(states: &[TopicState]) -> Vec<String> {
        doubts_in_lines(states)
    }

    /// Whether a node would start on these topics; if not, what is wrong with the first.
    pub fn check(states: &[TopicState]) -> Result<(), KafkaStartError> {
        states.iter().try_for_each(refuse)
    }
}
