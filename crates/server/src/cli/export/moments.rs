//! `emostream export moments`: the moments of a channel in the formats that an editor needs.

use std::{collections::HashSet, io::Write as _};

use anyhow::Context;
use clap::Args;
use emostream_log::{TopicPartition, embedded::Snapshot};
use emostream_protocol::{Emotes, Epoch, row::Row};
use emostream_store::{ArchiveQuery, MomentRecord, Order, PAGE_LIMIT_MAX, Store, StoreOptions};

use super::{
    super::{EXIT_OK, EXIT_USAGE, say_error},
    Selection,
    partial_file::{Destination, reader_left},
    time_ms,
};
use crate::{
    config::StoreConfig,
    control::exports::{
        ExportFormat, ExportMoment, ExportOptions, FrameRate, OFFSET_MS_MAX, Timeline, export,
    },
    node::OUTPUT_TOPIC,
};

const READ_BYTES: usize = 1 << 20;

/// Arguments of `emostream export moments`.
#[derive(Debug, Args)]
pub(super) struct MomentsArgs {
    #[command(flatten)]
    selection: Selection,
    /// youtube (chapters), vtt (WebVTT), edl (CMX 3600), csv, json or ffmetadata (chapters for FFmpeg).
    #[arg(long, value_parser = format)]
    format: ExportFormat,
    /// Added to every position on the recording, in ms; may be negative.
    #[arg(long, value_name = "MS", default_value_t = 0, allow_negative_numbers = true, value_parser = offset_ms)]
    offset: i64,
    /// When the recording began, RFC 3339. Without it, moments are placed by the media time of their reactions.
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    recording_started_at: Option<i64>,
    /// Database with the archive [default: emostream.db in the data directory].
    #[arg(long, value_name = "URL", env = "EMOSTREAM__STORE__URL", hide_env_values = true)]
    store: Option<String>,
    /// Hidden moments as well.
    #[arg(long)]
    include_hidden: bool,
    /// Frames per second of an edit list: 23.976, 24, 25, 29.97 (drop-frame), 30, 50, 59.94 (drop-frame) or 60.
    #[arg(long, default_value = "25", value_parser = fps)]
    fps: FrameRate,
}

pub(super) fn run(args: &MomentsArgs) -> anyhow::Result<u8> {
    let selection = &args.selection;
    let Collected { moments, recording_started_ms } = collect(args)?;
    let recording_started_ms = args.recording_started_at.or(recording_started_ms);
    let options = ExportOptions {
        channel: selection.channel.to_string(),
        timeline: Timeline { recording_started_ms, offset_ms: args.offset },
        fps: args.fps,
    };
    let made = match export(args.format, &moments, &options) {
        Ok(made) => made,
        Err(error) => {
            say_error(&format!("--recording-started-at: {error}"));
            return Ok(EXIT_USAGE);
        }
    };
    let write = || -> anyhow::Result<()> {
        let mut out = Destination::open(selection.output.as_deref())?;
        out.write_all(made.text.as_bytes())?;
        out.complete()
    };
    match write() {
        Err(error) if reader_left(&error) && selection.output.is_none() => return Ok(EXIT_OK),
        done => done?,
    }
    say_error(&format!("{} moments, left out: {}", moments.len(), made.left_out));
    Ok(EXIT_OK)
}

/// What was recorded of a channel.
#[derive(Default)]
struct Collected {
    moments: Vec<ExportMoment>,
    recording_started_ms: Option<i64>,
}

/// The archive's moments with what moderators added, and those of the output log that are not archived yet.
fn collect(args: &MomentsArgs) -> anyhow::Result<Collected> {
    let selection = &args.selection;
    let log = selection.open_log();
    let mut collected = Collected::default();
    let mut known = HashSet::new();
    match archive_url(args) {
        Some(url) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (records, recording_started_ms) = runtime.block_on(from_archive(&url, selection))?;
            collected.recording_started_ms = recording_started_ms;
            for record in records {
                known.insert((record.position.epoch, record.position.seq));
                if args.include_hidden || !record.hidden {
                    collected.moments.push(ExportMoment::of_record(record));
                }
            }
        }
        // Neither archive nor log: there is nothing to export from.
        None => drop(log.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?),
    }
    if let Ok(log) = log {
        let epoch = Epoch(log.generation().id);
        collected.moments.extend(from_log(&log, selection, |seq| known.contains(&(epoch, seq)))?);
    }
    Ok(collected)
}

/// The archive's address, if there is one.
fn archive_url(args: &MomentsArgs) -> Option<String> {
    let file = args.selection.data_dir.join("emostream.db");
    args.store
        .clone()
        .or_else(|| file.exists().then(|| StoreConfig::default().effective_url(&args.selection.data_dir)))
}

async fn from_archive(url: &str, selection: &Selection) -> anyhow::Result<(Vec<MomentRecord>, Option<i64>)> {
    let store = Store::open(url, &StoreOptions::default()).await.context("open the archive")?;
    let channel = store.channel(&selection.channel).await?;
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let query = ArchiveQuery {
            channel: &selection.channel,
            from_ms: selection.begin_ms(),
            to_ms: selection.end_ms(),
            order: Order::Ascending,
            after,
            limit: PAGE_LIMIT_MAX,
        };
        let page = store.moments(&query, true).await?;
        records.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    store.close().await;
    Ok((records, channel.and_then(|channel| channel.recording_started_us).map(|us| us.div_euclid(1_000))))
}

/// The moments that the output log still has, without those that are `known`. Of repeated rows the first wins.
fn from_log(
    log: &Snapshot,
    selection: &Selection,
    known: impl Fn(u64) -> bool,
) -> anyhow::Result<Vec<ExportMoment>> {
    let emotes = Emotes::new();
    let output = TopicPartition::new(OUTPUT_TOPIC, 0);
    let bounds = log.bounds(&output)?;
    let (mut at, mut newest) = (bounds.start, 0);
    let mut moments = Vec::new();
    while at < bounds.end {
        let read = log.read(&output, at, READ_BYTES)?;
        at = read.next;
        for record in &read.records {
            let Ok(row) = Row::decode(&record.value, &emotes) else {
                say_error(&format!("row at offset {} cannot be read and is left out", record.offset));
                continue;
            };
            if *row.channel() != selection.channel || row.seq() <= newest {
                continue;
            }
            newest = row.seq();
            if let Row::Moment(row) = row
                && (selection.begin_ms()..selection.end_ms()).contains(&row.window_start_ms)
                && !known(row.seq)
            {
                moments.push(ExportMoment::of(&row, &emotes));
            }
        }
    }
    Ok(moments)
}

fn format(text: &str) -> Result<ExportFormat, String> {
    ExportFormat::parse(text).ok_or_else(|| format!("expected one of {}", ExportFormat::names()))
}

fn fps(text: &str) -> Result<FrameRate, String> {
    FrameRate::parse(text).ok_or_else(|| format!("expected one of {}", FrameRate::names()))
}

fn offset_ms(text: &str) -> Result<i64, String> {
    let expected = || format!("expected whole milliseconds, at most {OFFSET_MS_MAX} either way");
    text.parse()
        .ok()
        .filter(|ms: &i64| ms.unsigned_abs() <= OFFSET_MS_MAX.unsigned_abs())
        .ok_or_else(expected)
}
