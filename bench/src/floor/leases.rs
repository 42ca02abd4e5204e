//! Leases as bare rows: inserted into a table without key and index, with nothing but sqlx between them and the database.

use anyhow::Result;
use emostream_store::NewLease;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

/// Rows of a statement, as many as the store's have.
const ROWS_PER_STATEMENT: usize = 64;

/// The same lines for both databases, whose types differ.
macro_rules! insert {
    ($change:expr, $leases:expr, $now_us:expr) => {{
        let mut change = $change.await?;
        for some in $leases.chunks(ROWS_PER_STATEMENT) {
            let mut query = sqlx::query(AssertSqlSafe(text(some.len())));
            for lease in some {
                query = query.bind(lease.id.as_bytes().to_vec()).bind(lease.user.as_bytes().to_vec());
                query = query.bind(&lease.device_id).bind(&lease.device_name).bind(&lease.edge);
                query = query.bind(lease.generation.as_bytes().to_vec()).bind($now_us).bind(0_i64);
                query = query.bind(None::<String>);
            }
            query.execute(&mut *change).await?;
        }
        change.commit().await?;
    }};
}

/// One connection, with the settings of the store's.
pub(crate) enum BareLeases {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl BareLeases {
    /// Connects and makes the table anew.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let table = "CREATE TABLE bare_leases (id BYTEA NOT NULL, user_id BYTEA NOT NULL, device_id TEXT NOT NULL,
            device_name TEXT NOT NULL, edge TEXT NOT NULL, generation BYTEA NOT NULL, since_us BIGINT NOT NULL,
            is_open BIGINT NOT NULL, ended TEXT)";
        if let Some(path) = url.strip_prefix("sqlite://") {
            let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
            let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
            let mut connection = options.connect().await?;
            sqlx::query("DROP TABLE IF EXISTS bare_leases").execute(&mut connection).await?;
            sqlx::query(table).execute(&mut connection).await?;
            return Ok(Self::Sqlite(connection));
        }
        let mut connection = PgConnection::connect(url).await?;
        sqlx::query("DROP TABLE IF EXISTS bare_leases").execute(&mut connection).await?;
        sqlx::query(table).execute(&mut connection).await?;
        Ok(Self::Postgres(connection))
    }

    /// Inserts rows in one durable transaction.
    pub(crate) async fn insert(&mut self, leases: &[NewLease], now_us: i64) -> Result<()> {
        match self {
            Self::Sqlite(connection) => insert!(connection.begin_with("BEGIN IMMEDIATE"), leases, now_us),
            Self::Postgres(connection) => insert!(connection.begin(), leases, now_us),
        }
        Ok(())
    }

    pub(crate) async fn close(self) -> Result<()> {
        match self {
            Self::Sqlite(connection) => connection.close().await?,
            Self::Postgres(connection) => connection.close().await?,
        }
        Ok(())
    }
}

/// Put together from constants.
fn text(rows: usize) -> String {
    let row = |row: usize| {
        let places: Vec<_> = (1..=9).map(|place| format!("${}", row * 9 + place)).collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<_> = (0..rows).map(row).collect();
    format!("INSERT INTO bare_leases VALUES {}", rows.join(", "))
}
