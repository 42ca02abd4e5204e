//! `emostream-bench`: Emostream side by side with the least that each task could cost, as ratios of one run.

use std::{
    io::{BufWriter, stdout},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};

mod cases;
mod floor;
mod load;
mod measure;
mod poll;
mod report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks Emostream against the floors of what it does; minutes in all, a minute with --quick.
#[derive(Debug, Parser)]
#[command(name = "emostream-bench", version)]
struct Arguments {
    /// Run only these, by name; may be given more than once
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Short runs, to see that everything works; results go to bench/results/local
    #[arg(long)]
    quick: bool,
    /// Print the names of the benchmarks and end
    #[arg(long)]
    list: bool,
    /// The program to measure [default: emostream beside this program]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Folder of results [default: bench/results]
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Folder for the servers' data, on a real disk
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    scratch: PathBuf,
    #[command(subcommand)]
    floor: Option<Floor>,
}

/// The floors, which a benchmark starts as processes of their own.
#[derive(Debug, Subcommand)]
#[command(hide = true)]
enum Floor {
    /// A bare hyper server.
    BareHttp {
        /// Limit the time of a request's head, as Emostream does
        #[arg(long)]
        header_timer: bool,
    },
    /// A hyper server that signs a ticket, verifies it and greets.
    BareDoor,
    /// One write a viewer and pulse.
    BareFanout {
        /// Bytes of a frame
        #[arg(long)]
        frame_bytes: usize,
        /// From one pulse to the next
        #[arg(long)]
        period_ms: u64,
    },
    /// The rows of the benchmark of aggregation as lines of JSON, for deploy/flink/bench.sh.
    FlinkLines {
        /// How many, in thousands
        #[arg(long)]
        thousands: u64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.floor {
        Some(Floor::BareHttp { header_timer }) => floor::http::serve(*header_timer),
        Some(Floor::BareDoor) => floor::door::serve(),
        Some(Floor::BareFanout { frame_bytes, period_ms }) => {
            floor::fanout::serve(*frame_bytes, Duration::from_millis(*period_ms))
        }
        Some(Floor::FlinkLines { thousands }) => {
            cases::aggregation::write_lines(thousands * 1_000, BufWriter::new(stdout().lock()))
        }
        None => cases::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_error(&format!("emostream-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// What happens meanwhile.
#[expect(clippy::print_stdout, reason = "a benchmark prints what it finds")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the last word of a program that failed")]
fn say_error(line: &str) {
    eprintln!("{line}");
}
