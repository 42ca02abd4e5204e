//! How far each spool was projected, kept beside the committed place: a record that a spool forwards again is known by it.

use std::collections::BTreeMap;

use bytes::Bytes;
use emostream_log::{COMMIT_METADATA_BYTES_MAX, Offset};
use emostream_protocol::{
    codec::{Reader, Writer},
    record::SpoolId,
};

/// Version of the format.
const VERSION: u8 = 1;

/// Spools that are kept: those that were forwarded last. One more may then project a repeat that is not marked as such.
const SPOOLS_MAX: usize = 128;

/// Bytes of the metadata at most: Kafka keeps it as text, of which binary takes two characters a byte and one before all.
const BYTES_MAX: usize = (COMMIT_METADATA_BYTES_MAX - 1) / 2;

/// A spool, by half of its identity: enough to tell apart as many as anybody has.
type ShortId = [u8; 8];

/// The highest place seen of each spool, and where in the log that was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places(BTreeMap<ShortId, (u64, Offset)>);

impl Places {
    /// Whether a place is new, that is beyond all before it; it counts as seen from then on.
    pub(super) fn is_new(&mut self, spool: SpoolId, place: u64, at: Offset) -> bool {
        let mut short = [0; 8];
        short.copy_from_slice(&spool[..8]);
        match self.0.get_mut(&short) {
            Some((highest, seen_at)) => {
                let is_new = place > *highest;
                *highest = place.max(*highest);
                *seen_at = at;
                is_new
            }
            None => {
                self.forget_oldest();
                self.0.insert(short, (place, at));
                true
            }
        }
    }

    fn forget_oldest(&mut self) {
        if self.0.len() < SPOOLS_MAX {
            return;
        }
        let oldest = self.0.iter().min_by_key(|(_, (_, at))| *at).map(|(short, _)| *short);
        if let Some(oldest) = oldest {
            self.0.remove(&oldest);
        }
    }
}

/// Version, highest append time + 1 (0: none), then of each spool its identity, place, and how many records ago it was seen
/// beyond the next; the newest first, so many as fit.
pub(super) fn write(highest_ms: Option<i64>, places: &Places) -> Bytes {
    let mut writer = Writer::new();
    writer.u8(VERSION);
    writer.varint(highest_ms.and_then(|ms| u64::try_from(ms).ok()).map_or(0, |ms| ms + 1));
    let mut newest_first: Vec<_> = places.0.iter().collect();
    newest_first.sort_by_key(|(_, (_, at))| std::cmp::Reverse(*at));
    for (short, (place, at)) in newest_first {
        if writer.written() + 8 + 2 * 10 > BYTES_MAX {
            break;
        }
        writer.raw(short);
        writer.varint(*place);
        writer.varint(*at);
    }
    writer.into_vec().into()
}

/// What [`write`] has written; `None` for anything else.
pub(super) fn read(bytes: &[u8]) -> Option<(Option<i64>, Places)> {
    let mut reader = Reader::new(bytes);
    if reader.u8().ok()? != VERSION {
        return None;
    }
    let highest_ms = reader.varint().ok()?.checked_sub(1);
    let highest_ms = highest_ms.map(i64::try_from).transpose().ok()?;
    let mut places = Places::default();
    while reader.finish().is_err() {
        let short = reader.array().ok()?;
        let place = reader.varint().ok()?;
        places.0.insert(short, (place, reader.varint().ok()?));
    }
    Some((highest_ms, places))
}

#[cfg(test)]
mod tests {
    use emostream_protocol::record::SpoolId;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{BYTES_MAX, Places, SPOOLS_MAX, read, write};

    fn spool(number: u16) -> SpoolId {
        let mut id = [7; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        id
    }

    #[test]
    fn repeats_are_known_and_the_spool_that_was_silent_longest_is_forgotten() {
        let mut places = Places::default();
        assert!(places.is_new(spool(0), 0, 1) && !places.is_new(spool(0), 0, 2));
        assert!(places.is_new(spool(0), 5, 3) && !places.is_new(spool(0), 4, 4));
        for number in 1..=SPOOLS_MAX as u16 {
            assert!(places.is_new(spool(number), 9, u64::from(number) + 10));
        }
        assert_eq!(places.0.len(), SPOOLS_MAX);
        assert!(!places.is_new(spool(1), 9, 500), "it is kept");
        assert!(places.is_new(spool(0), 5, 501), "it was forgotten");
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for bytes in [&b""[..], b"\x02", b"\x01", b"\x01\x00\x01", b"topic 00"] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
        assert_eq!(read(&write(None, &Places::default())), Some((None, Places::default())));
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(highest_ms in 0i64..1 << 53, seen in proptest::collection::vec((any::<u16>(), any::<u64>(), any::<u64>()), 0..300)) {
            let mut places = Places::default();
            for (number, place, at) in &seen {
                places.is_new(spool(*number), *place, *at);
            }
            let bytes = write(Some(highest_ms), &places);
            prop_assert!(bytes.len() <= BYTES_MAX);
            let (read_ms, kept) = read(&bytes).unwrap();
            prop_assert_eq!(read_ms, Some(highest_ms));
            prop_assert!(kept.0.iter().all(|(short, place)| places.0.get(short) == Some(place)));
            if seen.len() <= 60 {
                prop_assert_eq!(kept, places);
            }
        }
    }
}
