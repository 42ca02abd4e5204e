//! Brings counting back to where it was: newest snapshot, ids replayed from the horizon's start, rows already written.

use anyhow::{Context, bail};
use emostream_log::{Offset, TopicPartition};
use emostream_moments::Aggregate;
use emostream_protocol::record;

use super::{
    Components, damage,
    snapshot::{Files, Loaded, Place, Snapshot},
    written::Written,
};

const READ_BYTES: usize = 1 << 20;

/// Where counting goes on.
pub(super) struct Restored {
    pub(super) aggregate: Aggregate,
    /// Next record of each raw partition.
    pub(super) next: Vec<Offset>,
    pub(super) written: Written,
    pub(super) stored: Stored,
}

/// The snapshots that are stored, as far as counting can go on from them.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// Places of the one that counting goes on from.
    pub(super) current: Option<Vec<Place>>,
    /// Places of the one before it.
    pub(super) older: Option<Vec<Place>>,
    /// Whether `current` is the newest one: else the newest one is of no use.
    pub(super) newest_is_good: bool,
}

pub(super) fn restore(components: &Components) -> anyhow::Result<Restored> {
    let partitions =
        components.log.partitions(&components.raw_topic).context("the raw topic does not exist")?;
    let raw: Vec<_> = (0..partitions)
        .map(|partition| TopicPartition::new(components.raw_topic.clone(), partition))
        .collect();
    let Loaded { newest, previous } = Files::new(&components.snapshot_dir)?.load();
    if let Some(snapshot) = newest {
        if let Some(mut restored) = from_snapshot(components, &raw, &snapshot)? {
            let older = previous.filter(|older| belongs(components, &raw, older));
            restored.stored.older = older.map(|older| older.partitions);
            restored.stored.newest_is_good = true;
            set_restore_points(components, &raw, &restored.stored)?;
            return Ok(restored);
        }
        tracing::error!("counting cannot go on from the newest snapshot; trying the one before");
    }
    if let Some(snapshot) = previous {
        if let Some(restored) = from_snapshot(components, &raw, &snapshot)? {
            return Ok(restored);
        }
        tracing::error!("counting cannot go on from the previous snapshot; counting everything again");
    }
    from_beginning(components, &raw)
}

/// Retention keeps what the older of the two stored snapshots needs. The log does not know it after a restart, and a full
/// one would refuse everything until counting has stored two more.
fn set_restore_points(
    components: &Components,
    raw: &[TopicPartition],
    stored: &Stored,
) -> anyhow::Result<()> {
    let (Some(current), Some(older)) = (&stored.current, &stored.older) else { return Ok(()) };
    for ((partition, current), older) in raw.iter().zip(current).zip(older) {
        components.log.set_restore_point(partition, older.restore.min(current.restore))?;
    }
    Ok(())
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
        written: written_from(components, 0)?,
        stored: Stored::default(),
    })
}

fn fresh(components: &Components, raw: &[TopicPartition]) -> Aggregate {
    Aggregate::new(components.parameters, raw.len(), components.emotes.clone(), rand::random())
}

/// Whether a snapshot is of this log.
fn belongs(components: &Components, raw: &[TopicPartition], snapshot: &Snapshot) -> bool {
    snapshot.generation == components.log.generation().id && snapshot.partitions.len() == raw.len()
}

fn from_snapshot(
    components: &Components,
    raw: &[TopicPartition],
    snapshot: &Snapshot,
) -> anyhow::Result<Option<Restored>> {
    if !belongs(components, raw, snapshot) {
        tracing::error!("the snapshot is of another log");
        return Ok(None);
    }
    for (partition, place) in raw.iter().zip(&snapshot.partitions) {
        let bounds = components.log.bounds(partition)?;
        // Beyond the end: the machine lost power under `durability = "os"` and the log is shorter than what was counted.
        if place.next > bounds.end || place.restore < bounds.start {
            tracing::error!(%partition, ?place, ?bounds, "the snapshot needs records that are not there");
            return Ok(None);
        }
    }
    // Rows that the snapshot takes for written are gone: counting on from it would never write them again.
    let output = components.log.bounds(&components.output)?;
    if snapshot.output_end > output.end {
        tracing::error!(expected = snapshot.output_end, ?output, "the snapshot is ahead of the output");
        return Ok(None);
    }
    let aggregate = Aggregate::restore(
        &snapshot.state,
        components.parameters,
        raw.len(),
        components.emotes.clone(),
        rand::random(),
    );
    let mut aggregate = match aggregate {
        Ok(aggregate) => aggregate,
        Err(error) => {
            tracing::error!(%error, "the state in the snapshot cannot be read");
            return Ok(None);
        }
    };
    for (index, (partition, place)) in raw.iter().zip(&snapshot.partitions).enumerate() {
        replay_ids(components, &mut aggregate, index, partition, place.restore..place.next)?;
    }
    let next = snapshot.partitions.iter().map(|place| place.next).collect();
    let written = written_from(components, snapshot.output_end)?;
    let stored = Stored { current: Some(snapshot.partitions.clone()), ..Stored::default() };
    Ok(Some(Restored { aggregate, next, written, stored }))
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
            let noted = record::decode(&record.value, &components.emotes)
                .and_then(|decoded| aggregate.restore_ids_only(index, record.append_time_ms, &decoded));
            // Damaged content was reported when it was counted.
            noted.or_else(|error| damage::refuse_newer(&error, partition, record))?;
        }
    }
    Ok(())
}

fn written_from(components: &Components, from: Offset) -> anyhow::Result<Written> {
    Written::read(&*components.log, &components.output, from, &components.emotes)
}
