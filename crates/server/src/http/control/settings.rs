//! A channel's settings as one document with a version: read, changed under `If-Match`, and their history.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use emostream_protocol::{
    settings::{Guests, MomentRule, PaletteDocument, PlainRule, SettingsDocument, SettingsInput},
    time,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    channels::name_of,
    paging::{ListParameters, Listed},
};
use crate::{
    control::settings::{ChangeError, Settings},
    http::{
        access::Caller,
        app::App,
        body::JsonBody,
        problem::{ErrorType, Problem, etag},
    },
};

/// Bytes of settings: every emoji named in both lists fits.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Settings as they are answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingsAnswer {
    /// From 1; also the ETag.
    version: u64,
    /// When this version was stored.
    updated_at: String,
    /// Who stored it.
    updated_by: String,
    /// `{"kind": "full", "preset": "easy" | "normal" | "hard", …numbers}` or `{"kind": "plain", "threshold", "interval"}`.
    #[schema(value_type = Object)]
    rule: MomentRule,
    /// The plain rule's values, kept while the full rule is in use.
    #[schema(value_type = Object)]
    plain: PlainRule,
    /// Emotes that can make a moment; null: every emote.
    allowed_emotes: Option<Vec<String>>,
    /// What viewers can send: `version`, `featured`, `accepted_emotes`, `custom_emotes`.
    #[schema(value_type = Object)]
    palette: PaletteDocument,
    /// Whether people without an account may watch and react: `allowed` or `refused`.
    #[schema(value_type = String)]
    guests: Guests,
}

/// A version in the history.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingsHistoryItem {
    version: u64,
    changed_at: String,
    changed_by: String,
    #[schema(inline)]
    settings: SettingsAnswer,
}

/// A page of versions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingsHistoryPage {
    #[schema(inline)]
    items: Vec<SettingsHistoryItem>,
    next_cursor: Option<String>,
}

impl From<Settings> for SettingsAnswer {
    fn from(settings: Settings) -> Self {
        let SettingsDocument { rule, plain, allowed_emotes, palette, guests } = settings.document;
        Self {
            version: settings.version,
            updated_at: time::format_ms(settings.changed_us / 1_000),
            updated_by: settings.changed_by,
            rule,
            plain,
            allowed_emotes,
            palette,
            guests,
        }
    }
}

impl From<Settings> for SettingsHistoryItem {
    fn from(settings: Settings) -> Self {
        Self {
            version: settings.version,
            changed_at: time::format_ms(settings.changed_us / 1_000),
            changed_by: settings.changed_by.clone(),
            settings: settings.into(),
        }
    }
}

fn answer(settings: Settings) -> Response {
    let etag = etag(settings.version);
    ([(header::ETAG, etag)], Json(SettingsAnswer::from(settings))).into_response()
}

/// The version that a change is based on; `None` for `*`, which means: whatever there is.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        let detail =
            "expected the header If-Match with the ETag of the settings that were read, or * to overwrite";
        return Err(Problem::new(ErrorType::PreconditionRequired, detail));
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    // A weak tag is the strong one with a mark that proxies may add.
    let tag = text.strip_prefix("W/").unwrap_or(text);
    let version =
        tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
    version.map(Some).ok_or_else(|| Problem::parameter("If-Match", "expected one ETag such as \"7\", or *"))
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Invalid(error) => Self::field(error.field, &error.expected),
            ChangeError::Conflict { expected, current } => {
                let detail = format!("expected to change version {expected}, but it is {current} by now");
                Self { version: Some(current), ..Self::new(ErrorType::VersionConflict, detail) }
            }
            ChangeError::Store(error) => Self::store(&error),
        }
    }
}

/// `GET /v1/channels/{channel}/settings`.
pub async fn show(State(app): State<Arc<App>>, Path(channel): Path<String>) -> Result<Response, Problem> {
    let settings = app.control()?.settings(&name_of(&channel)?).await;
    settings.map(answer).map_err(|error| Problem::store(&error))
}

/// `PUT /v1/channels/{channel}/settings`.
pub async fn change(
    State(app): State<Arc<App>>,
    Path(channel): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    JsonBody(input): JsonBody<SettingsInput, BODY_BYTES_MAX>,
) -> Result<Response, Problem> {
    let expected = if_match(&headers)?;
    let name = name_of(&channel)?;
    let changed = app.control()?.change_settings(&name, expected, &input, &caller.username).await;
    Ok(answer(changed?))
}

/// `GET /v1/channels/{channel}/settings/history`.
pub async fn history(
    State(app): State<Arc<App>>,
    Path(channel): Path<String>,
    Query(parameters): Query<ListParameters>,
) -> Result<Json<SettingsHistoryPage>, Problem> {
    let name = app.channel(&channel)?.name.clone();
    let (before, limit) = parameters.read("the next_cursor of a page of versions")?;
    let page = app.control()?.settings_history(&name, before, limit).await;
    let Listed { items, next_cursor } =
        Listed::of(page.map_err(|error| Problem::store(&error))?, SettingsHistoryItem::from);
    Ok(Json(SettingsHistoryPage { items, next_cursor }))
}
