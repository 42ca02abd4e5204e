//! Reads the JSON bodies of the source systems' calls, and says of each field what was expected.

use std::time::Duration;

use axum::{extract::Request, http::header};
use emostream_protocol::limits::REQUEST_BODY_BYTES_MAX;
use serde_json::{Map, Value};

use crate::http::{
    app::App,
    body,
    problem::{ErrorType, Problem},
};

/// The value in a body of at most 256 KiB, whatever its content type says: scripts often name none.
pub(super) async fn read(app: &App, request: Request) -> Result<Value, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let other = kind.filter(|kind| !kind.to_ascii_lowercase().contains("json")).map(str::to_owned);
    let patience = Duration::from_millis(app.config.http.body_timeout_ms);
    let bytes = body::read(request, REQUEST_BODY_BYTES_MAX, patience).await?;
    serde_json::from_slice(&bytes).map_err(|error| match other {
        Some(kind) => Problem::new(
            ErrorType::UnsupportedMedia,
            format!("expected JSON with content type application/json, got {kind}: {error}"),
        ),
        None => Problem::new(ErrorType::BodyInvalid, format!("expected JSON: {error}")),
    })
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
            _ => Err(Problem::field(name, "expected a string that is not empty")),
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
