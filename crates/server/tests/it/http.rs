//! What HTTP answers: reactions, queries of the past, the page, health, and the description of it all.

mod contract;
mod page;
mod proxies;
mod queries;
mod reactions;

use std::path::Path;

use crate::harness::process::Server;

/// A server with short windows, a moment for more than three of an emote in one, and a second channel.
pub(crate) fn start(data_dir: &Path, set: &[&str]) -> Server {
    let channels = "channels=[{name=\"main\",threshold=3.0},\
         {name=\"goals\",custom_emotes=[\":goal:\"],palette=[\":goal:\"],accepted_emotes=[\"👏\"]}]";
    let args =
        ["log.durability=os", "windows.window_ms=200", channels].into_iter().chain(set.iter().copied());
    let args: Vec<&str> = args.flat_map(|pair| ["--set", pair]).collect();
    Server::start(data_dir, &args)
}
