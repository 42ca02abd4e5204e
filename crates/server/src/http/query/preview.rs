//! `POST /v1/channels/{channel}/settings/preview`: which moments a rule would have found in the recorded past.
//!
//! Most rules judge final windows, which the archive keeps for good. Shares of intervals need to know in which order
//! reactions came: for them the raw log is counted again, as far back as it is kept.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{Path, State},
};
use bytes::Bytes;
use emostream_moments::{
    StreamParameters,
    preview::{lookback_ms, needs_records, preview},
};
use emostream_protocol::{
    ChannelName, ChannelSettings, Emotes,
    row::{MomentRow, Row, WindowRow},
    settings::SettingsInput,
    time,
};
use emostream_store::{ArchiveQuery, Order, PAGE_LIMIT_MAX};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ARCHIVE_PATIENCE, busy, moments::MomentItem};
use crate::{
    control::Control,
    http::{
        access::Caller,
        app::App,
        body::JsonBody,
        problem::{ErrorType, Problem},
    },
};

mod records;

/// Longest body, in bytes: an allowed list of every emoji.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Windows of one preview at most, and their bytes: more than a week of one channel.
const WINDOWS_MAX: usize = 400_000;
const WINDOW_BYTES_MAX: usize = 64 << 20;

/// Moments of one answer at most. A rule that finds more is of no use.
const MOMENTS_MAX: usize = 5_000;

/// What to try.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PreviewRequest {
    /// The rule, as in settings.
    #[schema(value_type = Object)]
    rule: serde_json::Value,
    /// Emotes that can make a moment; null: every emote; absent: those of the channel's settings.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    allowed_emotes: Option<Option<Vec<String>>>,
    /// RFC 3339: only moments that begin at or after it.
    from: Option<String>,
    /// RFC 3339: only moments that begin before it.
    to: Option<String>,
}

/// What it would have found.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewAnswer {
    /// The moments, in order.
    #[schema(inline)]
    moments: Vec<MomentItem>,
    /// Windows that were judged.
    windows: u64,
    /// Begin of what was covered, RFC 3339; later than asked for where less is kept.
    from: Option<String>,
    /// End of what was covered; earlier than asked for where one answer cannot hold more.
    to: Option<String>,
    /// windows or reactions.
    source: &'static str,
}

/// Tells `null` from absent.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// What is asked, checked.
struct Asked {
    channel: ChannelName,
    settings: ChannelSettings,
    from_ms: i64,
    to_ms: i64,
}

/// What was found, with the span that was covered.
#[derive(Debug, Default)]
struct Found {
    moments: Vec<MomentRow>,
    windows: u64,
    span: Option<(i64, i64)>,
}

/// `POST /v1/channels/{channel}/settings/preview`.
pub async fn try_rule(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(channel): Path<String>,
    JsonBody(request): JsonBody<PreviewRequest, BODY_BYTES_MAX>,
) -> Result<Json<PreviewAnswer>, Problem> {
    let asked = request.check(&app, &channel)?;
    let control = app.control()?;
    let _one_of_few = app.previews.try_acquire().map_err(|_| busy())?;
    let began = Instant::now();
    let from_records = needs_records(&asked.settings.rule);
    let mut found = if from_records {
        let app = app.clone();
        blocking(move || records::count_again(&app, &asked)).await?
    } else {
        control.archive.catch_up(ARCHIVE_PATIENCE).await;
        let (rows, whole) = rows(control, &asked).await?;
        let emotes = app.emotes.clone();
        blocking(move || Ok(judge(&rows, whole, &asked, &emotes))).await?
    };
    found.cut();
    tracing::debug!(windows = found.windows, elapsed = ?began.elapsed(), from_records, "preview");
    Ok(Json(PreviewAnswer {
        moments: found.moments.iter().map(|row| MomentItem::of_row(row, &app.emotes)).collect(),
        windows: found.windows,
        from: found.span.map(|(from_ms, _)| time::format_ms(from_ms)),
        to: found.span.map(|(_, to_ms)| time::format_ms(to_ms)),
        source: if from_records { "reactions" } else { "windows" },
    }))
}

async fn blocking(work: impl FnOnce() -> anyhow::Result<Found> + Send + 'static) -> Result<Found, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| Problem::new(ErrorType::Internal, "the preview broke off"))?;
    done.map_err(|error| {
        tracing::error!(%error, "preview failed");
        Problem::new(ErrorType::Internal, "the past cannot be read")
    })
}

