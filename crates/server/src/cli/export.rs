//! `emostream export reactions / moments`: what was recorded, as files for other programs; also while a server runs.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use emostream_log::embedded::Snapshot;
use emostream_protocol::{ChannelName, time};

use crate::node::log_dir;

mod moments;
mod partial_file;
mod reaction_rows;
mod reactions;
mod scan;
mod sqlite;

/// Arguments of `emostream export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(subcommand)]
    command: ExportCommand,
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    /// Raw reactions out of the log, in order of their append. Each is there once, as it was counted: repeats of an id
    /// within the horizon are left out. The file has its name only when it is complete.
    Reactions(reactions::ReactionsArgs),
    /// Moments, as chapters, subtitles, edit list, table or JSON.
    Moments(moments::MomentsArgs),
}

/// What of which channel.
#[derive(Debug, Args)]
struct Selection {
    /// Channel to export.
    #[arg(long, value_name = "NAME", value_parser = channel)]
    channel: ChannelName,
    /// Only what happened at or after this time, RFC 3339, in event time.
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    from: Option<i64>,
    /// Only what happened before this time.
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    to: Option<i64>,
    /// File to write [default: standard output].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Data directory of the server.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
}

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<u8> {
    match &args.command {
        ExportCommand::Reactions(args) => reactions::run(args),
        ExportCommand::Moments(args) => moments::run(args),
    }
}

impl Selection {
    fn begin_ms(&self) -> i64 {
        self.from.unwrap_or(i64::MIN)
    }

    fn end_ms(&self) -> i64 {
        self.to.unwrap_or(i64::MAX)
    }

    fn open_log(&self) -> anyhow::Result<Snapshot> {
        let dir = log_dir(&self.data_dir);
        Snapshot::open(&dir).with_context(|| format!("open the log in {}", dir.display()))
    }
}

fn channel(text: &str) -> Result<ChannelName, String> {
    ChannelName::new(text).map_err(|error| error.to_string())
}

fn time_ms(text: &str) -> Result<i64, String> {
    time::parse_ms(text).map_err(|error| error.to_string())
}
