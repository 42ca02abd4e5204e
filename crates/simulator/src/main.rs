//! The simulator as a program of its own; `emostream simulate` is the same.

use std::process::ExitCode;

use clap::Parser;

/// Audiences, load and viewers for Emostream
#[derive(Parser)]
#[command(name = "emostream-simulator", version)]
struct Program {
    #[command(flatten)]
    simulate: emostream_simulator::SimulateArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let program = Program::parse();
    match emostream_simulator::run(program.simulate).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // Nobody is left to tell when standard error is gone.
            writeln!(std::io::stderr(), "emostream-simulator: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}
