//! One partition of somebody else's topic: a spool of its own, and what is known of when its records came.

use std::collections::VecDeque;

use emostream_log::{
    Offset, TopicPartition,
    foreign::{ForeignRecord, TakenPartition},
};
use emostream_protocol::{ReactionId, record::SpoolId};
use sha2::{Digest, Sha256};

/// A record that came to its topic less than this long ago, as far as is known, is met live, in ms. Ends are asked for twice
/// a second.
const LIVE_MS: i64 = 2_000;

/// Ends that are remembered: half a minute of them. Beyond that, later ones are left out, which makes a bound lower.
const ENDS_MAX: usize = 64;

/// The last millisecond of the year 9999: what producers say beyond it, or before 1970, is a wrong clock's.
const TIME_MS_MAX: i64 = 253_402_300_799_999;

/// A partition that this node reads.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) spool: SpoolId,
    /// Where all of it goes, in order.
    pub(super) to: TopicPartition,
    /// Offset of the next record.
    pub(super) next: Offset,
    /// The newest end that was asked for.
    pub(super) end: Offset,
    ends: Ends,
}

impl Source {
    pub(super) fn new(taken: &TakenPartition, raw_topic: &str, raw_partitions: u32, at_ms: i64) -> Self {
        let spool = spool(taken);
        let to = TopicPartition::new(raw_topic, raw_partition(&spool, raw_partitions));
        let mut source = Self { spool, to, next: taken.next, end: taken.end, ends: Ends::default() };
        source.saw_end(taken.end, at_ms);
        source
    }

    /// Notes that the partition ended at an offset at a time, or later.
    pub(super) fn saw_end(&mut self, end: Offset, at_ms: i64) {
        self.end = end;
        self.ends.push(end, at_ms, self.next);
    }

    /// When a record is taken to have been received: now, if it is met live. One that has waited, because nobody read, came
    /// when its timestamp says, which makes it late; but not before the last end that it lies beyond.
    pub(super) fn received_ms(&self, record: &ForeignRecord, now_ms: i64) -> i64 {
        let not_before_ms = self.ends.before(record.offset);
        let time_ms = record.time_ms.map(|ms| ms.clamp(0, TIME_MS_MAX));
        match not_before_ms {
            // The broker's own word is the log's clock.
            _ if record.is_append_time => time_ms.unwrap_or(now_ms).min(now_ms),
            Some(not_before_ms) if now_ms - not_before_ms <= LIVE_MS => now_ms,
            _ => time_ms.unwrap_or(0).max(not_before_ms.unwrap_or(0)).min(now_ms),
        }
    }

    /// The id of a record's reaction: the same whoever takes it, and however often.
    pub(super) fn reaction_id(&self, record: &ForeignRecord, received_ms: i64) -> ReactionId {
        let mut hash = Sha256::new();
        hash.update(self.spool);
        hash.update(record.offset.to_be_bytes());
        let hash = hash.finalize();
        let mut bits = [0; 10];
        bits.copy_from_slice(&hash[..10]);
        let time_ms = record.time_ms.filter(|ms| (0..=TIME_MS_MAX).contains(ms));
        ReactionId::from_parts(time_ms.unwrap_or(received_ms), bits)
    }
}

/// The spool that a partition is: of its topic's name and id in its cluster, so that one that is made anew is another.
fn spool(taken: &TakenPartition) -> SpoolId {
    let mut hash = Sha256::new();
    let partition = taken.partition.partition.to_be_bytes();
    let parts: [&[u8]; 5] = [
        b"emostream bridge 1",
        taken.identity.cluster.as_bytes(),
        &taken.identity.topic,
        taken.partition.topic.as_bytes(),
        &partition,
    ];
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    id
}

/// The raw partition of a spool: of n, by the high bits of its hash.
fn raw_partition(spool: &SpoolId, n: u32) -> u32 {
    let mut high = [0; 8];
    high.copy_from_slice(&spool[..8]);
    u32::try_from((u128::from(u64::from_be_bytes(high)) * u128::from(n)) >> 64).unwrap_or(0)
}

/// Where the partition ended, and when. Both ascend.
#[derive(Debug, Clone, Default)]
struct Ends(VecDeque<(Offset, i64)>);

impl Ends {
    /// `next` is the record to be read next: what is known before the last end that it lies beyond is forgotten.
    fn push(&mut self, end: Offset, at_ms: i64, next: Offset) {
        while self.0.get(1).is_some_and(|(end, _)| *end <= next) {
            self.0.pop_front();
        }
        let is_full = self.0.len() >= ENDS_MAX;
        match self.0.back_mut() {
            Some((last, last_ms)) if *last == end => *last_ms = at_ms.max(*last_ms),
            Some((last, _)) if *last > end => {}
            _ if is_full => {}
            _ => self.0.push_back((end, at_ms)),
        }
    }

    /// A time before which the record at an offset was not there.
    fn before(&self, offset: Offset) -> Option<i64> {
        self.0.iter().rev().find(|(end, _)| *end <= offset).map(|(_, at_ms)| *at_ms)
    }
}

