//! `emostream clusters ls`: clusters and their edges straight from the store, also while a server runs on it.

use std::collections::BTreeMap;

use anyhow::Context;
use clap::{Args, Subcommand};
use emostream_log::{Clock, SystemClock};
use emostream_protocol::time;
use emostream_store::{EdgeRecord, Store, StoreOptions};
use serde_json::json;

use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, place::Place, say, say_error};
use crate::{
    config::Config,
    control::placement::{EdgeState, Hearing},
};

/// Arguments of `emostream clusters`.
#[derive(Debug, Args)]
pub(super) struct ClustersArgs {
    #[command(subcommand)]
    command: ClustersCommand,
}

#[derive(Debug, Subcommand)]
enum ClustersCommand {
    /// List clusters with their edges, how many viewers those hold, and when they were last heard of.
    Ls {
        /// One JSON object a cluster and line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// A cluster as it is listed.
#[derive(Default)]
struct Listed {
    capacity: Option<u32>,
    edges: Vec<(EdgeRecord, EdgeState)>,
}

pub(super) fn run(args: &ClustersArgs) -> anyhow::Result<u8> {
    let ClustersCommand::Ls { json, place } = &args.command;
    let config = match place.load() {
        Ok(config) => config,
        Err(error) => {
            say_error(&error.to_string());
            return Ok(EXIT_USAGE);
        }
    };
    let file = config.data_dir.join("emostream.db");
    if config.store.url.is_none() && !file.exists() {
        say_error(&format!("there is no store {}; see --data-dir", file.display()));
        return Ok(EXIT_FAILED);
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let clusters = runtime.block_on(read(&config))?;
    for (name, cluster) in &clusters {
        if *json { say(&as_json(name, cluster)) } else { tell(name, cluster) }
    }
    if clusters.is_empty() && !json {
        say("there are no clusters");
    }
    Ok(EXIT_OK)
}

async fn read(config: &Config) -> anyhow::Result<BTreeMap<String, Listed>> {
    let url = config.store.effective_url(&config.data_dir);
    let store = Store::open(&url, &StoreOptions { readers: 1, ..StoreOptions::default() }).await?;
    let (clusters, edges) = (store.clusters().await?, store.edges().await?);
    store.close().await;
    let mut listed: BTreeMap<String, Listed> = BTreeMap::new();
    for cluster in clusters {
        listed.entry(cluster.name).or_default().capacity = cluster.capacity;
    }
    let (hearing, now_us) = (Hearing::of(&config.placement), SystemClock.now_ms() * 1_000);
    for edge in edges {
        let state = hearing.state(&edge, now_us);
        listed.entry(edge.cluster.clone()).or_default().edges.push((edge, state));
    }
    Ok(listed)
}

fn heard_at(edge: &EdgeRecord) -> String {
    time::format_ms(edge.heard_us.div_euclid(1_000))
}

fn as_json(name: &str, cluster: &Listed) -> String {
    let edge = |(edge, state): &(EdgeRecord, EdgeState)| {
        json!({
            "name": edge.name,
            "state": state.name(),
            "url": edge.url,
            "port": edge.port,
            "viewers": edge.viewers,
            "capacity": edge.capacity,
            "heard_at": heard_at(edge),
        })
    };
    let edges: Vec<_> = cluster.edges.iter().map(edge).collect();
    json!({"name": name, "capacity": cluster.capacity, "edges": edges}).to_string()
}

fn tell(name: &str, cluster: &Listed) {
    let there = cluster.edges.iter().filter(|(_, state)| *state != EdgeState::Lost);
    let viewers: u64 = there.map(|(edge, _)| u64::from(edge.viewers)).sum();
    let of = cluster.capacity.map_or(String::new(), |capacity| format!(" of {capacity}"));
    say(&format!("{name}: {viewers} viewers{of}"));
    let widest = cluster.edges.iter().map(|(edge, _)| edge.name.len()).max().unwrap_or(0);
    for (edge, state) in &cluster.edges {
        let place = if edge.url.is_empty() { format!("port {}", edge.port) } else { edge.url.clone() };
        say(&format!(
            "  {:<widest$}  {:<8}  {} of {} viewers  {place}  heard {}",
            edge.name,
            state.name(),
            edge.viewers,
            edge.capacity,
            heard_at(edge)
        ));
    }
}
