//! Where reading goes on in partitions that a group has given to this member.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    Offset as Place, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use super::identity::describe;
use crate::{Bounds, Offset, TopicPartition, foreign::ForeignBegin};

/// A question that is not answered in this time is asked again later: the group must hear of this member in between.
pub(super) const ANSWER: Duration = Duration::from_secs(3);

/// What is asked for in the place of a time: the end, or the oldest record that is kept.
const END: i64 = -1;
const BEGINNING: i64 = -2;

/// Where reading begins, and why there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Start {
    pub(super) at: Offset,
    /// Records that were deleted before this group has read them.
    pub(super) missed: u64,
}

/// A place that a group has committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Committed {
    pub(super) at: Offset,
    /// The topic's id when it was committed; `None` where it was not this program that did.
    pub(super) topic: Option<[u8; 16]>,
}

/// Where to go on: at the committed place; where there is none, as configured. `is_known` says whether the group has read
/// anything of a topic of this name.
pub(super) fn start(committed: Option<Offset>, bounds: Bounds, begin: ForeignBegin, is_known: bool) -> Start {
    match committed {
        // Beyond the end: the partition was made anew, or has lost its tail.
        Some(at) if at > bounds.end => Start { at: bounds.start, missed: 0 },
        Some(at) => Start { at: at.max(bounds.start), missed: bounds.start.saturating_sub(at) },
        None if begin == ForeignBegin::Latest && !is_known => Start { at: bounds.end, missed: 0 },
        None => Start { at: bounds.start, missed: 0 },
    }
}

pub(super) fn number(of: &TopicPartition) -> i32 {
    i32::try_from(of.partition).unwrap_or(i32::MAX)
}

/// A list of partitions as the client has it.
pub(super) fn list<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, number(partition));
    }
    list
}

/// A list of the client as ours.
pub(super) fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    let named = elements.iter().filter_map(|element| {
        Some(TopicPartition::new(element.topic(), u32::try_from(element.partition()).ok()?))
    });
    named.collect()
}

/// The ends of partitions: one question for all.
pub(super) fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    of: &[TopicPartition],
) -> KafkaResult<Vec<(TopicPartition, Offset)>> {
    ask(consumer, of, END)
}

/// First and end offset of partitions.
pub(super) fn bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    of: &[TopicPartition],
) -> KafkaResult<BTreeMap<TopicPartition, Bounds>> {
    let starts: BTreeMap<_, _> = ask(consumer, of, BEGINNING)?.into_iter().collect();
    let ends = ask(consumer, of, END)?;
    let both = ends.into_iter().filter_map(|(partition, end)| {
        let start = *starts.get(&partition)?;
        Some((partition, Bounds { start, end }))
    });
    Ok(both.collect())
}

fn ask<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    of: &[TopicPartition],
    place: i64,
) -> KafkaResult<Vec<(TopicPartition, Offset)>> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let mut asked = list(of);
    asked.set_all_offsets(Place::from_raw(place))?;
    let answered = consumer.offsets_for_times(asked, ANSWER)?;
    let mut found = Vec::with_capacity(of.len());
    for element in answered.elements() {
        element.error()?;
        let partition = u32::try_from(element.partition()).map_err(|_| unknown())?;
        let offset = element.offset().to_raw().and_then(|offset| u64::try_from(offset).ok());
        found.push((TopicPartition::new(element.topic(), partition), offset.ok_or_else(unknown)?));
    }
    Ok(found)
}

fn unknown() -> KafkaError {
    KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition)
}

/// What a group has committed, of all partitions of some topics.
pub(super) fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &[&str],
) -> KafkaResult<BTreeMap<TopicPartition, Committed>> {
    let mut asked = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
        for known in metadata.topics() {
            for partition in known.partitions() {
                asked.add_partition(known.name(), partition.id());
            }
        }
    }
    if asked.count() == 0 {
        return Ok(BTreeMap::new());
    }
    let answered = consumer.committed_offsets(asked, ANSWER)?;
    let mut found = BTreeMap::new();
    for element in answered.elements() {
        element.error()?;
        if let (Place::Offset(offset), Ok(partition)) = (element.offset(), u32::try_from(element.partition()))
        {
            let at = u64::try_from(offset).unwrap_or(0);
            let committed = Committed { at, topic: read_id(element.metadata()) };
            found.insert(TopicPartition::new(element.topic(), partition), committed);
        }
    }
    Ok(found)
}

/// A topic's id as it is committed beside a place in it.
pub(super) fn write_id(id: &[u8; 16]) -> String {
    format!("topic {:032x}", u128::from_be_bytes(*id))
}

fn read_id(metadata: &str) -> Option<[u8; 16]> {
    let digits = metadata.strip_prefix("topic ")?;
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

/// The ids of topics; one that does not exist now is left out.
pub(super) fn identities<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &[&str],
) -> KafkaResult<BTreeMap<String, [u8; 16]>> {
    if topics.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut found = BTreeMap::new();
    for (name, answer) in describe(consumer.client(), topics, ANSWER)? {
        match answer {
            Ok(id) => drop(found.insert(name, id)),
            Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {}
            Err(code) => return Err(KafkaError::AdminOp(code)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Bounds, ForeignBegin, Start, read_id, start, write_id};

    #[test]
    fn reading_goes_on_where_it_was_and_misses_nothing_silently() {
        let bounds = Bounds { start: 10, end: 20 };
        let at = |at| Start { at, missed: 0 };
        for begin in [ForeignBegin::Earliest, ForeignBegin::Latest] {
            assert_eq!(start(Some(15), bounds, begin, true), at(15));
            assert_eq!(start(Some(20), bounds, begin, false), at(20));
            assert_eq!(start(Some(4), bounds, begin, true), Start { at: 10, missed: 6 });
            assert_eq!(start(Some(21), bounds, begin, true), at(10));
        }
        assert_eq!(start(None, bounds, ForeignBegin::Earliest, false), at(10));
        assert_eq!(start(None, bounds, ForeignBegin::Latest, false), at(20));
        assert_eq!(start(None, bounds, ForeignBegin::Latest, true), at(10));
    }

    #[test]
    fn a_place_says_which_topic_it_is_in() {
        let id = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
        assert_eq!(write_id(&id), "topic 000102030405060708090a0b0c0d0eff");
        assert_eq!(read_id(&write_id(&id)), Some(id));
        for other in ["", "topic ", "topic x", "000102030405060708090a0b0c0d0eff"] {
            assert_eq!(read_id(other), None, "{other}");
        }
    }
}
