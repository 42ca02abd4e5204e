//! Archived moments, and what people add to them: a title, a note, that one is not to be shown.

use emostream_protocol::{
    ChannelName, Position,
    limits::{CHANNEL_NAME_BYTES_MAX, EMOTE_BYTES_MAX},
};

use super::{ArchiveCursor, ArchiveQuery, read_position};
use crate::{
    Page, Store, StoreError,
    channels::read_name,
    database::{Area, many},
    limits::{AUTHOR_CHARS_MAX, NOTE_CHARS_MAX, RULE_CHARS_MAX, TITLE_CHARS_MAX, check_line, check_text},
    page::Limit,
    sql::{Row, Statement, Value, sql, wide},
};

/// A moment in the archive.
#[derive(Debug, Clone, PartialEq)]
pub struct MomentRecord {
    /// Channel.
    pub channel: ChannelName,
    /// Epoch and sequence: with the channel, what the moment is known by.
    pub position: Position,
    /// The id that viewers and programs see, unique per channel and epoch.
    pub id: String,
    /// Emote, in canonical form.
    pub emote: String,
    /// Begin of what was judged, ms since the Unix epoch.
    pub window_start_ms: i64,
    /// Length of what was judged, in ms.
    pub window_ms: u32,
    /// Reactions with this emote in it, without late ones.
    pub count: u64,
    /// How far beyond the rule; finite.
    pub strength: f64,
    /// Estimated distinct users who sent the emote in it.
    pub reactors: u64,
    /// Name of the rule, as JSON carries it.
    pub rule: String,
    /// Version of the settings that held.
    pub rule_version: u64,
    /// Mean media position of the reactions that carried one, in ms.
    pub media_time_ms: Option<u64>,
    /// Title that a person gave it, at most [`TITLE_CHARS_MAX`] characters.
    pub title: Option<String>,
    /// Note that a person made, at most [`NOTE_CHARS_MAX`] characters.
    pub note: Option<String>,
    /// Whether it is left out where the audience looks.
    pub hidden: bool,
    /// Who edited it last.
    pub edited_by: Option<String>,
    /// When.
    pub edited_us: Option<i64>,
}

/// What to change of a moment; `None` leaves it as it is, `Some(None)` takes it away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MomentEdit {
    /// Title.
    pub title: Option<Option<String>>,
    /// Note.
    pub note: Option<Option<String>>,
    /// Whether it is left out where the audience looks.
    pub hidden: Option<bool>,
}

pub(super) const COLUMNS: many::Target = many::Target {
    table: "archived_moments",
    columns: &[
        "channel",
        "epoch",
        "seq",
        "id",
        "emote",
        "window_start_ms",
        "window_ms",
        "reactions",
        "strength",
        "reactors",
        "rule",
        "rule_version",
        "media_time_ms",
        "title",
        "note",
        "hidden",
        "edited_by",
        "edited_us",
    ],
    on_conflict: "DO NOTHING",
};

impl Store {
    /// A page of archived moments; hidden ones only when asked for.
    pub async fn moments(
        &self,
        query: &ArchiveQuery<'_>,
        include_hidden: bool,
    ) -> Result<Page<MomentRecord, ArchiveCursor>, StoreError> {
        let limit = Limit::new(query.limit)?;
        let select = select(&format!(
            "WHERE channel = $1 AND {} AND hidden <= $7 ORDER BY {} LIMIT $6",
            query.order.range(),
            query.order.columns(),
        ));
        let rows = self.database.rows(query.bind(select, limit)?.bind(include_hidden)).await?;
        let moments = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(limit.page(moments, |moment: &MomentRecord| ArchiveCursor {
            window_start_ms: moment.window_start_ms,
            position: moment.position,
        }))
    }

    /// A moment, hidden or not.
    pub async fn moment(&self, channel: &ChannelName, id: &str) -> Result<Option<MomentRecord>, StoreError> {
        if check_id(id).is_err() {
            return Ok(None);
        }
        self.database.row(by_id(channel, id)).await?.as_ref().map(read).transpose()
    }

    /// Changes what people add to a moment and returns it as it is then.
    pub async fn edit_moment(
        &self,
        channel: &ChannelName,
        id: &str,
        edit: &MomentEdit,
        by: &str,
        now_us: i64,
    ) -> Result<MomentRecord, StoreError> {
        check_line("by", by, AUTHOR_CHARS_MAX)?;
        check_edit(edit)?;
        check_id(id).map_err(|_| StoreError::NotFound { what: "moment" })?;
        let mut change = self.database.change(Area::Moments).await?;
        let row = change.row(by_id(channel, id)).await?.ok_or(StoreError::NotFound { what: "moment" })?;
        let moment = edited(read(&row)?, edit, by, now_us);
        change.execute(update(&moment)?).await?;
        change.commit().await?;
        Ok(moment)
    }
}

