//! The archive of windows and moments, what can be taken away from it, and reactions out of the log.

mod exported;
mod filling;
mod moment_files;

mod reaction_files;

use std::{net::SocketAddr, path::Path};

use emostream_store::{Store, StoreOptions};
use serde_json::{Value, json};

use crate::harness::{
    client::Client,
    wait_for,
    windows::{all_items, closed_windows_total},
};

/// Sends bursts of one emote until there are so many moments (of `http::start`'s rule), and waits until all is closed.
async fn burst(address: SocketAddr, emote: &str, number: usize) -> Vec<Value> {
    let counted: u64 =
        all_items(address, "main", "windows").await.iter().filter_map(|w| w["total"].as_u64()).sum();
    let mut sent = counted;
    let before = all_items(address, "main", "moments").await.len();
    let enough = async || {
        let burst = json!(vec![json!({"emote": emote, "user_id": "u"}); 5]);
        assert_eq!(Client::connect(address).await.unwrap().react("main", &burst).await.unwrap().status, 200);
        sent += 5;
        (all_items(address, "main", "moments").await.len() >= before + number).then_some(())
    };
    wait_for("moments", enough).await;
    closed_windows_total(address, "main", sent).await;
    all_items(address, "main", "moments").await
}

/// The store of a data directory, beside the server that works on it.
async fn store(data: &Path) -> Store {
    let url = format!("sqlite://{}", data.join("emostream.db").display());
    Store::open(&url, &StoreOptions::default()).await.unwrap()
}
