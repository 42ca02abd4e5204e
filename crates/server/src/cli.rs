//! The command line: what users type, and the exit codes that they get.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, Layers, Preset, load, with_dotenv};

mod check_config;
mod clusters;
mod doctor;
mod export;
mod log;
mod moments;
mod notify;
#[cfg(feature = "kafka")]
mod patience;
mod place;
mod serve;
mod topics;
mod user;

/// Clean stop.
const EXIT_OK: u8 = 0;
/// Something failed while running.
const EXIT_FAILED: u8 = 1;
/// Bad configuration or arguments.
const EXIT_USAGE: u8 = 2;

/// Real-time audience reactions: every tap counted once, shown to everybody at once.
#[derive(Debug, Parser)]
#[command(name = "emostream", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  emostream serve                                    the whole system on http://127.0.0.1:8080
  emostream simulate match                           a crowd for it
  emostream serve --preset emote-bursts              with the ports and defaults of system A
  emostream serve --set log.durability=os --listen 0.0.0.0:80
  emostream user add ada --role broadcaster          somebody who may change settings; the password is asked for
  emostream log cat --topic emote-output             windows, moments and settings as JSON lines
  emostream clusters ls                              clusters, their edges, and who holds how many viewers
  emostream export moments --channel main --format youtube --recording-started-at 2026-04-06T19:00:00Z
  emostream doctor --config emostream.toml           what is wrong with this installation
  emostream topics create --set kafka.bootstrap_servers=localhost:9092 --set log.kind=kafka
  emostream moments try --input counts.csv --rule hard

Exit codes: 0 clean stop, 1 failure while running, 2 bad configuration or arguments.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the roles of a node.
    Serve(ConfigArgs),
    /// Print the effective configuration, or what is wrong: the first value that cannot be read, else every one that
    /// does not fit.
    CheckConfig(ConfigArgs),
    /// Look into the log of a data directory or on brokers, also while servers run on it.
    Log(log::LogArgs),
    /// Write reactions or moments as files for other programs.
    Export(export::ExportArgs),
    /// Try moment rules without a server.
    Moments(moments::MomentsArgs),
    /// Make, change, list and remove accounts, also while a server runs.
    User(user::UserArgs),
    /// Look at clusters and their edges, also while a server runs.
    Clusters(clusters::ClustersArgs),
    /// Find out what is wrong with this installation, and what to do about it. Exit code 1 if something is.
    Doctor(Box<doctor::DoctorArgs>),
    /// Make or check the topics of a fleet on Kafka.
    Topics(topics::TopicsArgs),
    /// Play an audience against a server.
    Simulate(Box<emostream_simulator::SimulateArgs>),
}

/// Where configuration comes from. Later wins: preset, file, environment (the source systems' variables, then
/// EMOSTREAM__SECTION__KEY; both also from a file .env here), flags in this order.
#[derive(Debug, Clone, Default, Args)]
struct ConfigArgs {
    /// TOML file with configuration.
    #[arg(long, value_name = "FILE", env = "EMOSTREAM_CONFIG")]
    config: Option<PathBuf>,
    /// Topics, ports and defaults of one source system; all else that is configured wins over it.
    #[arg(long, value_name = "NAME")]
    preset: Option<Preset>,
    /// Directory for the log, snapshots and keys [default: data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address to listen on; may be given more than once. Port 0 takes a free one [default: 127.0.0.1:8080, and
    /// 127.0.0.1:3001 when it is free].
    #[arg(long, value_name = "ADDR")]
    listen: Vec<SocketAddr>,
    /// Roles to run, separated by commas: ingest, aggregate, edge, control, bridge, relay [default: all that the configuration
    /// needs; bridge and relay only on Kafka].
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Vec<String>,
    /// Set any key of the configuration, such as log.durability=os.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ConfigArgs {
    fn load(&self) -> Result<Config, ConfigError> {
        let mut set = Vec::new();
        for pair in &self.set {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(ConfigError::Unreadable(format!("--set {pair}: expected key=value")));
            };
            set.push((key.trim().to_owned(), value.trim().to_owned()));
        }
        if let Some(preset) = self.preset {
            set.push(("preset".to_owned(), format!("{:?}", preset.name())));
        }
        let array = |items: Vec<String>| serde_json::to_string(&items).unwrap_or_default();
        if let Some(dir) = &self.data_dir {
            set.push(("data_dir".to_owned(), format!("{:?}", dir.display().to_string())));
        }
        if !self.listen.is_empty() {
            set.push(("listen".to_owned(), array(self.listen.iter().map(ToString::to_string).collect())));
        }
        if !self.roles.is_empty() {
            set.push(("roles".to_owned(), array(self.roles.clone())));
        }
        // A variable that is no text is none of ours.
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let environment = with_dotenv(Path::new(".env"), std::env::vars_os().filter_map(text).collect())?;
        load(&Layers { file: self.config.clone(), environment, set })
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::CheckConfig(args) => Ok(check_config::run(&args)),
        Command::Log(args) => log::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Moments(args) => moments::run(&args),
        Command::User(args) => user::run(&args),
        Command::Clusters(args) => clusters::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Topics(args) => topics::run(&args),
        Command::Simulate(args) => simulate(*args),
    };
    let code = result.unwrap_or_else(|error| {
        say_error(&format!("{error:#}"));
        EXIT_FAILED
    });
    ExitCode::from(code)
}

fn simulate(args: emostream_simulator::SimulateArgs) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(emostream_simulator::run(args))?;
    Ok(EXIT_OK)
}

/// Standard output of the commands that print. Whoever reads it may stop early (`| head`): that ends the command quietly.
fn say(line: &str) {
    use std::io::{ErrorKind, Write};
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(EXIT_OK.into()),
        Err(error) => say_error(&format!("cannot write to standard output: {error}")),
        Ok(()) => {}
    }
}

/// Errors of the command itself.
#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn say_error(text: &str) {
    for line in text.lines() {
        eprintln!("emostream: {line}");
    }
}
