//! What is on the disk: ids in the raw log, rows in the output log, and what counting all of it again comes to.

use std::{
    collections::{HashMap, HashSet},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use crate::harness::{
    process::{Server, files_below},
    records::{assert_verified, cat},
    wait_for,
    windows::all_items,
};

/// Remembers how far the raw log has been looked at.
#[derive(Default)]
pub(super) struct Evidence {
    next: HashMap<u64, u64>,
}

impl Evidence {
    /// Ids of reactions that the raw log holds, among what was not looked at before.
    pub(super) fn new_ids(&mut self, data: &Path) -> HashSet<String> {
        let mut found = HashSet::new();
        let begin = self.next.values().min().copied().unwrap_or(0).to_string();
        for record in cat(&["--topic", "emote-log", "--from", &begin], data) {
            let offset = record["offset"].as_u64().unwrap();
            let next = self.next.entry(record["partition"].as_u64().unwrap()).or_insert(0);
            if offset < *next {
                continue;
            }
            *next = offset + 1;
            let reactions = record["reactions"].as_array().into_iter().flatten();
            found.extend(reactions.map(|reaction| reaction["id"].as_str().unwrap().to_owned()));
        }
        found
    }
}

/// Tells one stored snapshot from the next.
pub(super) fn snapshot_identity(data: &Path) -> Option<(u64, i64, i64)> {
    let found = std::fs::metadata(data.join("aggregate/snapshot")).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec()))
}

/// Counting the whole raw log again, in one go and without the rows and snapshots that are there, gives the same.
pub(super) async fn assert_same_when_counted_again(
    server: Server,
    data: &Path,
    args: &[&str],
    channels: &[&str],
) {
    let mut before = Vec::new();
    for channel in channels {
        for kind in ["windows", "moments"] {
            before.push(all_items(server.address, channel, kind).await);
        }
    }
    assert_eq!(server.stop().code, Some(0));
    assert_verified(data);
    std::fs::remove_dir_all(data.join("aggregate")).unwrap();
    for file in files_below(&data.join("log/emote-output-0"), "") {
        std::fs::remove_file(file).unwrap();
    }
    let server = Server::start(data, args);
    for channel in channels {
        for kind in ["windows", "moments"] {
            let expected = before.remove(0);
            let counted = async || {
                let items = all_items(server.address, channel, kind).await;
                (items.len() >= expected.len()).then_some(items)
            };
            let again = wait_for(&format!("all {kind} of {channel} again"), counted).await;
            assert_eq!(again, expected, "{kind} of {channel}, counted again");
        }
    }
}
