//! Snapshots in the compacted topic `emote-state`: their bytes, and how a new owner finds the one to go on from.
//!
//! Any snapshot of a partition is right, whoever wrote it: it is a function of the log up to its place, and was written
//! only when everything that it takes for written was durable. So the one that has come furthest is taken; a committed
//! position only says from where on to look, and where it is gone, all that compaction has left is looked through.

use bytes::Bytes;
use emostream_log::{Log, LogError, Offset, TopicPartition};
use emostream_protocol::{
    DecodeError,
    codec::{Reader, Writer},
};

use super::setback::Setback;

const VERSION: u8 = 1;

const READ_BYTES: usize = 4 << 20;

/// The newest and one to fall back on.
const KEPT: usize = 2;

/// The state of a partition's count or merge, after exactly the records below its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The log's generation.
    pub(super) generation: [u8; 16],
    /// The next record to take.
    pub(super) next: Offset,
    /// Count: the first raw record whose ids are still remembered. Merge: no row beyond this state is below it in the output.
    pub(super) floor: Offset,
    /// The state's own encoding.
    pub(super) state: Bytes,
}

impl Snapshot {
    pub(super) fn encode(&self) -> Bytes {
        let mut writer = Writer::with_capacity(self.state.len() + 40);
        writer.u8(VERSION);
        writer.raw(&self.generation);
        writer.varint(self.next);
        writer.varint(self.floor);
        writer.raw(&self.state);
        writer.into_vec().into()
    }

    pub(super) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            VERSION => {}
            version => return Err(DecodeError::Version(version)),
        }
        let (generation, next, floor) = (reader.array()?, reader.varint()?, reader.varint()?);
        Ok(Self { generation, next, floor, state: bytes.slice_ref(reader.rest()) })
    }
}

/// The snapshots of one key from a place on, that which has come furthest first. At most two.
pub(super) fn find(
    log: &dyn Log,
    state: &TopicPartition,
    key: &Bytes,
    from: Option<Offset>,
) -> Result<Vec<Snapshot>, Setback> {
    let bounds = log.bounds(state)?;
    let mut at = from.unwrap_or(bounds.start).max(bounds.start);
    let mut found: Vec<Snapshot> = Vec::new();
    while at < bounds.end {
        let batch = match log.read(state, at, READ_BYTES) {
            Ok(batch) => batch,
            // Nothing that is kept lies below the new start.
            Err(LogError::OutOfRange { start, .. }) if start > at => {
                at = start;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        at = batch.next;
        for record in batch.records.iter().filter(|record| record.key.as_ref() == Some(key)) {
            match Snapshot::decode(&record.value) {
                Ok(snapshot) if snapshot.generation == log.generation().id => found.push(snapshot),
                Ok(_) => {}
                Err(error) => {
                    super::super::damage::refuse_newer(&error, state, record)?;
                    tracing::error!(%state, offset = record.offset, %error, "snapshot cannot be read");
                }
            }
        }
        found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.next));
        found.truncate(KEPT);
    }
    Ok(found)
}

/// A committed position's metadata: where in `emote-state` the snapshot is. Text, as other programs show it.
pub(super) fn metadata(snapshot_offset: Offset) -> Bytes {
    format!("snapshot {snapshot_offset}").into()
}

/// Reads what [`metadata`] wrote; `None` for anything else.
pub(super) fn snapshot_offset(metadata: &[u8]) -> Option<Offset> {
    std::str::from_utf8(metadata).ok()?.strip_prefix("snapshot ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Snapshot, metadata, snapshot_offset};

    /// As release 1 wrote it.
    const WRITTEN: &[u8] = &[
        1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0x80, 0x08, 0xe8, 0x07, b's', b't', b'a', b't',
        b'e',
    ];

    #[test]
    fn snapshots_of_this_version_stay_readable() {
        let snapshot =
            Snapshot { generation: [7; 16], next: 1_024, floor: 1_000, state: Bytes::from_static(b"state") };
        assert_eq!(Snapshot::decode(&Bytes::from_static(WRITTEN)), Ok(snapshot.clone()));
        assert_eq!(snapshot.encode(), WRITTEN);
        assert!(Snapshot::decode(&Bytes::from_static(&[2, 0, 0])).is_err());
        assert_eq!(snapshot_offset(&metadata(u64::MAX)), Some(u64::MAX));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            if let Ok(snapshot) = Snapshot::decode(&bytes) {
                proptest::prop_assert_eq!(Snapshot::decode(&snapshot.encode()), Ok(snapshot));
            }
            snapshot_offset(&bytes);
        }
    }
}
