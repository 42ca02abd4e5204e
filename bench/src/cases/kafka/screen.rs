//! From a tap to every viewer's screen through a broker.

use anyhow::Result;

use super::{
    super::{Bench, screen},
    node,
};
use crate::{measure::broker::Broker, report::Row};

/// The most that p99 may be: pulse and half of it as in one process, and as much again for the way through Kafka.
const P99_MS_MAX: f64 = 250.0;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let broker = Broker::start(&bench.scratch, bench.cores)?;
    let start = || node(bench, &broker, "screen", &["node_name=screen"]);
    let place = "One node with all roles and one broker on one core, fsync before each answer";
    screen::through(bench, &start, "tap to screen through Kafka", P99_MS_MAX, place)
}
