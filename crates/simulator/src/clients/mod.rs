//! Clients of the source systems that watch: each logs in or registers, waits for room, shows what it is sent, and comes back.

mod answers;
mod broadcast;
mod called;
mod cluster;
mod taps;

pub(crate) use broadcast::run as broadcast;
pub(crate) use cluster::run as cluster;
