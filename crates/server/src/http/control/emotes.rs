//! A channel's palette with its custom emotes, and their images.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use emostream_store::EmoteInfo;
use serde::Serialize;
use utoipa::ToSchema;

use super::channels::name_of;
use crate::{
    control::{
        emotes::{EmoteError, text_of},
        images::IMAGE_BYTES_MAX,
    },
    http::{
        access::Caller,
        app::App,
        body,
        problem::{ErrorType, Problem},
    },
};

/// A channel's palette.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaletteAnswer {
    /// Ascends with each change of the palette.
    version: u32,
    /// The buttons, in order.
    #[schema(inline)]
    featured: Vec<FeaturedEmote>,
    /// Emoji accepted besides; null: every emoji.
    accepted_emotes: Option<Vec<String>>,
    /// The channel's own emotes.
    #[schema(inline)]
    custom_emotes: Vec<CustomEmote>,
}

/// A button.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeaturedEmote {
    emote: String,
    /// Where its image is, if it is a custom emote with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// A custom emote.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomEmote {
    #[schema(example = ":goal:")]
    emote: String,
    /// Where its image is; null: it has none yet.
    url: Option<String>,
    media_type: Option<String>,
    bytes: Option<u64>,
}

fn url(channel: &str, info: &EmoteInfo) -> String {
    format!("/v1/channels/{channel}/emotes/{}?v={}", info.name, info.changed_us)
}

fn refused(error: EmoteError) -> Problem {
    match error {
        EmoteError::Image(error) => Problem::new(ErrorType::UnsupportedMedia, error.to_string()),
        EmoteError::Settings(error) => error.into(),
        EmoteError::LastButton => Problem::new(ErrorType::Conflict, error.to_string()),
    }
}

/// `GET /v1/channels/{channel}/palette`.
pub async fn palette(
    State(app): State<Arc<App>>,
    Path(channel): Path<String>,
) -> Result<Json<PaletteAnswer>, Problem> {
    let known = app.channel(&channel)?;
    let images = app.control()?.emotes(&known.name).await.map_err(|error| Problem::store(&error))?;
    let image_of = |emote: &str| images.iter().find(|info| text_of(&info.name) == emote);
    let palette = known.published().settings.palette.clone();
    let featured = palette
        .featured
        .into_iter()
        .map(|emote| FeaturedEmote { url: image_of(&emote).map(|info| url(&known.name, info)), emote });
    let custom = palette.custom_emotes.into_iter().map(|emote| {
        let info = image_of(&emote);
        CustomEmote {
            url: info.map(|info| url(&known.name, info)),
            media_type: info.map(|info| info.media_type.clone()),
            bytes: info.map(|info| info.bytes),
            emote,
        }
    });
    Ok(Json(PaletteAnswer {
        version: palette.version,
        featured: featured.collect(),
        accepted_emotes: palette.accepted_emotes,
        custom_emotes: custom.collect(),
    }))
}

/// `PUT /v1/channels/{channel}/emotes/{name}`.
pub async fn put(
    State(app): State<Arc<App>>,
    Path((channel, name)): Path<(String, String)>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<CustomEmote>), Problem> {
    let channel = name_of(&channel)?;
    let control = app.control()?;
    let timeout = Duration::from_millis(app.config.http.body_timeout_ms);
    let bytes = body::read(request, IMAGE_BYTES_MAX, timeout).await?;
    let put = control.put_emote(&channel, &name, &bytes, &caller.username).await;
    let (image, is_new) = put.map_err(refused)?;
    let images = control.emotes(&channel).await.map_err(|error| Problem::store(&error))?;
    let answer = CustomEmote {
        emote: text_of(&name),
        url: images.iter().find(|info| info.name == name).map(|info| url(&channel, info)),
        media_type: Some(image.media_type.to_owned()),
        bytes: Some(bytes.len() as u64),
    };
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(answer)))
}

/// `DELETE /v1/channels/{channel}/emotes/{name}`.
pub async fn delete(
    State(app): State<Arc<App>>,
    Path((channel, name)): Path<(String, String)>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    let channel = name_of(&channel)?;
    app.control()?.delete_emote(&channel, &name, &caller.username).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/channels/{channel}/emotes/{name}`.
pub async fn image(
    State(app): State<Arc<App>>,
    Path((channel, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let channel = name_of(&channel)?;
    let found = app.control()?.emote(&channel, &name).await.map_err(|error| Problem::store(&error))?;
    let missing = || Problem::new(ErrorType::EmoteNotFound, "expected a custom emote with an image");
    let emote = found.ok_or_else(missing)?;
    let etag = format!("\"{}\"", emote.info.changed_us);
    // Links carry the version, so that a link's image never changes; without it, one is asked for again.
    let is_of_a_link = query.is_some_and(|query| query == format!("v={}", emote.info.changed_us));
    let kept = if is_of_a_link { "public, max-age=86400" } else { "no-cache" };
    let media_type = HeaderValue::try_from(emote.info.media_type).map_err(|_| missing())?;
    let common = [
        (header::ETAG, HeaderValue::try_from(&etag).map_err(|_| missing())?),
        (header::CACHE_CONTROL, HeaderValue::from_static(kept)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Opened by itself, it is a picture and nothing that could run.
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    Ok((common, [(header::CONTENT_TYPE, media_type)], emote.image).into_response())
}
