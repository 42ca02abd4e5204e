//! Memory of ids given by clients: whether a reaction repeats one that the log already has.
//!
//! An id is known when some record of the partition within the horizon carried it, whether that one was counted or was
//! itself a repeat. So the memory is a function of the horizon's records alone, and replaying them restores it exactly.
//!
//! Ids are kept in tables by the time inside them. Reactions of one moment meet in two or three small tables that stay
//! in the cache, and a table is dropped as a whole when the horizon has passed its newest record.

use emostream_protocol::ReactionId;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use self::table::{Key, Table};

mod table;

/// Ids of so many ms (as a power of two: 32) share a table: 32 thousand ids, 1.5 MiB, at a million reactions a second.
const SPAN_MS_LOG2: u32 = 5;

/// Tables with ids older than this many horizons are rebuilt without them: nobody can keep a table alive for good.
const STALE_HORIZONS: i64 = 2;

/// So many spans ago (256 ms) nearly all ids have arrived, unless their clients retry.
const FINISHED_SPANS: i64 = 8;

/// Tables found last, by the low bits of their span.
const RECENT: usize = 8;

/// What is remembered of one partition's ids.
#[derive(Debug)]
pub struct IdMemory {
    horizon_ms: i64,
    seed: u64,
    /// Places of tables by the span of their ids' own times.
    spans: HashMap<i64, usize, FixedState>,
    tables: Vec<Table>,
    free: Vec<usize>,
    recent: [Option<(i64, usize)>; RECENT],
    remembered: usize,
    bytes: usize,
    /// No table can be dropped before now is beyond this.
    next_sweep_ms: i64,
}

/// Where an id belongs; valid until the next sweep.
#[derive(Debug, Clone, Copy)]
pub struct Seat {
    key: Key,
    hash: u32,
    table: u32,
}

impl IdMemory {
    /// Remembers nothing yet. The seed protects against ids chosen to collide; it never shows in any result.
    pub fn new(horizon_ms: i64, seed: u64) -> Self {
        Self {
            horizon_ms,
            seed: seed | 1,
            spans: HashMap::with_hasher(FixedState::with_seed(seed)),
            tables: Vec::new(),
            free: Vec::new(),
            recent: [None; RECENT],
            remembered: 0,
            bytes: 0,
            next_sweep_ms: i64::MIN,
        }
    }

    /// Ids in memory, some perhaps older than the horizon by now.
    pub fn remembered(&self) -> usize {
        self.remembered
    }

    /// Bytes that the memory takes, from the tables' sizes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Finds where an id belongs.
    #[inline]
    pub fn seat(&mut self, channel: u32, id: &ReactionId, append_ms: i64) -> Seat {
        let key = Key::new(channel, id);
        let hash = key.hash(self.seed);
        let span = id.unix_ms() >> SPAN_MS_LOG2;
        let table = match self.recent[span as usize % RECENT] {
            Some((recent, table)) if recent == span => table,
            _ => self.table(span, append_ms),
        };
        Seat { key, hash, table: table as u32 }
    }

    /// Starts to bring an id's place into the cache: best done for several ids before the first is noted.
    #[inline]
    pub fn touch(&self, seat: &Seat) {
        self.tables[seat.table as usize].touch(seat.hash);
    }

    /// Notes that a record appended at `append_ms` carried the id, and says whether the id was known at `now_ms`, the
    /// partition's highest append time.
    #[inline]
    pub fn note(&mut self, seat: &Seat, append_ms: i64, now_ms: i64) -> bool {
        // After a step back of the clock beyond the horizon nothing can be vouched for; no entry may look younger.
        let append_ms = append_ms.max(now_ms - self.horizon_ms - 1);
        let table = &mut self.tables[seat.table as usize];
        let before = table.bytes();
        let age_ms = table.note(&seat.key, seat.hash, append_ms, now_ms, self.seed);
        self.bytes += table.bytes() - before;
        self.remembered += usize::from(age_ms.is_none());
        age_ms.is_some_and(|age_ms| age_ms <= self.horizon_ms)
    }

    #[cold]
    fn table(&mut self, span: i64, append_ms: i64) -> usize {
        let table = match self.spans.get(&span) {
            Some(table) => *table,
            None => {
                // About as many ids come as in a span that is finished by now.
                let expected =
                    self.spans.get(&(span - FINISHED_SPANS)).map_or(0, |table| self.tables[*table].len());
                let new = Table::new(append_ms, expected);
                self.bytes += new.bytes();
                let place = self.free.pop().unwrap_or(self.tables.len());
                if place == self.tables.len() {
                    self.tables.push(new);
                } else {
                    self.tables[place] = new;
                }
                self.spans.insert(span, place);
                place
            }
        };
        self.recent[span as usize % RECENT] = Some((span, table));
        table
    }

    /// Drops tables that the horizon has passed. To be called with each record, before its ids are noted.
    #[inline]
    pub fn sweep(&mut self, now_ms: i64) {
        if now_ms > self.next_sweep_ms {
            self.sweep_now(now_ms);
        }
    }

    #[cold]
    fn sweep_now(&mut self, now_ms: i64) {
        self.recent = [None; RECENT];
        self.spans.retain(|_, place| {
            let table = &mut self.tables[*place];
            let (ids, bytes) = (table.len(), table.bytes());
            let expired = table.newest_ms + self.horizon_ms < now_ms;
            if expired {
                *table = Table::default();
                self.free.push(*place);
            } else if table.oldest_ms + STALE_HORIZONS * self.horizon_ms < now_ms {
                table.forget_older(now_ms, self.horizon_ms, self.seed);
            }
            self.remembered = self.remembered - ids + table.len();
            self.bytes = self.bytes - bytes + table.bytes();
            !expired
        });
        self.next_sweep_ms = now_ms + (1 << SPAN_MS_LOG2);
    }
}