#[cfg(test)]
mod tests {
    use emostream_log::{
        Offset, TopicPartition,
        foreign::{ForeignRecord, TakenPartition, TopicIdentity},
    };

    use super::{ENDS_MAX, Ends, Source};

    const NOW_MS: i64 = 1_800_000_000_000;

    fn taken(topic: u8, partition: u32) -> TakenPartition {
        TakenPartition {
            partition: TopicPartition::new("emoji", partition),
            identity: TopicIdentity { cluster: "c".into(), topic: [topic; 16] },
            next: 100,
            end: 1_000,
        }
    }

    fn source() -> Source {
        Source::new(&taken(1, 0), "emote-log", 6, NOW_MS)
    }

    fn record(offset: Offset, time_ms: Option<i64>) -> ForeignRecord {
        ForeignRecord {
            partition: TopicPartition::new("emoji", 0),
            offset,
            time_ms,
            is_append_time: false,
            key: None,
            value: None,
            is_own: false,
        }
    }

    #[test]
    fn a_partition_is_the_same_spool_for_ever_and_another_topics_is_not() {
        let source = source();
        // Pinned: a change would count again what was counted.
        assert_eq!(u128::from_be_bytes(source.spool), PINNED);
        assert_eq!(source.to, TopicPartition::new("emote-log", PINNED_PARTITION));
        let others =
            [taken(2, 0), taken(1, 1)].map(|taken| Source::new(&taken, "emote-log", 6, NOW_MS).spool);
        assert!(others.iter().all(|other| *other != source.spool) && others[0] != others[1]);
    }

    const PINNED: u128 = 236_799_610_021_092_288_880_880_546_193_025_486_460;
    const PINNED_PARTITION: u32 = 4;

    #[test]
    fn ids_are_of_the_place_and_the_records_time() {
        let source = source();
        let id = source.reaction_id(&record(5, Some(NOW_MS - 7)), NOW_MS);
        assert_eq!(id.unix_ms(), NOW_MS - 7);
        assert_eq!(source.reaction_id(&record(5, Some(NOW_MS - 7)), NOW_MS + 9), id);
        assert_ne!(source.reaction_id(&record(6, Some(NOW_MS - 7)), NOW_MS), id);
        for wrong in [None, Some(-1), Some(i64::MAX)] {
            assert_eq!(source.reaction_id(&record(5, wrong), NOW_MS).unix_ms(), NOW_MS);
        }
    }

    #[test]
    fn what_waited_came_when_it_says() {
        let source = source();
        let received = |time_ms| source.received_ms(&record(999, time_ms), NOW_MS + 100);
        assert_eq!(received(Some(NOW_MS - 60_000)), NOW_MS - 60_000);
        assert_eq!(received(Some(NOW_MS + 60_000)), NOW_MS + 100);
        assert_eq!((received(None), received(Some(-5)), received(Some(i64::MIN))), (0, 0, 0));
    }

    #[test]
    fn what_is_met_live_came_now_whatever_its_producers_clock_says() {
        let mut source = source();
        let received = |source: &Source, now_ms, time_ms| source.received_ms(&record(1_000, time_ms), now_ms);
        for wrong in [None, Some(0), Some(NOW_MS - 3_600_000), Some(NOW_MS + 3_600_000)] {
            assert_eq!(received(&source, NOW_MS + 2_000, wrong), NOW_MS + 2_000);
        }
        // Nobody has looked for a minute: it may have come any time since, but not before.
        assert_eq!(received(&source, NOW_MS + 60_000, Some(NOW_MS + 30_000)), NOW_MS + 30_000);
        assert_eq!(received(&source, NOW_MS + 60_000, Some(NOW_MS - 30_000)), NOW_MS);
        source.saw_end(1_000, NOW_MS + 59_000);
        assert_eq!(received(&source, NOW_MS + 60_000, Some(NOW_MS - 30_000)), NOW_MS + 60_000);
    }

    #[test]
    fn the_brokers_word_counts() {
        let source = source();
        let appended = |time_ms| ForeignRecord { is_append_time: true, ..record(2_000, Some(time_ms)) };
        assert_eq!(source.received_ms(&appended(NOW_MS - 5), NOW_MS), NOW_MS - 5);
        assert_eq!(source.received_ms(&appended(NOW_MS + 5), NOW_MS), NOW_MS);
    }

    #[test]
    fn few_ends_are_kept_and_bounds_stay_true() {
        let mut ends = Ends::default();
        for second in 0..1_000u64 {
            ends.push(second * 10, second as i64, 0);
        }
        assert_eq!(ends.0.len(), ENDS_MAX);
        assert_eq!((ends.before(0), ends.before(9), ends.before(10)), (Some(0), Some(0), Some(1)));
        assert_eq!(ends.before(u64::MAX), Some(ENDS_MAX as i64 - 1));
        ends.push(20_000, 2_000, 20_500);
        assert_eq!((ends.0.len(), ends.before(20_500)), (2, Some(2_000)));
    }
}
