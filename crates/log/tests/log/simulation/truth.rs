//! The naive model: what must be true of a partition, whatever happens.

use std::collections::HashMap;

use bytes::Bytes;
use emostream_log::{Appended, Committed, Offset, Record};

/// Ends the run with a message unless something is true.
macro_rules! ensure {
    ($truth:expr, $($lie:tt)*) => {
        if !$truth {
            return Err(format!($($lie)*));
        }
    };
}
pub(super) use ensure;

/// What must be true of one partition.
#[derive(Default)]
pub(super) struct Truth {
    /// Acknowledged or read once, so they stay. Index = offset.
    pub(super) records: Vec<Record>,
    pub(super) restore_point: Offset,
    pub(super) committed: Option<Committed>,
    /// Attempts since then that failed, and may have come through all the same.
    pub(super) committing: Vec<Option<Committed>>,
}

/// Which append a value was part of, and its place in it.
pub(super) type Attempts = HashMap<Bytes, (u64, u32, u32)>;

impl Truth {
    pub(super) fn acknowledge(&mut self, appended: Appended, values: Vec<Bytes>) -> Result<(), String> {
        let (end, time) = (self.records.len() as Offset, appended.append_time_ms);
        ensure!(appended.first_offset == end, "answered {} at the end {end}", appended.first_offset);
        ensure!(self.last_time_ms() <= time, "append time {time} descends");
        let records = values.into_iter().zip(end..);
        self.records.extend(records.map(|(value, offset)| Record {
            offset,
            append_time_ms: time,
            key: None,
            value,
        }));
        Ok(())
    }

    /// Holds a record read after a crash against the truth, or adds one that was never answered. Says how many
    /// were added.
    pub(super) fn take(&mut self, record: Record, attempts: &Attempts) -> Result<u64, String> {
        if let Some(known) = self.records.get(record.offset as usize) {
            ensure!(*known == record, "{known:?} became {record:?}");
            return Ok(0);
        }
        let Some((append, place, _)) = attempts.get(&record.value) else {
            return Err(format!("invented: {record:?}"));
        };
        ensure!(!self.records.iter().any(|known| known.value == record.value), "doubled: {record:?}");
        ensure!(self.last_time_ms() <= record.append_time_ms, "append time descends at {record:?}");
        let before = self.records.last().and_then(|last| attempts.get(&last.value));
        let follows = |(earlier, at, of): &(u64, u32, u32)| match place {
            0 => at + 1 == *of,
            _ => earlier == append && at + 1 == *place,
        };
        ensure!(before.map_or(*place == 0, follows), "an append in pieces at {record:?}");
        self.records.push(record);
        Ok(1)
    }

    fn last_time_ms(&self) -> i64 {
        self.records.last().map_or(i64::MIN, |last| last.append_time_ms)
    }
}
