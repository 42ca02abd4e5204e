//! The one error type at the store's border.

use sqlx::error::DatabaseError;

/// Why the store did not do what was asked. Nothing was changed then, save where `Unavailable` came of a lost
/// connection during a commit: whether that took effect is unknown, and repeating is safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Busy, timed out, full, closed or not connected; trying again later may work.
    #[error("store is not available: {0}")]
    Unavailable(String),
    /// There is one already.
    #[error("{what} exists already")]
    Conflict {
        /// What: `user name`, `channel`.
        what: &'static str,
    },
    /// There is none.
    #[error("no such {what}")]
    NotFound {
        /// What: `user`, `channel`, `emote`, `moment`.
        what: &'static str,
    },
    /// The document has been changed since the version that the caller expected.
    #[error("version is {current} by now")]
    VersionConflict {
        /// The version in force.
        current: u64,
    },
    /// The change would leave no administrator.
    #[error("the last admin can be neither removed nor demoted")]
    LastAdmin,
    /// There are as many as there may be.
    #[error("no more than {limit} {what} are allowed")]
    LimitReached {
        /// What, in the plural.
        what: &'static str,
        /// How many are allowed.
        limit: u32,
    },
    /// The database was written by a newer version of this program.
    #[error("the database has schema {found}, this version knows up to {known}: run the newer version")]
    SchemaTooNew {
        /// Version in the database.
        found: i64,
        /// Newest version known.
        known: i64,
    },
    /// What is stored cannot be read as what it should be.
    #[error("the database is damaged or not ours: {0}")]
    Damaged(String),
    /// An argument is outside its limits.
    #[error("{field}: expected {expected}")]
    Invalid {
        /// Which argument.
        field: &'static str,
        /// What was expected.
        expected: String,
    },
}

impl StoreError {
    pub(crate) fn invalid(field: &'static str, expected: impl Into<String>) -> Self {
        Self::Invalid { field, expected: expected.into() }
    }
}

impl From<sqlx::Error> for StoreError {
    /// Words without any part of the URL: it may hold a password.
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => of_database(error.as_ref()),
            sqlx::Error::PoolTimedOut => Self::Unavailable("no connection became free in time".into()),
            sqlx::Error::PoolClosed => Self::Unavailable("closed".into()),
            sqlx::Error::Tls(error) => Self::Unavailable(format!(
                "no TLS to PostgreSQL, see sslmode and sslrootcert in store.url: {error}"
            )),
            sqlx::Error::Configuration(_) => Self::invalid("store.url", "a valid address of a database"),
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::TypeNotFound { .. } => Self::Damaged(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

fn of_database(error: &dyn DatabaseError) -> StoreError {
    let code = error.code().unwrap_or_default();
    let damaged = match error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
        Some(_) => sqlite_damaged(&code),
        None => postgres_damaged(&code),
    };
    let words = format!("{} (code {code})", error.message());
    if damaged { StoreError::Damaged(words) } else { StoreError::Unavailable(words) }
}

/// Whether SQLite's result code says that trying again is useless: SQL that does not fit the schema (1), a damaged
/// file (11), a broken constraint (19), a value of the wrong type (20), no database at all (26).
fn sqlite_damaged(code: &str) -> bool {
    let primary = code.parse::<i64>().map_or(1, |code| code & 0xff);
    matches!(primary, 1 | 11 | 19 | 20 | 26)
}

/// The same for the classes of PostgreSQL's SQLSTATE: data exceptions, constraints, SQL that does not fit the schema, corruption.
fn postgres_damaged(code: &str) -> bool {
    ["22", "23", "42", "XX"].iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::{postgres_damaged, sqlite_damaged};

    #[test]
    fn codes_that_pass_and_codes_that_stay() {
        for (code, damaged) in [("5", false), ("517", false), ("13", false), ("779", true), ("26", true)] {
            assert_eq!(sqlite_damaged(code), damaged, "{code}");
        }
        for (code, damaged) in [("40001", false), ("55P03", false), ("57P03", false), ("XX001", true)] {
            assert_eq!(postgres_damaged(code), damaged, "{code}");
        }
    }
}
