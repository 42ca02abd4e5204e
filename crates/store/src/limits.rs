//! Every limit of the store, with its unit and reason.

use crate::StoreError;

/// Characters of a user's name.
pub const NAME_CHARS_MAX: usize = 64;

/// Bytes of a password's hash in its text form; Argon2id's has about 100.
pub const PASSWORD_HASH_BYTES_MAX: usize = 512;

/// Items of one page.
pub const PAGE_LIMIT_MAX: u32 = 1_000;

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
