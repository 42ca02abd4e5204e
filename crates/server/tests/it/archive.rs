//! The archive of windows and moments, what can be taken away from it, and reactions out of the log.

mod edits;
mod exported;
mod filling;
mod moment_files;
mod previews;
mod reaction_files;

use std::{net::SocketAddr, path::Path};

use emostream_store::{Store, StoreOptions};
use serde_json::{Value, json};

use crate::harness::{
    client::{Answer, Client},
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

/// What makes an admin's password known to a server and a test.
const ADMIN: [&str; 2] = ["control.admin_username=boss", "control.admin_password=a-long-password"];

/// A request of the admin, with JSON.
async fn as_admin(
    client: &mut Client,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Answer {
    let credentials = json!({"username": "boss", "password": "a-long-password"});
    let login = client.post("/v1/login", "application/json", credentials.to_string()).await.unwrap();
    let token = login.json()["token"].as_str().unwrap_or_else(|| panic!("{login:?}")).to_owned();
    let mut request = client.request(method, path).header("authorization", format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("content-type", "application/json");
    client.send(request.body(body.to_string().into()).unwrap()).await.unwrap()
}
