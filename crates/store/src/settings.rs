//! Settings of channels with their whole history, which is also the outbox of what has to reach the log.

use emostream_protocol::ChannelName;

use crate::{
    Page, Store, StoreError,
    channels::{read_name, require},
    database::{Area, Change},
    limits::{AUTHOR_CHARS_MAX, DOCUMENT_BYTES_MAX, check_line},
    page::Limit,
    sql::{Row, Statement, sql, wide},
};

/// One version of a channel's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsVersion {
    /// Channel.
    pub channel: ChannelName,
    /// From 1, dense and ascending per channel.
    pub version: u64,
    /// The whole document, JSON as it was given.
    pub document: String,
    /// When it was stored.
    pub changed_us: i64,
    /// Who stored it.
    pub changed_by: String,
    /// Whether it is known to be in the log.
    pub published: bool,
}

/// Settings to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSettings<'a> {
    /// The whole document, JSON, 1 to [`DOCUMENT_BYTES_MAX`] bytes. The store does not look into it.
    pub document: &'a str,
    /// Who stores it: a user's name, at most [`AUTHOR_CHARS_MAX`] characters.
    pub by: &'a str,
}

impl NewSettings<'_> {
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        check_line("by", self.by, AUTHOR_CHARS_MAX)?;
        if self.document.is_empty()
            || self.document.len() > DOCUMENT_BYTES_MAX
            || self.document.contains('\0')
        {
            let expected = format!("1 to {DOCUMENT_BYTES_MAX} bytes without NUL");
            return Err(StoreError::invalid("document", expected));
        }
        Ok(())
    }
}

const COLUMNS: &str =
    "SELECT channel, version, document, changed_us, changed_by, published FROM settings_history";

impl Store {
    /// Stores the next version and returns its number. `expected`: the version that the author has seen, or
    /// `VersionConflict` with the current one; `None`: whatever there is. The version counts as not published until
    /// [`Store::mark_published`].
    pub async fn put_settings(
        &self,
        channel: &ChannelName,
        expected: Option<u64>,
        new: &NewSettings<'_>,
        now_us: i64,
    ) -> Result<u64, StoreError> {
        new.check()?;
        let mut change = self.database.change(Area::Settings).await?;
        require(&mut change, channel).await?;
        let query =
            sql("SELECT COALESCE(MAX(version), 0) AS version FROM settings_history WHERE channel = $1");
        let row = change.row(query.bind(channel.as_str())).await?;
        let current: u64 = row.map_or(Ok(0), |row| row.int("version"))?;
        if expected.is_some_and(|expected| expected != current) {
            return Err(StoreError::VersionConflict { current });
        }
        append(&mut change, channel, current + 1, new, now_us).await?;
        change.commit().await?;
        Ok(current + 1)
    }

    /// The settings in force. `NotFound` if there is no such channel.
    pub async fn settings(&self, channel: &ChannelName) -> Result<SettingsVersion, StoreError> {
        let query = with_columns("WHERE channel = $1 ORDER BY version DESC LIMIT 1").bind(channel.as_str());
        match self.database.row(query).await? {
            Some(row) => read(&row),
            None => Err(StoreError::NotFound { what: "channel" }),
        }
    }

    /// All versions, newest first, from below the version `before` on. Without a channel of this name the page is empty.
    pub async fn settings_history(
        &self,
        channel: &ChannelName,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<SettingsVersion, u64>, StoreError> {
        let limit = Limit::up_to(limit, DOCUMENTS_LIMIT_MAX)?;
        let before = before.map_or(Ok(i64::MAX), |before| wide("before", before))?;
        let query = with_columns("WHERE channel = $1 AND version < $2 ORDER BY version DESC LIMIT $3")
            .bind(channel.as_str())
            .bind(before)
            .bind(limit.fetch());
        let versions = self.versions(query).await?;
        Ok(limit.page(versions, |version: &SettingsVersion| version.version))
    }

    /// Versions that are not known to be in the log, each channel's ascending; at most `limit`, so ask again after
    /// having published and marked them.
    pub async fn unpublished_settings(&self, limit: u32) -> Result<Vec<SettingsVersion>, StoreError> {
        Limit::up_to(limit, DOCUMENTS_LIMIT_MAX)?;
        let query = with_columns("WHERE published = 0 ORDER BY channel, version LIMIT $1");
        self.versions(query.bind(i64::from(limit))).await
    }

    /// Notes that a version is in the log. Doing so again changes nothing.
    pub async fn mark_published(&self, channel: &ChannelName, version: u64) -> Result<(), StoreError> {
        let version = wide("version", version)?;
        let mut change = self.database.change(Area::Settings).await?;
        let statement = sql("UPDATE settings_history SET published = 1 WHERE channel = $1 AND version = $2");
        if change.execute(statement.bind(channel.as_str()).bind(version)).await? == 0 {
            return Err(StoreError::NotFound { what: "settings version" });
        }
        change.commit().await
    }

    async fn versions(&self, query: Statement) -> Result<Vec<SettingsVersion>, StoreError> {
        self.database.rows(query).await?.iter().map(read).collect()
    }
}

/// Versions of one page: with the longest documents they hold 25 MiB.
const DOCUMENTS_LIMIT_MAX: u32 = 100;

fn with_columns(rest: &str) -> Statement {
    Statement::composed(format!("{COLUMNS} {rest}"))
}

/// Appends a version that does not exist yet.
pub(crate) async fn append(
    change: &mut Change,
    channel: &ChannelName,
    version: u64,
    new: &NewSettings<'_>,
    now_us: i64,
) -> Result<(), StoreError> {
    let statement =
        sql("INSERT INTO settings_history (channel, version, document, changed_us, changed_by, published)
         VALUES ($1, $2, $3, $4, $5, 0)");
    let statement = statement
        .bind(channel.as_str())
        .bind(wide("version", version)?)
        .bind(new.document)
        .bind(now_us)
        .bind(new.by);
    change.execute(statement).await.map(drop)
}

fn read(row: &Row) -> Result<SettingsVersion, StoreError> {
    Ok(SettingsVersion {
        channel: read_name(row, "channel")?,
        version: row.int("version")?,
        document: row.get("document")?,
        changed_us: row.get("changed_us")?,
        changed_by: row.get("changed_by")?,
        published: row.flag("published")?,
    })
}
