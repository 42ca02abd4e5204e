//! A topic as brokers have it, held against what it has to be.

use rdkafka::metadata::{Metadata, MetadataTopic};

use super::{Settings, wanted::required};
use crate::kafka::{
    config::{KafkaTopic, TopicKind},
    error::KafkaStartError,
};

/// What becomes of a topic that has fewer replicas than this is the fate of one disk.
const REPLICAS_DURABLE: usize = 2;

/// A topic as brokers have it.
#[derive(Clone, Debug)]
pub struct TopicState {
    /// What it has to be.
    pub topic: KafkaTopic,
    /// Its name at the brokers: with the namespace.
    pub name: String,
    /// What it is; `None` when it does not exist.
    pub shape: Option<TopicShape>,
    /// What has to be changed before a node starts.
    pub problems: Vec<TopicProblem>,
    /// What works and could be better.
    pub doubts: Vec<TopicDoubt>,
    /// Why its settings could not be checked, if they could not.
    pub unseen: Option<KafkaStartError>,
}

/// How a topic is made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TopicShape {
    /// Partitions.
    pub partitions: u32,
    /// Replicas of the partition that has the fewest.
    pub replicas: usize,
    /// Replicas in sync of the partition that has the fewest.
    pub in_sync: usize,
    /// Partitions without a leader, which can be neither read nor written.
    pub without_leader: u32,
    /// Its settings by their Kafka names; empty when they may not be seen.
    pub settings: Settings,
}

/// What is wrong with a topic, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicProblem {
    /// What is wrong, said of the topic: "has 3 partitions, configured are 4".
    pub problem: String,
    /// What to do.
    pub advice: String,
}

/// What could be better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum TopicDoubt {
    /// Its records are on one disk.
    OneReplica,
    /// One broker's word is enough for an acknowledgement, although there are more.
    OneInSync,
    /// Fewer replicas are in sync than there are: a broker is away or behind.
    NotInSync,
    /// Partitions have no leader.
    NoLeader,
}

impl TopicDoubt {
    /// What it means, said of several topics: "have one replica: …".
    pub fn words(self) -> &'static str {
        match self {
            Self::OneReplica => "have one replica: what was acknowledged is lost with that broker's disk",
            Self::OneInSync => "have min.insync.replicas=1: what was acknowledged may be on one broker only",
            Self::NotInSync => "have replicas that are not in sync: a broker is away or behind",
            Self::NoLeader => "have partitions without a leader, which can be neither read nor written",
        }
    }
}

