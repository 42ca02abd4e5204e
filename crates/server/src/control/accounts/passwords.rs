//! Hashes of passwords: Argon2id (RFC 9106) on a bounded number of threads, with a bounded line before them.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Semaphore;

use crate::http::problem::{ErrorType, Problem};

/// Characters of a new password at least.
pub const PASSWORD_CHARS_MIN: usize = 8;

/// Characters of a new password at most.
pub const PASSWORD_CHARS_MAX: usize = 128;

/// Bytes of any password that is looked at: the longest in UTF-8.
pub const PASSWORD_BYTES_MAX: usize = 4 * PASSWORD_CHARS_MAX;

/// Hashes that may be computed at once, each 19 MiB and one thread, whatever the number of cores.
const AT_ONCE_MAX: usize = 4;

/// Requests that may wait for a hash; with four at once and some 25 ms each, the last waits about half a second.
const WAITING_MAX: usize = 64;

/// When to try again after the line was full.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The hash of a password that nobody has, with the cost of [`parameters`]: a name without an account costs what one
/// with an account does.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$duQvrDiVAazvc+4R5cGyMA$pWO8ZE5GlevW4dyuzOgsVumDuDX6c5Enc1lP+6OwEHM";

/// What came of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// It is the password.
    Right {
        /// The stored hash is cheaper than those made today.
        outdated: bool,
    },
    /// It is not.
    Wrong,
}

/// Computes hashes, a bounded number at once.
#[derive(Debug, Clone)]
pub struct Passwords {
    computing: Arc<Semaphore>,
    /// Places for those who compute and those who wait.
    places: Arc<Semaphore>,
    in_line: Gauge,
}

impl Passwords {
    /// As many threads as the machine has cores, up to four. The gauge tells how many requests wait or compute.
    pub fn new(in_line: Gauge) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_limits(cores.min(AT_ONCE_MAX), WAITING_MAX, in_line)
    }

    fn with_limits(at_once: usize, waiting: usize, in_line: Gauge) -> Self {
        Self {
            computing: Arc::new(Semaphore::new(at_once)),
            places: Arc::new(Semaphore::new(at_once + waiting)),
            in_line,
        }
    }

    /// Compares a password with a stored hash; without one, with a hash that no password has, at the same cost.
    /// Refuses with 503 while too many wait.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<Verified, Problem> {
        self.compute(move || {
            let real = stored.is_some();
            match compare(&password, stored.as_deref().unwrap_or(NOBODYS_HASH)) {
                Verified::Right { outdated } if real => Verified::Right { outdated },
                _ => Verified::Wrong,
            }
        })
        .await
    }

    /// The hash to store for a password, in its text form with parameters and salt.
    pub async fn hash(&self, password: String) -> Result<String, Problem> {
        self.compute(move || hash_now(&password)).await?.map_err(|error| {
            tracing::error!(%error, "a password was not hashed");
            Problem::new(ErrorType::Internal, "the password could not be hashed")
        })
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return Err(Problem {
                retry_after: Some(RETRY_AFTER),
                ..Problem::new(ErrorType::Overloaded, "too many are logging in at this moment")
            });
        };
        let counted = Counted::new(self.in_line.clone());
        let closed = |_| Problem::new(ErrorType::Internal, "the password could not be checked");
        let turn = self.computing.clone().acquire_owned().await.map_err(closed)?;
        let computed = tokio::task::spawn_blocking(move || {
            // A caller that went away frees its turn only when the work is done.
            let _held = (place, turn, counted);
            work()
        });
        computed.await.map_err(|error| {
            tracing::error!(%error, "computing a hash broke off");
            Problem::new(ErrorType::Internal, "the password could not be checked")
        })
    }
}

/// Whether a password may be chosen; the text says what is expected.
pub fn check_new(password: &str) -> Result<(), String> {
    let chars = password.chars().count();
    if (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
        return Ok(());
    }
    Err(format!("expected {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters, got {chars}"))
}

