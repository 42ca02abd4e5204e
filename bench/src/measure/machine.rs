//! What the numbers were measured on.

use std::{fs, process::Command};

use emostream_log::{Clock, SystemClock};
use serde::{Deserialize, Serialize};

/// Machine, commit and time of a measurement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// The processor's name for itself.
    pub(crate) processor: String,
    /// Version of the kernel.
    pub(crate) kernel: String,
    /// Work that others had on the machine just before: the one-minute load average.
    pub(crate) load_before: f64,
    /// Commit of the work tree.
    pub(crate) commit: String,
    /// Whether the work tree differed from it.
    pub(crate) changed: bool,
    /// When, RFC 3339.
    pub(crate) date: String,
}

impl Machine {
    /// This machine, now; the process may use so many cores.
    pub(crate) fn here(cores: usize) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let processor = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = read("/proc/loadavg");
        Self {
            cores,
            processor: processor.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: load.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0),
            commit: git(&["rev-parse", "--short=12", "HEAD"]),
            changed: !git(&["status", "--porcelain", "--untracked-files=no", "--", "crates", "bench/src"])
                .is_empty(),
            date: emostream_protocol::time::format_ms(SystemClock.now_ms()),
        }
    }
}

fn git(arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    String::from_utf8_lossy(&text.unwrap_or_default()).trim().to_owned()
}
