//! The generation record: what the log was created with. Nodes that start at once each write one, and all go by the first.

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;

use crate::{
    Generation, LogError, Record, TopicPartition,
    embedded::Chance,
    kafka::{
        config::{KafkaConfig, TopicKind},
        error::KafkaStartError,
        read::Reader,
        waiting::wait_until,
        write::Writer,
    },
};

/// Begins the keys of generation records. Each has a key of its own, so that compaction keeps the first.
const KEY: &str = "generation/";

/// Version of the record's format.
const VERSION: u8 = 1;

/// Bytes asked for at a time.
const READ_BYTES: usize = 1 << 20;

/// Finds the generation, or begins one, and holds it against the configuration.
pub(in crate::kafka) fn find_or_begin(
    config: &KafkaConfig,
    reader: &Reader,
    writer: &Writer,
) -> Result<Generation, KafkaStartError> {
    let wanted = parameters(config);
    // Looked at first: who finds records here and then no generation has lost the generation, not overtaken its writer.
    let has_records = has_records(config, reader)?;
    let found = match first(config, reader)? {
        Some(generation) => generation,
        None => {
            if let Some(topic) = has_records {
                let state = config.remote(&config.state_topic);
                return Err(KafkaStartError::Topic {
                    topic: config.remote(&topic),
                    problem: format!(
                        "holds records, but topic {state} does not say what they were made with"
                    ),
                    advice: "restore that topic, or delete both and begin anew".to_owned(),
                });
            }
            begin(config, writer, &wanted)?;
            let lost = || LogError::Unavailable("the generation record just written is not there".to_owned());
            first(config, reader)?.ok_or_else(lost)?
        }
    };
    compare(&found.parameters, &wanted).map_err(KafkaStartError::Configuration)?;
    Ok(found)
}

/// The stream's parameters and the partition counts that results depend on.
fn parameters(config: &KafkaConfig) -> BTreeMap<String, String> {
    let counts = config.topics.iter().filter(|topic| matches!(topic.kind, TopicKind::Log { .. }));
    let counts = counts.map(|topic| (format!("partitions.{}", topic.name), topic.partitions.to_string()));
    config.parameters.clone().into_iter().chain(counts).collect()
}

fn has_records(config: &KafkaConfig, reader: &Reader) -> Result<Option<String>, LogError> {
    for topic in config.topics.iter().filter(|topic| matches!(topic.kind, TopicKind::Log { .. })) {
        for partition in 0..topic.partitions {
            if reader.bounds(&TopicPartition::new(topic.name.as_str(), partition))?.end > 0 {
                return Ok(Some(topic.name.clone()));
            }
        }
    }
    Ok(None)
}

/// The first generation record in log order, which is near the beginning.
pub(in crate::kafka) fn first(config: &KafkaConfig, reader: &Reader) -> Result<Option<Generation>, LogError> {
    let state = TopicPartition::new(config.state_topic.as_str(), 0);
    let bounds = reader.bounds(&state)?;
    let mut at = bounds.start;
    while at < bounds.end {
        let batch = reader.read(&state, at, READ_BYTES)?;
        for record in &batch.records {
            if let Some(generation) = of_record(record) {
                return generation.map(Some);
            }
        }
        if batch.next <= at {
            return Err(LogError::Unavailable(format!("{state} cannot be read on from {at}")));
        }
        at = batch.next;
    }
    Ok(None)
}

/// The generation in a record of the state topic, if it is one's.
pub(in crate::kafka) fn of_record(record: &Record) -> Option<Result<Generation, LogError>> {
    let is_generation = record.key.as_ref().is_some_and(|key| key.starts_with(KEY.as_bytes()));
    is_generation.then(|| decode(&record.value))
}

fn begin(
    config: &KafkaConfig,
    writer: &Writer,
    parameters: &BTreeMap<String, String>,
) -> Result<(), LogError> {
    let mut chance = Chance(config.seed);
    let id = (u128::from(chance.draw()) << 64 | u128::from(chance.draw())).to_le_bytes();
    let key = id.iter().fold(KEY.to_owned(), |key, byte| format!("{key}{byte:02x}"));
    let value = encode(&Generation { id, parameters: parameters.clone() });
    let state = TopicPartition::new(config.state_topic.as_str(), 0);
    let appended = writer.append(&state, &[(Some(key.into()), value)]);
    let late = || LogError::Unavailable(format!("{state} did not take the generation record"));
    wait_until(Instant::now() + config.start_timeout, appended).ok_or_else(late)?.map(drop)
}

