//! Counts the raw log again, under the settings to try: partitions merged by append time, within limits of time and bytes.

use std::{collections::VecDeque, time::Instant};

use emostream_log::{Log, LogError, Offset, Record, TopicPartition};
use emostream_moments::preview::RecordPreview;
use emostream_protocol::record;

use super::{Asked, COUNTING_MAX, Found, parameters};
use crate::{http::app::App, node::RAW_TOPIC};

const READ_BYTES: usize = 1 << 20;

/// Bytes of records read for one preview at most.
const BYTES_MAX: usize = 1 << 30;

/// A partition being read.
struct Lane {
    partition: TopicPartition,
    next: Offset,
    end: Offset,
    records: VecDeque<Record>,
}

/// The moments that the kept records hold under the settings to try. Intervals begin with the first record read.
pub(super) fn count_again(app: &App, asked: &Asked) -> anyhow::Result<Found> {
    let parameters = parameters(app)?;
    let mut lanes = lanes(&*app.log, asked.from_ms.saturating_sub(parameters.horizon_ms()))?;
    let (channel, settings) = (asked.channel.clone(), asked.settings.clone());
    let mut preview = RecordPreview::new(parameters, lanes.len(), app.emotes.clone(), channel, settings);
    let (mut moments, mut read_bytes, began) = (Vec::new(), 0, Instant::now());
    let (mut first_ms, mut last_ms, mut whole) = (None, i64::MIN, true);
    let beyond_ms = asked.to_ms.saturating_add(parameters.lateness_ms() + parameters.window_ms());
    while let Some((lane, record)) = next_record(&*app.log, &mut lanes)? {
        read_bytes += record.value.len();
        whole = read_bytes < BYTES_MAX && began.elapsed() < COUNTING_MAX;
        if !whole || record.append_time_ms > beyond_ms {
            break;
        }
        first_ms.get_or_insert(record.append_time_ms);
        last_ms = last_ms.max(record.append_time_ms);
        let observed = record::decode(&record.value, &app.emotes)
            .and_then(|decoded| preview.observe(lane, record.append_time_ms, &decoded, &mut moments));
        if let Err(error) = observed {
            // Reported when it was counted; a preview goes on behind it, as counting did.
            tracing::debug!(%error, lane, offset = record.offset, "record cannot be read");
        }
    }
    let covered_ms = last_ms.saturating_sub(parameters.lateness_ms());
    if whole && first_ms.is_some() {
        // Windows that the live path has not closed yet are not judged here either: no time passes that has not.
        moments.extend(preview.finish(last_ms));
    }
    moments.retain(|moment| asked.has(moment));
    let span = first_ms.map(|first_ms| {
        let from_ms = asked.from_ms.max(first_ms - parameters.lateness_ms());
        (from_ms, asked.to_ms.min(covered_ms).max(from_ms))
    });
    let windows = span
        .map_or(0, |(from_ms, to_ms)| u64::try_from((to_ms - from_ms) / parameters.window_ms()).unwrap_or(0));
    Ok(Found { moments, windows, span })
}

fn lanes(log: &dyn Log, from_ms: i64) -> Result<Vec<Lane>, LogError> {
    (0..log.partitions(RAW_TOPIC).unwrap_or(0))
        .map(|number| {
            let partition = TopicPartition::new(RAW_TOPIC, number);
            let bounds = log.bounds(&partition)?;
            let next = if from_ms <= 0 { bounds.start } else { log.offset_at(&partition, from_ms)? };
            Ok(Lane { partition, next, end: bounds.end, records: VecDeque::new() })
        })
        .collect()
}

/// The record with the earliest append time of all lanes, and the lane's number.
fn next_record(log: &dyn Log, lanes: &mut [Lane]) -> Result<Option<(usize, Record)>, LogError> {
    let mut first: Option<(i64, usize)> = None;
    for (index, lane) in lanes.iter_mut().enumerate() {
        lane.load(log)?;
        let Some(record) = lane.records.front() else { continue };
        if first.is_none_or(|(earliest_ms, _)| record.append_time_ms < earliest_ms) {
            first = Some((record.append_time_ms, index));
        }
    }
    Ok(first.and_then(|(_, index)| Some((index, lanes[index].records.pop_front()?))))
}

impl Lane {
    fn load(&mut self, log: &dyn Log) -> Result<(), LogError> {
        while self.records.is_empty() && self.next < self.end {
            match log.read(&self.partition, self.next, READ_BYTES) {
                Ok(read) => {
                    self.next = read.next;
                    self.records.extend(read.records);
                }
                // Retention went on meanwhile.
                Err(LogError::OutOfRange { start, .. }) if start > self.next => {
                    self.next = start.min(self.end);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