impl PreviewRequest {
    fn check(self, app: &App, channel: &str) -> Result<Asked, Problem> {
        let channel = app.channel(channel)?;
        let rule = serde_json::from_value(self.rule).map_err(|error| field("rule", &error.to_string()))?;
        let input = SettingsInput {
            rule: Some(rule),
            allowed_emotes: self.allowed_emotes,
            ..SettingsInput::default()
        };
        let published = channel.published();
        let settings = input.applied_to(&published.settings).for_log(published.version);
        let settings =
            settings.validated(&app.emotes).map_err(|error| field(error.field, &error.expected))?;
        let time = |name: &'static str, text: Option<&str>, default| {
            text.map_or(Ok(default), |text| {
                time::parse_ms(text).map_err(|error| field(name, &error.to_string()))
            })
        };
        Ok(Asked {
            channel: channel.name.clone(),
            settings,
            from_ms: time("from", self.from.as_deref(), i64::MIN)?,
            to_ms: time("to", self.to.as_deref(), i64::MAX)?,
        })
    }
}

fn field(name: &'static str, expected: &str) -> Problem {
    let problem = Problem::new(ErrorType::FieldInvalid, format!("{name}: {expected}"));
    Problem { field: Some(name.into()), ..problem }
}

/// Archived windows of the span and of what the rule needs to know from before; and whether these are all.
async fn rows(control: &Control, asked: &Asked) -> Result<(Vec<Bytes>, bool), Problem> {
    let from_ms = asked.from_ms.saturating_sub(lookback_ms(&asked.settings.rule));
    let (mut rows, mut bytes, mut after) = (Vec::new(), 0, None);
    loop {
        let query = ArchiveQuery {
            channel: &asked.channel,
            from_ms,
            to_ms: asked.to_ms,
            order: Order::Ascending,
            after,
            limit: PAGE_LIMIT_MAX,
        };
        let page = control.store.windows(&query).await.map_err(|error| Problem::store(&error))?;
        bytes += page.items.iter().map(|window| window.row.len()).sum::<usize>();
        rows.extend(page.items.into_iter().map(|window| window.row));
        match page.next {
            None => return Ok((rows, true)),
            Some(_) if rows.len() >= WINDOWS_MAX || bytes >= WINDOW_BYTES_MAX => return Ok((rows, false)),
            Some(next) => after = Some(next),
        }
    }
}

/// Judges windows under the settings to try.
fn judge(rows: &[Bytes], whole: bool, asked: &Asked, emotes: &Emotes) -> Found {
    let decoded = rows.iter().filter_map(|row| match Row::decode(row, emotes) {
        Ok(Row::Window(row)) => Some(row),
        _ => None,
    });
    let windows: Vec<WindowRow> = decoded.collect();
    let moments = preview(&windows, &asked.settings, emotes).unwrap_or_default();
    let inside = windows.iter().filter(|window| window.window_start_ms >= asked.from_ms);
    let end_of = |window: &WindowRow| window.window_start_ms + i64::from(window.window_ms);
    let span = inside.clone().next().zip(windows.last()).map(|(first, last)| {
        let from_ms = if asked.from_ms > i64::MIN { asked.from_ms } else { first.window_start_ms };
        let to_ms = if whole && asked.to_ms < i64::MAX { asked.to_ms } else { end_of(last) };
        (from_ms, to_ms)
    });
    let moments = moments.into_iter().filter(|moment| asked.has(moment)).collect();
    Found { moments, windows: inside.count() as u64, span }
}

impl Asked {
    fn has(&self, moment: &MomentRow) -> bool {
        (self.from_ms..self.to_ms).contains(&moment.window_start_ms)
    }
}

impl Found {
    /// Cuts what is too long, and says so in the span.
    fn cut(&mut self) {
        let Some(first_out) = self.moments.get(MOMENTS_MAX).map(|moment| moment.window_start_ms) else {
            return;
        };
        self.moments.retain(|moment| moment.window_start_ms < first_out);
        self.span = self.span.map(|(from_ms, _)| (from_ms, first_out));
    }
}

/// The parameters that the windows were counted with.
fn parameters(app: &App) -> anyhow::Result<StreamParameters> {
    let windows = &app.config.windows;
    Ok(StreamParameters::new(windows.window_ms, windows.allowed_lateness_ms, windows.horizon_ms)?)
}

/// Longest time that a preview may count.
const COUNTING_MAX: Duration = Duration::from_secs(20);
