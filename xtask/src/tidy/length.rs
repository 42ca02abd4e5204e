//! Files of at most 500 lines and functions of at most 70, unless a comment gives the reason.

use super::tokens::Scan;
use super::{File, Finding};

/// The longest file without a reason, in lines.
const FILE_LINES_MAX: usize = 500;

/// The longest function without a reason, in lines from its first to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Lines at the beginning of a file in which the reason for its length is looked for.
const REASON_LINES: usize = 10;

/// What a comment with a reason says, followed by the reason.
const MARK: &str = "tidy: long because ";

/// Reports a file that is too long.
pub(crate) fn check_file(file: &File, findings: &mut Vec<Finding>) {
    let lines = file.text.lines().count();
    let excused = file.text.lines().take(REASON_LINES).any(gives_reason);
    if file.is_source() && lines > FILE_LINES_MAX && !excused {
        let message = format!(
            "{lines} lines, at most {FILE_LINES_MAX}: split it, or write `{MARK}…` in a comment in its first {REASON_LINES} lines"
        );
        findings.push(Finding::new(&file.path, 1, message));
    }
}

/// Reports Rust functions that are too long.
pub(crate) fn check_rust(file: &File, scan: &Scan, findings: &mut Vec<Finding>) {
    let lines: Vec<&str> = file.text.lines().collect();
    for function in &scan.functions {
        check_function(file, &lines, &function.name, function.first_line, function.last_line, findings);
    }
}

/// Reports TypeScript functions that are too long. The files are formatted, so the line that closes a block
/// is the next one with the same indentation.
pub(crate) fn check_typescript(file: &File, findings: &mut Vec<Finding>) {
    let lines: Vec<&str> = file.text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = typescript_function(line) else { continue };
        let mut last = next_beside(&lines, at);
        if line.ends_with('(') {
            // Its parameters stand on lines of their own: the body begins where they end.
            last = last
                .filter(|end| is_body_after_parameters(lines[*end]))
                .and_then(|end| next_beside(&lines, end));
        }
        if let Some(last) = last {
            check_function(file, &lines, name, at + 1, last + 1, findings);
        }
    }
}

/// The next line that is indented as much as this one.
fn next_beside(lines: &[&str], at: usize) -> Option<usize> {
    let beside = |line: &&str| !line.is_empty() && indentation(line) == indentation(lines[at]);
    lines[at + 1..].iter().position(beside).map(|skipped| at + 1 + skipped)
}

fn is_body_after_parameters(line: &str) -> bool {
    line.trim_start().starts_with(')') && line.ends_with('{')
}

fn check_function(
    file: &File,
    lines: &[&str],
    name: &str,
    first_line: usize,
    last_line: usize,
    findings: &mut Vec<Finding>,
) {
    let length = last_line + 1 - first_line;
    if length > FUNCTION_LINES_MAX && !reason_above(lines, first_line) {
        let message = format!(
            "function `{name}` has {length} lines, at most {FUNCTION_LINES_MAX}: split it, or write `// {MARK}…` above it"
        );
        findings.push(Finding::new(&file.path, first_line, message));
    }
}

/// Whether the comments and attributes right above a line hold a reason.
fn reason_above(lines: &[&str], line: usize) -> bool {
    let above = lines[..line - 1].iter().rev();
    above.take_while(|text| is_comment_or_attribute(text)).any(|text| gives_reason(text))
}

fn is_comment_or_attribute(line: &str) -> bool {
    let line = line.trim_start();
    ["//", "#[", "/*", "*"].iter().any(|start| line.starts_with(start))
}

fn gives_reason(line: &str) -> bool {
    let line = line.trim();
    let comment = ["//", "/*", "*", "<!--"].iter().any(|start| line.starts_with(start));
    comment && line.split_once(MARK).is_some_and(|(_, reason)| reason.trim().len() > 2)
}

/// First words of lines that open a block or a list, but no function.
const NO_FUNCTIONS: &[&str] = &[
    "if",
    "for",
    "while",
    "switch",
    "catch",
    "else",
    "do",
    "try",
    "return",
    "class",
    "interface",
    "type",
    "describe",
    "test.describe",
    "}",
    ")",
];

/// Words that may stand before a function's name.
const MODIFIERS: &[&str] = &[
    "export",
    "default",
    "const",
    "let",
    "function",
    "async",
    "public",
    "private",
    "protected",
    "static",
    "override",
    "get",
    "set",
];

