//! One round: what a reader has met, as batches for the log, lines for dead letters, and places up to which all is done.

use std::collections::BTreeMap;

use bytes::Bytes;
use emostream_log::{Offset, TopicPartition, foreign::ForeignRecord};
use emostream_protocol::{
    input::{Rejection, RejectionKind},
    record::{BatchBuilder, NewReaction},
    time,
};
use serde_json::json;

use super::{foreign::Reading, source::Source};

/// Bytes of a value that a dead letter shows.
const SHOWN_BYTES_MAX: usize = 1_024;

/// What one round appends.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Batches for a raw partition, in order; of one source each.
    pub(super) batches: Vec<(TopicPartition, Vec<Bytes>)>,
    /// Lines that name what nobody can read.
    pub(super) dead_letters: Vec<Bytes>,
    /// Places up to which sources are done once all of it is durable.
    pub(super) done: Vec<(TopicPartition, Offset)>,
    /// Reactions in the batches.
    pub(super) reactions: u64,
    /// Records that bear our header.
    pub(super) own: u64,
    /// Why the first of the dead letters is one.
    pub(super) reason: Option<String>,
}

/// What gathers for one source.
#[derive(Default)]
struct Gathering {
    open: BatchBuilder,
    full: Vec<Bytes>,
    next: Offset,
}

impl Round {
    /// Makes a round of records of known sources. Their places go forward; a record of nobody's is left out.
    pub(super) fn of(
        records: &[ForeignRecord],
        sources: &mut BTreeMap<TopicPartition, Source>,
        reading: &Reading,
        now_ms: i64,
    ) -> Self {
        let mut round = Self::default();
        let mut gathering: BTreeMap<&TopicPartition, Gathering> = BTreeMap::new();
        for record in records {
            let Some(source) = sources.get_mut(&record.partition) else { continue };
            if record.offset < source.next {
                continue;
            }
            source.next = record.offset + 1;
            let gathering = gathering.entry(&record.partition).or_default();
            gathering.next = source.next;
            if record.is_own {
                round.own += 1;
                continue;
            }
            let received_ms = source.received_ms(record, now_ms);
            match round.take(record, source, reading, received_ms, gathering) {
                Ok(()) => round.reactions += 1,
                Err(rejection) => round.set_aside(record, &rejection, received_ms),
            }
        }
        for (partition, mut gathering) in gathering {
            round.done.push((partition.clone(), gathering.next));
            let Some(source) = sources.get(partition) else { continue };
            gathering.finish(source, reading);
            if !gathering.full.is_empty() {
                round.batches.push((source.to.clone(), gathering.full));
            }
        }
        round
    }

    /// Adds the reaction that a record holds.
    fn take(
        &mut self,
        record: &ForeignRecord,
        source: &Source,
        reading: &Reading,
        received_ms: i64,
        gathering: &mut Gathering,
    ) -> Result<(), Rejection> {
        let value = record.value.as_ref().ok_or_else(|| Rejection {
            kind: RejectionKind::BodyInvalid,
            field: None,
            detail: "expected a record with a value".into(),
        })?;
        let reaction = reading.read(value)?;
        if !gathering.open.has_room(1) {
            gathering.finish(source, reading);
        }
        let new = NewReaction {
            emote: reaction.emote,
            id: source.reaction_id(record, received_ms),
            id_from_client: false,
            user: &reaction.user,
            received_ms,
            tapped_ms: reaction.tapped_ms,
            media_time_ms: None,
        };
        gathering.open.push_at(&reaction.channel.name, &new, record.offset);
        Ok(())
    }

    fn set_aside(&mut self, record: &ForeignRecord, rejection: &Rejection, received_ms: i64) {
        let reason = match rejection.field {
            Some(field) => format!("{field}: {}", rejection.detail),
            None => rejection.detail.clone(),
        };
        self.dead_letters.push(dead_letter(record, &reason, received_ms));
        self.reason.get_or_insert(reason);
    }
}

impl Gathering {
    fn finish(&mut self, source: &Source, reading: &Reading) {
        if !self.open.is_empty() {
            self.full.push(self.open.finish_placed(source.spool, &reading.emotes));
        }
    }
}

/// The line that names a record nobody can read. A value that is long is cut; a part that is no text is shown as �.
fn dead_letter(record: &ForeignRecord, reason: &str, received_ms: i64) -> Bytes {
    let value = record.value.as_deref();
    let shown = value.map(|value| String::from_utf8_lossy(&value[..value.len().min(SHOWN_BYTES_MAX)]));
    let line = json!({
        "topic": &*record.partition.topic,
        "partition": record.partition.partition,
        "offset": record.offset,
        "reason": reason,
        "time": time::format_ms(record.time_ms.unwrap_or(received_ms)),
        "value": shown,
        "value_bytes": value.map_or(0, <[u8]>::len),
    });
    line.to_string().into()
}
