//! `emostream log ls / cat / verify`: what is in the log, on this machine or on brokers, without disturbing those that run on it.

use clap::{Args, Subcommand};

use super::{EXIT_USAGE, place::Place, say_error};
use crate::{config::LogKind, node::OUTPUT_TOPIC};

#[cfg(feature = "kafka")]
mod brokers;
mod describe;
mod files;

/// Bytes read at a time.
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
        #[command(flatten)]
        selection: Selection,
    },
    /// Check every record: on this machine every checksum, on brokers whether all can be read and decoded. Names the first
    /// bad offset of each damaged file or partition. Exit code 1 if there is damage.
    Verify(Place),
}

/// What to print.
#[derive(Debug, Args)]
struct Selection {
    /// Topic to print: emote-log (reactions as taken), emote-output (windows, moments, settings), or dead-letter
    /// (what could not be read); on Kafka also emote-partials, emote-state, emote-pulses and settings.
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
}

/// What a topic or partition that is not there is answered with.
const NO_SUCH_TOPIC: &str = "there is no such topic or partition; see emostream log ls";

pub(super) fn run(args: &LogArgs) -> anyhow::Result<u8> {
    let (LogCommand::Ls(place) | LogCommand::Cat { place, .. } | LogCommand::Verify(place)) = &args.command;
    let config = match place.load() {
        Ok(config) => config,
        Err(error) => {
            say_error(&error.to_string());
            return Ok(EXIT_USAGE);
        }
    };
    match config.log.kind {
        LogKind::Embedded => files::run(&args.command, &config.data_dir),
        LogKind::Kafka => on_brokers(&args.command, &config),
    }
}

#[cfg(feature = "kafka")]
use brokers::run as on_brokers;

/// A build without Kafka refuses the configuration already.
#[cfg(not(feature = "kafka"))]
fn on_brokers(_: &LogCommand, _: &crate::config::Config) -> anyhow::Result<u8> {
    anyhow::bail!("log.kind: this build has no Kafka")
}
