//! Adds up what a server counted, page by page, and checks on the way what must hold on every page.

use std::{collections::BTreeMap, net::SocketAddr};

use serde_json::{Value, json};

use super::{
    client::{Client, get, react},
    wait_for,
};

/// Reactions per emote.
pub(crate) type Totals = BTreeMap<String, u64>;

/// All items of `windows` or `moments` of a channel, in sequence. Checks that sequences ascend over the pages.
pub(crate) async fn all_items(address: SocketAddr, channel: &str, kind: &str) -> Vec<Value> {
    let mut client = Client::connect(address).await.unwrap();
    let mut items: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        // Small enough for a few seconds of a test to need more than one page.
        let path = format!("/v1/channels/{channel}/{kind}?limit=7{cursor}");
        let answer = client.get(&path).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let mut page = answer.json();
        let Value::Array(found) = page["items"].take() else { panic!("no items: {page}") };
        items.extend(found);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let sequence: Vec<_> = items.iter().map(|item| item["seq"].as_u64().unwrap()).collect();
    assert!(sequence.is_sorted_by(|a, b| a < b), "{kind} of {channel} do not ascend: {sequence:?}");
    items
}

/// Counts of all closed windows of a channel, per emote. Checks that no window is there twice.
pub(crate) async fn windows_total(address: SocketAddr, channel: &str) -> Totals {
    let windows = all_items(address, channel, "windows").await;
    let mut starts: Vec<_> = windows.iter().map(|window| window["window_start"].as_str().unwrap()).collect();
    starts.sort_unstable();
    let number = starts.len();
    starts.dedup();
    assert_eq!(starts.len(), number, "a window is there twice: {windows:?}");
    let mut totals = Totals::new();
    for window in &windows {
        for (emote, count) in window["counts"].as_object().unwrap() {
            *totals.entry(emote.clone()).or_default() += count.as_u64().unwrap();
        }
    }
    totals
}

/// A reaction that no test sends otherwise: when it is counted, every window before it is closed.
const LAST: &str = "🏁";

/// Counts of a channel once every window with anything in it is closed: sends one more reaction, and waits for it. A
/// reaction counted twice, or one that should not be there, cannot hide in a window that is still open.
pub(crate) async fn final_total(address: SocketAddr, channel: &str) -> Totals {
    let sent_before = windows_total(address, channel).await.get(LAST).copied().unwrap_or(0);
    let sent = async || {
        let answer = react(address, channel, &json!({"emote": LAST})).await.unwrap();
        // A disk may fail more than once.
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        (answer.status == 200).then_some(())
    };
    wait_for("the last reaction to be taken", sent).await;
    let closed = async || {
        let mut totals = windows_total(address, channel).await;
        totals.remove(LAST).filter(|sent| *sent > sent_before).map(|_| totals)
    };
    wait_for(&format!("the last window of {channel}"), closed).await
}

/// Waits until the windows of a channel add up to `expected` or more, and nothing more is counted for longer than a
/// window of the default length is open; for servers that take no reactions, or whose windows are compared one by one.
pub(crate) async fn closed_windows_total(address: SocketAddr, channel: &str, expected: u64) -> Totals {
    let enough = async || {
        let totals = windows_total(address, channel).await;
        (totals.values().sum::<u64>() >= expected).then_some(())
    };
    wait_for(&format!("{expected} reactions in closed windows of {channel}"), enough).await;
    wait_for("no window is open", async || nothing_open(address).await.then_some(())).await;
    windows_total(address, channel).await
}

/// Whether nothing was counted for so long that a window of the default length would have been closed, by a tick.
async fn nothing_open(address: SocketAddr) -> bool {
    let before = counted_records(address).await;
    tokio::time::sleep(std::time::Duration::from_millis(3_000)).await;
    counted_records(address).await == before
}

async fn counted_records(address: SocketAddr) -> Option<String> {
    let metrics = get(address, "/metrics").await.unwrap();
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    text.lines().find(|line| line.contains("records_counted_total ")).map(str::to_owned)
}
