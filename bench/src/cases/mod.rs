//! The benchmarks, one a file, and what runs them.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    Arguments,
    measure::{cores::Cores, machine::Machine, process::Server},
    report::{Report, Row, files},
    say,
};

mod accounts;
pub(crate) mod aggregation;
mod append;
mod counted_disk;
mod fanout;
mod ingest;
mod kafka;
mod memory;
mod moments;
mod past;
mod screen;
mod start;
mod store;
mod storm;

/// What benchmarks need.
struct Bench {
    cores: Cores,
    program: PathBuf,
    scratch: PathBuf,
    quick: bool,
}

type Case = fn(&Bench) -> Result<Vec<Row>>;

/// All benchmarks in the order of a reaction's path.
const CASES: &[(&str, Case)] = &[
    ("ingest", ingest::run),
    ("append", append::run),
    ("aggregation", aggregation::run),
    ("moments", moments::run),
    ("archive", store::archive::run),
    ("leases", store::leases::run),
    ("fan-out", fanout::run),
    ("screen", screen::run),
    ("memory", memory::run),
    ("start", start::run),
    ("accounts", accounts::run),
    ("storm", storm::run),
    ("kafka", kafka::run),
];

/// Runs those that were asked for, and writes their results.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let names: Vec<_> = CASES.iter().map(|(name, _)| *name).collect();
    if arguments.list {
        say(&names.join("\n"));
        return Ok(());
    }
    for only in &arguments.only {
        ensure!(
            names.contains(&only.as_str()),
            "no benchmark {only:?}, expected one of {}",
            names.join(", ")
        );
    }
    let default = if arguments.quick { "bench/results/local" } else { "bench/results" };
    let results = arguments.results.clone().unwrap_or_else(|| default.into());
    let bench = Bench::prepare(arguments)?;
    for (name, case) in CASES {
        if !arguments.only.is_empty() && !arguments.only.iter().any(|only| only == name) {
            continue;
        }
        say(&format!("{name} …"));
        let machine = Machine::here(bench.cores.number);
        let rows = case(&bench).with_context(|| format!("benchmark {name}"))?;
        for row in &rows {
            let met = match row.met {
                Some(true) => "  met",
                Some(false) => "  NOT MET",
                None => "",
            };
            say(&format!("  {}: {}  ({}){met}", row.what, row.result, row.aim));
        }
        let report = Report { benchmark: (*name).to_owned(), quick: bench.quick, machine, rows };
        files::write(&results, &report, &names)?;
    }
    say(&format!("results: {}", results.join("README.md").display()));
    Ok(())
}

impl Bench {
    fn prepare(arguments: &Arguments) -> Result<Self> {
        // Both ends of every connection are descriptors, here and in the servers.
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
        fs::create_dir_all(&arguments.scratch)?;
        let scratch = arguments.scratch.canonicalize()?;
        let program = match &arguments.program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?.with_file_name("emostream"),
        };
        Ok(Self { cores: Cores::take()?, program, scratch, quick: arguments.quick })
    }

    /// Emostream on an empty data directory. What is measured in this program needs none.
    fn emostream(&self, set: &[&str]) -> Result<Server> {
        let advice = "build it with the same profile: cargo build --release -p emostream-server";
        let program = &self.program;
        ensure!(program.is_file(), "expected the program to measure at {}; {advice}", program.display());
        Server::emostream(program, &self.scratch, set, self.cores)
    }

    /// A floor: this program in another role.
    fn floor(&self, arguments: &[&str]) -> Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        Server::start(command, self.cores)
    }

    fn rounds(&self, full: usize) -> usize {
        if self.quick { 2 } else { full }
    }

    fn seconds(&self, full: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { full / 4.0 } else { full })
    }
}
