//! What a name looks like: people tell accounts apart by it, so two that look the same are one too many.

use unicode_normalization::UnicodeNormalization;

use crate::{StoreError, database::Change, limits::NAME_CHARS_MAX, sql::sql};

/// Characters that nobody sees, or that change what stands beside them: Unicode's `Default_Ignorable_Code_Point`, to which the
/// marks of direction belong, and the separators of lines and paragraphs.
const INVISIBLE: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Accounts that are brought up to date in one step.
const AT_ONCE: i64 = 1_000;

fn is_invisible(c: char) -> bool {
    c.is_control() || INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// Whether somebody may choose a name: 1 to [`NAME_CHARS_MAX`] characters after white space is trimmed at its ends, all of
/// which can be seen. Accounts from before may have others, and keep them.
pub fn check_new_name(name: &str) -> Result<(), StoreError> {
    let count = name.trim().chars().count();
    if (1..=NAME_CHARS_MAX).contains(&count) && !name.trim().chars().any(is_invisible) {
        return Ok(());
    }
    let expected = format!(
        "1 to {NAME_CHARS_MAX} characters, none of them invisible, a mark of direction or a control character"
    );
    Err(StoreError::invalid("name", expected))
}

/// What a name looks like: the same for names that differ only in case, in the form of their characters (NFKC) or in how wide
/// the space between words is. Characters of different scripts that look alike are different.
pub fn look_of(name: &str) -> String {
    let words = name.nfkc().filter(|c| !is_invisible(*c)).collect::<String>();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    // Both ways, so that letters with several small or large forms become one: ß and ss, ς and σ.
    let folded: String = words.to_uppercase().chars().flat_map(char::to_lowercase).collect();
    folded.nfkc().collect()
}

/// Whether an account has a name that looks like this one.
pub(super) async fn is_taken(change: &mut Change, name: &str) -> Result<bool, StoreError> {
    let query = sql("SELECT id FROM users WHERE look = $1 LIMIT 1").bind(look_of(name).as_str());
    Ok(change.row(query).await?.is_some())
}

/// Notes what names look like that accounts had before that was asked.
pub(crate) async fn fill(change: &mut Change) -> Result<(), StoreError> {
    loop {
        let some =
            change.rows(sql("SELECT id, name FROM users WHERE look IS NULL LIMIT $1").bind(AT_ONCE)).await?;
        if some.is_empty() {
            return Ok(());
        }
        for row in some {
            let look = look_of(&row.get::<String>("name")?);
            let update = sql("UPDATE users SET look = $1 WHERE id = $2").bind(look.as_str());
            change.execute(update.bind(row.id("id")?)).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{check_new_name, look_of};

    #[test]
    fn names_that_look_the_same_are_the_same() {
        for (one, other) in [
            ("admin", "ADMIN"),
            ("admin", "ａｄｍｉｎ"),
            ("admin", "ad\u{200b}min"),
            ("admin", "\u{202e}admin"),
            ("Ángel", "A\u{301}ngel"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("οδοσ", "οδος"),
            ("ﬁn", "fin"),
            ("a b", " a\u{a0}\u{2003} b "),
            ("x²", "x2"),
            ("Kelvin", "\u{212a}elvin"),
        ] {
            assert_eq!(look_of(one), look_of(other), "{one} {other}");
        }
        for (one, other) in [("admin", "admins"), ("a b", "ab"), ("Ana", "Ána"), ("", "a")] {
            assert_ne!(look_of(one), look_of(other), "{one} {other}");
        }
    }

    #[test]
    fn looks_stay_as_they_are_when_they_are_looked_at_again() {
        for name in ["Straße ﬁn", "ΟΔΟΣ", "İstanbul", "ǰ", "\u{1f88}", "x²\u{ad}", "한글", "ｶﾞ"]
        {
            let look = look_of(name);
            assert_eq!(look_of(&look), look, "{name}");
        }
    }

    #[test]
    fn a_new_name_has_nothing_that_cannot_be_seen() {
        for name in ["ada", "Ana Žižek", "李小龙", "عائشة", "नमस्ते", "o'neil-3", "🔥🔥", " padded "]
        {
            assert_eq!(check_new_name(name), Ok(()), "{name}");
        }
        let bad = [
            "",
            "  ",
            "a\u{200b}",
            "a\u{200d}b",
            "\u{202e}nimda",
            "a\u{2066}b",
            "a\u{ad}b",
            "a\u{fe0f}",
            "a\0b",
            "a\nb",
            "a\u{85}b",
            "a\u{2028}b",
            "\u{3164}",
            "a\u{e0041}",
        ];
        for name in bad {
            let said = check_new_name(name).unwrap_err().to_string();
            assert!(said.contains("name") && said.contains("invisible"), "{name:?}: {said}");
        }
        assert!(check_new_name(&"é".repeat(64)).is_ok() && check_new_name(&"é".repeat(65)).is_err());
    }
}
