//! Reads the JSON bodies of the source systems' calls, and says of each field what was expected.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, header},
};
use emostream_protocol::limits::REQUEST_BODY_BYTES_MAX;
use http_body_util::LengthLimitError;
use serde_json::{Map, Value};

use crate::http::{
    app::App,
    problem::{ErrorType, Problem},
};

/// The value in a body of at most 256 KiB, whatever its content type says: scripts often name none.
pub(super) async fn read(app: &Arc<App>, headers: &HeaderMap, body: Body) -> Result<Value, Problem> {
    let patience = Duration::from_millis(app.config.http.body_timeout_ms);
    let bytes = tokio::time::timeout(patience, to_bytes(body, REQUEST_BODY_BYTES_MAX))
        .await
        .map_err(|_| Problem::new(ErrorType::BodyTimeout, "expected the whole body sooner"))?
        .map_err(|error| broken_off(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let content = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        match content.filter(|kind| !kind.to_ascii_lowercase().contains("json")) {
            Some(kind) => Problem::new(
                ErrorType::UnsupportedMedia,
                format!("expected JSON with content type application/json, got {kind}: {error}"),
            ),
            None => Problem::new(ErrorType::BodyInvalid, format!("expected JSON: {error}")),
        }
    })
}

fn broken_off(error: &axum::Error) -> Problem {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if cause.is::<LengthLimitError>() {
            let detail = format!("expected a body of at most {REQUEST_BODY_BYTES_MAX} bytes");
            return Problem::new(ErrorType::BodyTooLarge, detail);
        }
        source = cause.source();
    }
    Problem::new(ErrorType::BodyInvalid, "expected a whole body; the connection broke off")
}

/// What one kind of call takes: the names of its fields, and the same for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) required: &'static [&'static str],
    pub(super) said: &'static str,
}

/// The fields of a body that has the right shape.
pub(super) struct Fields(Map<String, Value>);

impl Shape {
    /// The fields of a body. Every required one that is absent is named.
    pub(super) fn fields(&self, body: Value) -> Result<Fields, Problem> {
        let Value::Object(fields) = body else {
            return Err(Problem::new(ErrorType::BodyInvalid, format!("expected {}", self.said)));
        };
        let missing: Vec<_> =
            self.required.iter().copied().filter(|name| !fields.contains_key(*name)).collect();
        match missing.first() {
            None => Ok(Fields(fields)),
            Some(first) => Err(Problem {
                field: Some((*first).into()),
                ..Problem::new(
                    ErrorType::FieldMissing,
                    format!("{}: missing; expected {}", missing.join(", "), self.said),
                )
            }),
        }
    }
}

impl Fields {
    /// A field that must be a string with something in it.
    pub(super) fn text(&self, name: &'static str) -> Result<&str, Problem> {
        match self.0.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            _ => Err(invalid(name, "expected a string that is not empty")),
        }
    }

    /// A field that may be absent or null.
    pub(super) fn optional_text(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(name).map(Some),
        }
    }
}

/// The problem of a field with a wrong value.
pub(super) fn invalid(name: &'static str, expected: &str) -> Problem {
    Problem::field(name, expected)
}
