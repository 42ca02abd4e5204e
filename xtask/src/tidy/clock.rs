//! Wall time and bare tasks: named files only, so that tests own the clock and every task has a name and a failure policy.

use super::tokens::Scan;
use super::{File, Finding};

/// A function that only named files may call.
struct Reserved {
    /// The last segments of its path.
    call: &'static [&'static str],
    /// What to do instead.
    instead: &'static str,
    /// The files that may.
    files: &'static [&'static str],
}

const CLOCK: &str = "wall time comes through a clock that is passed in";
const TASKS: &str = "start it through the task set, with a name and a failure policy";

/// The files that read the machine's clock for all others.
const CLOCK_FILES: &[&str] = &["crates/log/src/clock.rs", "crates/simulator/src/clock.rs"];

/// The files that start tasks for all others.
const TASK_FILES: &[&str] = &[];

const RESERVED: &[Reserved] = &[
    Reserved { call: &["SystemTime", "now"], instead: CLOCK, files: CLOCK_FILES },
    Reserved { call: &["Timestamp", "now"], instead: CLOCK, files: CLOCK_FILES },
    Reserved { call: &["Zoned", "now"], instead: CLOCK, files: CLOCK_FILES },
    Reserved { call: &["Uuid", "now_v7"], instead: CLOCK, files: CLOCK_FILES },
    Reserved { call: &["tokio", "spawn"], instead: TASKS, files: TASK_FILES },
    Reserved { call: &["tokio", "task", "spawn"], instead: TASKS, files: TASK_FILES },
    Reserved { call: &["task", "spawn"], instead: TASKS, files: TASK_FILES },
];

/// Reports calls of reserved functions outside their files.
pub(crate) fn check(file: &File, scan: &Scan, findings: &mut Vec<Finding>) {
    for path in &scan.paths {
        let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
        let broken = RESERVED.iter().find(|reserved| {
            segments.ends_with(reserved.call) && !reserved.files.contains(&file.path.as_str())
        });
        if let Some(reserved) = broken {
            let message = format!("`{}`: {}", reserved.call.join("::"), reserved.instead);
            findings.push(Finding::new(&file.path, path.line, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::file_findings;
    use super::{CLOCK_FILES, TASK_FILES};

    const TEXT: &str = "//! D.\nfn f() {\n  let a = std::time::SystemTime::now();\n  let b = SystemTime::now();\n  tokio::spawn(c);\n  tokio::task::spawn(d);\n  uuid::Uuid::now_v7();\n  tasks.spawn(e);\n  Instant::now();\n}\n";

    #[test]
    fn clock_and_bare_tasks_are_found_elsewhere() {
        let found = file_findings("crates/server/src/edge/a.rs", TEXT);
        let lines: Vec<&str> = found.iter().filter_map(|f| f.split(':').nth(1)).collect();
        assert_eq!(lines, ["3", "4", "5", "6", "7"], "{found:?}");
    }

    #[test]
    fn named_files_may_and_only_for_what_they_are_named() {
        for path in CLOCK_FILES {
            assert!(!file_findings(path, TEXT).iter().any(|f| f.contains("now")), "{path}");
        }
        for path in TASK_FILES {
            assert!(!file_findings(path, TEXT).iter().any(|f| f.contains("spawn")), "{path}");
        }
    }
}
