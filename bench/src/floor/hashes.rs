//! Bare hashes of passwords: Argon2id with the cost of Emostream's, one after the other on this thread.

use anyhow::{Result, anyhow};
use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};

use crate::measure::processor::thread_s;

/// Memory of a hash, KiB; passes over it; lanes.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// Microseconds of processor time of one of so many hashes of a password.
pub(crate) fn each_us(password: &str, number: usize) -> Result<f64> {
    let (memory, passes, lanes) = COST;
    let parameters = Params::new(memory, passes, lanes, None).map_err(|error| anyhow!("Argon2: {error}"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    let before = thread_s();
    for _ in 0..number {
        let hash = argon2.hash_password(password.as_bytes()).map_err(|error| anyhow!("Argon2: {error}"))?;
        std::hint::black_box(hash);
    }
    Ok((thread_s() - before) * 1e6 / number as f64)
}
