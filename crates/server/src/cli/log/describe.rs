//! A record of one of our topics as JSON.

use std::sync::Arc;

use emostream_log::{Record, TopicPartition};
use emostream_moments::{
    MemoryFull, Partial, PulseBatch, StepPart,
    step::{StepItem, part::PartPlace},
};
use emostream_protocol::{
    DecodeError, EmoteId, Emotes, Epoch, frame,
    record::{self, LogRecord, ReactionBatch, SettingsChange},
    row::Row,
    settings::PublishedChannel,
    time,
};
use serde_json::{Map, Value, json};

use crate::{
    aggregate::fleet::{Stage, StoredState, StreamShape, decode_state},
    node::{OUTPUT_TOPIC, PARTIALS_TOPIC, PULSES_TOPIC, RAW_TOPIC, SETTINGS_TOPIC, STATE_TOPIC},
};

/// Decodes records of all topics.
pub(super) struct Describer {
    emotes: Arc<Emotes>,
    /// What steps and states are decoded with; `None` on the embedded log, which has none, and where no node has begun a log.
    shape: Option<StreamShape>,
}

/// The JSON line of a record: where it is, then what it holds, or why it cannot be read.
pub(super) fn line(
    partition: &TopicPartition,
    record: &Record,
    described: Result<Value, DecodeError>,
) -> String {
    let mut line = Map::new();
    line.insert("partition".to_owned(), partition.partition.into());
    line.insert("offset".to_owned(), record.offset.into());
    line.insert("append_time".to_owned(), time::format_ms(record.append_time_ms).into());
    if let Some(key) = &record.key {
        line.insert("key".to_owned(), String::from_utf8_lossy(key).into());
    }
    let content = match described {
        Ok(content) => content,
        Err(error) => json!({"error": error.to_string(), "bytes": record.value.len()}),
    };
    match content {
        Value::Object(content) => line.extend(content),
        other => drop(line.insert("value".to_owned(), other)),
    }
    Value::Object(line).to_string()
}

impl Describer {
    pub(super) fn new() -> Self {
        Self { emotes: Arc::new(Emotes::new()), shape: None }
    }

    /// One that decodes steps and states of such a stream as well.
    #[cfg(feature = "kafka")]
    pub(super) fn of_stream(shape: Option<StreamShape>) -> Self {
        let emotes = shape.as_ref().map_or_else(Arc::default, |shape| shape.emotes.clone());
        Self { emotes, shape }
    }

    /// What a record holds.
    pub(super) fn describe(&self, topic: &str, record: &Record) -> Result<Value, DecodeError> {
        if record.key.is_some() && record.value.is_empty() {
            return Ok(json!({"type": "deleted"}));
        }
        let (value, emotes) = (&record.value, &*self.emotes);
        match topic {
            RAW_TOPIC => raw(value, emotes),
            OUTPUT_TOPIC => Row::decode(value, emotes).map(|row| self::row(&row, emotes)),
            PARTIALS_TOPIC => self.step(value),
            PULSES_TOPIC if MemoryFull::is_one(value) => {
                MemoryFull::decode(value).map(|said| memory_full(&said))
            }
            PULSES_TOPIC => PulseBatch::decode(value, emotes).map(|batch| pulses(&batch, emotes)),
            STATE_TOPIC => self.state(record),
            SETTINGS_TOPIC => PublishedChannel::decode(value).map(|channel| published(&channel)),
            _ => serde_json::from_slice(value).map_err(|_| DecodeError::Field("JSON")),
        }
    }

    fn shape(&self) -> Result<&StreamShape, DecodeError> {
        self.shape.as_ref().ok_or(DecodeError::Field("generation, which emote-state does not hold"))
    }

    fn step(&self, value: &[u8]) -> Result<Value, DecodeError> {
        let StreamShape { parameters, raw_partitions, emotes, .. } = self.shape()?;
        let StepPart { place, items } =
            StepPart::decode(value, *parameters, *raw_partitions as usize, emotes)?;
        let PartPlace { raw_partition, raw_offset, previous, first, last } = place;
        let items: Vec<_> = items.iter().map(|item| step_item(item, emotes)).collect();
        Ok(json!({
            "type": "step",
            "raw_partition": raw_partition,
            "raw_offset": raw_offset,
            "previous_raw_offset": previous,
            "first_item": first,
            "last": last,
            "items": items,
        }))
    }

    fn state(&self, record: &Record) -> Result<Value, DecodeError> {
        let key = record.key.as_deref().ok_or(DecodeError::Field("key"))?;
        if key.starts_with(b"clock/") {
            return Ok(json!({"type": "clock"}));
        }
        #[cfg(feature = "kafka")]
        if let Some(generation) = emostream_log::kafka::KafkaSnapshot::generation_in(record) {
            let generation = generation.map_err(|_| DecodeError::Field("generation"))?;
            let epoch = Epoch(generation.id).to_string();
            return Ok(json!({"type": "generation", "epoch": epoch, "parameters": generation.parameters}));
        }
        let state = decode_state(key, &record.value, self.shape()?).ok_or(DecodeError::Field("key"))??;
        let StoredState { stage, partition, generation, next, floor, closed_through_ms, bytes } = state;
        let mut described = json!({
            "of_partition": partition,
            "epoch": Epoch(generation).to_string(),
            "next_offset": next,
            "closed_through": closed_through_ms.map(time::format_ms),
            "bytes": bytes,
        });
        let (kind, floor_name) = match stage {
            Stage::Count => ("count", "restore_offset"),
            Stage::Merge => ("merge", "output_end"),
        };
        described["type"] = kind.into();
        described[floor_name] = floor.into();
        Ok(described)
    }
}

