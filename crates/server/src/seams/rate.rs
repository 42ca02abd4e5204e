//! Rate limits: the generic cell rate algorithm (ITU-T I.371), one number a key.

use std::{
    hash::{BuildHasher, Hash},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// A limit on average and burst. The state it judges is the theoretical arrival time, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct CellRate {
    cell_us: i64,
    tolerance_us: i64,
}

impl CellRate {
    /// At most `per_s` on average and `burst` at once.
    pub fn new(per_s: u32, burst: u32) -> Self {
        let cell_us = (1_000_000 / i64::from(per_s.max(1))).max(1);
        Self { cell_us, tolerance_us: cell_us * i64::from(burst) }
    }

    /// At most one in `every` on average and `burst` at once.
    pub fn one_in(every: Duration, burst: u32) -> Self {
        let cell_us = i64::try_from(every.as_micros()).unwrap_or(i64::MAX).clamp(1, 3_600_000_000);
        Self { cell_us, tolerance_us: cell_us * i64::from(burst) }
    }

    /// Takes `n` cells at `now_ms`, or says how long to wait. `state` starts at 0.
    pub fn take(&self, state: &mut i64, n: u32, now_ms: i64) -> Result<(), Duration> {
        let now_us = now_ms * 1_000;
        let next = (*state).max(now_us) + self.cell_us * i64::from(n);
        let excess = next - now_us - self.tolerance_us;
        if excess > 0 {
            return Err(Duration::from_micros(u64::try_from(excess).unwrap_or(0)));
        }
        *state = next;
        Ok(())
    }
}

const SHARDS: usize = 16;

/// Keys remembered in one shard; all that are idle are forgotten first, and if none is, a new one is refused.
const KEYS_PER_SHARD_MAX: usize = 8_192;

/// A full shard is searched for idle keys at most this often: else a flood of new ones would buy a search each.
const PURGE_EVERY_MS: i64 = 1_000;

#[derive(Debug)]
struct Shard<K> {
    arrivals: HashMap<K, i64, RandomState>,
    purged_ms: i64,
}

/// The same rate for each of many keys, in bounded memory.
#[derive(Debug)]
pub struct Limits<K> {
    rate: CellRate,
    shard_of: RandomState,
    shards: [Mutex<Shard<K>>; SHARDS],
}

impl<K: Hash + Eq> Limits<K> {
    /// Nothing is remembered yet.
    pub fn new(rate: CellRate) -> Self {
        let shard = |_| Mutex::new(Shard { arrivals: HashMap::default(), purged_ms: 0 });
        Self { rate, shard_of: RandomState::default(), shards: std::array::from_fn(shard) }
    }

    /// Takes `n` cells of a key, or says how long it must wait.
    pub fn take(&self, key: K, n: u32, now_ms: i64) -> Result<(), Duration> {
        let mut shard = self.shard(&key);
        if shard.arrivals.len() >= KEYS_PER_SHARD_MAX && !shard.arrivals.contains_key(&key) {
            if now_ms - shard.purged_ms >= PURGE_EVERY_MS {
                shard.purged_ms = now_ms;
                shard.arrivals.retain(|_, arrival_us| *arrival_us > now_ms * 1_000);
            }
            if shard.arrivals.len() >= KEYS_PER_SHARD_MAX {
                return Err(Duration::from_millis(PURGE_EVERY_MS.unsigned_abs()));
            }
        }
        self.rate.take(shard.arrivals.entry(key).or_insert(0), n, now_ms)
    }

    /// Gives a key its whole burst again.
    pub fn forget(&self, key: &K) {
        self.shard(key).arrivals.remove(key);
    }

    /// Gives back one cell that was taken.
    pub fn give_back(&self, key: &K) {
        if let Some(arrival_us) = self.shard(key).arrivals.get_mut(key) {
            *arrival_us -= self.rate.cell_us;
        }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K>> {
        let at = usize::from(self.shard_of.hash_one(key).to_le_bytes()[0]) % SHARDS;
        self.shards[at].lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// A limit for each address; IPv6 addresses count by their /64, which one subscriber owns.
#[derive(Debug)]
pub struct AddressLimits {
    limits: Option<Limits<IpAddr>>,
}

impl AddressLimits {
    /// `per_s` = 0 switches the limit off.
    pub fn new(per_s: u32, burst: u32) -> Self {
        Self { limits: (per_s > 0).then(|| Limits::new(CellRate::new(per_s, burst))) }
    }

    /// Whether every address may send what it likes.
    pub fn is_off(&self) -> bool {
        self.limits.is_none()
    }

    /// Takes `n` reactions from an address, or says how long it must wait.
    pub fn admit(&self, address: IpAddr, n: u32, now_ms: i64) -> Result<(), Duration> {
        self.limits.as_ref().map_or(Ok(()), |limits| limits.take(subscriber(address), n, now_ms))
    }
}

/// Whom an address stands for: IPv6 hands out whole networks of 64 bits.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressLimits, CellRate};

    #[test]
    fn bursts_pass_and_the_average_holds() {
        let rate = CellRate::new(10, 5);
        let mut state = 0;
        assert!((0..5).all(|_| rate.take(&mut state, 1, 1_000).is_ok()));
        let wait = rate.take(&mut state, 1, 1_000).unwrap_err();
        assert_eq!(wait.as_millis(), 100);
        assert!(rate.take(&mut state, 1, 1_100).is_ok());
        assert!(rate.take(&mut state, 1, 1_100).is_err());
        let passed = (0..10_000).filter(|ms| rate.take(&mut state, 1, 2_000 + ms).is_ok()).count();
        assert!((100..=105).contains(&passed), "{passed}");
    }

    #[test]
    fn addresses_are_limited_by_themselves_and_v6_by_network() {
        let limits = AddressLimits::new(1, 1);
        let ip = |text: &str| text.parse().unwrap();
        assert!(limits.admit(ip("10.0.0.1"), 1, 5_000).is_ok());
        assert!(limits.admit(ip("10.0.0.1"), 1, 5_000).is_err());
        assert!(limits.admit(ip("::ffff:10.0.0.1"), 1, 5_000).is_err());
        assert!(limits.admit(ip("10.0.0.2"), 1, 5_000).is_ok());
        assert!(limits.admit(ip("2001:db8::1"), 1, 5_000).is_ok());
        assert!(limits.admit(ip("2001:db8::2"), 1, 5_000).is_err());
    }

    #[test]
    fn memory_is_bounded_and_idle_addresses_make_room() {
        let limits = AddressLimits::new(1, 1);
        let refused =
            (0..300_000u32).filter(|n| limits.admit((*n).to_be_bytes().into(), 1, 1_000).is_err()).count();
        assert!(refused > 150_000);
        assert!(limits.admit([1, 2, 3, 4].into(), 1, 1_000_000).is_ok());
    }
}
