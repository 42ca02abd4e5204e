//! What becomes of a record that cannot be decoded: one of a newer release ends the node, damaged content is set aside.

use anyhow::bail;
use bytes::Bytes;
use emostream_log::{Record, TopicPartition};
use emostream_protocol::{DecodeError, time};
use serde_json::json;

/// Refuses what a newer release wrote: its content counts, and only that release can count it. Everything else is
/// content that will never be readable, whoever tries.
pub(super) fn refuse_newer(
    error: &DecodeError,
    partition: &TopicPartition,
    record: &Record,
) -> anyhow::Result<()> {
    if matches!(error, DecodeError::Version(_) | DecodeError::Kind(_)) {
        bail!("record {} of {partition}: {error}; start that release or a newer one", record.offset);
    }
    Ok(())
}

/// The line that tells of a record in the topic `dead-letter`. The same record gives the same line in every replay.
pub(super) fn dead_letter(error: &DecodeError, partition: &TopicPartition, record: &Record) -> Bytes {
    let line = json!({
        "topic": &*partition.topic,
        "partition": partition.partition,
        "offset": record.offset,
        "reason": error.to_string(),
        "time": time::format_ms(record.append_time_ms),
    });
    line.to_string().into()
}
