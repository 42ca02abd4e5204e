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

/// Clusters, whatever the caller allows: lists of them are not paged.
pub const CLUSTERS_MAX: u32 = 1_000;

/// Edges that are remembered: lists of them are not paged, and placement looks at all of them. Beyond, a new one takes the
/// place of the one that has been lost for longest.
pub const EDGES_MAX: u32 = 1_000;

/// Characters of the address at which viewers reach an edge.
pub const URL_CHARS_MAX: usize = 1_024;

/// Devices that a tier may have: those of a user are looked at together.
pub const DEVICES_PER_USER_MAX: u32 = 1_000;

/// Leases of a user that have ended and whose connections are not known to be closed. Whoever has more on edges in contact has
/// asked for as many tickets within the life of one, and waits.
pub const ENDED_LEASES_PER_USER_MAX: usize = 100;

/// Leases that are reserved together.
pub const LEASES_PER_GROUP_MAX: usize = 1_000;

/// Reports that are taken together.
pub const REPORTS_PER_GROUP_MAX: usize = 1_000;

/// Leases that one transaction of a sweep drops, so that others get their turn between two.
pub(crate) const SWEEP_ROWS_MAX: u32 = 10_000;

/// Times to live for which an edge has to be silent until its leases are dropped. Long before, they count no more.
pub(crate) const DROPPED_AFTER_TTLS: i64 = 60;

/// Times to live within which an edge that runs is heard, once it can be: it reports several times in each.
pub(crate) const HEARD_WITHIN_TTLS: i64 = 3;

/// For how long an edge has to be silent until it is forgotten: a day, µs.
pub(crate) const EDGE_FORGOTTEN_AFTER_US: i64 = 86_400_000_000;

/// Refuses a name that is empty, too long, or holds control characters.
pub(crate) fn check_name(field: &'static str, name: &str) -> Result<(), StoreError> {
    if name.is_empty() {
        return Err(StoreError::invalid(field, format!("1 to {NAME_CHARS_MAX} characters")));
    }
    check_line(field, name, NAME_CHARS_MAX)
}

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
