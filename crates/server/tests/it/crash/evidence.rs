//! What is on the disk: ids in the raw log, rows in the output log, and what counting all of it again comes to.

use std::{
    collections::{HashMap, HashSet},
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::Output,
};

use serde_json::Value;

use crate::harness::{
    process::{Server, files_below, run},
    wait_for,
    windows::all_items,
};

/// Remembers how far the raw log has been looked at.
#[derive(Default)]
pub(super) struct Evidence {
    next: HashMap<u64, u64>,
}

/// Runs `emostream log …` on a data directory.
fn log(command: &[&str], data: &Path) -> Output {
    let mut args = vec!["log"];
    args.extend(command);
    args.extend(["--data-dir", data.to_str().unwrap()]);
    run(&args)
}

/// The JSON lines that `emostream log cat` prints.
pub(crate) fn cat(command: &[&str], data: &Path) -> Vec<Value> {
    let output = log(&[&["cat"], command].concat(), data);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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

/// `emostream log verify` finds nothing.
pub(super) fn assert_verified(data: &Path) {
    let output = log(&["verify"], data);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains(", 0 damaged"), "{output:?}");
}

/// Tells one stored snapshot from the next.
pub(super) fn snapshot_identity(data: &Path) -> Option<(u64, i64, i64)> {
    let found = std::fs::metadata(data.join("aggregate/snapshot")).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec()))
}

/// Rows of the output with the same place have the same content, and one window has one row. Returns how many rows
/// were written more than once.
pub(super) fn assert_rows_agree(data: &Path) -> usize {
    let mut by_seq: HashMap<String, Value> = HashMap::new();
    let mut by_window: HashMap<String, Value> = HashMap::new();
    let mut repeated = 0;
    for mut row in cat(&["--topic", "emote-output"], data) {
        for name in ["offset", "append_time"] {
            row.as_object_mut().unwrap().remove(name);
        }
        if row["type"] == "window" {
            let window = format!("{} {}", row["channel"], row["window_start"]);
            let first = by_window.entry(window).or_insert_with(|| row.clone());
            assert_eq!(*first, row, "one window, two rows");
        }
        match by_seq.entry(format!("{} {}", row["channel"], row["seq"])) {
            std::collections::hash_map::Entry::Vacant(vacant) => drop(vacant.insert(row)),
            std::collections::hash_map::Entry::Occupied(first) => {
                assert_eq!(*first.get(), row, "one place, two rows");
                repeated += 1;
            }
        }
    }
    repeated
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
