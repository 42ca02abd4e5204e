//! Errors as a client meets them: RFC 9457 on the wire. [`ErrorType`] has the table of them.

use std::{borrow::Cow, time::Duration};

use axum::response::{IntoResponse, Response};
use emostream_protocol::{
    input::{Rejection, RejectionKind},
    time,
};
use emostream_store::StoreError;
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderValue},
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::intake::Refusal;

mod error_type;

pub use error_type::ErrorType;

impl From<RejectionKind> for ErrorType {
    fn from(kind: RejectionKind) -> Self {
        match kind {
            RejectionKind::BodyInvalid => Self::BodyInvalid,
            RejectionKind::TooManyReactions => Self::TooManyReactions,
            RejectionKind::FieldMissing => Self::FieldMissing,
            RejectionKind::FieldInvalid => Self::FieldInvalid,
            RejectionKind::EmoteUnknown => Self::EmoteUnknown,
            RejectionKind::EmoteNotAllowed => Self::EmoteNotAllowed,
            RejectionKind::IdOutOfRange => Self::IdOutOfRange,
            RejectionKind::ChannelClosed => Self::ChannelClosed,
        }
    }
}

/// An error as a client gets it.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Its class.
    pub kind: ErrorType,
    /// What was wrong and what was expected.
    pub detail: String,
    /// Which field.
    pub field: Option<Cow<'static, str>>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// The server's time, for a client whose clock is wrong; ms since the Unix epoch.
    pub server_time_ms: Option<i64>,
    /// The version that holds, where another was expected; the answer's ETag.
    pub version: Option<u64>,
    /// Further members of the document, by which a client can go on: devices that are connected, a place in a line.
    pub members: Option<Box<Map<String, Value>>>,
}

/// A version as an ETag (RFC 9110 §8.8.3).
pub fn etag(version: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).expect("digits in quotes are a header value")
}

/// When to ask a store again that does not answer.
const STORE_RETRY: Duration = Duration::from_secs(2);

impl Problem {
    /// A problem with a detail.
    pub fn new(kind: ErrorType, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            field: None,
            retry_after: None,
            server_time_ms: None,
            version: None,
            members: None,
        }
    }

    /// The same with a further member of the document.
    pub fn with(mut self, member: &'static str, value: Value) -> Self {
        self.members.get_or_insert_default().insert(member.to_owned(), value);
        self
    }

    /// A parameter that is wrong.
    pub fn parameter(field: &'static str, expected: &str) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::new(ErrorType::ParameterInvalid, format!("{field}: {expected}"))
        }
    }

    /// A field of a body that is wrong.
    pub fn field(field: &'static str, expected: &str) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::new(ErrorType::FieldInvalid, format!("{field}: {expected}"))
        }
    }

    /// A channel that does not exist.
    pub fn no_channel() -> Self {
        Self::new(ErrorType::ChannelNotFound, "expected the name of a channel of this server")
    }

    /// A rejected reaction or body.
    pub fn rejection(rejection: &Rejection, now_ms: i64) -> Self {
        let kind = ErrorType::from(rejection.kind);
        let server_time_ms = (kind == ErrorType::IdOutOfRange).then_some(now_ms);
        Self {
            field: rejection.field.map(Cow::Borrowed),
            server_time_ms,
            ..Self::new(kind, rejection.detail.clone())
        }
    }

    /// A refusal of the store.
    pub fn store(error: &StoreError) -> Self {
        let kind = match error {
            StoreError::Conflict { .. } => ErrorType::NameTaken,
            StoreError::NotFound { what: "channel" } => return Self::no_channel(),
            StoreError::NotFound { what: "user" } => ErrorType::UserNotFound,
            StoreError::NotFound { what: "moment" } => ErrorType::MomentNotFound,
            StoreError::NotFound { what: "emote" } => ErrorType::EmoteNotFound,
            StoreError::NotFound { what: "cluster" } => ErrorType::ClusterNotFound,
            StoreError::NotFound { what: "edge" } => ErrorType::EdgeNotFound,
            StoreError::NotFound { .. } => ErrorType::NotFound,
            StoreError::VersionConflict { .. } => ErrorType::VersionConflict,
            StoreError::LastAdmin | StoreError::LimitReached { .. } => ErrorType::Conflict,
            StoreError::Invalid { field, expected } => {
                return Self::field(field, &format!("expected {expected}"));
            }
            StoreError::Unavailable(_) => {
                tracing::warn!(%error, "the store does not answer");
                let detail = "accounts, settings and the archive are not to be had now";
                return Self {
                    retry_after: Some(STORE_RETRY),
                    ..Self::new(ErrorType::StoreUnavailable, detail)
                };
            }
            _ => {
                tracing::error!(%error, "the store failed");
                return Self::new(ErrorType::Internal, "the store failed; its log says how");
            }
        };
        Self::new(kind, error.to_string())
    }

    /// A refused submission.
    pub fn refusal(refusal: &Refusal) -> Self {
        let kind = match refusal {
            Refusal::Overloaded => ErrorType::Overloaded,
            Refusal::LogFull(_) => ErrorType::LogFull,
            Refusal::SpoolBehind(_) => ErrorType::SpoolBehind,
            Refusal::LogUnavailable(_) => ErrorType::LogUnavailable,
            Refusal::TooManyIds => ErrorType::TooManyIds,
            Refusal::RateLimited(_) => ErrorType::RateLimited,
            Refusal::Stopping => ErrorType::Stopping,
        };
        Self { retry_after: Some(refusal.retry_after()), ..Self::new(kind, refusal.to_string()) }
    }

    /// The JSON document.
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Json<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            server_time: Option<String>,
            #[serde(flatten)]
            members: Option<&'a Map<String, Value>>,
        }
        let (status, name, title) = self.kind.facts();
        let server_time = self.server_time_ms.map(time::format_ms);
        let json = Json {
            r#type: type_uri(name),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            field: self.field.as_deref(),
            server_time,
            members: self.members.as_deref(),
        };
        serde_json::to_vec(&json).expect("strings and numbers can be written as JSON")
    }

    /// The headers beside it.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = self.retry_after {
            // Whole seconds, rounded up: earlier than told would be refused again.
            headers.insert(header::RETRY_AFTER, (wait.as_millis().div_ceil(1_000).max(1) as u64).into());
        }
        if self.kind.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        headers.extend(self.version.map(|version| (header::ETAG, etag(version))));
        headers
    }
}

/// The `type` of an error: a reference to its description on this server.
pub fn type_uri(name: &str) -> String {
    format!("/errors/{name}")
}

impl Problem {
    /// The form of errors outside of `/v1`: `{"error": "…"}`, with the further members beside it.
    pub fn into_short_response(mut self) -> Response {
        let mut headers = self.headers();
        let mut json = self.members.take().map(|members| *members).unwrap_or_default();
        json.insert("error".to_owned(), self.detail.into());
        let json = Value::Object(json);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        (self.kind.status(), headers, json.to_string()).into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.kind.status(), self.headers(), self.to_json()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
