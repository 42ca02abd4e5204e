//! The direction of dependencies between our crates, read from their manifests.

use super::{File, Finding, Tree};

/// Which of our crates each crate may depend on, in builds and in tests; `*` is any.
const ALLOWED: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("log", &[]),
    ("emotion", &[]),
    ("moments", &["protocol"]),
    ("store", &["protocol"]),
    ("simulator", &["protocol"]),
    ("server", &["*"]),
    ("bench", &["*"]),
];

/// What the names of our crates begin with.
const OURS: &str = "emostream-";

/// Reports every crate that sees one it must not see.
pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files() {
        let Some(name) = crate_of(&file.path) else { continue };
        match ALLOWED.iter().find(|(known, _)| *known == name) {
            Some((_, allowed)) => check_crate(file, name, allowed, findings),
            None => findings.push(Finding::new(
                &file.path,
                1,
                format!("crate `{name}` is not in the table of directions in xtask/src/tidy/crates.rs"),
            )),
        }
    }
}

fn check_crate(file: &File, name: &str, allowed: &[&str], findings: &mut Vec<Finding>) {
    for dependency in direct_dependencies(file, findings) {
        let Some(other) = dependency.name.strip_prefix(OURS) else { continue };
        if !allowed.contains(&"*") && !allowed.contains(&other) {
            let message = format!("`{name}` must not depend on `{other}`");
            findings.push(Finding::new(&file.path, dependency.line, message));
        }
    }
}

/// The crate whose manifest is at this path.
fn crate_of(path: &str) -> Option<&str> {
    if path == "bench/Cargo.toml" {
        return Some("bench");
    }
    let name = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
    (!name.contains('/')).then_some(name)
}

/// A direct dependency and the line that names it.
pub(crate) struct Dependency {
    /// The package's own name, also when it is renamed.
    pub(crate) name: String,
    /// Line in the manifest.
    pub(crate) line: usize,
}

/// All direct dependencies of a manifest: for building, for tests, for build scripts, and for single targets.
pub(crate) fn direct_dependencies(file: &File, findings: &mut Vec<Finding>) -> Vec<Dependency> {
    let manifest = match file.text.parse::<toml::Table>() {
        Ok(manifest) => manifest,
        Err(error) => {
            findings.push(Finding::new(
                &file.path,
                1,
                format!("cannot be read as TOML: {}", error.message()),
            ));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    collect(&manifest, file, &mut found);
    for target in manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten() {
        if let Some(table) = target.1.as_table() {
            collect(table, file, &mut found);
        }
    }
    found
}

fn collect(manifest: &toml::Table, file: &File, found: &mut Vec<Dependency>) {
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (key, value) in manifest.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
            let name = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
            found.push(Dependency { name: name.to_owned(), line: line_of(&file.text, key) });
        }
    }
}

/// The line on which a key stands: at its beginning, or at the end of a table's name.
fn line_of(text: &str, key: &str) -> usize {
    let stands = |line: &str| {
        let after = line.trim_start().trim_start_matches('"').strip_prefix(key);
        let as_key = after.is_some_and(|rest| rest.starts_with([' ', '=', '.', '"']));
        as_key || line.trim_end().ends_with(&format!(".{key}]"))
    };
    text.lines().position(stands).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::super::testing::tree_findings;
    use super::check;

    #[test]
    fn allowed_directions_pass() {
        let found = tree_findings(
            &[
                ("crates/moments/Cargo.toml", "[dependencies]\nemostream-protocol.workspace = true\n"),
                ("crates/server/Cargo.toml", "[dependencies]\nemostream-log = { path = \"../log\" }\n"),
                ("crates/log/Cargo.toml", "[dependencies]\nbytes = \"1\"\n"),
                ("bench/Cargo.toml", "[dependencies]\nemostream-server.workspace = true\n"),
            ],
            check,
        );
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn forbidden_directions_are_named_in_every_section() {
        let found = tree_findings(
            &[
                ("crates/log/Cargo.toml", "[dependencies]\nemostream-protocol.workspace = true\n"),
                (
                    "crates/moments/Cargo.toml",
                    "[dev-dependencies]\n\nemostream-log = { path = \"../log\" }\n",
                ),
                (
                    "crates/protocol/Cargo.toml",
                    "[target.'cfg(unix)'.dependencies]\nl = { package = \"emostream-log\", path = \"../log\" }\n",
                ),
                ("crates/simulator/Cargo.toml", "[dependencies.emostream-server]\npath = \"../server\"\n"),
            ],
            check,
        );
        assert_eq!(
            found,
            [
                "crates/log/Cargo.toml:2: `log` must not depend on `protocol`",
                "crates/moments/Cargo.toml:3: `moments` must not depend on `log`",
                "crates/protocol/Cargo.toml:2: `protocol` must not depend on `log`",
                "crates/simulator/Cargo.toml:1: `simulator` must not depend on `server`",
            ]
        );
    }

    #[test]
    fn unknown_crates_and_broken_manifests_are_named() {
        let found = tree_findings(&[("crates/new/Cargo.toml", ""), ("crates/log/Cargo.toml", "[")], check);
        assert!(found[0].starts_with("crates/log/Cargo.toml:1: cannot be read as TOML"), "{found:?}");
        assert!(
            found[1].starts_with("crates/new/Cargo.toml:1: crate `new` is not in the table"),
            "{found:?}"
        );
    }
}
