//! `GET /v1/channels/{channel}/moments/export`: the moments of a span in the formats that an editor needs.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use emostream_protocol::ChannelName;
use emostream_store::{ArchiveQuery, Order, PAGE_LIMIT_MAX};
use serde::Deserialize;

use super::{ARCHIVE_PATIENCE, PAGE_BYTES_MAX, Sent, busy, time_of};
use crate::{
    control::{
        Control,
        exports::{
            ExportFormat, ExportMoment, ExportOptions, FrameRate, OFFSET_MS_MAX, Timeline, export, file_name,
        },
    },
    http::{
        app::App,
        problem::{ErrorType, Problem},
    },
};

/// Moments of one export at most.
const MOMENTS_MAX: usize = 20_000;

/// Bytes of their texts at most.
const TEXT_BYTES_MAX: usize = 8 << 20;

/// Places among the answers in flight that an export takes while it is made, and the size of its parts.
const PLACES: u32 = 16;

/// Says how many moments are not in an export.
const LEFT_OUT: HeaderName = HeaderName::from_static("emostream-left-out");

/// Parameters of an export.
#[derive(Debug, Deserialize)]
pub struct ExportParameters {
    format: Option<String>,
    from: Option<String>,
    to: Option<String>,
    offset_ms: Option<String>,
    recording_started_at: Option<String>,
    fps: Option<String>,
}

/// `GET /v1/channels/{channel}/moments/export`.
pub async fn file(
    State(app): State<Arc<App>>,
    Path(channel): Path<String>,
    Query(parameters): Query<ExportParameters>,
) -> Result<Response, Problem> {
    let channel = app.channel(&channel)?.name.clone();
    let format = parameters.format()?;
    let (from_ms, to_ms) = parameters.span()?;
    let mut options = parameters.options(&channel)?;
    let control = app.control()?;
    let mut places = app.pages_in_flight.clone().try_acquire_many_owned(PLACES).map_err(|_| busy())?;
    control.archive.catch_up(ARCHIVE_PATIENCE).await;
    let _running = app.queries.try_acquire().map_err(|_| busy())?;
    if options.timeline.recording_started_ms.is_none() {
        options.timeline.recording_started_ms = recording_start(control, &channel).await?;
    }
    let moments = moments(control, &channel, from_ms, to_ms).await?;
    let made = export(format, &moments, &options)
        .map_err(|error| Problem::parameter("recording_started_at", &error.to_string()))?;
    let bytes = made.text.into_bytes();
    let needed = bytes.len().div_ceil(PAGE_BYTES_MAX).max(1);
    drop(places.split(usize::try_from(PLACES).unwrap_or(0).saturating_sub(needed)));
    let name = file_name(&channel, "moments", format.extension());
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""))
        .map_err(|_| Problem::new(ErrorType::Internal, "the file has no name"))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(format.content_type())),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (LEFT_OUT, HeaderValue::from(made.left_out)),
    ];
    let body = Body::from(Bytes::from_owner(Sent { bytes, _permit: places }));
    Ok((headers, body).into_response())
}

impl ExportParameters {
    fn format(&self) -> Result<ExportFormat, Problem> {
        let known = self.format.as_deref().and_then(ExportFormat::parse);
        known.ok_or_else(|| {
            Problem::parameter("format", &format!("expected one of {}", ExportFormat::names()))
        })
    }

    fn span(&self) -> Result<(i64, i64), Problem> {
        Ok((time_of("from", self.from.as_deref(), i64::MIN)?, time_of("to", self.to.as_deref(), i64::MAX)?))
    }

    fn options(&self, channel: &ChannelName) -> Result<ExportOptions, Problem> {
        let given = self.recording_started_at.as_deref();
        let recording_started_ms =
            given.map(|given| time_of("recording_started_at", Some(given), 0)).transpose()?;
        let offset_ms = self.offset_ms.as_deref().map_or(Ok(0), |text| {
            let fits = |ms: &i64| ms.unsigned_abs() <= OFFSET_MS_MAX.unsigned_abs();
            text.parse().ok().filter(fits).ok_or_else(|| {
                let expected = format!("expected whole milliseconds, at most {OFFSET_MS_MAX} either way");
                Problem::parameter("offset_ms", &expected)
            })
        })?;
        let fps = self.fps.as_deref().map_or(Ok(FrameRate::F25), |text| {
            FrameRate::parse(text)
                .ok_or_else(|| Problem::parameter("fps", &format!("expected one of {}", FrameRate::names())))
        })?;
        let timeline = Timeline { recording_started_ms, offset_ms };
        Ok(ExportOptions { channel: channel.to_string(), timeline, fps })
    }
}

async fn recording_start(control: &Control, channel: &ChannelName) -> Result<Option<i64>, Problem> {
    let record = control.store.channel(channel).await.map_err(|error| Problem::store(&error))?;
    Ok(record.and_then(|record| record.recording_started_us).map(|us| us.div_euclid(1_000)))
}

async fn moments(
    control: &Control,
    channel: &ChannelName,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<ExportMoment>, Problem> {
    let (mut moments, mut text_bytes, mut after) = (Vec::new(), 0, None);
    loop {
        let query =
            ArchiveQuery { channel, from_ms, to_ms, order: Order::Ascending, after, limit: PAGE_LIMIT_MAX };
        let page = control.store.moments(&query, false).await.map_err(|error| Problem::store(&error))?;
        for moment in page.items {
            text_bytes +=
                moment.note.as_ref().map_or(0, String::len) + moment.title.as_ref().map_or(0, String::len);
            moments.push(ExportMoment::of_record(moment));
        }
        if moments.len() > MOMENTS_MAX || text_bytes > TEXT_BYTES_MAX {
            let expected = format!(
                "expected a span with at most {MOMENTS_MAX} moments and 8 MiB of notes; give from and to"
            );
            return Err(Problem::parameter("from", &expected));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(moments),
        }
    }
}
