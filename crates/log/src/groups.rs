//! Consumer groups within one process: who owns which partition, and up to where each has been processed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use crate::{
    Assignment, COMMIT_METADATA_BYTES_MAX, Committed, LogError, Membership, TopicPartition,
    fencing::check_name, locks::lock,
};

/// What of a group outlives the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SavedGroup {
    pub(crate) generation: u64,
    pub(crate) commits: BTreeMap<TopicPartition, Committed>,
}

/// Keeps groups across restarts.
pub(crate) trait GroupStore: Send + Sync {
    /// Stores a group durably, replacing what was stored.
    fn save(&self, group: &str, saved: &SavedGroup) -> Result<(), LogError>;
}

/// All groups of a log.
pub(crate) struct Groups {
    store: Arc<dyn GroupStore>,
    groups: Mutex<HashMap<String, Arc<Mutex<Group>>>>,
}

struct Group {
    name: String,
    saved: SavedGroup,
    /// Keyed by topic, name and a number that tells members of one name apart: the order of the split.
    members: BTreeMap<MemberKey, Member>,
    members_seen: u64,
}

type MemberKey = (Arc<str>, String, u64);

struct Member {
    topic_partitions: u32,
    assignment: watch::Sender<Assignment>,
}

impl Group {
    /// Gives partition p of a topic to its member p mod n, under a new generation.
    fn rebalance(&mut self) {
        self.saved.generation += 1;
        let mut counts: HashMap<Arc<str>, u32> = HashMap::new();
        for (topic, ..) in self.members.keys() {
            *counts.entry(Arc::clone(topic)).or_default() += 1;
        }
        let mut ranks: HashMap<Arc<str>, u32> = HashMap::new();
        for ((topic, ..), member) in &self.members {
            let rank = ranks.entry(Arc::clone(topic)).or_default();
            let members = counts.get(topic).copied().unwrap_or(1);
            let partitions = (*rank..member.topic_partitions)
                .step_by(members as usize)
                .map(|partition| TopicPartition::new(Arc::clone(topic), partition))
                .collect();
            *rank += 1;
            member.assignment.send_replace(Assignment { generation: self.saved.generation, partitions });
        }
    }
}

impl Groups {
    pub(crate) fn new(
        store: Arc<dyn GroupStore>,
        stored: impl IntoIterator<Item = (String, SavedGroup)>,
    ) -> Self {
        let groups = stored.into_iter().map(|(name, saved)| (name.clone(), group(name, saved))).collect();
        Self { store, groups: Mutex::new(groups) }
    }

    pub(crate) fn join(
        &self,
        name: &str,
        topic: &str,
        topic_partitions: u32,
        member: &str,
    ) -> Result<Box<dyn Membership>, LogError> {
        check_name("group", name)?;
        let shared = {
            let mut groups = lock(&self.groups);
            let new = || group(name.to_owned(), SavedGroup::default());
            Arc::clone(groups.entry(name.to_owned()).or_insert_with(new))
        };
        let mut group = lock(&shared);
        // The generation of this rebalance is stored first, so that a restarted process ascends beyond it.
        let mut saved = group.saved.clone();
        saved.generation += 1;
        self.store.save(name, &saved)?;
        group.members_seen += 1;
        let key: MemberKey = (topic.into(), member.to_owned(), group.members_seen);
        let (assignment, receiver) = watch::channel(Assignment::default());
        group.members.insert(key.clone(), Member { topic_partitions, assignment });
        group.rebalance();
        drop(group);
        Ok(Box::new(Joined { store: Arc::clone(&self.store), group: shared, key, assignments: receiver }))
    }

    pub(crate) fn committed(&self, name: &str, of: &TopicPartition) -> Option<Committed> {
        let group = Arc::clone(lock(&self.groups).get(name)?);
        let group = lock(&group);
        group.saved.commits.get(of).cloned()
    }
}

fn group(name: String, saved: SavedGroup) -> Arc<Mutex<Group>> {
    Arc::new(Mutex::new(Group { name, saved, members: BTreeMap::new(), members_seen: 0 }))
}

struct Joined {
    store: Arc<dyn GroupStore>,
    group: Arc<Mutex<Group>>,
    key: MemberKey,
    assignments: watch::Receiver<Assignment>,
}

impl Membership for Joined {
    fn assignments(&self) -> watch::Receiver<Assignment> {
        self.assignments.clone()
    }

    fn commit(&self, generation: u64, of: &TopicPartition, position: Committed) -> Result<(), LogError> {
        if position.metadata.len() > COMMIT_METADATA_BYTES_MAX {
            let bytes = position.metadata.len();
            return Err(LogError::TooLarge { bytes, limit: COMMIT_METADATA_BYTES_MAX });
        }
        let mut group = lock(&self.group);
        if generation != group.saved.generation {
            return Err(LogError::StaleGeneration {
                group: group.name.clone(),
                given: generation,
                current: group.saved.generation,
            });
        }
        if !self.assignments.borrow().partitions.contains(of) {
            return Err(LogError::UnknownPartition(of.clone()));
        }
        let mut saved = group.saved.clone();
        saved.commits.insert(of.clone(), position);
        self.store.save(&group.name, &saved)?;
        group.saved = saved;
        Ok(())
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let mut group = lock(&self.group);
        group.members.remove(&self.key);
        group.rebalance();
    }
}
