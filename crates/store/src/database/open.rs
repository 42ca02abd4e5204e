//! Opening and closing a store.

use std::{path::Path, str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Connection,
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    Database,
    postgres::{Limits, Postgres},
    sql::sql,
};
use crate::{StoreError, migrate::migrate};

/// The control plane's records. Clones share their connections.
#[derive(Clone)]
pub struct Store {
    pub(crate) database: Database,
}

/// How a store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Connections that read, 1 to 64. On PostgreSQL four more write.
    pub readers: u32,
    /// How long a write waits for a lock that another process, or on PostgreSQL another transaction, holds.
    pub busy_timeout: Duration,
    /// How long a call waits for a connection to become free, or to be made; where there is no database, it is refused sooner.
    pub acquire_timeout: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { readers: 4, busy_timeout: Duration::from_secs(5), acquire_timeout: Duration::from_secs(10) }
    }
}

/// Writing connections to PostgreSQL. Changes of one area wait for each other anyway.
const POSTGRES_WRITERS: u32 = 4;

impl Store {
    /// Opens a database and brings it to the newest schema.
    ///
    /// `sqlite:///absolute/path`, `sqlite://relative/path` (made readable by its owner alone, with its folder, if there is
    /// none), `sqlite::memory:` (gone with the last clone), or `postgres://user:password@host/database?…`. No error repeats the URL.
    pub async fn open(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        if !(1..=64).contains(&options.readers) {
            return Err(StoreError::invalid("readers", "1 to 64"));
        }
        let database = if let Some(rest) = url.strip_prefix("sqlite:") {
            open_sqlite(rest.strip_prefix("//").unwrap_or(rest), options).await?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            open_postgres(url, options).await?
        } else {
            return Err(bad_url());
        };
        migrate(&database).await?;
        Ok(Self { database })
    }

    /// Waits for what is under way and closes every connection; later calls are refused as `Unavailable`.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.database.row(sql("SELECT version FROM emostream_schema")).await.map(drop)
    }
}

pub(crate) fn bad_url() -> StoreError {
    StoreError::invalid("store.url", "sqlite:///path/to/file or postgres://user:password@host/database")
}

fn pool<DB: sqlx::Database>(connections: u32, options: &StoreOptions) -> PoolOptions<DB> {
    let patience = options.acquire_timeout;
    // Waiting has its limit, and what waits longer its error: a crowd that comes at once is not worth a line each.
    let pool = PoolOptions::new().max_connections(connections).acquire_timeout(patience);
    pool.acquire_slow_threshold(patience)
}

async fn open_sqlite(path: &str, options: &StoreOptions) -> Result<Database, StoreError> {
    let settings = SqliteConnectOptions::new().busy_timeout(options.busy_timeout).foreign_keys(true);
    // A connection to memory is the database: there is one, and it is never given up.
    let lasting = |count| pool(count, options).min_connections(1).idle_timeout(None).max_lifetime(None);
    if path == ":memory:" {
        let only: sqlx::SqlitePool = lasting(1).connect_with(settings).await?;
        return Ok(Database::Sqlite { writer: only.clone(), readers: only });
    }
    if path.is_empty() || path.contains(['?', '#']) {
        return Err(bad_url());
    }
    create_private(Path::new(path))
        .await
        .map_err(|error| StoreError::Unavailable(format!("cannot create {path}: {error}")))?;
    // FULL: in WAL mode, NORMAL would lose the newest commits with the power.
    let settings = settings.filename(path).synchronous(SqliteSynchronous::Full);
    let writing = settings.clone().journal_mode(SqliteJournalMode::Wal);
    // SQLite itself ends a transaction for which the disk has no room. The connection does not learn of it and would begin
    // no other, so that it gives way to a new one.
    let lasting_writer = lasting(1).before_acquire(|writer, _| {
        let is_usable = !writer.is_in_transaction();
        Box::pin(async move { Ok(is_usable) })
    });
    let writer = SqlitePoolOptions::connect_with(lasting_writer, writing).await?;
    let readers = lasting(options.readers).connect_with(settings.read_only(true)).await?;
    Ok(Database::Sqlite { writer, readers })
}

async fn open_postgres(url: &str, options: &StoreOptions) -> Result<Database, StoreError> {
    let settings = PgConnectOptions::from_str(url).map_err(|_| bad_url())?;
    let lock_timeout_ms = options.busy_timeout.as_millis().to_string();
    let settings = settings.application_name("emostream").options([("lock_timeout", lock_timeout_ms)]);
    let limits = Limits {
        writers: POSTGRES_WRITERS,
        readers: options.readers,
        acquire_timeout: options.acquire_timeout,
    };
    Ok(Database::Postgres(Arc::new(Postgres::connect(settings, limits).await?)))
}

/// Creates the file if there is none, readable by its owner alone; SQLite gives its side files the same rights.
async fn create_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).await?;
    }
    tokio::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).await.map(drop)
}

#[cfg(test)]
mod tests {
    use emostream_protocol::ChannelName;

    use super::{Store, StoreOptions};
    use crate::{NewChannel, NewEmote, NewSettings, StoreError, database::Database};

    #[tokio::test]
    async fn after_a_full_disk_changes_are_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("store.db").display());
        let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
        let main = ChannelName::new("main").unwrap();
        let channel = NewChannel { name: main.clone(), title: String::new(), seed_hash: None };
        store.create_channel(&channel, &NewSettings { document: "{}", by: "x" }, 10, 1).await.unwrap();
        let Database::Sqlite { writer, .. } = &store.database else { panic!("SQLite") };
        // As if the disk had room for a little more than there is.
        sqlx::query("PRAGMA max_page_count = 40").execute(writer).await.unwrap();
        let put = async |name: &str, bytes: usize| {
            let image = vec![7; bytes];
            let emote = NewEmote { name, media_type: "image/png", image: &image };
            store.put_emote(&main, &emote, 10, 1).await
        };
        let refused = put("large", 1_000_000).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        for name in ["a", "b", "c"] {
            assert_eq!(put(name, 10).await, Ok(true));
        }
        assert_eq!(store.get_emote(&main, "large").await.unwrap(), None);
        store.close().await;
    }
}
