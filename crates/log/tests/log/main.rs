//! What every log promises, and what the embedded one promises beyond that, on honest and on treacherous disks.

mod conformance;
mod setup;
