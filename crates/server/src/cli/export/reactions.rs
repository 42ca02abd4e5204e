//! `emostream export reactions`: raw reactions as CSV, JSON lines or an SQLite database.

use std::{
    io::{IsTerminal as _, Write},
    path::Path,
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use emostream_protocol::{Emotes, Epoch};
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    super::{EXIT_OK, EXIT_USAGE, say_error},
    Selection,
    partial_file::{Destination, PartialFile, reader_left},
    reaction_rows as rows,
    scan::{Found, Progress, Scan, Wanted},
    sqlite::Database,
};

/// Arguments of `emostream export reactions`.
#[derive(Debug, Args)]
pub(super) struct ReactionsArgs {
    #[command(flatten)]
    selection: Selection,
    /// Form of the file; json is one object a line.
    #[arg(long, value_enum)]
    format: Format,
    /// Everything that the log has: also repeats, marked as `duplicate`.
    #[arg(long)]
    raw: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Sqlite,
    Json,
}

/// What an export has done.
#[derive(Debug, Clone, Copy, Default)]
struct Summary {
    exported: u64,
    duplicates: u64,
    unreadable: u64,
}

pub(super) fn run(args: &ReactionsArgs) -> anyhow::Result<u8> {
    let selection = &args.selection;
    if args.format == Format::Sqlite && selection.output.is_none() {
        say_error("--output: an SQLite database needs a file");
        return Ok(EXIT_USAGE);
    }
    let log = selection.open_log()?;
    let emotes = Emotes::new();
    let wanted =
        Wanted { channel: &selection.channel, from_ms: selection.begin_ms(), to_ms: selection.end_ms() };
    let mut scan = Scan::new(&log, &emotes, wanted)?;
    let done = match (args.format, &selection.output) {
        (Format::Sqlite, Some(file)) => {
            let epoch = Epoch(log.generation().id).to_string();
            to_database(args, &mut scan, &emotes, file, &epoch)
        }
        _ => to_text(args, &mut scan, &emotes),
    };
    match done {
        Ok(summary) => {
            say_summary(args, summary);
            Ok(EXIT_OK)
        }
        Err(error) if reader_left(&error) && selection.output.is_none() => Ok(EXIT_OK),
        Err(error) => Err(error),
    }
}

fn to_text(args: &ReactionsArgs, scan: &mut Scan<'_>, emotes: &Emotes) -> anyhow::Result<Summary> {
    let mut out = Destination::open(args.selection.output.as_deref())?;
    if args.format == Format::Csv {
        out.write_all(rows::csv_head(args.raw).as_bytes())?;
    }
    let summary = go_through(args, scan, |found| {
        let line = match args.format {
            Format::Csv => rows::csv_line(found, emotes, args.raw),
            _ => rows::json_line(found, emotes, args.raw),
        };
        Ok(out.write_all(line.as_bytes())?)
    })?;
    out.complete()?;
    Ok(summary)
}

fn to_database(
    args: &ReactionsArgs,
    scan: &mut Scan<'_>,
    emotes: &Emotes,
    file: &Path,
    epoch: &str,
) -> anyhow::Result<Summary> {
    let partial = PartialFile::beside(file)?;
    let mut database = Database::create(partial.path()).context("create the database")?;
    let summary = go_through(args, scan, |found| database.push(rows::stored(found, emotes)))?;
    let selection = &args.selection;
    let facts = [
        ("channel", selection.channel.to_string()),
        ("log_epoch", epoch.to_owned()),
        ("from", selection.from.map(rows::time).unwrap_or_default()),
        ("to", selection.to.map(rows::time).unwrap_or_default()),
        ("duplicates", if args.raw { "marked" } else { "left out" }.to_owned()),
    ];
    database.finish(&facts).context("complete the database")?;
    partial.complete()?;
    Ok(summary)
}

/// Hands every reaction that is wanted to `write`, and shows on a terminal how far it is.
fn go_through(
    args: &ReactionsArgs,
    scan: &mut Scan<'_>,
    mut write: impl FnMut(&Found<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Summary> {
    let bar = bar(scan.progress());
    let mut summary = Summary::default();
    let mut each = |found: &Found<'_>| {
        summary.duplicates += u64::from(found.duplicate);
        if found.duplicate && !args.raw {
            return Ok(());
        }
        summary.exported += 1;
        write(found)
    };
    while scan.step(&mut each)? {
        bar.set_position(scan.progress().done);
    }
    bar.finish_and_clear();
    summary.unreadable = scan.progress().unreadable;
    Ok(summary)
}

/// A bar on standard error; none where that is no terminal.
fn bar(progress: Progress) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % of {human_len} records, {eta} left");
    let bar = ProgressBar::new(progress.total);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn say_summary(args: &ReactionsArgs, summary: Summary) {
    let Summary { exported, duplicates, unreadable } = summary;
    let repeats = if args.raw { "of these repeats" } else { "repeats left out" };
    say_error(&format!("{exported} reactions exported, {repeats}: {duplicates}"));
    if unreadable > 0 {
        say_error(&format!(
            "{unreadable} records are damaged and exported as far as they can be read, as they are counted; see \
             emostream log cat --topic dead-letter"
        ));
    }
}
