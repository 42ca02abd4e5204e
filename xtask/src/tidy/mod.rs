//! The rules of the repository that no compiler checks, each in one file named after what it looks at.

mod clock;
mod crates;
mod dependencies;
mod documents;
mod folders;
mod length;
mod names;
mod roles;
mod text;
mod tokens;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::Result;

pub(crate) use tree::{File, Tree};

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    /// A finding in `path`, which is relative to the root, at a line counted from 1.
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Checks the tree below `root`: the findings in order of place, and the number of files read.
pub(crate) fn check(root: &Path) -> Result<(Vec<Finding>, usize)> {
    let tree = Tree::read(root)?;
    let mut findings = Vec::new();
    for file in tree.files() {
        check_file(file, &mut findings);
    }
    crates::check(&tree, &mut findings);
    dependencies::check(&tree, &mut findings);
    documents::check(&tree, &mut findings);
    folders::check(&tree, &mut findings);
    findings.sort();
    findings.dedup();
    Ok((findings, tree.files().len()))
}

/// The rules that need nothing but the file itself.
fn check_file(file: &File, findings: &mut Vec<Finding>) {
    names::check(file, findings);
    text::check(file, findings);
    length::check_file(file, findings);
    match file.extension() {
        "rs" => match tokens::scan(&file.text) {
            Ok(scan) => {
                clock::check(file, &scan, findings);
                length::check_rust(file, &scan, findings);
                names::check_modules(file, &scan, findings);
                roles::check(file, &scan, findings);
                text::check_macros(file, &scan, findings);
            }
            Err(line) => findings.push(Finding::new(&file.path, line, "cannot be read as Rust")),
        },
        "ts" | "tsx" => length::check_typescript(file, findings),
        _ => {}
    }
}

/// What the rules' own tests share: a small tree in a temporary folder, and findings as text.
#[cfg(test)]
mod testing {
    use super::{Finding, Tree};

    /// A tree of the given files, read back from disk as the real one is.
    pub(super) fn tree(files: &[(&str, &str)]) -> Tree {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("the folder is made");
            std::fs::write(path, text).expect("the file is written");
        }
        Tree::read(dir.path()).expect("the tree is read")
    }

    /// The findings of the rules for single files, as they would be printed.
    pub(super) fn file_findings(path: &str, text: &str) -> Vec<String> {
        let tree = tree(&[(path, text)]);
        let mut findings = Vec::new();
        for file in tree.files() {
            super::check_file(file, &mut findings);
        }
        printed(findings)
    }

    /// The findings of one rule for whole trees, as they would be printed.
    pub(super) fn tree_findings(
        files: &[(&str, &str)],
        rule: impl Fn(&Tree, &mut Vec<Finding>),
    ) -> Vec<String> {
        let mut findings = Vec::new();
        rule(&tree(files), &mut findings);
        printed(findings)
    }

    fn printed(mut findings: Vec<Finding>) -> Vec<String> {
        findings.sort();
        findings.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_come_in_order_with_path_and_line() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(dir.path().join("crates/log/src")).expect("folders");
        std::fs::write(dir.path().join("crates/log/Cargo.toml"), "[package]\n").expect("written");
        std::fs::write(dir.path().join("crates/log/src/lib.rs"), "fn a() {} \nfn b() {}\n").expect("written");
        let (findings, files) = check(dir.path()).expect("read");
        assert_eq!(files, 2);
        let printed: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            printed,
            [
                "crates/log/src/lib.rs:1: begin the file with one `//!` sentence that says what it is for",
                "crates/log/src/lib.rs:1: space at the end of the line",
            ]
        );
    }

    #[test]
    fn a_broken_rust_file_is_named() {
        let found = testing::file_findings("crates/log/src/lib.rs", "//! Doc.\nfn a( {\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with("cannot be read as Rust"), "{found:?}");
    }
}
