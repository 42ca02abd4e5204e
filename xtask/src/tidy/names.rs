//! Names that say nothing about what is inside: a file, folder or module is called after the thing that it holds.

use super::tokens::Scan;
use super::{File, Finding};

/// Words that are no names, alone or as part of one.
const EMPTY_WORDS: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc", "types", "manager"];

/// Reports files and folders of program text whose name is empty.
pub(crate) fn check(file: &File, findings: &mut Vec<Finding>) {
    if !file.is_source() {
        return;
    }
    for part in file.path.split('/') {
        if let Some(word) = empty_word(part) {
            let message = format!("`{part}` is named `{word}`: call it after what it holds");
            findings.push(Finding::new(&file.path, 1, message));
        }
    }
}

/// Reports modules declared inside a file whose name is empty.
pub(crate) fn check_modules(file: &File, scan: &Scan, findings: &mut Vec<Finding>) {
    for module in &scan.modules {
        if let Some(word) = empty_word(&module.name) {
            let message = format!("module `{}` is named `{word}`: call it after what it holds", module.name);
            findings.push(Finding::new(&file.path, module.line, message));
        }
    }
}

fn empty_word(name: &str) -> Option<&str> {
    name.split(['.', '_', '-']).find(|word| EMPTY_WORDS.contains(&word.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::file_findings;

    #[test]
    fn empty_names_of_files_folders_and_modules_are_found() {
        for path in ["crates/log/src/utils.rs", "crates/log/src/common/a.rs", "crates/log/src/frame_types.rs"]
        {
            assert_eq!(file_findings(path, "//! D.\n").len(), 1, "{path}");
        }
        assert_eq!(file_findings("web/src/helpers.ts", "").len(), 1);
        assert_eq!(
            file_findings("crates/log/src/a.rs", "//! D.\nmod manager {}\n"),
            ["crates/log/src/a.rs:2: module `manager` is named `manager`: call it after what it holds"]
        );
    }

    #[test]
    fn other_names_pass() {
        assert_eq!(file_findings("crates/log/src/uncommon.rs", "//! D.\nmod typeset {}\n"), [""; 0]);
        assert_eq!(file_findings("docs/types.md", ""), [""; 0]);
    }
}
