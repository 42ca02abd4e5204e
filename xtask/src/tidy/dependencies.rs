//! `docs/dependencies.md` gives the reason for each direct dependency, and for nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::crates::direct_dependencies;
use super::{File, Finding, Tree};

const DOCUMENT: &str = "docs/dependencies.md";

/// Manifests of the JavaScript packages that are ours.
const PACKAGES: &[&str] = &["web/package.json", "sdk/javascript/package.json"];

/// Reports dependencies without a line, lines without a dependency, and second lines.
pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let used = used(tree, findings);
    let Some(document) = tree.file(DOCUMENT) else {
        if !used.is_empty() {
            let message = format!("is missing: one line for each of {} direct dependencies", used.len());
            findings.push(Finding::new(DOCUMENT, 1, message));
        }
        return;
    };
    let mut explained = BTreeSet::new();
    for (at, line) in document.text.lines().enumerate() {
        for name in names(line) {
            if !used.contains_key(&name) {
                findings.push(Finding::new(DOCUMENT, at + 1, format!("`{name}` is no direct dependency")));
            } else if !explained.insert(name.clone()) {
                findings.push(Finding::new(DOCUMENT, at + 1, format!("`{name}` has a line already")));
            }
        }
    }
    for (name, (path, line)) in used.iter().filter(|(name, _)| !explained.contains(*name)) {
        let message =
            format!("`{name}` has no line in {DOCUMENT}: begin a list or table line with it, in back quotes");
        findings.push(Finding::new(path, *line, message));
    }
}

/// Every direct dependency, with the first place that names it.
fn used(tree: &Tree, findings: &mut Vec<Finding>) -> BTreeMap<String, (String, usize)> {
    let mut used = BTreeMap::new();
    for file in tree.files() {
        let found = if file.path.ends_with("/Cargo.toml") {
            let ours = |name: &str| name.starts_with("emostream-");
            let all = direct_dependencies(file, findings).into_iter();
            all.filter(|d| !ours(&d.name)).map(|d| (d.name, d.line)).collect()
        } else if PACKAGES.contains(&file.path.as_str()) {
            package_dependencies(file, findings)
        } else {
            Vec::new()
        };
        for (name, line) in found {
            used.entry(name).or_insert_with(|| (file.path.clone(), line));
        }
    }
    used
}

/// The dependencies of a JavaScript package, without those that are folders of ours.
fn package_dependencies(file: &File, findings: &mut Vec<Finding>) -> Vec<(String, usize)> {
    let manifest: serde_json::Value = match serde_json::from_str(&file.text) {
        Ok(manifest) => manifest,
        Err(error) => {
            findings.push(Finding::new(
                &file.path,
                error.line().max(1),
                format!("cannot be read as JSON: {error}"),
            ));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for section in ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"] {
        for (name, version) in manifest.get(section).and_then(|s| s.as_object()).into_iter().flatten() {
            let ours =
                version.as_str().is_some_and(|v| v.starts_with("file:") || v.starts_with("workspace:"));
            if !ours {
                let quoted = format!("\"{name}\":");
                let line = file.text.lines().position(|line| line.contains(&quoted)).map_or(1, |at| at + 1);
                found.push((name.clone(), line));
            }
        }
    }
    found
}

/// The names that a line explains: those in back quotes in a table line's first cell, or at a list line's beginning.
fn names(line: &str) -> Vec<String> {
    let line = line.trim();
    if let Some(row) = line.strip_prefix('|') {
        let cell = row.split('|').next().unwrap_or_default();
        return cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect();
    }
    let Some(item) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) else { return Vec::new() };
    let mut names = Vec::new();
    let mut rest = item.trim_start_matches("**");
    while let Some((name, after)) = rest.strip_prefix('`').and_then(|text| text.split_once('`')) {
        names.push(name.to_owned());
        rest = after.trim_start_matches([',', ' ', '*']);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::testing::tree_findings;
    use super::check;

    const LOG: (&str, &str) = (
        "crates/log/Cargo.toml",
        "[dependencies]\nbytes = \"1\"\n[dev-dependencies]\nproptest.workspace = true\n",
    );
    const SERVER: (&str, &str) =
        ("crates/server/Cargo.toml", "[dependencies]\nbytes = \"1\"\nemostream-log.workspace = true\n");
    const WEB: (&str, &str) = (
        "web/package.json",
        "{\n\"dependencies\": {\"@emostream/sdk\": \"file:../sdk/javascript\"},\n\"devDependencies\": {\n\"@playwright/test\": \"1\"}}\n",
    );

    #[test]
    fn tables_and_lists_explain_every_dependency_once() {
        let text = "| name | why |\n|---|---|\n| `bytes` | shared `Vec` |\n\n- `proptest`, `@playwright/test`: tests, not `other`\n";
        let found = tree_findings(&[LOG, SERVER, WEB, ("docs/dependencies.md", text)], check);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn missing_gone_and_second_lines_are_found() {
        let text = "- `bytes`: a\n- `gone`: b\n- `bytes`: c\nIn prose, `proptest` does not count.\n";
        assert_eq!(
            tree_findings(&[LOG, WEB, ("docs/dependencies.md", text)], check),
            [
                "crates/log/Cargo.toml:4: `proptest` has no line in docs/dependencies.md: begin a list or table line with it, in back quotes",
                "docs/dependencies.md:2: `gone` is no direct dependency",
                "docs/dependencies.md:3: `bytes` has a line already",
                "web/package.json:4: `@playwright/test` has no line in docs/dependencies.md: begin a list or table line with it, in back quotes",
            ]
        );
    }

    #[test]
    fn a_missing_document_and_a_broken_package_are_named() {
        let found = tree_findings(&[LOG, ("web/package.json", "{\n")], check);
        assert_eq!(
            found[0],
            "docs/dependencies.md:1: is missing: one line for each of 2 direct dependencies"
        );
        assert!(found[1].starts_with("web/package.json:"), "{found:?}");
    }
}
