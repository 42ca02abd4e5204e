//! How far each spool has been forwarded to a partition: what comes again is known by its place.

use std::collections::BTreeMap;

use emostream_protocol::record::{SpoolId, SpoolPosition};

/// The highest place seen of each spool: one small entry for every spool that was ever forwarded to the partition.
///
/// Whoever forwards a spool goes through it in order and goes on, after a failure or in another process, at or before the
/// first place that is not known to be in the log. So the places in the log have no gap up to the highest, whatever comes
/// twice, and everything up to it is a repeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpoolPlaces(BTreeMap<SpoolId, u64>);

impl SpoolPlaces {
    /// Whether the place is new, that is beyond all before it; it counts as seen from then on.
    pub fn is_new(&mut self, position: SpoolPosition) -> bool {
        let new = self.highest(&position.spool).is_none_or(|highest| position.offset > highest);
        if new {
            self.0.insert(position.spool, position.offset);
        }
        new
    }

    /// The highest place of a spool, if any was seen.
    pub fn highest(&self, spool: &SpoolId) -> Option<u64> {
        self.0.get(spool).copied()
    }

    /// Every spool with its highest place, in the order of their identities.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&SpoolId, u64)> {
        self.0.iter().map(|(spool, place)| (spool, *place))
    }
}

impl FromIterator<SpoolPosition> for SpoolPlaces {
    fn from_iter<I: IntoIterator<Item = SpoolPosition>>(positions: I) -> Self {
        Self(positions.into_iter().map(|position| (position.spool, position.offset)).collect())
    }
}
