//! Every limit of the store, with its unit and reason.

use crate::StoreError;

/// Characters of a user's name.
pub const NAME_CHARS_MAX: usize = 64;

/// Bytes of a password's hash in its text form; Argon2id's has about 100.
pub const PASSWORD_HASH_BYTES_MAX: usize = 512;

/// Items of one page.
pub const PAGE_LIMIT_MAX: u32 = 1_000;

/// Characters of a channel's or moment's title.
pub const TITLE_CHARS_MAX: usize = 200;

/// Characters of a seed's hash; SHA-256 in hexadecimal has 64.
pub const SEED_HASH_CHARS_MAX: usize = 128;

/// Characters of who changed something: a user's name, or a part of the program.
pub const AUTHOR_CHARS_MAX: usize = 128;

/// Bytes of a settings document; every emoji named in both of its lists makes about 100 KB.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a custom emote's image: pages show it in the size of a button.
pub const EMOTE_IMAGE_BYTES_MAX: usize = 1024 * 1024;

/// Characters of a media type.
pub const MEDIA_TYPE_CHARS_MAX: usize = 100;

/// Custom emotes of a channel, whatever limit the caller gives: a list of them is not paged.
pub const CUSTOM_EMOTES_PER_CHANNEL_MAX: u32 = 1_000;

/// Rows that are archived together: some MiB, and SQLite's only writer is busy for a fraction of a second.
pub const ARCHIVE_BATCH_ROWS_MAX: usize = 10_000;

/// Characters of a topic's name; Apache Kafka's limit.
pub const TOPIC_CHARS_MAX: usize = 249;

/// Characters of a rule's name.
pub const RULE_CHARS_MAX: usize = 64;

/// Characters of a moment's note.
pub const NOTE_CHARS_MAX: usize = 2_000;

/// Refuses a text that is longer than `chars` or holds control characters; PostgreSQL cannot store NUL at all.
pub(crate) fn check_line(field: &'static str, text: &str, chars: usize) -> Result<(), StoreError> {
    if text.chars().count() > chars || text.chars().any(char::is_control) {
        return Err(StoreError::invalid(
            field,
            format!("at most {chars} characters, none of them a control character"),
        ));
    }
    Ok(())
}

/// The same for a text of several lines.
pub(crate) fn check_text(field: &'static str, text: &str, chars: usize) -> Result<(), StoreError> {
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().count() > chars || text.chars().any(control) {
        let expected = format!("at most {chars} characters, of control characters only line breaks and tabs");
        return Err(StoreError::invalid(field, expected));
    }
    Ok(())
}
