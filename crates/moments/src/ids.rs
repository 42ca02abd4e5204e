//! Memory of ids given by clients: whether a reaction repeats one that the log already has.
//!
//! An id is known when some record of the partition within the horizon carried it, whether that one was counted or was
//! itself a repeat. So the memory is a function of the horizon's records alone, and replaying them restores it exactly.
//!
//! Ids are kept in tables by the time inside them. Reactions of one moment meet in one or two small tables that stay
//! in the cache, and a table is dropped as a whole when the horizon has passed its newest record.

use emostream_protocol::ReactionId;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable, hash_table};

/// Ids of so many ms (as a power of two: 128) share a table. At a million reactions a second it holds 128 thousand.
const TABLE_MS_LOG2: u32 = 7;

/// Tables with ids older than this many horizons are rebuilt without them: nobody can keep a table alive for good.
const STALE_HORIZONS: i64 = 2;

/// What is remembered of one partition's ids.
#[derive(Debug)]
pub struct IdMemory {
    horizon_ms: i64,
    seed: u64,
    tables: HashMap<i64, Table, FixedState>,
    remembered: usize,
    bytes: usize,
    /// No table can be dropped before now is beyond this.
    next_sweep_ms: i64,
}

#[derive(Debug, Default)]
struct Table {
    ids: HashTable<Entry>,
    oldest_ms: i64,
    newest_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: [u64; 2],
    channel: u32,
    /// Append time modulo 2^32 ms (49 days); the sweep keeps every table's span far below that.
    append_ms: u32,
}

impl IdMemory {
    /// Remembers nothing yet. The seed protects against ids chosen to collide; it never shows in any result.
    pub fn new(horizon_ms: i64, seed: u64) -> Self {
        let tables = HashMap::with_hasher(FixedState::with_seed(seed));
        Self { horizon_ms, seed: seed | 1, tables, remembered: 0, bytes: 0, next_sweep_ms: i64::MIN }
    }

    /// Ids in memory, some perhaps older than the horizon by now.
    pub fn remembered(&self) -> usize {
        self.remembered
    }

    /// Bytes that the memory takes, estimated from the tables' sizes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes that a record appended at `append_ms` carried the id, and says whether the id was known at `now_ms`, the
    /// partition's highest append time.
    #[inline]
    pub fn note(&mut self, channel: u32, id: &ReactionId, append_ms: i64, now_ms: i64) -> bool {
        // After a step back of the clock beyond the horizon nothing can be vouched for; no entry may look younger.
        let append_ms = append_ms.max(now_ms - self.horizon_ms - 1);
        let entry = Entry { id: halves(id), channel, append_ms: append_ms as u32 };
        let hash = hash(&entry, self.seed);
        let seed = self.seed;
        let key = id.unix_ms() >> TABLE_MS_LOG2;
        let table =
            self.tables.entry(key).or_insert_with(|| Table { oldest_ms: append_ms, ..Table::default() });
        table.newest_ms = table.newest_ms.max(append_ms);
        table.oldest_ms = table.oldest_ms.min(append_ms);
        let same = |known: &Entry| known.id == entry.id && known.channel == channel;
        let before = table.ids.allocation_size();
        let known = match table.ids.entry(hash, same, |entry| self::hash(entry, seed)) {
            hash_table::Entry::Occupied(mut known) => {
                let known = known.get_mut();
                let age_ms = i64::from((now_ms as u32).wrapping_sub(known.append_ms));
                if append_ms > now_ms - age_ms {
                    known.append_ms = entry.append_ms;
                }
                age_ms <= self.horizon_ms
            }
            hash_table::Entry::Vacant(free) => {
                free.insert(entry);
                self.remembered += 1;
                false
            }
        };
        self.bytes += table.ids.allocation_size() - before;
        known
    }

    /// Drops tables that the horizon has passed.
    #[inline]
    pub fn sweep(&mut self, now_ms: i64) {
        if now_ms > self.next_sweep_ms {
            self.sweep_now(now_ms);
        }
    }

    #[cold]
    fn sweep_now(&mut self, now_ms: i64) {
        let (horizon_ms, seed) = (self.horizon_ms, self.seed);
        let mut next_ms = now_ms + (1 << TABLE_MS_LOG2);
        self.tables.retain(|_, table| {
            if table.newest_ms + horizon_ms < now_ms {
                self.remembered -= table.ids.len();
                self.bytes -= table.ids.allocation_size();
                return false;
            }
            if table.oldest_ms + STALE_HORIZONS * horizon_ms < now_ms {
                self.remembered -= table.ids.len();
                self.bytes -= table.ids.allocation_size();
                table.forget_older(now_ms, horizon_ms, seed);
                self.remembered += table.ids.len();
                self.bytes += table.ids.allocation_size();
            }
            true
        });
        if self.tables.is_empty() {
            next_ms = now_ms;
        }
        self.next_sweep_ms = next_ms;
    }
}

impl Table {
    fn forget_older(&mut self, now_ms: i64, horizon_ms: i64, seed: u64) {
        let age_ms = |entry: &Entry| i64::from((now_ms as u32).wrapping_sub(entry.append_ms));
        self.ids.retain(|entry| age_ms(entry) <= horizon_ms);
        self.ids.shrink_to_fit(|entry| hash(entry, seed));
        self.oldest_ms = self.ids.iter().map(|entry| now_ms - age_ms(entry)).min().unwrap_or(now_ms);
    }
}

#[inline]
fn halves(id: &ReactionId) -> [u64; 2] {
    let bytes = u128::from_ne_bytes(*id.as_bytes());
    [bytes as u64, (bytes >> 64) as u64]
}

/// Folded multiplication over id and channel: an id has 74 random bits, so one round spreads them well.
#[inline]
fn hash(entry: &Entry, seed: u64) -> u64 {
    let product = u128::from(entry.id[0] ^ seed) * u128::from(entry.id[1] ^ seed.rotate_left(32));
    let folded = (product as u64) ^ (product >> 64) as u64 ^ u64::from(entry.channel);
    folded.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26)
}
