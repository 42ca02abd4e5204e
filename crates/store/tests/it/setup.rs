//! Databases to test with: a fresh one for each test, which can be opened again and again.

use emostream_store::{Store, StoreError, StoreOptions};
use sqlx::Connection;

/// The variable that names a PostgreSQL server, such as `postgres://postgres@127.0.0.1:5432`; its user may create databases.
const POSTGRES: &str = "EMOSTREAM_TEST_POSTGRES";

pub(crate) const NOW: i64 = 1_790_000_000_000_000;

/// One database.
pub(crate) struct Place {
    pub(crate) url: String,
    /// Removed with the place.
    folder: Option<tempfile::TempDir>,
}

impl Place {
    /// A file in a folder of its own.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("in/store.db").display());
        Self { url, folder: Some(folder) }
    }

    /// A database of its own on the server named by the environment; `None` where none is.
    pub(crate) async fn postgres(test: &str) -> Option<Self> {
        let server = std::env::var(POSTGRES).ok()?;
        // Names of databases have at most 63 bytes.
        let test = test.replace("::", "_");
        let name = format!("t_{}", &test[test.len().saturating_sub(60)..]);
        let mut admin = sqlx::PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
        for statement in [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
        }
        Some(Self { url: format!("{server}/{name}"), folder: None })
    }

    pub(crate) async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Store, StoreError> {
        Store::open(&self.url, &StoreOptions::default()).await
    }

    /// SQLite's folder.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.as_ref().unwrap().path()
    }
}

/// Runs functions of the form `async fn name(place: Place)` on each database.
macro_rules! everywhere {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            use $crate::setup::Place;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(Place::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(place) = Place::postgres(module_path!()).await {
                    super::$name(place).await;
                }
            }
        })+
    };
}

pub(crate) use everywhere;
