//! The folder of results: a JSON file and a plot for each benchmark, and the table of all.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::{Report, bars, table};

/// Writes a benchmark's results and makes the table of all that are in the folder.
pub(crate) fn write(folder: &Path, report: &Report, order: &[&str]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let mut json = serde_json::to_string_pretty(report)?;
    json.push('\n');
    write_file(&folder.join(format!("{}.json", report.benchmark)), &json)?;
    write_file(&folder.join(format!("{}.svg", report.benchmark)), &bars::svg(report))?;
    let all: Vec<Report> = order.iter().filter_map(|name| read(folder, name)).collect();
    write_file(&folder.join("README.md"), &table::markdown(&all))
}

/// Results of an earlier run, if there are any that this version can read.
fn read(folder: &Path, name: &str) -> Option<Report> {
    let text = fs::read_to_string(folder.join(format!("{name}.json"))).ok()?;
    serde_json::from_str(&text).ok()
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
