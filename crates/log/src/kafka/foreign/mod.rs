//! Other people's topics on the log's brokers: made where they are missing, read in groups, written with a header of ours.

mod identity;
mod places;
mod reader;
mod topics;
mod writer;

use std::sync::Arc;

use self::{reader::Reader, writer::Writer};
use super::{
    client::Health,
    config::KafkaConfig,
    error::{KafkaStartError, unavailable},
    start::reach,
};
use crate::{
    LogError,
    fencing::check_name,
    foreign::{
        Compression, ForeignBegin, ForeignReader, ForeignTopic, ForeignTopics, ForeignWriter, FoundTopic,
    },
};

/// Other people's topics. Their names are taken as they are, without the log's namespace; groups have it.
pub struct KafkaForeignTopics {
    config: Arc<KafkaConfig>,
    health: Arc<Health>,
}

impl KafkaForeignTopics {
    /// The topics of the brokers that a log is kept by. Contacts nobody.
    pub fn new(config: &KafkaConfig) -> Result<Self, KafkaStartError> {
        reach::check_files(&config.security)?;
        Ok(Self { config: Arc::new(config.clone()), health: Arc::default() })
    }
}

impl ForeignTopics for KafkaForeignTopics {
    fn make(&self, topics: &[ForeignTopic]) -> Result<Vec<FoundTopic>, LogError> {
        topics::make(&self.config, &self.health, topics)
    }

    fn read(
        &self,
        group: &str,
        topics: &[String],
        begin: ForeignBegin,
    ) -> Result<Box<dyn ForeignReader>, LogError> {
        check_name("group", group)?;
        let reader = Reader::join(&self.config, &self.health, group, topics, begin);
        let reader = reader.map_err(|error| unavailable(format_args!("join {group}"), &error))?;
        Ok(Box::new(reader))
    }

    fn write(&self, compression: Compression) -> Result<Box<dyn ForeignWriter>, LogError> {
        let writer = Writer::new(&self.config, &self.health, compression);
        let writer = writer.map_err(|error| unavailable("write to other people's topics", &error))?;
        Ok(Box::new(writer))
    }
}
