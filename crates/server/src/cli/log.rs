//! `emostream log ls / cat / verify`: what is in the log of a data directory, without disturbing a running server.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use emostream_log::{
    TopicPartition,
    embedded::{Snapshot, verify},
};
use emostream_protocol::{
    Emotes, Epoch, frame,
    record::{self, LogRecord},
    row::Row,
    time,
};
use serde_json::{Value, json};

use super::{EXIT_FAILED, EXIT_OK, say, say_error};
use crate::node::{OUTPUT_TOPIC, RAW_TOPIC, log_dir};

const READ_BYTES: usize = 1 << 20;

/// Arguments of `emostream log`.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    #[command(subcommand)]
    command: LogCommand,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Topics and partitions with their offsets and times.
    Ls(Place),
    /// Records as JSON lines.
    Cat {
        #[command(flatten)]
        place: Place,
        /// Topic to print: emote-log (reactions as taken), emote-output (windows, moments, settings), or dead-letter
        /// (what could not be read).
        #[arg(long, default_value = OUTPUT_TOPIC)]
        topic: String,
        /// Partition to print [default: all].
        #[arg(long)]
        partition: Option<u32>,
        /// First offset to print.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Records to print at most, per partition.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Check every checksum; the first bad offset of each damaged file. Exit code 1 if there is damage.
    Verify(Place),
}

#[derive(Debug, Args)]
struct Place {
    /// Data directory of the server.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
}

pub(super) fn run(args: &LogArgs) -> anyhow::Result<u8> {
    match &args.command {
        LogCommand::Ls(place) => list(place),
        LogCommand::Cat { place, topic, partition, from, limit } => {
            cat(place, topic, *partition, *from, *limit)
        }
        LogCommand::Verify(place) => verify_all(place),
    }
}

fn open(place: &Place) -> anyhow::Result<Snapshot> {
    let dir = log_dir(&place.data_dir);
    Snapshot::open(&dir).with_context(|| format!("open the log in {}", dir.display()))
}

fn list(place: &Place) -> anyhow::Result<u8> {
    let log = open(place)?;
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
    report_damage(&log)
}

fn report_damage(log: &Snapshot) -> anyhow::Result<u8> {
    log.damage().iter().for_each(|damage| say_error(&damage.to_string()));
    Ok(if log.damage().is_empty() { EXIT_OK } else { EXIT_FAILED })
}

fn cat(place: &Place, topic: &str, only: Option<u32>, from: u64, limit: Option<usize>) -> anyhow::Result<u8> {
    let log = open(place)?;
    let emotes = Emotes::new();
    let wanted = |partition: &&TopicPartition| {
        &*partition.topic == topic && only.is_none_or(|only| only == partition.partition)
    };
    let partitions: Vec<_> = log.partitions().filter(wanted).cloned().collect();
    anyhow::ensure!(!partitions.is_empty(), "there is no such topic or partition; see emostream log ls");
    for partition in &partitions {
        let mut at = from.max(log.bounds(partition)?.start);
        let mut left = limit.unwrap_or(usize::MAX);
        let end = log.bounds(partition)?.end;
        while left > 0 && at < end {
            let read = log.read(partition, at, READ_BYTES)?;
            at = read.next;
            for record in read.records.iter().take(left) {
                let mut line = json!({
                    "partition": partition.partition,
                    "offset": record.offset,
                    "append_time": time::format_ms(record.append_time_ms),
                });
                let content = describe(topic, &record.value, &emotes);
                if let (Value::Object(line), Value::Object(content)) = (&mut line, content) {
                    line.extend(content);
                }
                say(&line.to_string());
            }
            left = left.saturating_sub(read.records.len());
        }
    }
    Ok(EXIT_OK)
}

/// A record as JSON; one that cannot be decoded says so instead.
fn describe(topic: &str, value: &[u8], emotes: &Emotes) -> Value {
    let described = match topic {
        RAW_TOPIC => describe_raw(value, emotes),
        OUTPUT_TOPIC => Row::decode(value, emotes).map(|row| describe_row(&row, emotes)),
        _ => return serde_json::from_slice(value).unwrap_or_else(|_| json!({"bytes": value.len()})),
    };
    described.unwrap_or_else(|error| json!({"error": error.to_string(), "bytes": value.len()}))
}

fn describe_raw(value: &[u8], emotes: &Emotes) -> Result<Value, emostream_protocol::DecodeError> {
    Ok(match record::decode(value, emotes)? {
        LogRecord::Tick => json!({"type": "tick"}),
        LogRecord::Settings(change) => {
            json!({"type": "settings", "channel": &*change.channel, "settings": change.settings})
        }
        LogRecord::Reactions(batch) => {
            let reactions: Result<Vec<_>, _> = batch
                .iter()
                .map(|reaction| {
                    reaction.map(|reaction| {
                        json!({
                            "channel": batch.channels[reaction.channel],
                            "emote": &*emotes.name(reaction.emote),
                            "id": reaction.id.to_string(),
                            "id_from_client": reaction.id_from_client,
                            "user_id": String::from_utf8_lossy(reaction.user),
                            "received_at": time::format_ms(reaction.received_ms),
                            "tapped_at": time::format_ms(reaction.tapped_ms),
                            "media_time_ms": reaction.media_time_ms,
                            "place": reaction.place,
                        })
                    })
                })
                .collect();
            let spool = batch.placed.or(batch.spool.map(|position| position.spool));
            json!({
                "type": "reactions",
                "spool": spool.map(|spool| uuid::Uuid::from_bytes(spool).simple().to_string()),
                "place": batch.spool.map(|position| position.offset),
                "reactions": reactions?,
            })
        }
    })
}

fn describe_row(row: &Row, emotes: &Emotes) -> Value {
    let (kind, json) = match row {
        Row::Window(row) => ("window", frame::encode_window_item(row, emotes)),
        Row::Moment(row) => ("moment", frame::encode_moment_item(row, emotes)),
        Row::Settings(row) => {
            return json!({"type": "settings", "seq": row.seq, "channel": &*row.change.channel, "settings": row.change.settings});
        }
    };
    let mut value: Value = serde_json::from_slice(&json).unwrap_or_default();
    value["type"] = kind.into();
    value["channel"] = row.channel().as_str().into();
    value
}

fn verify_all(place: &Place) -> anyhow::Result<u8> {
    let dir = log_dir(&place.data_dir);
    let mut damaged = 0;
    let mut totals = (0u64, 0u64, 0u64);
    for segment in verify(&dir).with_context(|| format!("verify the log in {}", dir.display()))? {
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
