//! Audiences, load and viewers for Emostream: a client of the public protocol, and of nothing else.
//!
//! A [`scenario`] says how a crowd behaves; an [`audience`] plans its taps, purely, by a seed; they are paced into real
//! time and sent over many connections, and every reaction ends in exactly one of the [`Counts`].

pub mod args;
pub mod audience;
pub mod check;
mod clients;
pub mod clock;
mod console;
mod load;
mod pace;
mod play;
mod ready;
pub mod report;
mod run;
pub mod scenario;
mod send;
mod signals;
mod target;
mod viewers;
mod watch;

use std::sync::Arc;

use anyhow::{Context as _, Result};

pub use args::{BroadcastArgs, ClusterArgs, LoadArgs, ServerArgs, SimulateArgs, SimulateCommand, Transport};
pub use send::{Counts, Refused};
pub use viewers::ViewersReport;

/// Does what the arguments say, until its end or a signal.
pub async fn run(args: SimulateArgs) -> Result<()> {
    if args.list {
        console::print(&list());
        return Ok(());
    }
    let clock = Arc::new(clock::MachineClock);
    match &args.command {
        Some(SimulateCommand::Load(args)) => load::load(args, clock).await,
        Some(SimulateCommand::BroadcastClient(args)) => {
            clients::broadcast(args, clock::ServerClock::new(clock)).await
        }
        Some(SimulateCommand::ClusterClient(args)) => {
            clients::cluster(args, clock::ServerClock::new(clock)).await
        }
        None => {
            let name = args.scenario.as_deref().context("expected the name of a scenario, or --list")?;
            play::play(&args, name, clock).await
        }
    }
}

fn list() -> String {
    let line = |name: &str| format!("{name:<22}{}", scenario::description_of(name).unwrap_or_default());
    scenario::names().map(line).collect::<Vec<_>>().join("\n")
}
