//! The log of a data directory.

use std::path::Path;

use anyhow::Context;
use emostream_log::{
    TopicPartition,
    embedded::{Snapshot, verify},
};
use emostream_protocol::{Epoch, time};

use super::{
    LogCommand, NO_SUCH_TOPIC, READ_BYTES, Selection,
    describe::{Describer, line},
};
use crate::{
    cli::{EXIT_FAILED, EXIT_OK, say, say_error},
    node::log_dir,
};

pub(super) fn run(command: &LogCommand, data_dir: &Path) -> anyhow::Result<u8> {
    let dir = log_dir(data_dir);
    match command {
        LogCommand::Ls(_) => list(&open(&dir)?),
        LogCommand::Cat { selection, .. } => cat(&open(&dir)?, selection),
        LogCommand::Verify(_) => verify_all(&dir),
    }
}

fn open(dir: &Path) -> anyhow::Result<Snapshot> {
    Snapshot::open(dir).with_context(|| format!("open the log in {}", dir.display()))
}

fn list(log: &Snapshot) -> anyhow::Result<u8> {
    say(&format!("epoch {}", Epoch(log.generation().id)));
    for (name, value) in &log.generation().parameters {
        say(&format!("{name} = {value}"));
    }
    say(&format!(
        "{:<20} {:>9} {:>12} {:>12}  {:<24}  {}",
        "topic", "partition", "start", "end", "first", "last"
    ));
    for partition in log.partitions() {
        let bounds = log.bounds(partition)?;
        let time_at = |offset: u64| -> anyhow::Result<String> {
            let found = log.read(partition, offset, 1)?;
            Ok(found.records.first().map_or("-".to_owned(), |record| time::format_ms(record.append_time_ms)))
        };
        let (first, last) = match bounds.end.checked_sub(1) {
            Some(newest) if newest >= bounds.start => (time_at(bounds.start)?, time_at(newest)?),
            _ => ("-".to_owned(), "-".to_owned()),
        };
        let TopicPartition { topic, partition } = partition;
        say(&format!(
            "{topic:<20} {partition:>9} {:>12} {:>12}  {first:<24}  {last}",
            bounds.start, bounds.end
        ));
    }
    log.damage().iter().for_each(|damage| say_error(&damage.to_string()));
    Ok(if log.damage().is_empty() { EXIT_OK } else { EXIT_FAILED })
}

fn cat(log: &Snapshot, selection: &Selection) -> anyhow::Result<u8> {
    let Selection { topic, partition: only, from, limit } = selection;
    let describer = Describer::new();
    let wanted = |partition: &&TopicPartition| {
        &*partition.topic == topic && only.is_none_or(|only| only == partition.partition)
    };
    let partitions: Vec<_> = log.partitions().filter(wanted).cloned().collect();
    anyhow::ensure!(!partitions.is_empty(), NO_SUCH_TOPIC);
    for partition in &partitions {
        let mut at = (*from).max(log.bounds(partition)?.start);
        let mut left = limit.unwrap_or(usize::MAX);
        let end = log.bounds(partition)?.end;
        while left > 0 && at < end {
            let read = log.read(partition, at, READ_BYTES)?;
            at = read.next;
            for record in read.records.iter().take(left) {
                say(&line(partition, record, describer.describe(topic, record)));
            }
            left = left.saturating_sub(read.records.len());
        }
    }
    Ok(EXIT_OK)
}

fn verify_all(dir: &Path) -> anyhow::Result<u8> {
    let mut damaged = 0;
    let mut totals = (0u64, 0u64, 0u64);
    for segment in verify(dir).with_context(|| format!("verify the log in {}", dir.display()))? {
        let segment = segment.with_context(|| format!("verify the log in {}", dir.display()))?;
        totals = (totals.0 + 1, totals.1 + segment.records, totals.2 + segment.bytes);
        let unfinished = match segment.torn_bytes {
            0 => String::new(),
            bytes => format!(", {bytes} bytes not finished"),
        };
        say(&format!(
            "{} offsets {}..{}: {} records, {} bytes{unfinished}",
            segment.file.display(),
            segment.base,
            segment.end,
            segment.records,
            segment.bytes
        ));
        damaged += segment.damage.len();
        segment.damage.iter().for_each(|damage| say_error(&damage.to_string()));
    }
    say(&format!("{} segments, {} records, {} bytes, {damaged} damaged", totals.0, totals.1, totals.2));
    Ok(if damaged == 0 { EXIT_OK } else { EXIT_FAILED })
}
