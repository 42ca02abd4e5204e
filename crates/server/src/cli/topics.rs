//! `emostream topics create`: makes the topics of a fleet on Kafka, or says what is wrong with those that are there.

use clap::{Args, Subcommand};

use super::{ConfigError, EXIT_USAGE, place::Place, say_error};
use crate::config::{Config, LogKind};

#[cfg(feature = "kafka")]
mod create;

/// Arguments of `emostream topics`.
#[derive(Debug, Args)]
pub(super) struct TopicsArgs {
    #[command(subcommand)]
    command: TopicsCommand,
}

#[derive(Debug, Subcommand)]
enum TopicsCommand {
    /// Make the topics that are missing and check the others; one line each. Exit code 1 if one is not as it has to be.
    Create(CreateArgs),
}

/// What to make, and where.
#[derive(Debug, Args)]
struct CreateArgs {
    /// Delete the topics with everything in them first, and make them anew. Asks before it does; refused while nodes count
    /// or merge.
    #[arg(long)]
    replace: bool,
    /// Do not ask.
    #[arg(long, requires = "replace")]
    yes: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &TopicsArgs) -> anyhow::Result<u8> {
    let TopicsCommand::Create(args) = &args.command;
    match configured(&args.place) {
        Ok(config) => create_topics(&config, args),
        Err(error) => {
            say_error(&error.to_string());
            Ok(EXIT_USAGE)
        }
    }
}

/// The configuration, which must be one of a fleet.
fn configured(place: &Place) -> Result<Config, ConfigError> {
    let config = place.load()?;
    match config.log.kind {
        LogKind::Kafka => Ok(config),
        LogKind::Embedded => Err(ConfigError::Unreadable(
            "log.kind: expected \"kafka\", with kafka.bootstrap_servers: the embedded log makes its topics by itself"
                .to_owned(),
        )),
    }
}

#[cfg(feature = "kafka")]
fn create_topics(config: &Config, args: &CreateArgs) -> anyhow::Result<u8> {
    create::run(config, args.replace.then_some(create::Replace { asks: !args.yes }))
}

/// A build without Kafka refuses the configuration already.
#[cfg(not(feature = "kafka"))]
fn create_topics(_: &Config, _: &CreateArgs) -> anyhow::Result<u8> {
    anyhow::bail!("log.kind: this build has no Kafka")
}
