//! The files that the rules look at, read once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Kinds of files that a rule reads.
const EXTENSIONS: &[&str] =
    &["rs", "ts", "tsx", "js", "mjs", "css", "html", "md", "toml", "sh", "yml", "yaml", "json"];

/// Folders that hold what programs wrote, wherever they are.
const BUILT_FOLDERS: &[&str] = &["target", "node_modules", "dist", "test-results", "playwright-report"];

/// Folders at the root that hold what programs wrote, or what is not ours.
const ROOT_FOLDERS: &[&str] = &[".git", "data", "shared"];

/// One text file, its path relative to the root and with `/`.
#[derive(Debug)]
pub(crate) struct File {
    /// Path relative to the root.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

impl File {
    /// The part after the last dot of the name.
    pub(crate) fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|e| e.to_str()).unwrap_or_default()
    }

    /// Whether this is program text of ours, where sizes and names matter.
    pub(crate) fn is_source(&self) -> bool {
        matches!(self.extension(), "rs" | "ts" | "tsx")
    }
}

/// All text files below a root.
#[derive(Debug)]
pub(crate) struct Tree {
    files: Vec<File>,
    paths: BTreeSet<String>,
}

impl Tree {
    /// Reads every text file below `root`, leaving out what programs wrote.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self { files: Vec::new(), paths: BTreeSet::new() };
        tree.read_folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// The files in order of path.
    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// The text file at exactly this path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().map(|at| &self.files[at])
    }

    /// Whether a file of any kind, or a folder, is at this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        path.is_empty() || self.paths.contains(path)
    }

    fn read_folder(&mut self, folder: &Path, relative: &str) -> Result<()> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if relative.is_empty() { name.clone() } else { format!("{relative}/{name}") };
            let kind = entry.file_type().with_context(|| format!("reading {path}"))?;
            if kind.is_dir() {
                let at_root = relative.is_empty() && ROOT_FOLDERS.contains(&name.as_str());
                if !at_root && !BUILT_FOLDERS.contains(&name.as_str()) {
                    self.paths.insert(path.clone());
                    self.read_folder(&entry.path(), &path)?;
                }
            } else if kind.is_file() {
                self.read_file(&entry.path(), path)?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, on_disk: &PathBuf, path: String) -> Result<()> {
        let extension = on_disk.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if EXTENSIONS.contains(&extension) {
            let bytes = std::fs::read(on_disk).with_context(|| format!("reading {path}"))?;
            self.files.push(File { path: path.clone(), text: String::from_utf8_lossy(&bytes).into_owned() });
        }
        self.paths.insert(path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::tree;

    #[test]
    fn what_programs_wrote_is_left_out() {
        let tree = tree(&[
            ("src/lib.rs", ""),
            ("target/debug/a.rs", ""),
            ("web/node_modules/a/b.ts", ""),
            ("web/dist/a.js", ""),
            ("data/a.md", ""),
            ("docs/data/a.md", ""),
            ("docs/page.png", ""),
        ]);
        let paths: Vec<&str> = tree.files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["docs/data/a.md", "src/lib.rs"]);
        assert!(tree.has("docs/page.png") && tree.has("docs/data") && tree.has(""));
        assert!(!tree.has("target/debug/a.rs"));
        assert!(tree.file("src/lib.rs").is_some() && tree.file("docs/page.png").is_none());
    }
}