fn compare(stored: &BTreeMap<String, String>, configured: &BTreeMap<String, String>) -> Result<(), LogError> {
    for name in stored.keys().chain(configured.keys()) {
        let (old, new) = (stored.get(name), configured.get(name));
        if old != new {
            let shown = |value: Option<&String>| value.map_or_else(|| "nothing".to_owned(), Clone::clone);
            return Err(LogError::Mismatch {
                name: name.clone(),
                stored: shown(old),
                configured: shown(new),
                advice:
                    "results would differ from those already given; restore the value, or begin a new log \
                         under another namespace"
                        .to_owned(),
            });
        }
    }
    Ok(())
}

/// Version, identity, number of parameters, then name and value of each behind their lengths; numbers little-endian.
fn encode(generation: &Generation) -> Bytes {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&generation.id);
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    bytes.extend_from_slice(&length(generation.parameters.len()));
    for text in generation.parameters.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(&length(text.len()));
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.into()
}

fn decode(bytes: &[u8]) -> Result<Generation, LogError> {
    match bytes.first() {
        Some(&VERSION) => {}
        Some(version) => {
            return Err(LogError::Format(format!(
                "generation record has format version {version}, known is {VERSION}: a newer release wrote it"
            )));
        }
        None => return Err(LogError::Format("generation record is empty".to_owned())),
    }
    parse(&bytes[1..]).ok_or_else(|| LogError::Format("generation record ends early".to_owned()))
}

fn parse(bytes: &[u8]) -> Option<Generation> {
    let (id, mut rest) = bytes.split_first_chunk::<16>()?;
    let number = |rest: &mut &[u8]| {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        *rest = tail;
        Some(u32::from_le_bytes(*head))
    };
    let count = number(&mut rest)?;
    let mut parameters = BTreeMap::new();
    for _ in 0..count {
        let mut text = || {
            let length = number(&mut rest)? as usize;
            let (head, tail) = rest.split_at_checked(length)?;
            rest = tail;
            String::from_utf8(head.to_vec()).ok()
        };
        let name = text()?;
        parameters.insert(name, text()?);
    }
    rest.is_empty().then_some(Generation { id: *id, parameters })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Generation {
        let parameters = [("partitions.emote-log", "6"), ("windows.window_ms", "2000")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Generation { id: *b"0123456789abcdef", parameters }
    }

    /// The bytes of version 1, which stay readable.
    #[test]
    fn the_stored_format_is_this() {
        let bytes = b"\x010123456789abcdef\x02\0\0\0\x14\0\0\0partitions.emote-log\x01\0\0\x006\
                      \x11\0\0\0windows.window_ms\x04\0\0\x002000";
        assert_eq!(encode(&sample()).as_ref(), bytes);
        assert_eq!(decode(bytes).unwrap(), sample());
    }

    #[test]
    fn a_record_that_is_not_whole_is_refused() {
        let bytes = encode(&sample());
        for end in 0..bytes.len() {
            assert!(matches!(decode(&bytes[..end]), Err(LogError::Format(_))), "{end}");
        }
        let newer = [&[2], &bytes[1..]].concat();
        assert!(matches!(decode(&newer), Err(LogError::Format(text)) if text.contains("version 2")));
    }

    #[test]
    fn every_difference_of_parameters_is_named() {
        let stored = sample().parameters;
        assert!(compare(&stored, &stored).is_ok());
        let mut changed = stored.clone();
        changed.insert("partitions.emote-log".to_owned(), "8".to_owned());
        assert!(
            matches!(compare(&stored, &changed), Err(LogError::Mismatch { name, stored, configured, .. })
            if name == "partitions.emote-log" && stored == "6" && configured == "8")
        );
        let mut fewer = stored.clone();
        fewer.remove("windows.window_ms");
        for (stored, configured) in [(&stored, &fewer), (&fewer, &stored)] {
            assert!(
                matches!(compare(stored, configured), Err(LogError::Mismatch { name, .. }) if name == "windows.window_ms")
            );
        }
    }
}
