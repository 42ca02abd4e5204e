//! The generation file: what the log was created with, and may not change while its records are kept.

use std::{collections::BTreeMap, path::Path};

use super::{
    config::{Chance, EmbeddedConfig},
    disk::Disk,
    files::stored::{self, Fields, Keep, Magic, Parser},
};
use crate::{Generation, LogError};

const MAGIC: Magic = *b"EMOGENR";

/// Name of the generation file.
pub(crate) const FILE: &str = "generation";

/// Generation and partition count of each topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) generation: Generation,
    pub(crate) topics: BTreeMap<String, u32>,
}

impl Identity {
    /// A new one for a configuration.
    pub(crate) fn create(config: &EmbeddedConfig, chance: &mut Chance) -> Self {
        let id = (u128::from(chance.draw()) << 64 | u128::from(chance.draw())).to_le_bytes();
        let topics = config.topics.iter().map(|topic| (topic.name.clone(), topic.partitions)).collect();
        Self { generation: Generation { id, parameters: config.parameters.clone() }, topics }
    }

    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, LogError> {
        let path = dir.join(FILE);
        let Some(mut parser) = stored::load(disk, &path, MAGIC)? else { return Ok(None) };
        let identity = Self::parse(&mut parser);
        identity.map(Some).ok_or_else(|| LogError::Format(format!("{} ends early", path.display())))
    }

    pub(crate) fn save(&self, disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
        let mut fields = Fields::default();
        fields.bytes(&self.generation.id).number(self.topics.len() as u64);
        for (topic, partitions) in &self.topics {
            fields.bytes(topic.as_bytes()).number(u64::from(*partitions));
        }
        fields.number(self.generation.parameters.len() as u64);
        for (name, value) in &self.generation.parameters {
            fields.bytes(name.as_bytes()).bytes(value.as_bytes());
        }
        stored::replace(disk, dir, FILE, MAGIC, &fields, Keep::Durable)
    }

    fn parse(parser: &mut Parser) -> Option<Self> {
        let id = parser.bytes()?.as_ref().try_into().ok()?;
        let mut topics = BTreeMap::new();
        for _ in 0..parser.number()? {
            topics.insert(parser.text()?, u32::try_from(parser.number()?).ok()?);
        }
        let mut parameters = BTreeMap::new();
        for _ in 0..parser.number()? {
            parameters.insert(parser.text()?, parser.text()?);
        }
        Some(Self { generation: Generation { id, parameters }, topics })
    }

    /// Takes over what a configuration may add; refuses what it may not change. Says whether something was added.
    pub(crate) fn reconcile(&mut self, config: &EmbeddedConfig) -> Result<bool, LogError> {
        let configured: BTreeMap<_, _> =
            config.topics.iter().map(|topic| (topic.name.clone(), topic.partitions)).collect();
        for (topic, stored) in &self.topics {
            if configured.get(topic) != Some(stored) {
                let advice = "keep the partition count, or begin a new log in another directory";
                let given = configured.get(topic).map(ToString::to_string);
                return Err(mismatch(
                    &format!("partitions of {topic}"),
                    Some(stored.to_string()),
                    given,
                    advice,
                ));
            }
        }
        let (old, new) = (&self.generation.parameters, &config.parameters);
        for name in old.keys().chain(new.keys()) {
            if old.get(name) != new.get(name) {
                let advice = "results would differ from those already given; restore the value, or begin a \
                              new log in another directory";
                return Err(mismatch(name, old.get(name).cloned(), new.get(name).cloned(), advice));
            }
        }
        let added = configured.len() > self.topics.len();
        self.topics = configured;
        Ok(added)
    }
}

fn mismatch(name: &str, stored: Option<String>, configured: Option<String>, advice: &str) -> LogError {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
    LogError::Mismatch {
        name: name.to_owned(),
        stored: shown(stored),
        configured: shown(configured),
        advice: advice.to_owned(),
    }
}
