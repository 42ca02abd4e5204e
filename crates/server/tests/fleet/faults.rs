//! What may happen to a fleet, under constant load: each alone, and all in random order. Each says how it knows that the
//! fault took effect; in the end everything adds up, or [`Fleet::assert_whole`] says what does not.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus, seq::SliceRandom as _};

use crate::{
    brokers::{self, Brokers, COUNT, DOOR, Layout, Line},
    fleet::{Fleet, Found},
    proxy::Cut,
};

mod brokers_fail;
mod clocks;
mod ingest;
mod owners;

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    BrokerKilled,
    BrokerFrozen,
    /// Of three replicated brokers.
    BrokerLost,
    CountOwnerKilled,
    MergeOwnerFrozen,
    AggregatorsComeAndGo,
    IngestKilledWithFullSpool,
    IngestCut(Cut),
    /// By so many seconds.
    ClockOff(i32),
}

/// What a fault does and what it leaves behind: a fleet that works as before it.
async fn happens(fault: Fault, fleet: &mut Fleet, rng: &mut Xoshiro256PlusPlus) {
    match fault {
        Fault::BrokerKilled => brokers_fail::killed(fleet, outage(rng)).await,
        Fault::BrokerFrozen => brokers_fail::frozen(fleet, outage(rng)).await,
        Fault::BrokerLost => {
            let broker = rng.random_range(0..3);
            brokers_fail::one_of_three_lost(fleet, broker, outage(rng)).await;
        }
        Fault::CountOwnerKilled => owners::count_owner_killed(fleet, outage(rng)).await,
        Fault::MergeOwnerFrozen => owners::merge_owner_frozen(fleet, rng).await,
        Fault::AggregatorsComeAndGo => owners::aggregators_come_and_go(fleet, outage(rng)).await,
        Fault::IngestKilledWithFullSpool => ingest::killed_with_full_spool(fleet, outage(rng)).await,
        Fault::IngestCut(how) => ingest::cut_from_the_broker(fleet, how, outage(rng)).await,
        Fault::ClockOff(seconds) => clocks::wrong_by(fleet, seconds, outage(rng)).await,
    }
}

/// How long an outage lasts: EMOSTREAM_OUTAGE_S, and up to half as much again.
fn outage(rng: &mut Xoshiro256PlusPlus) -> Duration {
    let seconds = number("EMOSTREAM_OUTAGE_S").unwrap_or(2);
    Duration::from_millis(seconds * rng.random_range(1_000..1_500))
}

/// How many seeds the faults in random order are tried with, all of them with each: minutes each.
const SEEDS: &str = "EMOSTREAM_FLEET_SEEDS";

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: expected a number")))
}

/// The seed that is asked for, else a random one; printed, so that it can be asked for.
fn seed(test: &str) -> u64 {
    let asked = number("EMOSTREAM_SEED").or_else(|| number("EMOSTREAM_SEED_FIRST"));
    let seed = asked.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("{test}: EMOSTREAM_SEED={seed}");
    seed
}

/// A fleet at work: two doors, two aggregators, and a home for control and an edge.
async fn fleet_at_work(brokers: std::sync::Arc<Brokers>, seed: u64) -> Fleet {
    let mut fleet = Fleet::on(brokers, seed);
    fleet.add("home", "control,edge");
    fleet.add("door-a", "ingest");
    fleet.add("door-b", "ingest");
    fleet.add("count-a", "aggregate");
    fleet.add("count-b", "aggregate");
    for (name, line) in [("door-a", DOOR), ("count-a", COUNT)] {
        let servers = fleet.brokers.line(line).map(Line::servers);
        if let Some(servers) = servers {
            fleet.node_mut(name).set(&format!("kafka.bootstrap_servers={servers}"));
        }
    }
    fleet.start(&["home", "door-a", "door-b", "count-a", "count-b"]).await;
    owners::wait_until_shared(&fleet, &["count-a", "count-b"]).await;
    fleet.gather_crowd().await;
    fleet
}

fn tell(what: impl std::fmt::Debug, found: &Found) {
    let Found { acknowledged, in_log, rows } = found;
    println!(
        "{what:?}: {acknowledged} acknowledged, all counted once; {in_log} in the log with repeats; {rows} rows"
    );
}

