//! What is on the disk, as `emostream log` shows it.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::Path,
    process::Output,
};

use serde_json::Value;

use super::process::run;

/// Runs `emostream log …` on a data directory.
pub(crate) fn log(command: &[&str], data: &Path) -> Output {
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

/// `emostream log verify` finds nothing.
pub(crate) fn assert_verified(data: &Path) {
    let output = log(&["verify"], data);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains(", 0 damaged"), "{output:?}");
}

/// Rows of the output with the same place have the same content, and one window has one row. Returns how many rows
/// were written more than once.
pub(crate) fn assert_rows_agree(data: &Path) -> usize {
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
            Entry::Vacant(vacant) => drop(vacant.insert(row)),
            Entry::Occupied(first) => {
                assert_eq!(*first.get(), row, "one place, two rows");
                repeated += 1;
            }
        }
    }
    repeated
}
