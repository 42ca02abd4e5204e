//! PostgreSQL's connections: made at the start, judged when calls wait, and given up quickly while there is no database.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{Instant, sleep, timeout};

use crate::StoreError;

/// Oldest version that is tested, as PostgreSQL counts: 15.0.
const VERSION_MIN: u32 = 150_000;

/// How long a call waits until somebody looks whether there still is a database.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long that look may take. A database that takes longer to connect to is as good as none.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// How often one of the calls looks; while there is no database, the others are refused at once.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Waits between attempts of what can be repeated: a connection may have been lost with a database that is back already.
const RETRY_AFTER: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

/// Connections to PostgreSQL.
pub(crate) struct Postgres {
    /// Apart from readers, so that writers who wait for each other leave connections to read with.
    writers: PgPool,
    readers: PgPool,
    settings: PgConnectOptions,
    /// When somebody looked whether there is a database, and what was found.
    looked: Mutex<(Instant, Result<(), StoreError>)>,
    /// One looks at a time.
    looking: tokio::sync::Mutex<()>,
}

/// How many connections there are, and how long to wait for the first one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) writers: u32,
    pub(super) readers: u32,
    pub(super) acquire_timeout: Duration,
}

impl Postgres {
    /// Connects; waits for a database that is about to start. Refuses one that is too old.
    pub(super) async fn connect(settings: PgConnectOptions, limits: Limits) -> Result<Self, StoreError> {
        let mut first = patiently(&settings, limits.acquire_timeout).await?;
        let version: String =
            sqlx::query_scalar("SELECT current_setting('server_version_num')").fetch_one(&mut first).await?;
        check_version(&version)?;
        first.close().await?;
        let pool = |connections| {
            let pool =
                PgPoolOptions::new().max_connections(connections).acquire_timeout(limits.acquire_timeout);
            // As of SQLite: a crowd that waits is not worth a line each.
            pool.acquire_slow_threshold(limits.acquire_timeout).connect_lazy_with(settings.clone())
        };
        let (writers, readers) = (pool(limits.writers), pool(limits.readers));
        let (looked, looking) = (Mutex::new((Instant::now(), Ok(()))), tokio::sync::Mutex::new(()));
        Ok(Self { writers, readers, settings, looked, looking })
    }

    /// Reads, and reads again where a connection is lost.
    pub(super) async fn read<T, F>(&self, query: impl Fn(PgPool) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        self.repeatedly(|| query(self.readers.clone())).await
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, StoreError> {
        Box::pin(self.repeatedly(|| self.writers.begin())).await
    }

    async fn repeatedly<T, F>(&self, work: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        for wait in RETRY_AFTER {
            match self.once(work()).await? {
                Ok(done) => return Ok(done),
                Err(error) if is_lost(&error) => sleep(wait).await,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.once(work()).await??)
    }

    /// Does the work, unless there is no database: that is known from before, or found out when the work takes long.
    async fn once<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<Result<T, sqlx::Error>, StoreError> {
        self.refuse_while_lost().await?;
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = timeout(PATIENCE, &mut work).await {
                return Ok(done);
            }
            tokio::select! {
                done = &mut work => return Ok(done),
                found = self.look() => found?,
            }
        }
    }

    /// Refuses at once while there is no database, save for one call now and then that looks.
    async fn refuse_while_lost(&self) -> Result<(), StoreError> {
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            match &looked.1 {
                Ok(()) => return Ok(()),
                Err(why) if looked.0.elapsed() < LOOK_EVERY => return Err(why.clone()),
                Err(_) => looked.0 = Instant::now(),
            }
        }
        self.look().await
    }

    /// Looks whether the database can be connected to, or takes what somebody else finds meanwhile.
    async fn look(&self) -> Result<(), StoreError> {
        let began = Instant::now();
        let _one = self.looking.lock().await;
        let (at, found) = self.looked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if at > began || found.is_ok() && at.elapsed() < LOOK_EVERY {
            return found;
        }
        let settings = self.settings.clone().application_name("emostream looks");
        let found = match timeout(LOOK_TIMEOUT, Box::pin(PgConnection::connect_with(&settings))).await {
            Ok(Ok(connection)) => {
                // Whether it learns that it is not needed changes nothing.
                connection.close().await.ok();
                Ok(())
            }
            Ok(Err(error)) => Err(unreachable(error)),
            Err(_) => Err(unreachable(sqlx::Error::PoolTimedOut)),
        };
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), found.clone());
        found
    }

    /// What to connect with apart from all others.
    pub(super) fn settings_of<const N: usize>(
        &self,
        name: &str,
        options: [(&str, &str); N],
    ) -> PgConnectOptions {
        self.settings.clone().application_name(name).options(options)
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

/// The first connection. A database that is about to start refuses at first.
async fn patiently(settings: &PgConnectOptions, patience: Duration) -> Result<PgConnection, StoreError> {
    let deadline = Instant::now() + patience;
    let mut wait = Duration::from_millis(20);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let error = match timeout(left, PgConnection::connect_with(settings)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::PoolTimedOut,
        };
        if !may_be_starting(&error) || Instant::now() + wait >= deadline {
            return Err(unreachable(error));
        }
        sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(1));
    }
}

fn may_be_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code == "57P03"),
        _ => false,
    }
}

/// Whether the connection broke, or the database ended it.
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
        }
        _ => false,
    }
}

/// The error of an attempt to connect, in one line that says so.
fn unreachable(error: sqlx::Error) -> StoreError {
    match error {
        // What rustls says of a certificate comes as damaged input.
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            sqlx::Error::Tls(error.into()).into()
        }
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let files = "files that are there: sslrootcert, sslcert, sslkey, or the server's socket";
            StoreError::invalid("store.url", files)
        }
        sqlx::Error::Io(error) => StoreError::Unavailable(format!("PostgreSQL cannot be reached: {error}")),
        sqlx::Error::PoolTimedOut => {
            StoreError::Unavailable("PostgreSQL cannot be reached: no answer in time".into())
        }
        error => error.into(),
    }
}

fn check_version(number: &str) -> Result<(), StoreError> {
    let number: u32 = number.parse().map_err(|_| StoreError::Damaged("server_version_num".into()))?;
    if number >= VERSION_MIN {
        return Ok(());
    }
    let (wanted, found) = (VERSION_MIN / 10_000, format!("{}.{}", number / 10_000, number % 10_000));
    Err(StoreError::invalid("store.url", format!("PostgreSQL {wanted} or newer, found {found}")))
}

#[cfg(test)]
mod tests {
    use super::check_version;

    #[test]
    fn an_old_database_is_refused_by_its_number() {
        for good in ["150000", "150018", "180001"] {
            assert_eq!(check_version(good), Ok(()));
        }
        let refused = check_version("140022").unwrap_err().to_string();
        assert_eq!(refused, "store.url: expected PostgreSQL 15 or newer, found 14.22");
        assert!(check_version("").is_err());
    }
}
