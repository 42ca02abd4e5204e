//! Brings a database to the newest schema: forward only, each step in the same transaction as its number.

use crate::{
    StoreError,
    database::{Area, Change, Database},
    sql::sql,
    users::look,
};

/// The steps in order; step `n` leads to schema `n`. A step that was released is never changed.
///
/// They are written in PostgreSQL's names of types, one statement's closing parenthesis on a line of its own; see [`dialect`].
const STEPS: &[&str] = &[
    include_str!("migrate/0001-users.sql"),
    include_str!("migrate/0002-channels.sql"),
    include_str!("migrate/0003-archive.sql"),
    include_str!("migrate/0004-clusters.sql"),
    include_str!("migrate/0005-leases.sql"),
    include_str!("migrate/0006-looks.sql"),
];

/// The newest schema known.
pub(crate) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Applies what is missing. Refuses a schema that is newer than known, and then changes nothing.
pub(crate) async fn migrate(database: &Database) -> Result<(), StoreError> {
    let mut change = database.change(Area::Schema).await?;
    let table = "CREATE TABLE IF NOT EXISTS emostream_schema (\n    version BIGINT NOT NULL\n);";
    change.script(dialect(&change, table)).await?;
    let stored = change.row(sql("SELECT version FROM emostream_schema")).await?;
    let found: i64 = match &stored {
        Some(row) => row.get("version")?,
        None => 0,
    };
    let known = newest();
    if found > known {
        return Err(StoreError::SchemaTooNew { found, known });
    }
    if found == known {
        return Ok(());
    }
    let first = usize::try_from(found).map_err(|_| StoreError::Damaged(format!("schema {found}")))?;
    for step in &STEPS[first..] {
        let script = dialect(&change, step);
        change.script(script).await?;
    }
    look::fill(&mut change).await?;
    let number = match stored {
        Some(_) => sql("UPDATE emostream_schema SET version = $1"),
        None => sql("INSERT INTO emostream_schema (version) VALUES ($1)"),
    };
    change.execute(number.bind(known)).await?;
    change.commit().await
}

/// A step in the words of the database: SQLite's types have other names, and its tables check them only when strict.
fn dialect(change: &Change, step: &str) -> String {
    match change {
        Change::Postgres(_) => step.to_owned(),
        Change::Sqlite(_) => step
            .replace("BYTEA", "BLOB")
            .replace("DOUBLE PRECISION", "REAL")
            .replace("BIGINT", "INTEGER")
            .replace("\n);", "\n) STRICT;"),
    }
}
