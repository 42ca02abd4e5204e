//! Images of channels' custom emotes.

use bytes::Bytes;
use emostream_protocol::{ChannelName, limits::EMOTE_BYTES_MAX};

use crate::{
    Store, StoreError,
    channels::require,
    database::{Area, Change},
    limits::{CUSTOM_EMOTES_PER_CHANNEL_MAX, EMOTE_IMAGE_BYTES_MAX, MEDIA_TYPE_CHARS_MAX, check_line},
    sql::{Row, sql},
};

/// A custom emote without its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmoteInfo {
    /// Name.
    pub name: String,
    /// The image's media type.
    pub media_type: String,
    /// The image's length.
    pub bytes: u64,
    /// When the image was stored; together with the name it identifies the image.
    pub changed_us: i64,
}

/// A custom emote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmoteImage {
    /// All but the image.
    pub info: EmoteInfo,
    /// The image.
    pub image: Bytes,
}

/// An image to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewEmote<'a> {
    /// Name, 1 to [`EMOTE_BYTES_MAX`] characters.
    pub name: &'a str,
    /// Media type, at most [`MEDIA_TYPE_CHARS_MAX`] characters.
    pub media_type: &'a str,
    /// The image, 1 to [`EMOTE_IMAGE_BYTES_MAX`] bytes. The store does not look into it.
    pub image: &'a [u8],
}

impl Store {
    /// Stores an image or replaces it; true if there was none of this name. `LimitReached` if the channel has
    /// `limit` others already; `limit` is at most [`CUSTOM_EMOTES_PER_CHANNEL_MAX`].
    pub async fn put_emote(
        &self,
        channel: &ChannelName,
        emote: &NewEmote<'_>,
        limit: u32,
        now_us: i64,
    ) -> Result<bool, StoreError> {
        check(emote)?;
        if limit > CUSTOM_EMOTES_PER_CHANNEL_MAX {
            return Err(StoreError::invalid("limit", format!("at most {CUSTOM_EMOTES_PER_CHANNEL_MAX}")));
        }
        let mut change = self.database.change(Area::Emotes).await?;
        require(&mut change, channel).await?;
        let (others, new) = count(&mut change, channel, emote.name).await?;
        if others >= i64::from(limit) {
            return Err(StoreError::LimitReached { what: "custom emotes", limit });
        }
        let statement = sql(
            "INSERT INTO custom_emotes (channel, name, media_type, image, image_bytes, changed_us)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (channel, name) DO UPDATE SET media_type = excluded.media_type, image = excluded.image,
                 image_bytes = excluded.image_bytes, changed_us = excluded.changed_us",
        );
        let statement = statement
            .bind(channel.as_str())
            .bind(emote.name)
            .bind(emote.media_type)
            .bind(emote.image)
            .bind(i64::try_from(emote.image.len()).unwrap_or(i64::MAX))
            .bind(now_us);
        change.execute(statement).await?;
        change.commit().await?;
        Ok(new)
    }

    /// An emote with its image.
    pub async fn get_emote(
        &self,
        channel: &ChannelName,
        name: &str,
    ) -> Result<Option<EmoteImage>, StoreError> {
        let query = sql("SELECT name, media_type, image_bytes, changed_us, image FROM custom_emotes
             WHERE channel = $1 AND name = $2");
        if check_name(name).is_err() {
            return Ok(None);
        }
        let row = self.database.row(query.bind(channel.as_str()).bind(name)).await?;
        row.map(|row| Ok(EmoteImage { info: read(&row)?, image: row.get::<Vec<u8>>("image")?.into() }))
            .transpose()
    }

    /// All of a channel's custom emotes, ascending by name; [`CUSTOM_EMOTES_PER_CHANNEL_MAX`] bounds them.
    pub async fn list_emotes(&self, channel: &ChannelName) -> Result<Vec<EmoteInfo>, StoreError> {
        let query =
            sql("SELECT name, media_type, image_bytes, changed_us FROM custom_emotes WHERE channel = $1");
        let rows = self.database.rows(query.bind(channel.as_str())).await?;
        let mut emotes = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        // Sorted here: the databases' orders of texts differ.
        emotes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(emotes)
    }

    /// Removes an emote's image.
    pub async fn delete_emote(&self, channel: &ChannelName, name: &str) -> Result<(), StoreError> {
        check_name(name).map_err(|_| StoreError::NotFound { what: "emote" })?;
        let mut change = self.database.change(Area::Emotes).await?;
        let statement = sql("DELETE FROM custom_emotes WHERE channel = $1 AND name = $2");
        if change.execute(statement.bind(channel.as_str()).bind(name)).await? == 0 {
            return Err(StoreError::NotFound { what: "emote" });
        }
        change.commit().await
    }
}

/// How many emotes of other names the channel has, and whether it has none of this one.
async fn count(change: &mut Change, channel: &ChannelName, name: &str) -> Result<(i64, bool), StoreError> {
    let query = sql("SELECT COUNT(*) AS emotes, COUNT(CASE WHEN name = $2 THEN 1 END) AS same
         FROM custom_emotes WHERE channel = $1");
    let row = change.row(query.bind(channel.as_str()).bind(name)).await?;
    let Some(row) = row else { return Ok((0, true)) };
    let same: i64 = row.get("same")?;
    Ok((row.get::<i64>("emotes")? - same, same == 0))
}

fn check_name(name: &str) -> Result<(), StoreError> {
    if name.is_empty() {
        return Err(StoreError::invalid("emote", format!("1 to {EMOTE_BYTES_MAX} characters")));
    }
    check_line("emote", name, EMOTE_BYTES_MAX)
}

fn check(emote: &NewEmote<'_>) -> Result<(), StoreError> {
    check_name(emote.name)?;
    check_line("media_type", emote.media_type, MEDIA_TYPE_CHARS_MAX)?;
    if emote.image.is_empty() || emote.image.len() > EMOTE_IMAGE_BYTES_MAX {
        return Err(StoreError::invalid("image", format!("1 to {EMOTE_IMAGE_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn read(row: &Row) -> Result<EmoteInfo, StoreError> {
    Ok(EmoteInfo {
        name: row.get("name")?,
        media_type: row.get("media_type")?,
        bytes: row.int("image_bytes")?,
        changed_us: row.get("changed_us")?,
    })
}
