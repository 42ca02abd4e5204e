//! Single moments: what stands in an answer, and what moderators add to them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use emostream_protocol::{ChannelName, Emotes, row::MomentRow, time};
use emostream_store::{MomentEdit, MomentRecord};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{ARCHIVE_PATIENCE, busy, must_moderate, no_moment};
use crate::http::{access::Caller, app::App, body::JsonBody, problem::Problem};

/// Longest body of a change, in bytes: a note of 2,000 characters, escaped, and a title.
const CHANGE_BYTES_MAX: usize = 32 * 1024;

/// A moment in an answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Moment)]
pub struct MomentItem {
    /// Channel.
    channel: String,
    /// Sequence.
    seq: u64,
    /// The same wherever it is computed.
    id: String,
    /// Emote.
    emote: String,
    /// RFC 3339.
    window_start: String,
    /// Length of what was judged, ms.
    window_ms: u32,
    /// Reactions with this emote in it, without late ones.
    count: u64,
    /// How far beyond the rule: count ÷ threshold, or z.
    strength: f64,
    /// Estimated distinct users.
    reactors: u64,
    /// plain-count, plain-share or full.
    rule: String,
    /// Version of the settings that held.
    rule_version: u64,
    /// Mean media position, ms.
    media_time_ms: Option<u64>,
    /// What a moderator called it.
    title: Option<String>,
    /// What a moderator wrote about it.
    note: Option<String>,
    /// Whether it is left out for all but moderators.
    hidden: bool,
}

/// What to change of a moment; what is absent stays, null takes it away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MomentChange {
    /// Title, one line of at most 200 characters.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    title: Option<Option<String>>,
    /// Note, at most 2,000 characters.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    note: Option<Option<String>>,
    /// Whether it is left out for all but moderators.
    hidden: Option<bool>,
}

/// Tells `null` from absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl MomentItem {
    /// A moment of the archive.
    pub(super) fn of(moment: &MomentRecord) -> Self {
        Self {
            channel: moment.channel.to_string(),
            seq: moment.position.seq,
            id: moment.id.clone(),
            emote: moment.emote.clone(),
            window_start: time::format_ms(moment.window_start_ms),
            window_ms: moment.window_ms,
            count: moment.count,
            strength: moment.strength,
            reactors: moment.reactors,
            rule: moment.rule.clone(),
            rule_version: moment.rule_version,
            media_time_ms: moment.media_time_ms,
            title: moment.title.clone(),
            note: moment.note.clone(),
            hidden: moment.hidden,
        }
    }

    /// A moment as it was found: nobody has edited it.
    pub(super) fn of_row(row: &MomentRow, emotes: &Emotes) -> Self {
        Self {
            channel: row.channel.to_string(),
            seq: row.seq,
            id: row.id(),
            emote: emotes.name(row.emote).to_string(),
            window_start: time::format_ms(row.window_start_ms),
            window_ms: row.window_ms,
            count: row.count,
            strength: row.strength,
            reactors: row.reactors,
            rule: row.rule.as_str().to_owned(),
            rule_version: row.rule_version,
            media_time_ms: row.media_time_ms,
            title: None,
            note: None,
            hidden: false,
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers can be written as JSON")
    }
}

/// `GET /v1/channels/{channel}/moments/{id}`.
pub async fn one(
    State(app): State<Arc<App>>,
    caller: Option<Caller>,
    Path((channel, id)): Path<(String, String)>,
) -> Result<Json<MomentItem>, Problem> {
    let (channel, control) = (name(&app, &channel)?, app.control()?);
    control.archive.catch_up(ARCHIVE_PATIENCE).await;
    let _running = app.queries.try_acquire().map_err(|_| busy())?;
    let found = control.store.moment(&channel, &id).await.map_err(|error| Problem::store(&error))?;
    // To others, a hidden moment is none.
    let shown = found.filter(|moment| !moment.hidden || must_moderate(caller.as_ref()).is_ok());
    Ok(Json(MomentItem::of(&shown.ok_or_else(no_moment)?)))
}

/// `PATCH /v1/channels/{channel}/moments/{id}`.
pub async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((channel, id)): Path<(String, String)>,
    JsonBody(change): JsonBody<MomentChange, CHANGE_BYTES_MAX>,
) -> Result<Json<MomentItem>, Problem> {
    let (channel, control) = (name(&app, &channel)?, app.control()?);
    control.archive.catch_up(ARCHIVE_PATIENCE).await;
    let _running = app.queries.try_acquire().map_err(|_| busy())?;
    // An empty text is none.
    let text = |text: Option<Option<String>>| text.map(|text| text.filter(|text| !text.trim().is_empty()));
    let edit = MomentEdit { title: text(change.title), note: text(change.note), hidden: change.hidden };
    let edited = control.store.edit_moment(&channel, &id, &edit, &caller.username, control.now_us()).await;
    edited.map(|moment| Json(MomentItem::of(&moment))).map_err(|error| Problem::store(&error))
}

fn name(app: &App, channel: &str) -> Result<ChannelName, Problem> {
    Ok(app.channel(channel)?.name.clone())
}
