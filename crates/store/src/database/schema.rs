//! What schema a database has, looked at without changing it.

use std::{path::Path, str::FromStr};

use sqlx::{
    Connection, PgConnection, Row, SqliteConnection, postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};

use super::open::bad_url;
use crate::{StoreError, migrate};

/// A database's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// Its number; `None` where there is no schema of ours yet.
    pub found: Option<i64>,
    /// Newest that this version knows, to which opening the store brings it.
    pub known: i64,
}

impl Schema {
    /// Looks at the schema of a database as [`Store::open`](crate::Store::open) takes its URL. Makes nothing: of a file that
    /// does not exist nothing is found.
    pub async fn look(url: &str) -> Result<Self, StoreError> {
        let found = if let Some(rest) = url.strip_prefix("sqlite:") {
            of_sqlite(rest.strip_prefix("//").unwrap_or(rest)).await?
        } else {
            of_postgres(url).await?
        };
        Ok(Self { found, known: migrate::newest() })
    }
}

async fn of_sqlite(path: &str) -> Result<Option<i64>, StoreError> {
    if path == ":memory:" || !Path::new(path).exists() {
        return Ok(None);
    }
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let table =
        sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'emostream_schema'");
    if table.fetch_optional(&mut connection).await?.is_none() {
        return Ok(None);
    }
    let row = sqlx::query("SELECT version FROM emostream_schema").fetch_optional(&mut connection).await?;
    let found = row.map(|row| row.try_get("version")).transpose()?;
    connection.close().await?;
    Ok(found)
}

async fn of_postgres(url: &str) -> Result<Option<i64>, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| bad_url())?;
    let mut connection = PgConnection::connect_with(&options.application_name("emostream doctor")).await?;
    let table = sqlx::query("SELECT to_regclass('emostream_schema') IS NOT NULL AS is_there");
    let is_there: bool = table.fetch_one(&mut connection).await?.try_get("is_there")?;
    if !is_there {
        return Ok(None);
    }
    let row = sqlx::query("SELECT version FROM emostream_schema").fetch_optional(&mut connection).await?;
    let found = row.map(|row| row.try_get("version")).transpose()?;
    connection.close().await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::Schema;
    use crate::{Store, StoreOptions};

    #[tokio::test]
    async fn looking_makes_nothing_and_finds_what_opening_has_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("store.db");
        let url = format!("sqlite://{}", file.display());
        let schema = Schema::look(&url).await.unwrap();
        assert_eq!((schema.found, file.exists()), (None, false));
        Store::open(&url, &StoreOptions::default()).await.unwrap().close().await;
        let schema = Schema::look(&url).await.unwrap();
        assert_eq!(schema.found, Some(schema.known));
        std::fs::write(
            dir.path().join("text.db"),
            "no database, but longer than a header would be: ".repeat(8),
        )
        .unwrap();
        assert!(Schema::look(&format!("sqlite://{}", dir.path().join("text.db").display())).await.is_err());
    }
}
