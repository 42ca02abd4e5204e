//! `emostream export moments`: the moments of a channel in the formats that an editor needs.

use std::io::Write as _;

use clap::Args;
use emostream_log::{TopicPartition, embedded::Snapshot};
use emostream_protocol::{Emotes, row::Row};

use super::{
    super::{EXIT_OK, EXIT_USAGE, say_error},
    Selection,
    partial_file::{Destination, reader_left},
    time_ms,
};
use crate::{
    control::exports::{ExportFormat, ExportMoment, ExportOptions, FrameRate, Timeline, export},
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
    /// Frames per second of an edit list: 23.976, 24, 25, 29.97 (drop-frame), 30, 50, 59.94 (drop-frame) or 60.
    #[arg(long, default_value = "25", value_parser = fps)]
    fps: FrameRate,
}

/// Longest shift of positions: ten days.
const OFFSET_MS_MAX: i64 = 864_000_000;

pub(super) fn run(args: &MomentsArgs) -> anyhow::Result<u8> {
    let selection = &args.selection;
    let moments = from_log(&selection.open_log()?, selection)?;
    let options = ExportOptions {
        channel: selection.channel.to_string(),
        timeline: Timeline { recording_started_ms: args.recording_started_at, offset_ms: args.offset },
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

/// The moments that the output log still has. Of repeated rows the first wins.
fn from_log(log: &Snapshot, selection: &Selection) -> anyhow::Result<Vec<ExportMoment>> {
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
                && (selection.from_ms()..selection.to_ms()).contains(&row.window_start_ms)
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
