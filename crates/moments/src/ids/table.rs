//! Ids whose own time falls into one short span, in a flat table made for the cache.

use emostream_protocol::ReactionId;

/// First half of the id, second half, channel in the high and append time in the low 32 bits. The append
/// time is modulo 2^32 ms (49 days); sweeps keep every table's span far below that.
type Entry = [u64; 3];

/// Not zero on purpose: zeroed memory comes from the kernel page by page, twice for a page that is read before it is
/// written. A table is filled in one go instead.
const FREE: Entry = [u64::MAX; 3];

/// Open addressing with linear probing: a lookup touches one cache line, mostly. A table only grows or is dropped.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// At most three quarters in use; of any number, so that a table of known load has little to spare.
    entries: Vec<Entry>,
    len: usize,
    pub(super) oldest_ms: i64,
    pub(super) newest_ms: i64,
}

/// What is looked for: an id in a channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    halves: [u64; 2],
    channel: u32,
}

impl Key {
    #[inline]
    pub(super) fn new(channel: u32, id: &ReactionId) -> Self {
        let bytes = u128::from_ne_bytes(*id.as_bytes());
        Self { halves: [bytes as u64, (bytes >> 64) as u64], channel }
    }

    /// Folded multiplication over id and channel: an id has 74 random bits, so one round spreads them.
    #[inline]
    pub(super) fn hash(&self, seed: u64) -> u32 {
        let [first, second] = self.halves;
        let product = u128::from(first ^ seed) * u128::from(second ^ seed.rotate_left(32));
        let folded = (product as u64) ^ (product >> 64) as u64 ^ u64::from(self.channel);
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }

    #[inline]
    fn entry(&self, append_ms: i64) -> Entry {
        [self.halves[0], self.halves[1], (u64::from(self.channel) << 32) | u64::from(append_ms as u32)]
    }

    #[inline]
    fn is(&self, entry: &Entry) -> bool {
        entry[0] == self.halves[0] && entry[1] == self.halves[1] && (entry[2] >> 32) as u32 == self.channel
    }
}

impl Table {
    /// A table with room for `expected` ids.
    pub(super) fn new(append_ms: i64, expected: usize) -> Self {
        let mut table = Self { oldest_ms: append_ms, newest_ms: append_ms, ..Self::default() };
        table.resize(places(expected), 0);
        table
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// Reads the place that a hash leads to, so that it is in the cache by the time it is needed.
    #[inline]
    pub(super) fn touch(&self, hash: u32) {
        std::hint::black_box(self.entries[self.first(hash)][2]);
    }

    /// Notes an id appended at `append_ms`. If it was there, says how long before `now_ms` it was seen last.
    #[inline]
    pub(super) fn note(
        &mut self,
        key: &Key,
        hash: u32,
        append_ms: i64,
        now_ms: i64,
        seed: u64,
    ) -> Option<i64> {
        self.newest_ms = self.newest_ms.max(append_ms);
        self.oldest_ms = self.oldest_ms.min(append_ms);
        let mut place = self.first(hash);
        loop {
            let entry = &mut self.entries[place];
            if *entry == FREE {
                *entry = key.entry(append_ms);
                self.len += 1;
                if self.len * 4 > self.entries.len() * 3 {
                    self.resize(self.entries.len() * 2, seed);
                }
                return None;
            }
            if key.is(entry) {
                let age_ms = age_ms(entry, now_ms);
                if append_ms > now_ms - age_ms {
                    *entry = key.entry(append_ms);
                }
                return Some(age_ms);
            }
            place = if place + 1 == self.entries.len() { 0 } else { place + 1 };
        }
    }

    /// Drops what was seen more than the horizon ago.
    pub(super) fn forget_older(&mut self, now_ms: i64, horizon_ms: i64, seed: u64) {
        for entry in &mut self.entries {
            if *entry != FREE && age_ms(entry, now_ms) > horizon_ms {
                *entry = FREE;
            }
        }
        let left = self.entries.iter().filter(|entry| **entry != FREE);
        (self.len, self.oldest_ms) = left
            .fold((0, now_ms), |(len, oldest), entry| (len + 1, oldest.min(now_ms - age_ms(entry, now_ms))));
        self.resize(places(self.len), seed);
    }

    #[inline]
    fn first(&self, hash: u32) -> usize {
        // Multiply-shift: the high bits of the hash, scaled to the number of places.
        ((u64::from(hash) * self.entries.len() as u64) >> 32) as usize
    }

    #[cold]
    fn resize(&mut self, places: usize, seed: u64) {
        let old = std::mem::replace(&mut self.entries, vec![FREE; places]);
        for entry in old.into_iter().filter(|entry| *entry != FREE) {
            let key = Key { halves: [entry[0], entry[1]], channel: (entry[2] >> 32) as u32 };
            let mut place = self.first(key.hash(seed));
            while self.entries[place] != FREE {
                place = (place + 1) % places;
            }
            self.entries[place] = entry;
        }
    }
}

/// Places for so many ids: two thirds in use.
fn places(ids: usize) -> usize {
    (ids + ids / 2).max(16)
}

#[inline]
fn age_ms(entry: &Entry, now_ms: i64) -> i64 {
    i64::from((now_ms as u32).wrapping_sub(entry[2] as u32))
}
