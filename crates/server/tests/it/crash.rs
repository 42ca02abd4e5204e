//! Crash, for real: a crowd loads the binary, `kill -9` ends it, whatever had no answer is sent again; in the end every
//! acknowledged id is counted exactly once. [`ledger`] is what the crowd knows, [`crowd`] sends, [`evidence`] looks at
//! what is on the disk.

mod crowd;
mod evidence;
mod ledger;

use std::{path::Path, sync::Arc, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};

use self::{crowd::Crowd, evidence::Evidence, ledger::Ledger};
use crate::harness::{
    process::{Process, Server},
    records::{assert_rows_agree, assert_verified},
    wait_for,
    windows::{all_items, final_total},
};

/// Crashes under load over the whole test, half of them on each layout.
const CRASHES: u32 = 10;

/// Requests without an answer when the process is killed.
const IN_FLIGHT_MIN: usize = 100;

/// Small segments, so that many begin and end between crashes; a channel on which moments are found.
const CONFIG: &str = r#"
[log]
segment_bytes = 1048576

[ingest]
viewer_reactions_per_s = 100000
viewer_burst = 100000

[[channels]]
name = "main"

[[channels]]
name = "side"
threshold = 20
"#;

const CHANNELS: [&str; 2] = ["main", "side"];

/// How a process is brought to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// While the crowd sends.
    UnderLoad,
    /// While the crowd sends, just after counting has stored its state.
    AfterSnapshot,
    /// In the middle of a graceful stop, just after its snapshot.
    InStop,
}

#[derive(Default)]
struct Report {
    crashes: u32,
    crashes_starting: u32,
    unanswered_crashes: u32,
    unanswered: usize,
    acknowledged: usize,
    in_flight_min: Option<usize>,
    repeated_rows: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_reaction_is_counted_once_whatever_dies() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("EMOSTREAM_SEED").or_else(|| number("EMOSTREAM_SEED_FIRST"));
    let seed = seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let crashes = number("EMOSTREAM_CRASHES").map_or(CRASHES, |crashes| u32::try_from(crashes).unwrap());
    println!("EMOSTREAM_SEED={seed} EMOSTREAM_CRASHES={crashes}");
    let mut report = Report::default();
    for (partitions, crashes) in [(1, crashes.div_ceil(2)), (4, crashes / 2)] {
        crash_often(partitions, crashes, seed, &mut report).await;
    }
    let Report { crashes, crashes_starting, unanswered_crashes, unanswered, acknowledged, .. } = report;
    println!(
        "soak: crash: {crashes} crashes under load with at least {} requests in flight and {crashes_starting} \
         during the start, seed {seed}: {unanswered} reactions were durable but unanswered, in {unanswered_crashes} \
         of the crashes; {acknowledged} acknowledged ids, each counted once; {} rows written again",
        report.in_flight_min.unwrap_or(0),
        report.repeated_rows
    );
    assert!(unanswered > 0, "no crash fell between the log and the answer: the test has lost its point");
}

async fn crash_often(partitions: u32, crashes: u32, seed: u64, report: &mut Report) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("emostream.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let data = dir.path().join("data");
    let partitions_setting = format!("log.partitions={partitions}");
    let args = ["--config", config.to_str().unwrap(), "--set", &partitions_setting];
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ u64::from(partitions));
    let ledger = Arc::new(Ledger::new(rng.random()));
    let mut evidence = Evidence::default();
    for crash in 0..crashes {
        let moment = match crash {
            1 => Moment::AfterSnapshot,
            _ if rng.random_ratio(1, 3) => Moment::InStop,
            _ => Moment::UnderLoad,
        };
        crash_once(&data, &args, moment, &ledger, &mut rng, report).await;
        let durable = evidence.new_ids(&data);
        let unanswered = durable.iter().filter(|id| !ledger.is_acknowledged(id)).count();
        println!(
            "{partitions} partitions, crash {crash} {moment:?}: {} new, {unanswered} without answer",
            durable.len()
        );
        report.crashes += 1;
        report.unanswered += unanswered;
        report.unanswered_crashes += u32::from(unanswered > 0);
        assert_verified(&data);
        while rng.random_ratio(1, 2) {
            crash_while_starting(&data, &args, &mut rng).await;
            report.crashes_starting += 1;
            assert_verified(&data);
        }
    }
    let server = Server::start(&data, &args);
    crowd::settle(server.address, &ledger).await;
    assert_counted_once(&server, &ledger, &data, report).await;
    evidence::assert_same_when_counted_again(server, &data, &args, &CHANNELS).await;
}

/// One life of the server under load, and its end.
async fn crash_once(
    data: &Path,
    args: &[&str],
    moment: Moment,
    ledger: &Arc<Ledger>,
    rng: &mut Xoshiro256PlusPlus,
    report: &mut Report,
) {
    let mut server = Server::start(data, args);
    let crowd = Crowd::gather(server.address, ledger, rng);
    wait_for("enough requests in flight", async || (crowd.in_flight() >= IN_FLIGHT_MIN).then_some(())).await;
    let stored_before = evidence::snapshot_identity(data);
    let stored = || evidence::snapshot_identity(data) != stored_before;
    match moment {
        Moment::UnderLoad => {
            tokio::time::sleep(Duration::from_micros(rng.random_range(1_000..1_500_000))).await;
        }
        Moment::AfterSnapshot => wait_for("a snapshot", async || stored().then_some(())).await,
        Moment::InStop => {
            tokio::time::sleep(Duration::from_micros(rng.random_range(1_000..500_000))).await;
            server.process.terminate();
            let process = &mut server.process;
            wait_for("a snapshot", async || (stored() || process.has_ended()).then_some(())).await;
        }
    }
    let in_flight = crowd.in_flight();
    server.kill9();
    crowd.disperse().await;
    if moment != Moment::InStop {
        assert!(in_flight >= IN_FLIGHT_MIN, "{in_flight} requests in flight");
        report.in_flight_min = Some(report.in_flight_min.map_or(in_flight, |least| least.min(in_flight)));
    }
}

/// Kills a process that opens the log, or counts again what the snapshot does not cover.
async fn crash_while_starting(data: &Path, args: &[&str], rng: &mut Xoshiro256PlusPlus) {
    let process = Process::launch(data, args);
    tokio::time::sleep(Duration::from_micros(rng.random_range(0..200_000))).await;
    process.kill9();
}

async fn assert_counted_once(server: &Server, ledger: &Ledger, data: &Path, report: &mut Report) {
    for channel in CHANNELS {
        let expected = ledger.expected(channel);
        let sum: u64 = expected.values().sum();
        let counted = final_total(server.address, channel).await;
        assert_eq!(counted, expected, "counts of {channel}");
        report.acknowledged += usize::try_from(sum).unwrap();
        let windows = all_items(server.address, channel, "windows").await;
        assert!(windows.iter().all(|window| window["unverified"] == 0), "{windows:?}");
        let moments = all_items(server.address, channel, "moments").await;
        let mut places: Vec<_> =
            moments.iter().map(|m| format!("{} {}", m["emote"], m["window_start"])).collect();
        let mut ids: Vec<_> = moments.iter().map(|moment| moment["id"].to_string()).collect();
        for keys in [&mut places, &mut ids] {
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), moments.len(), "a moment is there twice: {moments:?}");
        }
        println!("{channel}: {sum} reactions, {} windows, {} moments", windows.len(), moments.len());
    }
    report.repeated_rows += assert_rows_agree(data);
}