/// Hashes on this thread: for the command line and the start of a node.
pub fn hash_now(password: &str) -> anyhow::Result<String> {
    let hash: PasswordHash = argon2()
        .hash_password(password.as_bytes())
        .map_err(|error| anyhow::anyhow!("hash a password: {error}"))?;
    Ok(hash.to_string())
}

/// Compares on this thread. A stored text that is no hash fits no password.
pub fn compare(password: &str, stored: &str) -> Verified {
    let Ok(hash) = PasswordHash::new(stored) else { return Verified::Wrong };
    match argon2().verify_password(password.as_bytes(), &hash) {
        Ok(()) => Verified::Right { outdated: is_outdated(&hash) },
        Err(_) => Verified::Wrong,
    }
}

/// OWASP's first choice of Argon2id: 19 MiB, two passes, one lane.
fn parameters() -> Params {
    Params::DEFAULT
}

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters())
}

fn is_outdated(hash: &PasswordHash) -> bool {
    let wanted = parameters();
    let Ok(found) = Params::try_from(hash) else { return true };
    hash.algorithm != Algorithm::Argon2id.ident()
        || found.m_cost() < wanted.m_cost()
        || found.t_cost() < wanted.t_cost()
}

/// Counts in a gauge as long as it lives.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use argon2::{Argon2, Params, password_hash::PasswordHasher, password_hash::phc::PasswordHash};
    use prometheus_client::metrics::gauge::Gauge;

    use super::{NOBODYS_HASH, Passwords, Verified, check_new, compare, hash_now, is_outdated};
    use crate::http::problem::ErrorType;

    #[test]
    fn a_hash_knows_its_password_and_no_other_and_never_repeats() {
        let hash = hash_now("correct horse 🐴").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(compare("correct horse 🐴", &hash), Verified::Right { outdated: false });
        assert_eq!(compare("correct horse", &hash), Verified::Wrong);
        assert_ne!(hash_now("correct horse 🐴").unwrap(), hash);
        for bad in ["", "x", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"] {
            assert_eq!(compare("x", bad), Verified::Wrong, "{bad}");
        }
    }

    #[test]
    fn a_cheaper_hash_is_right_and_outdated() {
        let cheap = Argon2::from(Params::new(1_024, 1, 1, None).unwrap());
        let hash: PasswordHash = cheap.hash_password(b"correct horse").unwrap();
        assert_eq!(compare("correct horse", &hash.to_string()), Verified::Right { outdated: true });
    }

    #[test]
    fn nobodys_hash_costs_what_others_do() {
        let nobodys = PasswordHash::new(NOBODYS_HASH).unwrap();
        assert!(nobodys.hash.is_some() && nobodys.salt.is_some() && !is_outdated(&nobodys));
        let own = PasswordHash::new(&hash_now("x").unwrap()).unwrap();
        assert_eq!(Params::try_from(&nobodys).unwrap(), Params::try_from(&own).unwrap());
    }

    #[test]
    fn new_passwords_have_8_to_128_characters() {
        for (password, good) in
            [("", false), ("1234567", false), ("12345678", true), ("🔥🔥🔥🔥🔥🔥🔥🔥", true)]
        {
            assert_eq!(check_new(password).is_ok(), good, "{password}");
        }
        assert!(check_new(&"é".repeat(128)).is_ok() && check_new(&"é".repeat(129)).is_err());
    }

    #[tokio::test]
    async fn no_more_than_allowed_compute_and_wait() {
        let passwords = Passwords::with_limits(2, 3, Gauge::default());
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (passwords, running, most) = (passwords.clone(), running.clone(), most.clone());
            all.spawn(async move {
                let work = move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                passwords.compute(work).await.map_err(|problem| (problem.kind, problem.retry_after.is_some()))
            });
        }
        let outcomes = all.join_all().await;
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(done, 5);
        assert!(outcomes.iter().all(|o| o.is_ok() || *o == Err((ErrorType::Overloaded, true))));
        assert!(most.load(Ordering::SeqCst) <= 2);
        assert_eq!(passwords.in_line.get(), 0);
        assert!(passwords.compute(|| ()).await.is_ok());
    }
}
