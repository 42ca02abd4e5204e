//! Limits against guessing passwords: by address, by name, and by both; in bounded memory, counted before any hash is
//! computed.

use std::{
    hash::BuildHasher,
    net::IpAddr,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::rate::{CellRate, Limits, subscriber};

/// Attempts of one address, right ones too: 60 at once, then one a second. A venue behind one address gets in.
const ADDRESS: (Duration, u32) = (Duration::from_secs(1), 60);

/// Wrong attempts of one address at one name: 10 at once, then one in ten seconds.
const PAIR: (Duration, u32) = (Duration::from_secs(10), 10);

/// Wrong attempts at one name from everywhere: 100 at once, then one in five seconds.
const NAME: (Duration, u32) = (Duration::from_secs(5), 100);

/// An address from which a name logged in is trusted with it for so long, ms: whoever guesses elsewhere cannot lock out
/// its owner.
const TRUSTED_MS: i64 = 30 * 24 * 3_600_000;

/// Pairs that are trusted at once; beyond it, a new one waits for an old one's time.
const TRUSTED_MAX: usize = 65_536;

/// Counts attempts to log in.
#[derive(Debug)]
pub struct Attempts {
    addresses: Limits<IpAddr>,
    pairs: Limits<Pair>,
    names: Limits<u64>,
    trusted: Mutex<HashMap<Pair, i64, RandomState>>,
    hasher: RandomState,
}

/// An address and the hash of a name, which keeps long names out of memory.
type Pair = (IpAddr, u64);

/// One counted attempt.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    address: IpAddr,
    name: u64,
    counted_by_name: bool,
}

impl Default for Attempts {
    fn default() -> Self {
        let rate = |(every, burst)| CellRate::one_in(every, burst);
        Self {
            addresses: Limits::new(rate(ADDRESS)),
            pairs: Limits::new(rate(PAIR)),
            names: Limits::new(rate(NAME)),
            trusted: Mutex::default(),
            hasher: RandomState::default(),
        }
    }
}

impl Attempts {
    /// Counts an attempt before it is judged, or says how long to wait. Names differ no more by case than accounts do.
    pub fn begin(&self, address: IpAddr, name: &str, now_ms: i64) -> Result<Attempt, Duration> {
        let address = subscriber(address);
        let name = self.hasher.hash_one(name.trim().to_lowercase());
        self.addresses.take(address, 1, now_ms)?;
        self.pairs.take((address, name), 1, now_ms)?;
        let since_ms = self.trusted().get(&(address, name)).copied();
        let counted_by_name = since_ms.is_none_or(|since_ms| now_ms - since_ms >= TRUSTED_MS);
        if counted_by_name {
            self.names.take(name, 1, now_ms)?;
        }
        Ok(Attempt { address, name, counted_by_name })
    }

    /// The password was right: this address may try this name again, and is trusted with it. What the address has tried
    /// with other names stays counted.
    pub fn succeeded(&self, attempt: Attempt, now_ms: i64) {
        let pair = (attempt.address, attempt.name);
        self.pairs.forget(&pair);
        if attempt.counted_by_name {
            self.names.give_back(&attempt.name);
        }
        let mut trusted = self.trusted();
        if trusted.len() >= TRUSTED_MAX && !trusted.contains_key(&pair) {
            trusted.retain(|_, since_ms| now_ms - *since_ms < TRUSTED_MS);
            if trusted.len() >= TRUSTED_MAX {
                return;
            }
        }
        trusted.insert(pair, now_ms);
    }

    /// Nothing was learned of the password (the node was too busy): it does not count against the name.
    pub fn undecided(&self, attempt: Attempt) {
        self.pairs.give_back(&(attempt.address, attempt.name));
        if attempt.counted_by_name {
            self.names.give_back(&attempt.name);
        }
    }

    fn trusted(&self) -> MutexGuard<'_, HashMap<Pair, i64, RandomState>> {
        self.trusted.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::Attempts;

    const NOW_MS: i64 = 1_750_000_000_000;

    fn ip(n: u32) -> IpAddr {
        n.to_be_bytes().into()
    }

    #[test]
    fn one_address_guesses_at_one_name_ten_times_and_then_slowly() {
        let attempts = Attempts::default();
        let tried = (0..40).filter(|_| attempts.begin(ip(1), "ada", NOW_MS).is_ok()).count();
        assert_eq!(tried, 10);
        let wait = attempts.begin(ip(1), "ADA ", NOW_MS).unwrap_err();
        assert_eq!(wait.as_secs(), 10);
        assert!(attempts.begin(ip(1), "ada", NOW_MS + 10_000).is_ok());
        assert!(attempts.begin(ip(1), "ada", NOW_MS + 10_000).is_err());
        assert!(attempts.begin(ip(2), "ada", NOW_MS).is_ok());
    }

    #[test]
    fn one_address_guesses_at_many_names_sixty_times_and_a_success_does_not_help_it() {
        let attempts = Attempts::default();
        for n in 0..60 {
            let attempt = attempts.begin(ip(1), &format!("user{n}"), NOW_MS).unwrap();
            if n % 2 == 0 {
                attempts.succeeded(attempt, NOW_MS);
            }
        }
        assert!(attempts.begin(ip(1), "another", NOW_MS).is_err());
        let v6 = |text: &str| text.parse().unwrap();
        let both = (0..100).filter(|n| {
            let address = v6(&format!("2001:db8::{n:x}"));
            attempts.begin(address, &format!("user{n}"), NOW_MS).is_ok()
        });
        assert_eq!(both.count(), 60);
    }

    #[test]
    fn a_crowd_guesses_at_one_name_a_hundred_times_and_its_owner_still_gets_in() {
        let attempts = Attempts::default();
        let owner = attempts.begin(ip(1), "ada", NOW_MS).unwrap();
        attempts.succeeded(owner, NOW_MS);
        let tried = (10..1_000).filter(|n| attempts.begin(ip(*n), "ada", NOW_MS).is_ok()).count();
        assert_eq!(tried, 100);
        assert!(attempts.begin(ip(1), "ada", NOW_MS).is_ok());
        // From a new address the owner waits for seconds, not for good.
        let wait = attempts.begin(ip(2), "ada", NOW_MS).unwrap_err();
        assert!(wait.as_secs() <= 5, "{wait:?}");
        assert!(attempts.begin(ip(3), "ada", NOW_MS + 5_000).is_ok());
    }

    #[test]
    fn right_passwords_and_busy_nodes_cost_nothing_at_the_name() {
        let attempts = Attempts::default();
        for n in 0..200 {
            let now_ms = NOW_MS + n * 1_000;
            let attempt = attempts.begin(ip(1), "ada", now_ms).unwrap();
            if n % 2 == 0 { attempts.succeeded(attempt, now_ms) } else { attempts.undecided(attempt) }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let attempts = Attempts::default();
        let admitted =
            (0..400_000).filter(|n| attempts.begin(ip(*n), &n.to_string(), NOW_MS).is_ok()).count();
        assert!(admitted < 150_000, "{admitted}");
        assert!(attempts.begin(ip(500_000), "ada", NOW_MS + 60_000).is_ok());
    }
}
