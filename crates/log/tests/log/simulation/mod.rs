//! The embedded log against a plain vector, through thousands of crashes on a disk that keeps no promise it has
//! not been made to give. `EMOSTREAM_SEEDS=n` sets how many seeds, `EMOSTREAM_SEED=n` runs one again.

use std::{collections::HashMap, sync::Arc};

use emostream_log::{
    ManualClock,
    embedded::{Durability, EmbeddedConfig, Retention, TopicConfig},
};

use self::{driver::Driver, truth::Truth};
use crate::{
    dice::Dice,
    model_disk::{Faults, ModelDisk},
    setup::START_MS,
};

mod driver;
mod truth;

const PARTITIONS: u32 = 3;
const GROUP: &str = "count";

/// What a run has seen, to show that it saw something.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    acknowledged: u64,
    refused: u64,
    /// Unacknowledged records that a crash left in the log.
    survivors: u64,
    power_losses: u64,
    kills: u64,
    torn_bytes: u64,
    failed: u64,
    deleted: u64,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.survivors += other.survivors;
        self.power_losses += other.power_losses;
        self.kills += other.kills;
        self.torn_bytes += other.torn_bytes;
        self.failed += other.failed;
        self.deleted += other.deleted;
    }
}

/// Runs one seed; an error says which promise was broken.
pub(crate) fn run(seed: u64, lying_disk: bool) -> Result<Seen, String> {
    let mut dice = Dice(seed);
    let disk = ModelDisk::new(dice.draw());
    if lying_disk {
        disk.lie();
    }
    let clock = Arc::new(ManualClock::new(START_MS));
    let retention = Retention { age_ms: dice.happens(500).then_some(3000), bytes: None };
    let topic = TopicConfig { name: "taps".to_owned(), partitions: PARTITIONS, retention };
    let mut config = EmbeddedConfig::new("/log", vec![topic]);
    config.seed = dice.draw();
    config.segment_bytes = 1 << (9 + dice.below(5));
    config.durability = if dice.happens(150) { Durability::Os } else { Durability::Fsync };
    config.clock = Arc::clone(&clock) as _;
    config.disk = Arc::new(disk.clone());
    let truths = (0..PARTITIONS).map(|_| Truth::default()).collect();
    let equal_sizes = dice.happens(400);
    let (attempts, seen) = (HashMap::new(), Seen::default());
    let mut driver = Driver {
        dice,
        disk,
        clock,
        config,
        truths,
        attempts,
        appends: 0,
        seen,
        may_shrink: false,
        equal_sizes,
    };
    for _ in 0..3 + driver.dice.below(6) {
        driver.life()?;
    }
    driver.disk.set_faults(Faults::default());
    driver.open()?;
    Ok(driver.seen)
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn everything_acknowledged_survives_every_crash() {
    if let Some(seed) = number_from("EMOSTREAM_SEED") {
        return println!("seed {seed}: {:?}", run(seed, false).unwrap());
    }
    let seeds = number_from("EMOSTREAM_SEEDS").unwrap_or(400);
    let mut total = Seen::default();
    for seed in 0..seeds {
        let seen = match run(seed, false) {
            Ok(seen) => seen,
            Err(broken) => panic!("seed {seed}: {broken} (again with EMOSTREAM_SEED={seed})"),
        };
        total.add(&seen);
    }
    println!("{seeds} seeds: {total:?}");
    assert!(
        total.survivors > 0 && total.failed > 0 && total.torn_bytes > 0 && total.deleted > 0,
        "{total:?}"
    );
}

#[test]
fn a_seed_does_the_same_thing_twice() {
    for seed in 0..20 {
        assert_eq!(run(seed, false), run(seed, false), "seed {seed}");
    }
}

/// The proof that the simulation would notice a sync that is not there.
#[test]
fn a_disk_that_only_claims_to_sync_is_found_out() {
    let broken = (0..20).find_map(|seed| Some((seed, run(seed, true).err()?)));
    let (seed, broken) = broken.expect("20 seeds without a single sync and nothing was lost");
    println!("seed {seed}: {broken}");
}
