//! A fleet of the real binary on real Kafka brokers, and everything that may happen to either: processes that die or stand
//! still, connections that break, clocks that are wrong. Whatever it was, what clients were told was taken is counted,
//! once, and the rows are those of an undisturbed count of the same log.
//!
//! [`brokers`], [`node`] and [`fleet`] run what is tested, [`crowd`] loads it, [`observer`] says what must have come of it;
//! [`faults`] does the harm.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where its preparation fails, and says what it saw"
)]

mod brokers;
mod crowd;
mod edges;
mod faults;
mod fleet;
#[allow(dead_code, reason = "shared with the tests of one process, which need all of it")]
#[path = "../it/harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "shared with the tests of one process, which need all of it")]
#[path = "../it/crash/ledger.rs"]
mod ledger;
mod node;
mod observer;
mod processes;
mod proxy;
mod roles;
mod security;
mod stops;
mod undisturbed;
#[allow(dead_code, reason = "shared with the tests of one process, which need all of it")]
#[path = "../it/edges/watch.rs"]
mod watch;

/// The channels that the crowd reacts in. Their rows are in different partitions of the output.
const CHANNELS: [&str; 2] = ["main", "lobby"];
