//! What a moment is called in an export: on one line, without characters that no reader shows.

use super::ExportMoment;

/// Longest title, in characters.
const TITLE_CHARS_MAX: usize = 100;

/// The moment's title, or what was sent how often: `🔥 × 1,234`.
pub(super) fn of(moment: &ExportMoment) -> String {
    let given = moment.title.as_deref().map(one_line).filter(|title| !title.is_empty());
    given.unwrap_or_else(|| one_line(&format!("{} × {}", moment.emote, grouped(moment.count))))
}

/// A text on one line: runs of white space and control characters become one space, marks that turn the direction of
/// what follows are dropped, and what is too long is cut.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(4 * TITLE_CHARS_MAX));
    let mut chars = 0;
    for c in text.chars().filter(|c| !turns_direction(*c)) {
        let is_gap = c.is_whitespace() || c.is_control();
        if is_gap && (line.is_empty() || line.ends_with(' ')) {
            continue;
        }
        chars += 1;
        if chars > TITLE_CHARS_MAX {
            line.truncate(line.trim_end().len());
            line.push('…');
            return line;
        }
        line.push(if is_gap { ' ' } else { c });
    }
    line.truncate(line.trim_end().len());
    line
}

/// Marks that would reorder the text around them, and the byte order mark. Joiners stay: emoji are made with them.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::{TITLE_CHARS_MAX, grouped, one_line};

    #[test]
    fn thousands_are_grouped() {
        let numbers = [0, 999, 1_000, 12_345, 1_234_567, u64::MAX].map(grouped);
        let expected = ["0", "999", "1,000", "12,345", "1,234,567", "18,446,744,073,709,551,615"];
        assert_eq!(numbers, expected.map(str::to_owned));
    }

    #[test]
    fn titles_are_one_line() {
        assert_eq!(one_line("  a\r\n\tb\u{0}  c "), "a b c");
        assert_eq!(one_line("\u{202e}txt.exe 👩‍👩‍👧"), "txt.exe 👩‍👩‍👧");
        assert_eq!(one_line("\n \u{2028}"), "");
        let cut = one_line(&"äb ".repeat(100));
        assert!(cut.ends_with('…') && cut.chars().count() <= TITLE_CHARS_MAX + 1, "{cut}");
    }
}