/// One fault alone, in a fleet of its own.
async fn alone(fault: Fault, brokers: std::sync::Arc<Brokers>) {
    let seed = seed(&format!("{fault:?}"));
    let mut fleet = fleet_at_work(brokers, seed).await;
    happens(fault, &mut fleet, &mut Xoshiro256PlusPlus::seed_from_u64(seed)).await;
    fleet.wait_for_answers(50).await;
    tell(fault, &fleet.assert_whole().await);
}

macro_rules! alone {
    ($($name:ident: $fault:expr, $brokers:expr;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                alone($fault, $brokers).await;
            }
        )*
    };
}

alone! {
    a_broker_is_killed_and_restarted: Fault::BrokerKilled, brokers::own(Layout::Single);
    a_broker_is_frozen_and_woken: Fault::BrokerFrozen, brokers::own(Layout::Single);
    a_count_owner_is_killed_in_mid_window: Fault::CountOwnerKilled, brokers::shared();
    a_merge_owner_is_frozen_until_it_is_fenced: Fault::MergeOwnerFrozen, brokers::own(Layout::Single);
    three_aggregators_come_and_go: Fault::AggregatorsComeAndGo, brokers::shared();
    an_ingest_node_is_killed_with_a_full_spool: Fault::IngestKilledWithFullSpool, brokers::own(Layout::Single);
    an_ingest_node_is_cut_from_the_broker: Fault::IngestCut(Cut::Silent), brokers::own(Layout::Single);
    the_clock_of_a_node_is_ten_minutes_fast: Fault::ClockOff(600), brokers::shared();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "three brokers need more memory and time than every run of the tests has: make soak"]
async fn one_of_three_brokers_is_lost() {
    alone(Fault::BrokerLost, brokers::own(Layout::Replicated)).await;
}

/// Everything that one broker and its nodes may meet.
const ANY: [Fault; 9] = [
    Fault::BrokerKilled,
    Fault::BrokerFrozen,
    Fault::CountOwnerKilled,
    Fault::MergeOwnerFrozen,
    Fault::AggregatorsComeAndGo,
    Fault::IngestKilledWithFullSpool,
    Fault::IngestCut(Cut::Silent),
    Fault::IngestCut(Cut::Reset),
    Fault::ClockOff(-600),
];

/// Everything that three brokers and their nodes may meet.
const ANY_OF_THREE: [Fault; 6] = [
    Fault::BrokerLost,
    Fault::BrokerLost,
    Fault::CountOwnerKilled,
    Fault::MergeOwnerFrozen,
    Fault::AggregatorsComeAndGo,
    Fault::ClockOff(-600),
];

/// Of all faults in random order, so many where nobody has asked for seeds: each of them is met alone as well.
const FAULTS_ORDINARY: usize = 3;

/// Faults in random order, the same fleet under the same load.
async fn in_random_order(mut faults: Vec<Fault>, brokers: std::sync::Arc<Brokers>, seed: u64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    faults.shuffle(&mut rng);
    if number(SEEDS).is_none() {
        faults.truncate(FAULTS_ORDINARY);
    }
    let (number, brokers_number) = (faults.len(), brokers.number());
    println!("in random order, EMOSTREAM_SEED={seed}: {faults:?}");
    let mut fleet = fleet_at_work(brokers, seed).await;
    for fault in faults {
        happens(fault, &mut fleet, &mut rng).await;
        tell(fault, &fleet.assert_whole().await);
        fleet.gather_crowd().await;
    }
    let Found { acknowledged, in_log, rows } = fleet.assert_whole().await;
    println!(
        "soak: fleet: {number} faults in random order, {brokers_number} broker(s), seed {seed}: {acknowledged} reactions \
         acknowledged, all counted once ({in_log} in the log with repeats), {rows} rows as an undisturbed count has them"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_happens_in_random_order() {
    let first = seed("in random order");
    for seed in first..first + number(SEEDS).unwrap_or(1) {
        in_random_order(ANY.to_vec(), brokers::own(Layout::Single), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "three brokers need more memory and time than every run of the tests has: make soak"]
async fn everything_happens_in_random_order_to_three_brokers() {
    let first = seed("in random order, three brokers");
    for seed in first..first + number(SEEDS).unwrap_or(1) {
        in_random_order(ANY_OF_THREE.to_vec(), brokers::own(Layout::Replicated), seed).await;
    }
}