/// The name of the function that begins on this line: declared, assigned, passed along, or a method.
fn typescript_function(line: &str) -> Option<&str> {
    let text = line.trim();
    let mut words = text.split([' ', '(', '<', ':', '=']).filter(|word| !word.is_empty());
    let name = words.find(|word| !MODIFIERS.contains(word))?;
    let arrow = text.ends_with("=> {") || text.ends_with("= (") || text.ends_with("= async (");
    let declared = text.contains("function ") && text.ends_with(['{', '(']);
    let assigned = text.contains(" = ");
    let method = !assigned
        && (text.ends_with('(') || text.contains('(') && text.ends_with('{') && !text.ends_with("({"));
    let function = arrow || declared || method;
    (function && !NO_FUNCTIONS.contains(&name)).then_some(name)
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::super::testing::file_findings;

    const RUST: &str = "crates/log/src/a.rs";
    const SCRIPT: &str = "web/src/a.ts";

    fn rust(body_lines: usize, above: &str) -> Vec<String> {
        let text = format!("//! D.\n\n{above}fn f() {{\n{}}}\n", "    go();\n".repeat(body_lines));
        file_findings(RUST, &text)
    }

    #[test]
    fn files_up_to_the_limit_pass_and_longer_ones_do_not() {
        assert_eq!(file_findings(RUST, &format!("//! D.\n{}", "//\n".repeat(499))), [""; 0]);
        let long = "//\n".repeat(500);
        assert_eq!(file_findings(RUST, &format!("//! D.\n{long}")).len(), 1);
        assert_eq!(file_findings(SCRIPT, &format!("//\n{long}")).len(), 1);
        assert_eq!(file_findings("docs/a.md", &"a\n".repeat(600)), [""; 0]);
    }

    #[test]
    fn a_long_file_needs_a_reason_and_near_its_beginning() {
        let long = "//\n".repeat(500);
        let reason = "// tidy: long because it is one table\n";
        assert_eq!(file_findings(RUST, &format!("//! D.\n{reason}{long}")), [""; 0]);
        assert_eq!(file_findings(RUST, &format!("//! D.\n// tidy: long because \n{long}")).len(), 2);
        assert_eq!(file_findings(RUST, &format!("//! D.\n{long}{reason}")).len(), 1);
    }

    #[test]
    fn functions_up_to_the_limit_pass_and_longer_ones_do_not() {
        assert_eq!(rust(68, ""), [""; 0]);
        assert_eq!(
            rust(69, ""),
            [
                "crates/log/src/a.rs:3: function `f` has 71 lines, at most 70: split it, or write `// tidy: long because …` above it"
            ]
        );
    }

    #[test]
    fn a_long_function_needs_a_reason_right_above() {
        assert_eq!(rust(90, "// tidy: long because it is one table\n#[inline]\n"), [""; 0]);
        assert_eq!(rust(90, "// tidy: long because it is one table\n\n").len(), 1);
    }

    #[test]
    fn long_functions_in_typescript_are_found_in_each_form() {
        let body = "    go();\n".repeat(70);
        let heads = [
            "export function draw(a: A): void {",
            "const draw = async (a: A) => {",
            "function draw(\n    a: A,\n): B {",
            "const draw = (\n    a: A,\n): B => {",
            "  private async draw(a: A) {",
            "  draw(\n    a: A,\n  ) {",
            "draw('a crowd', () => {",
        ];
        for head in heads {
            let spaces = &head[..head.len() - head.trim_start().len()];
            let end = if head.contains("'a crowd'") { "});" } else { "}" };
            let found = file_findings(SCRIPT, &format!("{head}\n{body}{spaces}{end}\n"));
            assert_eq!(found.len(), 1, "{head}: {found:?}");
            assert!(found[0].contains("`draw`"), "{found:?}");
        }
    }

    #[test]
    fn what_is_short_or_no_function_passes_in_typescript() {
        let body = "    go();\n".repeat(70);
        let fine = format!("export function draw(): void {{\n{}}}\n", "    go();\n".repeat(68));
        assert_eq!(file_findings(SCRIPT, &fine), [""; 0]);
        for (head, end) in [
            ("class A extends B {", "}"),
            ("describe('a', () => {", "});"),
            ("const a = make({", "});"),
            ("make(", ");"),
            ("if (a) {", "}"),
            ("const a = {", "};"),
        ] {
            assert_eq!(file_findings(SCRIPT, &format!("{head}\n{body}{end}\n")), [""; 0], "{head}");
        }
    }
}
