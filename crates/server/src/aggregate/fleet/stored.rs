//! What a record of the topic `emote-state` holds, for those who look into it.

use std::sync::Arc;

use bytes::Bytes;
use emostream_log::Offset;
use emostream_moments::{StepCounter, StepMerge, StreamParameters};
use emostream_protocol::{DecodeError, Emotes};

use super::snapshots::Snapshot;

/// What states are decoded with: they hold only together with the log that they were made of.
#[derive(Debug, Clone)]
pub struct StreamShape {
    /// Window, lateness, horizon.
    pub parameters: StreamParameters,
    /// Partitions of the raw topic.
    pub raw_partitions: u32,
    /// Partitions of the output.
    pub output_partitions: u32,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
}

/// Whose state a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Of a raw partition.
    Count,
    /// Of an output partition.
    Merge,
}

/// A stored state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredState {
    /// Which stage.
    pub stage: Stage,
    /// Which partition of it.
    pub partition: u32,
    /// The log's generation.
    pub generation: [u8; 16],
    /// The next record to take.
    pub next: Offset,
    /// Count: the first raw record whose ids are remembered. Merge: end of the output when all rows of the state were in it.
    pub floor: Offset,
    /// Windows that start before this are closed; `None` before the first record.
    pub closed_through_ms: Option<i64>,
    /// Size of the state.
    pub bytes: usize,
}

/// Decodes a state as whoever takes it over does. `None` for keys of other records.
pub fn decode_state(
    key: &[u8],
    value: &Bytes,
    shape: &StreamShape,
) -> Option<Result<StoredState, DecodeError>> {
    let (stage, number) = std::str::from_utf8(key).ok()?.split_once('/')?;
    let stage = match stage {
        "count" => Stage::Count,
        "merge" => Stage::Merge,
        _ => return None,
    };
    let partition = number.parse().ok()?;
    Some(decode(stage, partition, value, shape))
}

fn decode(
    stage: Stage,
    partition: u32,
    value: &Bytes,
    shape: &StreamShape,
) -> Result<StoredState, DecodeError> {
    let Snapshot { generation, next, floor, state } = Snapshot::decode(value)?;
    let StreamShape { parameters, raw_partitions, output_partitions, emotes } = shape;
    let closed_through_ms = match stage {
        Stage::Count => {
            // Nothing is counted with it, so that any seed will do.
            StepCounter::restore(&state, *parameters, partition, *output_partitions, emotes, 0)?
                .next_close_ms()
                .map(|close_ms| close_ms - parameters.window_ms() - parameters.lateness_ms())
        }
        Stage::Merge => {
            let raw_partitions = *raw_partitions as usize;
            let merge = StepMerge::restore(&state, *parameters, raw_partitions, emotes.clone())?;
            Some(merge.closed_through_ms()).filter(|through_ms| *through_ms > i64::MIN)
        }
    };
    Ok(StoredState { stage, partition, generation, next, floor, closed_through_ms, bytes: state.len() })
}
