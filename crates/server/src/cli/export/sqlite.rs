//! Reactions as a table of a new SQLite database.

use std::path::Path;

use sqlx::{
    Connection, QueryBuilder, Sqlite, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::runtime::Runtime;

use super::reaction_rows::StoredReaction;

/// Rows of one statement: 14 values each, well below SQLite's limit of 32,766.
const ROWS_PER_INSERT: usize = 512;

const SCHEMA: &str = "
    CREATE TABLE reactions (
        event_time TEXT NOT NULL,
        emote TEXT NOT NULL,
        id TEXT NOT NULL,
        id_from_client INTEGER NOT NULL,
        user_id TEXT,
        media_time_ms INTEGER,
        tapped_at TEXT NOT NULL,
        received_at TEXT NOT NULL,
        appended_at TEXT NOT NULL,
        late INTEGER NOT NULL,
        log_partition INTEGER NOT NULL,
        log_offset INTEGER NOT NULL,
        place INTEGER NOT NULL,
        duplicate INTEGER NOT NULL,
        PRIMARY KEY (log_partition, log_offset, place)
    ) WITHOUT ROWID;
    CREATE TABLE export (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";

const INSERT: &str = "INSERT INTO reactions (event_time, emote, id, id_from_client, user_id, media_time_ms, tapped_at, \
    received_at, appended_at, late, log_partition, log_offset, place, duplicate) ";

/// Made last: filling a table that has no index yet is several times faster.
const INDEX: &str = "
    CREATE INDEX reactions_by_time ON reactions (event_time);
    CREATE INDEX reactions_by_emote ON reactions (emote, event_time)";

/// A database in the making.
pub(super) struct Database {
    runtime: Runtime,
    connection: SqliteConnection,
    waiting: Vec<StoredReaction>,
}

impl Database {
    /// Creates the file and its tables. Nobody sees it before it is complete, so that it needs no journal.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Off)
            .synchronous(SqliteSynchronous::Off);
        let connection = runtime.block_on(async {
            let mut connection = SqliteConnection::connect_with(&options).await?;
            sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
            sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        })?;
        Ok(Self { runtime, connection, waiting: Vec::with_capacity(ROWS_PER_INSERT) })
    }

    /// Adds a reaction.
    pub(super) fn push(&mut self, row: StoredReaction) -> anyhow::Result<()> {
        self.waiting.push(row);
        if self.waiting.len() < ROWS_PER_INSERT { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut insert = QueryBuilder::<Sqlite>::new(INSERT);
        insert.push_values(self.waiting.drain(..), |mut values, row| {
            // SQLite has 63 bits; a media position beyond is cut, an offset never gets there.
            let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            values
                .push_bind(row.event_time)
                .push_bind(row.emote)
                .push_bind(row.id)
                .push_bind(row.id_from_client)
                .push_bind(row.user_id)
                .push_bind(row.media_time_ms.map(whole))
                .push_bind(row.tapped_at)
                .push_bind(row.received_at)
                .push_bind(row.appended_at)
                .push_bind(row.late)
                .push_bind(i64::from(row.log_partition))
                .push_bind(whole(row.log_offset))
                .push_bind(whole(row.place as u64))
                .push_bind(row.duplicate.unwrap_or_default());
        });
        self.runtime.block_on(insert.build().execute(&mut self.connection))?;
        Ok(())
    }

    /// Writes what is left, what the export is of, and the indexes.
    pub(super) fn finish(mut self, facts: &[(&str, String)]) -> anyhow::Result<()> {
        self.flush()?;
        let Self { runtime, mut connection, .. } = self;
        runtime.block_on(async {
            for (name, value) in facts {
                let insert = sqlx::query("INSERT INTO export (name, value) VALUES ($1, $2)");
                insert.bind(*name).bind(value).execute(&mut connection).await?;
            }
            sqlx::raw_sql(INDEX).execute(&mut connection).await?;
            sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
            connection.close().await
        })?;
        Ok(())
    }
}
