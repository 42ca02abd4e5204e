//! Brings counting back to where it was: newest snapshot, ids replayed from the horizon's start, rows already written.

use anyhow::{Context, bail};
use emostream_log::{Offset, TopicPartition};
use emostream_moments::Aggregate;
use emostream_protocol::{
    ChannelName,
    record::{self},
    row::Row,
};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{
    Components,
    snapshot::{Files, Snapshot},
};

const READ_BYTES: usize = 1 << 20;

/// Newest sequence of each channel that is in the output already: what a replay finds again is not written again.
pub(super) type Written = HashMap<ChannelName, u64, FixedState>;

/// Where counting goes on.
pub(super) struct Restored {
    pub(super) aggregate: Aggregate,
    /// Next record of each raw partition.
    pub(super) next: Vec<Offset>,
    pub(super) written: Written,
}

pub(super) fn restore(components: &Components) -> anyhow::Result<Restored> {
    let partitions =
        components.log.partitions(&components.raw_topic).context("the raw topic does not exist")?;
    let raw: Vec<_> = (0..partitions)
        .map(|partition| TopicPartition::new(components.raw_topic.clone(), partition))
        .collect();
    for snapshot in Files::new(&components.snapshot_dir)?.load() {
        match from_snapshot(components, &raw, &snapshot) {
            Ok(Some(restored)) => return Ok(restored),
            Ok(None) => tracing::warn!("a snapshot does not belong to this log; trying an older one"),
            Err(error) => return Err(error.context("restore counting from its snapshot")),
        }
    }
    from_beginning(components, &raw)
}

/// Without a snapshot everything is counted again, which needs everything to be there.
fn from_beginning(components: &Components, raw: &[TopicPartition]) -> anyhow::Result<Restored> {
    for partition in raw {
        let start = components.log.bounds(partition)?.start;
        if start > 0 {
            bail!(
                "there is no readable snapshot in {} and {partition} begins at offset {start}: \
                 windows before it cannot be counted again; restore the snapshot from a backup",
                components.snapshot_dir.display()
            );
        }
    }
    Ok(Restored {
        aggregate: fresh(components, raw),
        next: vec![0; raw.len()],
        written: rows_written(components, 0)?,
    })
}

fn fresh(components: &Components, raw: &[TopicPartition]) -> Aggregate {
    Aggregate::new(components.parameters, raw.len(), components.emotes.clone(), rand::random())
}

fn from_snapshot(
    components: &Components,
    raw: &[TopicPartition],
    snapshot: &Snapshot,
) -> anyhow::Result<Option<Restored>> {
    if snapshot.generation != components.log.generation().id || snapshot.partitions.len() != raw.len() {
        return Ok(None);
    }
    for (partition, place) in raw.iter().zip(&snapshot.partitions) {
        let bounds = components.log.bounds(partition)?;
        // Beyond the end: the machine lost power under `durability = "os"` and the log is shorter than what was counted.
        if place.next > bounds.end || place.restore < bounds.start {
            return Ok(None);
        }
    }
    // Rows that the snapshot takes for written are gone, for the same reason: counting from it would never write them again.
    if snapshot.output_end > components.log.bounds(&components.output)?.end {
        return Ok(None);
    }
    let mut aggregate = Aggregate::restore(
        &snapshot.state,
        components.parameters,
        raw.len(),
        components.emotes.clone(),
        rand::random(),
    )?;
    for (index, (partition, place)) in raw.iter().zip(&snapshot.partitions).enumerate() {
        replay_ids(components, &mut aggregate, index, partition, place.restore..place.next)?;
    }
    let next = snapshot.partitions.iter().map(|place| place.next).collect();
    Ok(Some(Restored { aggregate, next, written: rows_written(components, snapshot.output_end)? }))
}

fn replay_ids(
    components: &Components,
    aggregate: &mut Aggregate,
    index: usize,
    partition: &TopicPartition,
    range: std::ops::Range<Offset>,
) -> anyhow::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let batch = components.log.read(partition, at, READ_BYTES)?;
        at = batch.next;
        for record in batch.records.iter().filter(|record| record.offset < range.end) {
            let decoded = record::decode(&record.value, &components.emotes)
                .with_context(|| format!("record {} of {partition}", record.offset))?;
            aggregate.restore_ids_only(index, record.append_time_ms, &decoded)?;
        }
    }
    Ok(())
}

fn rows_written(components: &Components, from: Offset) -> anyhow::Result<Written> {
    let mut written = Written::default();
    let mut at = from.max(components.log.bounds(&components.output)?.start);
    let end = components.log.bounds(&components.output)?.end;
    while at < end {
        let batch = components.log.read(&components.output, at, READ_BYTES)?;
        at = batch.next;
        for record in &batch.records {
            let row = Row::decode(&record.value, &components.emotes)
                .with_context(|| format!("row {} of {}", record.offset, components.output))?;
            let newest = written.entry(row.channel().clone()).or_insert(0);
            *newest = row.seq().max(*newest);
        }
    }
    Ok(written)
}
