//! The two databases behind one interface: reads beside one writer, and transactions that wait for each other by area.

pub(crate) mod claim;
pub(crate) mod many;
pub(crate) mod open;
pub(crate) mod postgres;
pub(crate) mod schema;
pub(crate) mod sql;

use std::sync::Arc;

use sqlx::{Sqlite, SqlitePool, Transaction};

use self::sql::{Row, Statement, sql};
use crate::StoreError;

/// Connections to a database. Reads never wait for a writer.
#[derive(Clone)]
pub(crate) enum Database {
    /// One writing connection, so that writers queue instead of failing busy.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(Arc<postgres::Postgres>),
}

/// Whose changes exclude each other. SQLite has one writer for all; PostgreSQL takes a lock of the area's number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Area {
    Schema,
    Users,
    Channels,
    Settings,
    Emotes,
    Archive,
    Moments,
    Clusters,
    Leases,
}

/// A transaction that changes records. Dropped without [`Change::commit`], it leaves nothing.
pub(crate) enum Change {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, sqlx::Postgres>),
}

/// What the numbers of our locks begin with, so that another program's in the same database are others: "emostre".
const LOCKS: i64 = 0x656d_6f73_7472_6500;

impl Database {
    /// All rows of a query; the caller bounds them.
    pub(crate) async fn rows(&self, query: Statement) -> Result<Vec<Row>, StoreError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => wrap(query.query().fetch_all(readers).await?, Row::Sqlite),
            Self::Postgres(postgres) => {
                let read = |readers| {
                    let query = query.clone().query();
                    async move { query.fetch_all(&readers).await }
                };
                wrap(Box::pin(postgres.read(read)).await?, Row::Postgres)
            }
        })
    }

    /// The first row of a query, if there is one.
    pub(crate) async fn row(&self, query: Statement) -> Result<Option<Row>, StoreError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => query.query().fetch_optional(readers).await?.map(Row::Sqlite),
            Self::Postgres(postgres) => {
                let read = |readers| {
                    let query = query.clone().query();
                    async move { query.fetch_optional(&readers).await }
                };
                Box::pin(postgres.read(read)).await?.map(Row::Postgres)
            }
        })
    }

    /// Begins to change an area; waits for others who do.
    pub(crate) async fn change(&self, area: Area) -> Result<Change, StoreError> {
        match self {
            Self::Sqlite { writer, .. } => Ok(Change::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)),
            Self::Postgres(postgres) => {
                let mut change = Change::Postgres(postgres.begin().await?);
                change.also(area).await?;
                Ok(change)
            }
        }
    }

    /// Closes readers first: the writer, closing last, brings SQLite's log into its file.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(postgres) => postgres.close().await,
        }
    }
}

impl Change {
    /// Waits for others who change this area too. All who take several areas take them in the same order.
    pub(crate) async fn also(&mut self, area: Area) -> Result<(), StoreError> {
        if let Self::Postgres(_) = self {
            let lock = sql("SELECT 1 FROM (SELECT pg_advisory_xact_lock($1)) AS locked");
            self.row(lock.bind(LOCKS | area as i64)).await?;
        }
        Ok(())
    }

    /// All rows of a query or of a `RETURNING` clause.
    pub(crate) async fn rows(&mut self, query: Statement) -> Result<Vec<Row>, StoreError> {
        Ok(match self {
            Self::Sqlite(change) => wrap(query.query().fetch_all(&mut **change).await?, Row::Sqlite),
            Self::Postgres(change) => wrap(query.query().fetch_all(&mut **change).await?, Row::Postgres),
        })
    }

    /// The only row of a query or of a `RETURNING` clause, if there is one.
    pub(crate) async fn row(&mut self, query: Statement) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    /// Executes a statement; the number of rows that it changed.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64, StoreError> {
        Ok(match self {
            Self::Sqlite(change) => statement.query().execute(&mut **change).await?.rows_affected(),
            Self::Postgres(change) => statement.query().execute(&mut **change).await?.rows_affected(),
        })
    }

    /// Executes statements without values, separated by semicolons.
    pub(crate) async fn script(&mut self, text: String) -> Result<(), StoreError> {
        // The text is one of this crate's own migrations.
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(text));
        match self {
            Self::Sqlite(change) => script.execute(&mut **change).await.map(drop)?,
            Self::Postgres(change) => script.execute(&mut **change).await.map(drop)?,
        }
        Ok(())
    }

    /// Makes the changes durable and visible.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(change) => change.commit().await?,
            Self::Postgres(change) => change.commit().await?,
        }
        Ok(())
    }
}

fn wrap<R>(rows: Vec<R>, row: impl Fn(R) -> Row) -> Vec<Row> {
    rows.into_iter().map(row).collect()
}
