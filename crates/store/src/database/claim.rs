//! The one process among all on a database that does what must not be done twice.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use super::{Database, LOCKS};
use crate::{Store, StoreError};

/// The lock's number, unlike those of areas.
const LOCK: i64 = LOCKS | 0xff;

/// How long the database may take to say whose the claim is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lets PostgreSQL notice within about 15 seconds that a process's machine is gone: until then the claim is its.
const KEEP_ALIVE: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "3"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "15000"),
];

/// A claim to be the only one, which one process has at a time: until it is dropped, or the process ends. A file of SQLite is
/// one process's anyway, whose claim always holds.
pub struct Claim {
    database: Database,
    /// The lock is the connection's.
    connection: Option<PgConnection>,
    is_held: bool,
}

impl Store {
    /// A claim that is not held yet.
    pub fn claim(&self) -> Claim {
        Claim { database: self.database.clone(), connection: None, is_held: false }
    }
}

impl Claim {
    /// Takes the claim, unless another process has it; whether it is held now. While the database is away that cannot be known,
    /// and is an error; a claim that was held may be lost then.
    pub async fn hold(&mut self) -> Result<bool, StoreError> {
        let held = match timeout(PATIENCE, Box::pin(self.ask())).await {
            Ok(Ok(held)) => Ok(held),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StoreError::Unavailable("PostgreSQL does not say who has the claim".into())),
        };
        self.is_held = matches!(held, Ok(true));
        if held.is_err() {
            self.connection = None;
        }
        held
    }

    async fn ask(&mut self) -> Result<bool, StoreError> {
        let Database::Postgres(postgres) = &self.database else { return Ok(true) };
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(
                PgConnection::connect_with(&postgres.settings_of("emostream control", KEEP_ALIVE)).await?,
            ),
        };
        if self.is_held {
            connection.ping().await?;
            return Ok(true);
        }
        let ask = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK);
        Ok(ask.fetch_one(connection).await?)
    }
}
