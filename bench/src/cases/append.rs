//! Appends to the embedded log against a bare loop of `write` and `fdatasync` of as many bytes for each sync.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use emostream_log::{
    Log, TopicPartition,
    embedded::{EmbeddedConfig, EmbeddedLog, Retention, TopicConfig},
};
use tokio::runtime::Builder;

use super::{Bench, counted_disk::CountedDisk};
use crate::{
    report::{Figure, Row, Series},
    say,
};

const TOPIC: &str = "bench";
const ROUNDS: usize = 5;

/// Bytes of a value and how many append at once.
const SHAPES: [(usize, usize); 4] = [(150, 1), (150, 64), (100 * 1024, 1), (100 * 1024, 64)];

/// What one run did to the disk.
#[derive(Debug, Clone, Copy)]
struct Run {
    appends: u64,
    syncs: u64,
    bytes: u64,
    seconds: f64,
}

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    SHAPES.into_iter().map(|(bytes, appenders)| compare(bench, bytes, appenders)).collect()
}

fn compare(bench: &Bench, value_bytes: usize, appenders: usize) -> Result<Row> {
    let (mut ours, mut bare, mut each) = (Vec::new(), Vec::new(), Vec::new());
    let (mut our_rate, mut bare_rate) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(ROUNDS) {
        let log = append(bench, value_bytes, appenders)?;
        let bytes = log.bytes / log.syncs.max(1);
        let floor = write_and_sync(bench, usize::try_from(bytes)?)?;
        ours.push(log.seconds * 1e6 / log.syncs as f64);
        bare.push(floor.seconds * 1e6 / floor.syncs as f64);
        our_rate.push(log.appends as f64 / log.seconds);
        // So many appends would be in the bytes that the bare loop has written.
        let appends = floor.bytes as f64 * log.appends as f64 / log.bytes as f64;
        bare_rate.push(appends / floor.seconds);
        each.push(log.appends as f64 / log.syncs as f64);
    }
    let series = vec![
        Series::new("embedded log", "µs a sync", ours),
        Series::new("write + fdatasync", "µs a sync", bare),
        Series::new("embedded log", "appends/s", our_rate),
        Series::new("write + fdatasync", "appends/s", bare_rate),
        Series::new("embedded log", "appends a sync", each),
    ];
    let ratio = series[0].median / series[1].median;
    say(&format!("  {value_bytes} bytes, {appenders} at once: {ratio:.2} ×"));
    Ok(Row {
        what: format!("durable append of {value_bytes} bytes, {appenders} at once"),
        against: "bare write + fdatasync of as many bytes a sync; wall time a sync".to_owned(),
        aim: String::new(),
        result: Figure::times(ratio),
        met: None,
        series,
        notes: Vec::new(),
    })
}

/// Appends to a fresh log from threads that each wait for their append, then append again.
fn append(bench: &Bench, value_bytes: usize, appenders: usize) -> Result<Run> {
    let dir = fresh(bench, "log")?;
    let disk = Arc::new(CountedDisk::default());
    let topic = TopicConfig { name: TOPIC.to_owned(), partitions: 1, retention: Retention::default() };
    let config = EmbeddedConfig { disk: disk.clone(), ..EmbeddedConfig::new(&dir, vec![topic]) };
    let (log, _) = EmbeddedLog::open(&config)?;
    let target = TopicPartition::new(TOPIC, 0);
    let value = Bytes::from(vec![b'x'; value_bytes]);
    let runtime = Builder::new_current_thread().build()?;
    runtime.block_on(log.append(&target, vec![value.clone()]))?;

    let (stop, appends) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let before = disk.counts();
    let began = Instant::now();
    let workers = async {
        let one = async || -> Result<()> {
            while !stop.load(Ordering::Relaxed) {
                log.append(&target, vec![value.clone()]).await?;
                appends.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let all: Vec<_> = (0..appenders).map(|_| Box::pin(one())).collect();
        let mut all = all.into_iter().collect::<futures_util::stream::FuturesUnordered<_>>();
        while let Some(done) = futures_util::StreamExt::next(&mut all).await {
            done?;
        }
        Ok::<_, anyhow::Error>(())
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(bench.seconds(1.5));
            stop.store(true, Ordering::Relaxed);
        });
        runtime.block_on(workers)
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let after = disk.counts();
    drop(log);
    fs::remove_dir_all(&dir)?;
    let (syncs, bytes) = (after.syncs - before.syncs, after.bytes - before.bytes);
    Ok(Run { appends: appends.load(Ordering::Relaxed), syncs, bytes, seconds })
}

/// The floor: appends so many bytes to a file, syncs, and again.
fn write_and_sync(bench: &Bench, bytes: usize) -> Result<Run> {
    let dir = fresh(bench, "bare")?;
    let path = dir.join("bare");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    let piece = vec![b'x'; bytes];
    file.write_all(&piece)?;
    file.sync_data()?;
    let run = loop_for(bench.seconds(1.5), &mut file, &piece).context("the bare loop")?;
    drop(file);
    fs::remove_dir_all(&dir)?;
    Ok(run)
}

fn loop_for(duration: Duration, file: &mut File, piece: &[u8]) -> Result<Run> {
    let began = Instant::now();
    let mut syncs = 0;
    while began.elapsed() < duration {
        file.write_all(piece)?;
        file.sync_data()?;
        syncs += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(Run { appends: syncs, syncs, bytes: syncs * piece.len() as u64, seconds })
}

fn fresh(bench: &Bench, name: &str) -> Result<std::path::PathBuf> {
    let dir = bench.scratch.join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    Ok(dir)
}
