//! Channels as resources: listing, making, changing.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use emostream_protocol::{ChannelName, time};
use emostream_store::{ChannelChange, ChannelRecord};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::paging::{ListParameters, Listed};
use crate::http::{access::Caller, app::App, body::JsonBody, problem::Problem};

/// Bytes of a body about a channel.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// A channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelDocument {
    /// Name, part of its paths.
    #[schema(example = "main")]
    name: String,
    /// What people call it.
    title: String,
    /// When it was made.
    created_at: String,
    /// When the recording of the event began: where exports begin to count.
    recording_started_at: Option<String>,
    /// Whether the event is over: no reactions are taken any more.
    closed: bool,
}

/// A page of channels, in the order in which they were made.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelPage {
    #[schema(inline)]
    items: Vec<ChannelDocument>,
    next_cursor: Option<String>,
}

/// A channel to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChannelDocument {
    /// 1 to 64 letters, digits, `-`, `_` or `.`, beginning with a letter or digit.
    name: String,
    /// At most 200 characters.
    #[serde(default)]
    title: String,
}

/// What to change of a channel; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelChangeDocument {
    /// At most 200 characters.
    title: Option<String>,
    /// RFC 3339, or null for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    recording_started_at: Option<Option<String>>,
    /// Whether the event is over.
    closed: Option<bool>,
}

/// Tells `null` from absent.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl From<ChannelRecord> for ChannelDocument {
    fn from(record: ChannelRecord) -> Self {
        Self {
            name: record.name.to_string(),
            title: record.title,
            created_at: time::format_ms(record.created_us / 1_000),
            recording_started_at: record.recording_started_us.map(|us| time::format_ms(us / 1_000)),
            closed: record.closed,
        }
    }
}

/// A valid channel name out of a path; one that is not valid names no channel.
pub(super) fn name_of(path: &str) -> Result<ChannelName, Problem> {
    ChannelName::new(path).map_err(|_| Problem::no_channel())
}

/// `GET /v1/channels`.
pub async fn list(
    State(app): State<Arc<App>>,
    Query(parameters): Query<ListParameters>,
) -> Result<Json<ChannelPage>, Problem> {
    let (after, limit) = parameters.read("the next_cursor of a page of channels")?;
    let page = app.control()?.store.channels(after, limit).await.map_err(|error| Problem::store(&error))?;
    let Listed { items, next_cursor } = Listed::of(page, ChannelDocument::from);
    Ok(Json(ChannelPage { items, next_cursor }))
}

/// `POST /v1/channels`.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(new): JsonBody<NewChannelDocument, BODY_BYTES_MAX>,
) -> Result<(StatusCode, Json<ChannelDocument>), Problem> {
    let name = ChannelName::new(&new.name).map_err(|error| Problem::field("name", &error.to_string()))?;
    let made = app.control()?.create_channel(&name, &new.title, &caller.username).await;
    let made = made.map_err(|error| Problem::store(&error))?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// `GET /v1/channels/{channel}`.
pub async fn show(
    State(app): State<Arc<App>>,
    Path(channel): Path<String>,
) -> Result<Json<ChannelDocument>, Problem> {
    let found = app.control()?.store.channel(&name_of(&channel)?).await;
    let found = found.map_err(|error| Problem::store(&error))?.ok_or_else(Problem::no_channel)?;
    Ok(Json(found.into()))
}

/// `PATCH /v1/channels/{channel}`.
pub async fn change(
    State(app): State<Arc<App>>,
    Path(channel): Path<String>,
    JsonBody(wanted): JsonBody<ChannelChangeDocument, BODY_BYTES_MAX>,
) -> Result<Json<ChannelDocument>, Problem> {
    let recording = match wanted.recording_started_at {
        None => None,
        Some(None) => Some(None),
        Some(Some(text)) => {
            let ms = time::parse_ms(&text)
                .map_err(|error| Problem::field("recording_started_at", &error.to_string()))?;
            Some(Some(ms * 1_000))
        }
    };
    let change = ChannelChange {
        title: wanted.title,
        closed: wanted.closed,
        recording_started_us: recording,
        seed_hash: None,
    };
    let changed = app.control()?.update_channel(&name_of(&channel)?, &change).await;
    Ok(Json(changed.map_err(|error| Problem::store(&error))?.into()))
}
