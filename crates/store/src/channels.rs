//! Channels: what is known of each beside its settings.

use emostream_protocol::ChannelName;

use crate::{
    Page, Store, StoreError,
    database::{Area, Change},
    limits::{SEED_HASH_CHARS_MAX, TITLE_CHARS_MAX, check_line},
    page::Limit,
    settings::{self, NewSettings},
    sql::{Row, Statement, damaged, sql},
};

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRecord {
    /// Ascends with creation; from 1.
    pub id: i64,
    /// Name, unique.
    pub name: ChannelName,
    /// What people call it; may be empty.
    pub title: String,
    /// When it was made.
    pub created_us: i64,
    /// Whether it takes no more reactions.
    pub closed: bool,
    /// When its recording began, if there is one.
    pub recording_started_us: Option<i64>,
    /// Hash of the configuration that its settings were last seeded from, if they were.
    pub seed_hash: Option<String>,
}

/// A channel to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChannel {
    /// Name.
    pub name: ChannelName,
    /// Title, at most [`TITLE_CHARS_MAX`] characters.
    pub title: String,
    /// Hash of the configuration that its settings come from, at most [`SEED_HASH_CHARS_MAX`] characters.
    pub seed_hash: Option<String>,
}

/// What to change of a channel; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelChange {
    /// Title.
    pub title: Option<String>,
    /// Whether it takes no more reactions.
    pub closed: Option<bool>,
    /// When its recording began; `Some(None)`: there is none.
    pub recording_started_us: Option<Option<i64>>,
    /// Hash of the configuration that its settings were seeded from.
    pub seed_hash: Option<Option<String>>,
}

const COLUMNS: &str =
    "SELECT id, name, title, created_us, closed, recording_started_us, seed_hash FROM channels";

impl Store {
    /// Makes a channel together with version 1 of its settings, which is not published yet. `Conflict` if the name is taken,
    /// `LimitReached` if there are `limit` channels already.
    pub async fn create_channel(
        &self,
        channel: &NewChannel,
        first: &NewSettings<'_>,
        limit: u32,
        now_us: i64,
    ) -> Result<ChannelRecord, StoreError> {
        check(&channel.title, channel.seed_hash.as_deref())?;
        first.check()?;
        let mut change = self.database.change(Area::Channels).await?;
        let statement =
            sql("INSERT INTO channels (name, id, title, created_us, closed, recording_started_us, seed_hash)
             VALUES ($1, (SELECT COALESCE(MAX(id), 0) + 1 FROM channels), $2, $3, 0, NULL, $4)
             ON CONFLICT DO NOTHING");
        let statement = statement
            .bind(channel.name.as_str())
            .bind(channel.title.as_str())
            .bind(now_us)
            .bind(channel.seed_hash.as_deref());
        if change.execute(statement).await? == 0 {
            return Err(StoreError::Conflict { what: "channel" });
        }
        let row = change.row(sql("SELECT COUNT(*) AS channels FROM channels")).await?;
        if row.map_or(Ok(0), |row| row.get::<i64>("channels"))? > i64::from(limit) {
            return Err(StoreError::LimitReached { what: "channels", limit });
        }
        settings::append(&mut change, &channel.name, 1, first, now_us).await?;
        let made = existing(&mut change, &channel.name).await?;
        change.commit().await?;
        Ok(made)
    }

    /// The channel of a name.
    pub async fn channel(&self, name: &ChannelName) -> Result<Option<ChannelRecord>, StoreError> {
        self.database.row(by_name(name)).await?.as_ref().map(read).transpose()
    }

    /// Channels in the order of their creation, from behind the id `after` on.
    pub async fn channels(
        &self,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Page<ChannelRecord, i64>, StoreError> {
        let limit = Limit::new(limit)?;
        let query = with_columns("WHERE id > $1 ORDER BY id LIMIT $2");
        let rows = self.database.rows(query.bind(after.unwrap_or(0)).bind(limit.fetch())).await?;
        let channels = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(limit.page(channels, |channel: &ChannelRecord| channel.id))
    }

    /// Changes a channel and returns it as it is then.
    pub async fn update_channel(
        &self,
        name: &ChannelName,
        wanted: &ChannelChange,
    ) -> Result<ChannelRecord, StoreError> {
        let hash = wanted.seed_hash.as_ref().and_then(Option::as_deref);
        check(wanted.title.as_deref().unwrap_or_default(), hash)?;
        let mut change = self.database.change(Area::Channels).await?;
        let mut channel = existing(&mut change, name).await?;
        apply(&mut channel, wanted);
        let statement = sql(
            "UPDATE channels SET title = $1, closed = $2, recording_started_us = $3, seed_hash = $4 WHERE name = $5",
        );
        let statement = statement
            .bind(channel.title.as_str())
            .bind(channel.closed)
            .bind(channel.recording_started_us)
            .bind(channel.seed_hash.as_deref())
            .bind(name.as_str());
        change.execute(statement).await?;
        change.commit().await?;
        Ok(channel)
    }
}

/// Refuses if there is no such channel.
pub(crate) async fn require(change: &mut Change, name: &ChannelName) -> Result<(), StoreError> {
    existing(change, name).await.map(drop)
}

async fn existing(change: &mut Change, name: &ChannelName) -> Result<ChannelRecord, StoreError> {
    match change.row(by_name(name)).await? {
        Some(row) => read(&row),
        None => Err(StoreError::NotFound { what: "channel" }),
    }
}

fn with_columns(rest: &str) -> Statement {
    Statement::composed(format!("{COLUMNS} {rest}"))
}

fn by_name(name: &ChannelName) -> Statement {
    with_columns("WHERE name = $1").bind(name.as_str())
}

fn check(title: &str, seed_hash: Option<&str>) -> Result<(), StoreError> {
    check_line("title", title, TITLE_CHARS_MAX)?;
    check_line("seed_hash", seed_hash.unwrap_or_default(), SEED_HASH_CHARS_MAX)
}

fn apply(channel: &mut ChannelRecord, wanted: &ChannelChange) {
    if let Some(title) = &wanted.title {
        channel.title.clone_from(title);
    }
    if let Some(closed) = wanted.closed {
        channel.closed = closed;
    }
    if let Some(started) = wanted.recording_started_us {
        channel.recording_started_us = started;
    }
    if let Some(hash) = &wanted.seed_hash {
        channel.seed_hash.clone_from(hash);
    }
}

/// The channel's name in a row.
pub(crate) fn read_name(row: &Row, column: &'static str) -> Result<ChannelName, StoreError> {
    ChannelName::new(&row.get::<String>(column)?).map_err(|_| damaged(column))
}

fn read(row: &Row) -> Result<ChannelRecord, StoreError> {
    Ok(ChannelRecord {
        id: row.get("id")?,
        name: read_name(row, "name")?,
        title: row.get("title")?,
        created_us: row.get("created_us")?,
        closed: row.flag("closed")?,
        recording_started_us: row.get("recording_started_us")?,
        seed_hash: row.get("seed_hash")?,
    })
}
