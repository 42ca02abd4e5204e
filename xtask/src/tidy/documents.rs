//! Documents that stay true: links lead somewhere, and the map of the code stays a map.

use super::{File, Finding, Tree};

/// The map of the code, and the most lines that it may have.
const MAP: (&str, usize) = ("docs/ARCHITECTURE.md", 150);

/// Reports links to files that are not there, and a map that became a book.
pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files().iter().filter(|file| file.extension() == "md") {
        check_links(file, tree, findings);
    }
    let map_lines = tree.file(MAP.0).map_or(0, |map| map.text.lines().count());
    if map_lines > MAP.1 {
        findings.push(Finding::new(MAP.0, 1, format!("{map_lines} lines, at most {}", MAP.1)));
    }
}

fn check_links(file: &File, tree: &Tree, findings: &mut Vec<Finding>) {
    let mut in_code = false;
    for (at, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for link in links(&without_code(line)) {
            if let Some(path) = local_path(&link, &file.path)
                && !tree.has(&path)
            {
                findings.push(Finding::new(
                    &file.path,
                    at + 1,
                    format!("link to `{link}`, which is not there"),
                ));
            }
        }
    }
}

/// A line without what stands between back quotes.
fn without_code(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    let closed = parts.len() % 2 == 1;
    parts.iter().enumerate().filter(|(at, _)| at % 2 == 0 || !closed).map(|(_, part)| *part).collect()
}

/// The targets on a line: `[text](target)`, `[name]: target`, and the `src` and `href` of HTML.
fn links(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (start, end) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
        for (at, _) in line.match_indices(start) {
            found.extend(line[at + start.len()..].split_once(end).map(|(target, _)| target));
        }
    }
    if line.starts_with('[')
        && let Some((_, target)) = line.split_once("]: ")
    {
        found.push(target);
    }
    let bare = |target: &str| target.split_whitespace().next().map(|t| t.trim_matches(['<', '>']).to_owned());
    found.into_iter().filter_map(bare).collect()
}

/// The path from the root that a link leads to; nothing when it leaves the repository or stays on its page.
fn local_path(link: &str, from: &str) -> Option<String> {
    let target = link.split(['#', '?']).next().unwrap_or_default();
    if target.is_empty()
        || target.contains("://")
        || target.starts_with("mailto:")
        || target.starts_with("data:")
    {
        return None;
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let start = if target.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/").replace("%20", " "))
}

#[cfg(test)]
mod tests {
    use super::super::testing::tree_findings;
    use super::check;

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text = "[a](../README.md#start) ![b](b.png \"B\") [c](https://x.y/z.md) [d](#here) `[e](gone.md)`\n```\n[f](gone.md)\n```\n[g]: <../docs>\n<img src=\"b.png\">\n";
        let found = tree_findings(
            &[("docs/a.md", text), ("README.md", "[h](/docs/a.md)\n"), ("docs/b.png", "")],
            check,
        );
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn links_that_lead_nowhere_are_found_in_every_form() {
        let text = "[a](gone.md)\n![b](../gone.png#x)\n[c]: gone.md\n<a href=\"gone.html\">\n";
        let found = tree_findings(&[("docs/a.md", text)], check);
        let lines: Vec<&str> = found.iter().filter_map(|f| f.split(':').nth(1)).collect();
        assert_eq!(lines, ["1", "2", "3", "4"], "{found:?}");
        assert_eq!(found[0], "docs/a.md:1: link to `gone.md`, which is not there");
    }

    #[test]
    fn the_map_stays_short() {
        assert_eq!(tree_findings(&[("docs/ARCHITECTURE.md", &"a\n".repeat(150))], check), [""; 0]);
        assert_eq!(
            tree_findings(&[("docs/ARCHITECTURE.md", &"a\n".repeat(151))], check),
            ["docs/ARCHITECTURE.md:1: 151 lines, at most 150"]
        );
    }
}
