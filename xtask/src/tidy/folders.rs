//! Folders that fit in one look: few files each, and not nested deeply.

use std::collections::BTreeMap;

use super::{Finding, Tree};

/// The most source files that one folder holds.
const FILES_MAX: usize = 14;

/// The most folders between `src` and a file.
const LEVELS_MAX: usize = 3;

/// Reports folders that are too full or too deep.
pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    for file in tree.files().iter().filter(|file| file.is_source()) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        *folders.entry(folder).or_default() += 1;
    }
    for (folder, files) in folders {
        if files > FILES_MAX {
            let message = format!("{files} source files in one folder, at most {FILES_MAX}");
            findings.push(Finding::new(folder, 1, message));
        }
        let levels = folder.split('/').skip_while(|part| *part != "src").skip(1).count();
        if levels > LEVELS_MAX {
            findings.push(Finding::new(
                folder,
                1,
                format!("{levels} levels below `src`, at most {LEVELS_MAX}"),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::tree_findings;
    use super::check;

    #[test]
    fn folders_up_to_the_limit_pass_and_fuller_ones_do_not() {
        let paths: Vec<String> = (0..15).map(|n| format!("crates/log/src/a/f{n}.rs")).collect();
        let mut files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "")).collect();
        assert_eq!(
            tree_findings(&files, check),
            ["crates/log/src/a:1: 15 source files in one folder, at most 14"]
        );
        files.pop();
        files.push(("crates/log/src/a/notes.md", ""));
        assert_eq!(tree_findings(&files, check), [""; 0]);
    }

    #[test]
    fn folders_up_to_the_limit_pass_and_deeper_ones_do_not() {
        assert_eq!(tree_findings(&[("web/src/a/b/c/d.ts", "")], check), [""; 0]);
        assert_eq!(
            tree_findings(&[("web/src/a/b/c/d/e.ts", "")], check),
            ["web/src/a/b/c/d:1: 4 levels below `src`, at most 3"]
        );
    }
}
