//! What every log promises, and what the embedded one promises beyond that, on honest and on treacherous disks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod conformance;
mod damage;
mod dice;
mod embedded;
mod faults;
mod fixture;
#[cfg(feature = "kafka")]
mod kafka;
mod model_disk;
mod reserve;
mod setup;
mod simulation;