fn raw(value: &[u8], emotes: &Emotes) -> Result<Value, DecodeError> {
    Ok(match record::decode(value, emotes)? {
        LogRecord::Tick => json!({"type": "tick"}),
        LogRecord::Settings(change) => settings(&change),
        LogRecord::Reactions(batch) => reactions(&batch, emotes)?,
    })
}

fn settings(change: &SettingsChange) -> Value {
    json!({"type": "settings", "channel": &*change.channel, "settings": change.settings})
}

fn reactions(batch: &ReactionBatch<'_>, emotes: &Emotes) -> Result<Value, DecodeError> {
    let reactions: Result<Vec<_>, DecodeError> = batch
        .iter()
        .map(|reaction| {
            reaction.map(|reaction| {
                json!({
                    "channel": batch.channels[reaction.channel],
                    "emote": &*emotes.name(reaction.emote),
                    "id": reaction.id.to_string(),
                    "id_from_client": reaction.id_from_client,
                    "user_id": String::from_utf8_lossy(reaction.user),
                    "received_at": time::format_ms(reaction.received_ms),
                    "tapped_at": time::format_ms(reaction.tapped_ms),
                    "media_time_ms": reaction.media_time_ms,
                    "place": reaction.place,
                })
            })
        })
        .collect();
    let spool = batch.placed.or(batch.spool.map(|position| position.spool));
    Ok(json!({
        "type": "reactions",
        "spool": spool.map(|spool| uuid::Uuid::from_bytes(spool).simple().to_string()),
        "place": batch.spool.map(|position| position.offset),
        "reactions": reactions?,
    }))
}

fn row(row: &Row, emotes: &Emotes) -> Value {
    let (kind, json) = match row {
        Row::Window(row) => ("window", frame::encode_window_item(row, emotes)),
        Row::Moment(row) => ("moment", frame::encode_moment_item(row, emotes)),
        Row::Settings(row) => {
            return json!({"type": "settings", "seq": row.seq, "channel": &*row.change.channel, "settings": row.change.settings});
        }
    };
    let mut value: Value = serde_json::from_slice(&json).unwrap_or_default();
    value["type"] = kind.into();
    value["channel"] = row.channel().as_str().into();
    value
}

/// Counts by the emote's name.
fn counts(counts: impl Iterator<Item = (EmoteId, u64)>, emotes: &Emotes) -> Value {
    counts
        .map(|(emote, count)| ((*emotes.name(emote)).to_owned(), count.into()))
        .collect::<Map<_, _>>()
        .into()
}

fn step_item(item: &StepItem, emotes: &Emotes) -> Value {
    match item {
        StepItem::Partial(partial) => {
            let Partial { channel, window_start_ms, tally } = &**partial;
            let of = |count: fn(&emostream_moments::tally::Bin) -> u64| {
                let sums =
                    tally.emotes().iter().map(move |one| (one.emote, one.bins.iter().map(count).sum()));
                counts(sums.filter(|(_, sum)| *sum > 0), emotes)
            };
            json!({
                "type": "partial",
                "channel": &**channel,
                "window_start": time::format_ms(*window_start_ms),
                "counts": of(|bin| bin.count),
                "late_by_emote": of(|bin| bin.late),
                "unverified": tally.unverified,
            })
        }
        StepItem::ClosedThrough(start_ms) => {
            json!({"type": "closed-through", "window_start": time::format_ms(*start_ms)})
        }
        StepItem::Settings { change, from_window_ms } => {
            let mut described = settings(change);
            described["from_window"] = time::format_ms(*from_window_ms).into();
            described
        }
    }
}

fn pulses(batch: &PulseBatch, emotes: &Emotes) -> Value {
    let mut channels: Map<String, Value> = Map::new();
    for pulse in &batch.counts {
        let of_channel = channels.entry(pulse.channel.to_string()).or_insert_with(|| json!({}));
        let known = of_channel[&*emotes.name(pulse.emote)].as_u64().unwrap_or(0);
        of_channel[&*emotes.name(pulse.emote)] = (known + u64::from(pulse.count)).into();
    }
    json!({"type": "pulses", "channels": channels})
}

fn memory_full(said: &MemoryFull) -> Value {
    let MemoryFull { node, remembered, limit } = said;
    json!({"type": "memory-full", "node": node, "remembered_ids": remembered, "limit": limit})
}

fn published(channel: &PublishedChannel) -> Value {
    let PublishedChannel { channel, version, closed, settings } = channel;
    json!({"type": "channel", "channel": &**channel, "version": version, "closed": closed, "settings": settings})
}