fn select(rest: &str) -> Statement {
    Statement::composed(format!("SELECT {} FROM {} {rest}", COLUMNS.columns.join(", "), COLUMNS.table))
}

/// Of moments of several epochs with one id, which only a clock far behind could bring about, the first.
fn by_id(channel: &ChannelName, id: &str) -> Statement {
    select("WHERE channel = $1 AND id = $2 ORDER BY window_start_ms, epoch, seq LIMIT 1")
        .bind(channel.as_str())
        .bind(id)
}

fn check_id(id: &str) -> Result<(), StoreError> {
    /// A channel's name, a colon and a sequence of 20 digits, and as much again for a form to come.
    const CHARS_MAX: usize = 2 * (CHANNEL_NAME_BYTES_MAX + 21);
    check_line("id", id, CHARS_MAX)
}

fn check_edit(edit: &MomentEdit) -> Result<(), StoreError> {
    let text = |text: &Option<Option<String>>| text.clone().flatten().unwrap_or_default();
    check_line("title", &text(&edit.title), TITLE_CHARS_MAX)?;
    check_text("note", &text(&edit.note), NOTE_CHARS_MAX)
}

fn edited(mut moment: MomentRecord, edit: &MomentEdit, by: &str, now_us: i64) -> MomentRecord {
    if let Some(title) = &edit.title {
        moment.title.clone_from(title);
    }
    if let Some(note) = &edit.note {
        moment.note.clone_from(note);
    }
    if let Some(hidden) = edit.hidden {
        moment.hidden = hidden;
    }
    MomentRecord { edited_by: Some(by.to_owned()), edited_us: Some(now_us), ..moment }
}

fn update(moment: &MomentRecord) -> Result<Statement, StoreError> {
    let statement =
        sql("UPDATE archived_moments SET title = $1, note = $2, hidden = $3, edited_by = $4, edited_us = $5
         WHERE channel = $6 AND epoch = $7 AND seq = $8");
    Ok(statement
        .bind(moment.title.as_deref())
        .bind(moment.note.as_deref())
        .bind(moment.hidden)
        .bind(moment.edited_by.as_deref())
        .bind(moment.edited_us)
        .bind(moment.channel.as_str())
        .bind(moment.position.epoch.0)
        .bind(wide("seq", moment.position.seq)?))
}

/// A moment's values in the order of [`COLUMNS`].
pub(super) fn values(moment: &MomentRecord) -> Result<Vec<Value>, StoreError> {
    check_id(&moment.id)?;
    check_line("emote", &moment.emote, EMOTE_BYTES_MAX)?;
    check_line("rule", &moment.rule, RULE_CHARS_MAX)?;
    check_line("title", moment.title.as_deref().unwrap_or_default(), TITLE_CHARS_MAX)?;
    check_text("note", moment.note.as_deref().unwrap_or_default(), NOTE_CHARS_MAX)?;
    check_line("edited_by", moment.edited_by.as_deref().unwrap_or_default(), AUTHOR_CHARS_MAX)?;
    if !moment.strength.is_finite() {
        return Err(StoreError::invalid("strength", "a finite number"));
    }
    Ok(vec![
        moment.channel.as_str().into(),
        moment.position.epoch.0.into(),
        wide("seq", moment.position.seq)?.into(),
        moment.id.as_str().into(),
        moment.emote.as_str().into(),
        moment.window_start_ms.into(),
        i64::from(moment.window_ms).into(),
        wide("count", moment.count)?.into(),
        moment.strength.into(),
        wide("reactors", moment.reactors)?.into(),
        moment.rule.as_str().into(),
        wide("rule_version", moment.rule_version)?.into(),
        moment.media_time_ms.map(|ms| wide("media_time_ms", ms)).transpose()?.into(),
        moment.title.as_deref().into(),
        moment.note.as_deref().into(),
        moment.hidden.into(),
        moment.edited_by.as_deref().into(),
        moment.edited_us.into(),
    ])
}

fn read(row: &Row) -> Result<MomentRecord, StoreError> {
    Ok(MomentRecord {
        channel: read_name(row, "channel")?,
        position: read_position(row)?,
        id: row.get("id")?,
        emote: row.get("emote")?,
        window_start_ms: row.get("window_start_ms")?,
        window_ms: row.int("window_ms")?,
        count: row.int("reactions")?,
        strength: row.get("strength")?,
        reactors: row.int("reactors")?,
        rule: row.get("rule")?,
        rule_version: row.int("rule_version")?,
        media_time_ms: row.optional_int("media_time_ms")?,
        title: row.get("title")?,
        note: row.get("note")?,
        hidden: row.flag("hidden")?,
        edited_by: row.get("edited_by")?,
        edited_us: row.get("edited_us")?,
    })
}