/// One line for each kind of doubt, with all topics that it is about.
pub(in crate::kafka) fn lines(states: &[TopicState]) -> Vec<String> {
    let mut kinds: Vec<_> = states.iter().flat_map(|state| state.doubts.iter().copied()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let names = |doubt: &TopicDoubt| {
        let named = states.iter().filter(|state| state.doubts.contains(doubt));
        named.map(|state| state.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    kinds.iter().map(|doubt| format!("topics {} {}", names(doubt), doubt.words())).collect()
}

/// Holds what brokers say of a topic against what it has to be.
pub(super) fn state(
    topic: &KafkaTopic,
    name: &str,
    metadata: &Metadata,
    settings: Option<Result<Settings, KafkaStartError>>,
) -> TopicState {
    let mut state = TopicState {
        topic: topic.clone(),
        name: name.to_owned(),
        shape: None,
        problems: Vec::new(),
        doubts: Vec::new(),
        unseen: None,
    };
    let known = metadata.topics().iter().find(|known| known.name() == name && known.error().is_none());
    let Some(known) = known else { return state };
    let settings = match settings {
        Some(Ok(settings)) => settings,
        Some(Err(error)) => {
            state.unseen = Some(error);
            Settings::new()
        }
        None => Settings::new(),
    };
    let shape = shape(known, settings);
    state.problems = problems(topic, name, &shape);
    state.doubts = doubts(topic, &shape);
    state.shape = Some(shape);
    state
}

fn shape(known: &MetadataTopic, settings: Settings) -> TopicShape {
    let partitions = known.partitions();
    let without_leader = partitions.iter().filter(|at| at.leader() < 0).count();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    TopicShape {
        partitions: count(partitions.len()),
        replicas: partitions.iter().map(|at| at.replicas().len()).min().unwrap_or(0),
        in_sync: partitions.iter().map(|at| at.isr().len()).min().unwrap_or(0),
        without_leader: count(without_leader),
        settings,
    }
}

fn problems(topic: &KafkaTopic, name: &str, shape: &TopicShape) -> Vec<TopicProblem> {
    let mut problems = Vec::new();
    if shape.partitions != topic.partitions {
        problems.push(TopicProblem {
            problem: format!("has {} partitions, configured are {}", shape.partitions, topic.partitions),
            advice: "configure what it has; the count cannot change while its records are kept".to_owned(),
        });
    }
    for (setting, wanted) in required(topic) {
        if let Some(found) = shape.settings.get(setting).filter(|found| **found != wanted) {
            problems.push(must_be(name, setting, found, &wanted));
        }
    }
    let number = |name: &str| shape.settings.get(name).and_then(|value| value.parse::<usize>().ok());
    if let Some(found) = number("max.message.bytes").filter(|&found| found < topic.message_bytes_max) {
        let wanted = topic.message_bytes_max.to_string();
        problems.push(must_be(name, "max.message.bytes", &found.to_string(), &wanted));
    }
    let replicas = shape.replicas;
    if let Some(in_sync) = number("min.insync.replicas").filter(|&in_sync| in_sync > replicas) {
        problems.push(TopicProblem {
            problem: format!(
                "has min.insync.replicas={in_sync} and {replicas} replicas, so that nothing can be written"
            ),
            advice: format!("set min.insync.replicas={} or add replicas", replicas.saturating_sub(1).max(1)),
        });
    }
    problems
}

fn must_be(name: &str, setting: &str, found: &str, wanted: &str) -> TopicProblem {
    TopicProblem {
        problem: format!("has {setting}={found}"),
        advice: format!(
            "set {setting}={wanted} (kafka-configs.sh --alter --entity-type topics --entity-name {name} \
             --add-config {setting}={wanted})"
        ),
    }
}

fn doubts(topic: &KafkaTopic, shape: &TopicShape) -> Vec<TopicDoubt> {
    let mut doubts = Vec::new();
    let in_sync_enough = shape.settings.get("min.insync.replicas").and_then(|value| value.parse().ok());
    // What is worth something only now need not outlive a broker.
    if !matches!(topic.kind, TopicKind::ShortLived { .. }) {
        if shape.replicas < REPLICAS_DURABLE {
            doubts.push(TopicDoubt::OneReplica);
        } else if shape.replicas > REPLICAS_DURABLE && in_sync_enough == Some(1) {
            doubts.push(TopicDoubt::OneInSync);
        }
    }
    if shape.in_sync < shape.replicas {
        doubts.push(TopicDoubt::NotInSync);
    }
    if shape.without_leader > 0 {
        doubts.push(TopicDoubt::NoLeader);
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(replicas: usize, settings: &[(&str, &str)]) -> TopicShape {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        TopicShape {
            partitions: 3,
            replicas,
            in_sync: replicas,
            without_leader: 0,
            settings: settings.collect(),
        }
    }

    #[test]
    fn every_difference_is_a_problem_of_its_own() {
        let topic = KafkaTopic::new("taps", 4, TopicKind::Log { retention_ms: 1 });
        let found = shape(
            1,
            &[
                ("message.timestamp.type", "CreateTime"),
                ("cleanup.policy", "delete"),
                ("retention.ms", "-1"),
                ("retention.bytes", "1000"),
                ("max.message.bytes", "1000"),
                ("min.insync.replicas", "2"),
            ],
        );
        let problems = problems(&topic, "x-taps", &found);
        let said: Vec<_> = problems.iter().map(|problem| problem.problem.as_str()).collect();
        assert_eq!(
            said,
            [
                "has 3 partitions, configured are 4",
                "has message.timestamp.type=CreateTime",
                "has retention.bytes=1000",
                "has max.message.bytes=1000",
                "has min.insync.replicas=2 and 1 replicas, so that nothing can be written",
            ]
        );
        assert!(
            problems[1]
                .advice
                .contains("--entity-name x-taps --add-config message.timestamp.type=LogAppendTime")
        );
    }

    #[test]
    fn doubts_are_said_once_for_all_topics() {
        let log = KafkaTopic::new("taps", 3, TopicKind::Log { retention_ms: 1 });
        let pulses = KafkaTopic::new("pulses", 3, TopicKind::ShortLived { retention_ms: 1 });
        assert_eq!(doubts(&pulses, &shape(1, &[])), []);
        assert_eq!(doubts(&log, &shape(3, &[("min.insync.replicas", "1")])), [TopicDoubt::OneInSync]);
        assert_eq!(doubts(&log, &shape(3, &[("min.insync.replicas", "2")])), []);
        let state = |name: &str| TopicState {
            topic: log.clone(),
            name: name.to_owned(),
            shape: None,
            problems: Vec::new(),
            doubts: vec![TopicDoubt::OneReplica],
            unseen: None,
        };
        let said = lines(&[state("a"), state("b")]);
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("topics a, b have one replica: "), "{said:?}");
    }
}
