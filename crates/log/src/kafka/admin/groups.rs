//! Groups: who is in them, and how far they are.

use rdkafka::groups::{GroupInfo, GroupMemberInfo};

use super::KafkaAdmin;
use crate::{
    Committed, TopicPartition,
    kafka::{
        error::{KafkaStartError, unavailable},
        start::topics::{denied, is_denied},
    },
};

/// A group as brokers see it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GroupState {
    /// Its name at the brokers: with the namespace.
    pub name: String,
    /// Kafka's word for what it is doing: `Stable`, `Empty`, `PreparingRebalance`, …; empty when there is none.
    pub state: String,
    /// Who is in it.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupMember {
    /// What its program calls itself.
    pub client: String,
    /// Where it connects from.
    pub host: String,
}

/// How far a group is in one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupLag {
    /// Which.
    pub partition: TopicPartition,
    /// Its committed position, `None` before the first commit.
    pub committed: Option<Committed>,
    /// Offsets between the position and the end; all that is kept when nothing is committed.
    pub lag: u64,
}

impl KafkaAdmin {
    /// Who is in a group. A group that never was is empty, and so is one that may not be looked at.
    pub fn group(&self, group: &str) -> Result<GroupState, KafkaStartError> {
        let name = self.config.remote(group);
        let found = self.list(Some(&name))?.into_iter().find(|found| found.name == name);
        Ok(found.unwrap_or_else(|| GroupState { name, ..GroupState::default() }))
    }

    /// All groups of the namespace that somebody is in and whose names begin so.
    pub fn groups_with_members(&self, prefix: &str) -> Result<Vec<GroupState>, KafkaStartError> {
        let prefix = self.config.remote(prefix);
        let mut found = self.list(None)?;
        found.retain(|group| group.name.starts_with(&prefix) && !group.members.is_empty());
        Ok(found)
    }

    fn list(&self, name: Option<&str>) -> Result<Vec<GroupState>, KafkaStartError> {
        let list = self.reader.query().group(name).map_err(|error| match error.rdkafka_error_code() {
            Some(code) if is_denied(code) => denied(&self.config, "Describe", "groups"),
            _ => unavailable("ask for groups", &error).into(),
        })?;
        let member = |member: &GroupMemberInfo| GroupMember {
            client: member.client_id().to_owned(),
            host: member.client_host().trim_start_matches('/').to_owned(),
        };
        let state = |found: &GroupInfo| GroupState {
            name: found.name().to_owned(),
            state: found.state().to_owned(),
            members: found.members().iter().map(member).collect(),
        };
        Ok(list.groups().iter().map(state).collect())
    }
}
