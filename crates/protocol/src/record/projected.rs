//! Lines of JSON that the projector writes for other people's programs: a reaction of `emote-log`, and a tick.
//!
//! `deploy/flink` counts these lines and must come to the same windows as Emostream, so what counting needs is in each of
//! them: the id, event time as counted, append time, and the place in the log.

use serde::{Serialize, Serializer};

use crate::{id::ReactionId, time::format_ms};

/// Milliseconds since the Unix epoch, as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339(pub i64);

/// One reaction, with what counting it needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ProjectedReaction<'a> {
    /// What was tapped, by name.
    pub emote: &'a str,
    /// When it was tapped, by the client's word.
    pub timestamp: Rfc3339,
    /// Channel.
    pub channel: &'a str,
    /// Idempotency key. The same one may come again, also with another event time: the first in log order counts.
    #[serde(serialize_with = "as_text")]
    pub id: ReactionId,
    /// Whether the client gave the id: one that ingest assigned never repeats, whatever ids clients give.
    pub id_from_client: bool,
    /// Who tapped; absent when unknown.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub user_id: &'a str,
    /// When ingest received it.
    pub received_at: Rfc3339,
    /// The time by which it is counted.
    pub event_time: Rfc3339,
    /// Highest append time of the raw partition up to and including its record: never descends.
    pub append_time: Rfc3339,
    /// Raw partition.
    pub partition: u32,
    /// Offset of its record there.
    pub offset: u64,
    /// Place in its record.
    pub index: usize,
    /// Received more than the lateness before its append.
    pub late: bool,
    /// A spool had forwarded its record before: the reaction does not count, though repeats of its id are known by it.
    #[serde(skip_serializing_if = "is_false")]
    pub forwarded_before: bool,
}

/// A record without a reaction to show: it says how far append time is, so that readers can close windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ProjectedTick {
    /// Always `None`: what tells a tick from a reaction.
    pub emote: Option<&'static str>,
    /// The append time again, for readers that place every line by this field.
    pub event_time: Rfc3339,
    /// Highest append time of the raw partition up to and including this record.
    pub append_time: Rfc3339,
    /// Raw partition.
    pub partition: u32,
    /// Offset of the record there.
    pub offset: u64,
}

impl ProjectedReaction<'_> {
    /// Appends the line, without a line feed.
    pub fn write(&self, line: &mut Vec<u8>) {
        serde_json::to_writer(line, self).expect("a Vec takes every byte, and no field can fail");
    }
}

impl ProjectedTick {
    /// The tick of a record at this place.
    pub fn new(append_ms: i64, partition: u32, offset: u64) -> Self {
        let append_time = Rfc3339(append_ms);
        Self { emote: None, event_time: append_time, append_time, partition, offset }
    }

    /// Appends the line, without a line feed.
    pub fn write(&self, line: &mut Vec<u8>) {
        serde_json::to_writer(line, self).expect("a Vec takes every byte, and no field can fail");
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_ms(self.0))
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn as_text<S: Serializer>(id: &ReactionId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

#[cfg(test)]
mod tests {
    use super::{ProjectedReaction, ProjectedTick, Rfc3339};
    use crate::ReactionId;

    #[test]
    fn lines_have_the_shape_that_readers_know() {
        let reaction = ProjectedReaction {
            emote: "🔥",
            timestamp: Rfc3339(1_700_000_000_001),
            channel: "main",
            id: ReactionId::from_parts(1_700_000_000_000, [7; 10]),
            id_from_client: true,
            user_id: "a\"b",
            received_at: Rfc3339(1_700_000_000_020),
            event_time: Rfc3339(1_700_000_000_001),
            append_time: Rfc3339(1_700_000_000_030),
            partition: 3,
            offset: 123,
            index: 4,
            late: false,
            forwarded_before: false,
        };
        let mut lines = Vec::new();
        reaction.write(&mut lines);
        lines.push(b'\n');
        ProjectedReaction { user_id: "", forwarded_before: true, ..reaction }.write(&mut lines);
        lines.push(b'\n');
        ProjectedTick::new(1_700_000_000_030, 3, 124).write(&mut lines);
        let expected = r#"{"emote":"🔥","timestamp":"2023-11-14T22:13:20.001Z","channel":"main","id":"018bcfe5-6800-7707-8707-070707070707","id_from_client":true,"user_id":"a\"b","received_at":"2023-11-14T22:13:20.020Z","event_time":"2023-11-14T22:13:20.001Z","append_time":"2023-11-14T22:13:20.030Z","partition":3,"offset":123,"index":4,"late":false}
{"emote":"🔥","timestamp":"2023-11-14T22:13:20.001Z","channel":"main","id":"018bcfe5-6800-7707-8707-070707070707","id_from_client":true,"received_at":"2023-11-14T22:13:20.020Z","event_time":"2023-11-14T22:13:20.001Z","append_time":"2023-11-14T22:13:20.030Z","partition":3,"offset":123,"index":4,"late":false,"forwarded_before":true}
{"emote":null,"event_time":"2023-11-14T22:13:20.030Z","append_time":"2023-11-14T22:13:20.030Z","partition":3,"offset":124}"#;
        assert_eq!(String::from_utf8_lossy(&lines), expected);
    }
}
