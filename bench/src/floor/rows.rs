//! Windows into a SQLite file with nothing but sqlx in between: rows of known tables, many a statement, and out again.

use std::path::Path;

use anyhow::Result;
use emostream_store::WindowRecord;
use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

/// Rows of a statement, as many as the store's have.
const ROWS_PER_STATEMENT: usize = 64;

/// The table of the store.
pub(crate) const STORE_TABLE: &str = "archived_windows";
/// A table of the same columns that has no key and no index.
pub(crate) const BARE_TABLE: &str = "bare_windows";

/// One connection, with the settings of the store's.
pub(crate) struct RawRows(SqliteConnection);

impl RawRows {
    /// Opens a file; makes it if there is none.
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        Ok(Self(options.connect().await?))
    }

    /// Makes [`BARE_TABLE`].
    pub(crate) async fn create_bare(&mut self) -> Result<()> {
        let table =
            "CREATE TABLE bare_windows (channel TEXT NOT NULL, epoch BLOB NOT NULL, seq INTEGER NOT NULL,
            window_start_ms INTEGER NOT NULL, data BLOB NOT NULL) STRICT";
        sqlx::query(table).execute(&mut self.0).await?;
        Ok(())
    }

    /// Inserts rows in one durable transaction.
    pub(crate) async fn insert(&mut self, table: &'static str, rows: &[WindowRecord]) -> Result<()> {
        let mut change = self.0.begin_with("BEGIN IMMEDIATE").await?;
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            let values = vec!["(?, ?, ?, ?, ?)"; rows.len()].join(", ");
            let text =
                format!("INSERT INTO {table} (channel, epoch, seq, window_start_ms, data) VALUES {values}");
            // Put together from constants.
            let mut query = sqlx::query(AssertSqlSafe(text));
            for row in rows {
                query = query.bind(row.channel.as_str()).bind(&row.position.epoch.0[..]);
                query = query.bind(i64::try_from(row.position.seq)?).bind(row.window_start_ms);
                query = query.bind(row.row.as_ref());
            }
            query.execute(&mut *change).await?;
        }
        change.commit().await?;
        Ok(())
    }

    /// Reads the store's table in the archive's order, in one statement; the rows and bytes in it.
    pub(crate) async fn read(&mut self, channel: &str) -> Result<(usize, usize)> {
        let text = "SELECT channel, epoch, seq, window_start_ms, data FROM archived_windows
            WHERE channel = ? ORDER BY window_start_ms, epoch, seq";
        let mut rows = sqlx::query(text).bind(channel).fetch(&mut self.0);
        let (mut count, mut bytes) = (0, 0);
        while let Some(row) = rows.try_next().await? {
            count += 1;
            bytes += row.try_get::<&[u8], _>("data")?.len();
        }
        Ok((count, bytes))
    }

    /// Closes the file and brings SQLite's log into it.
    pub(crate) async fn close(self) -> Result<()> {
        Ok(self.0.close().await?)
    }
}
