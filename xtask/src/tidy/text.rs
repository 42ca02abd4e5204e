//! What every line obeys: no tabs, no space at its end, nothing left unfinished; and each Rust file says what it is for.

use super::tokens::Scan;
use super::{File, Finding};

/// Files whose white space is checked. Makefiles need tabs and are not among them.
const SPACED: &[&str] = &["rs", "ts", "tsx", "js", "mjs", "css", "html", "md", "toml", "sh", "yml", "yaml"];

/// Files in which unfinished work is looked for: all of those but prose.
const PROSE: &str = "md";

/// Words that mark unfinished work, in halves so that this file does not hold them.
const UNFINISHED_WORDS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Macros that mark unfinished work.
const UNFINISHED_MACROS: &[&str] = &["todo", "unimplemented", "dbg"];

/// Reports white space, unfinished work and a missing first sentence.
pub(crate) fn check(file: &File, findings: &mut Vec<Finding>) {
    if !SPACED.contains(&file.extension()) {
        return;
    }
    let mut report = |line: usize, message: String| findings.push(Finding::new(&file.path, line, message));
    if file.extension() == "rs" && !file.text.lines().next().is_some_and(|l| l.starts_with("//! ")) {
        report(1, "begin the file with one `//!` sentence that says what it is for".to_owned());
    }
    for (at, line) in file.text.split('\n').enumerate() {
        if line.contains('\t') {
            report(at + 1, "tab: indent with spaces".to_owned());
        }
        if line.ends_with([' ', '\r']) {
            report(at + 1, "space at the end of the line".to_owned());
        }
        let word = UNFINISHED_WORDS.iter().find(|word| file.extension() != PROSE && has_word(line, word));
        if let Some(word) = word {
            report(at + 1, format!("`{word}`: finish it, or open an issue"));
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        report(file.text.lines().count(), "the last line has no end".to_owned());
    }
}

/// Reports calls of macros that mark unfinished work.
pub(crate) fn check_macros(file: &File, scan: &Scan, findings: &mut Vec<Finding>) {
    for call in scan.macros.iter().filter(|call| UNFINISHED_MACROS.contains(&call.name.as_str())) {
        findings.push(Finding::new(&file.path, call.line, format!("`{}!`: finish it", call.name)));
    }
}

/// Whether a line holds a word that is not part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| edge(line[..at].chars().next_back()) && edge(line[at + word.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::file_findings;
    use super::UNFINISHED_WORDS;

    const PATH: &str = "crates/log/src/a.rs";

    #[test]
    fn white_space_is_checked_in_every_kind_of_file() {
        assert_eq!(file_findings("docs/a.md", "a\n\tb\nc \n").len(), 2);
        assert_eq!(file_findings("scripts/a.sh", "a\r\n").len(), 1);
        assert_eq!(file_findings("a.toml", "a = 1").len(), 1);
        assert_eq!(file_findings(PATH, "//! D.\n"), [""; 0]);
    }

    #[test]
    fn a_rust_file_says_what_it_is_for() {
        assert_eq!(file_findings(PATH, "//! D.\nfn a() {}\n"), [""; 0]);
        assert_eq!(file_findings(PATH, "fn a() {}\n").len(), 1);
        assert_eq!(file_findings(PATH, "\n//! D.\n").len(), 1);
        assert_eq!(file_findings(PATH, "").len(), 1);
    }

    #[test]
    fn unfinished_words_are_found_in_comments_but_not_inside_other_words() {
        for word in UNFINISHED_WORDS {
            assert_eq!(file_findings(PATH, &format!("//! D.\n// {word}: later\n")).len(), 1, "{word}");
            assert_eq!(file_findings("scripts/a.sh", &format!("# {word}\n")).len(), 1, "{word}");
            assert_eq!(file_findings(PATH, &format!("//! D.\n// A{word}S\n")), [""; 0], "{word}");
            assert_eq!(file_findings("docs/a.md", &format!("{word}\n")), [""; 0], "{word}");
        }
    }

    #[test]
    fn unfinished_macros_are_found_where_they_are_called() {
        let found =
            file_findings(PATH, "//! D.\nfn a() {\n  todo!()\n}\nfn b() { dbg!(1); let todo = 1; }\n");
        assert_eq!(
            found,
            ["crates/log/src/a.rs:3: `todo!`: finish it", "crates/log/src/a.rs:5: `dbg!`: finish it"]
        );
    }
}
