//! Every error that a client can meet: one table of type, status and title; RFC 9457 on the wire.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use emostream_protocol::{
    input::{Rejection, RejectionKind},
    time,
};
use hyper::{HeaderMap, StatusCode, header};
use serde::Serialize;

use crate::intake::Refusal;

/// The classes of errors. Few on purpose: a client acts on these, people read the detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorType {
    /// Body is not what its content type says.
    BodyInvalid,
    /// Body is too large.
    BodyTooLarge,
    /// Body did not arrive in time.
    BodyTimeout,
    /// Too many reactions in one request.
    TooManyReactions,
    /// A required field is absent.
    FieldMissing,
    /// A field is wrong.
    FieldInvalid,
    /// No emote that this server knows.
    EmoteUnknown,
    /// Not in the channel's palette.
    EmoteNotAllowed,
    /// The id's time is too far off.
    IdOutOfRange,
    /// A query parameter or header is wrong.
    ParameterInvalid,
    /// No such channel.
    ChannelNotFound,
    /// No such page.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// Too many requests from here.
    RateLimited,
    /// Too many reactions wait.
    Overloaded,
    /// The log has no room.
    LogFull,
    /// The log does not work.
    LogUnavailable,
    /// Too many ids are remembered.
    TooManyIds,
    /// The node is stopping.
    Stopping,
    /// The node holds as many viewers as it may.
    NodeFull,
    /// The role that would answer does not run here.
    RoleNotHere,
    /// A bug.
    Internal,
}

impl ErrorType {
    /// All of them, in the order of the reference.
    pub const ALL: [Self; 22] = [
        Self::BodyInvalid,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::TooManyReactions,
        Self::FieldMissing,
        Self::FieldInvalid,
        Self::EmoteUnknown,
        Self::EmoteNotAllowed,
        Self::IdOutOfRange,
        Self::ParameterInvalid,
        Self::ChannelNotFound,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RateLimited,
        Self::Overloaded,
        Self::LogFull,
        Self::LogUnavailable,
        Self::TooManyIds,
        Self::Stopping,
        Self::NodeFull,
        Self::RoleNotHere,
        Self::Internal,
    ];

    /// Status, last part of the type, title.
    pub fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BodyInvalid => (StatusCode::BAD_REQUEST, "body-invalid", "The body cannot be read"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "body-timeout", "The body came too slowly"),
            Self::TooManyReactions => {
                (StatusCode::BAD_REQUEST, "too-many-reactions", "Too many reactions at once")
            }
            Self::FieldMissing => (StatusCode::BAD_REQUEST, "field-missing", "A required field is missing"),
            Self::FieldInvalid => (StatusCode::BAD_REQUEST, "field-invalid", "A field has a wrong value"),
            Self::EmoteUnknown => (StatusCode::BAD_REQUEST, "emote-unknown", "The emote is unknown"),
            Self::EmoteNotAllowed => {
                (StatusCode::BAD_REQUEST, "emote-not-allowed", "The channel does not take this emote")
            }
            Self::IdOutOfRange => {
                (StatusCode::BAD_REQUEST, "id-out-of-range", "The id's time is too far from the server's")
            }
            Self::ParameterInvalid => {
                (StatusCode::BAD_REQUEST, "parameter-invalid", "A parameter has a wrong value")
            }
            Self::ChannelNotFound => (StatusCode::NOT_FOUND, "channel-not-found", "There is no such channel"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is nothing here"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method does not fit here")
            }
            Self::RateLimited => {
                (StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many reactions from here")
            }
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "The node is overloaded"),
            Self::LogFull => (StatusCode::SERVICE_UNAVAILABLE, "log-full", "The log has no room"),
            Self::LogUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "log-unavailable", "The log takes no reactions")
            }
            Self::TooManyIds => {
                (StatusCode::SERVICE_UNAVAILABLE, "too-many-ids", "Too many ids are remembered")
            }
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping", "The node is stopping"),
            Self::NodeFull => {
                (StatusCode::SERVICE_UNAVAILABLE, "node-full", "The node holds no more viewers")
            }
            Self::RoleNotHere => {
                (StatusCode::SERVICE_UNAVAILABLE, "role-not-here", "This node does not run that role")
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here"),
        }
    }

    /// The status.
    pub fn status(self) -> StatusCode {
        self.facts().0
    }

    /// The last part of the type.
    pub fn name(self) -> &'static str {
        self.facts().1
    }
}

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
    pub field: Option<&'static str>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// The server's time, for a client whose clock is wrong; ms since the Unix epoch.
    pub server_time_ms: Option<i64>,
}

impl Problem {
    /// A problem with a detail.
    pub fn new(kind: ErrorType, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), field: None, retry_after: None, server_time_ms: None }
    }

    /// A parameter that is wrong.
    pub fn parameter(field: &'static str, expected: &str) -> Self {
        Self { field: Some(field), ..Self::new(ErrorType::ParameterInvalid, format!("{field}: {expected}")) }
    }

    /// A channel that does not exist.
    pub fn no_channel() -> Self {
        Self::new(ErrorType::ChannelNotFound, "expected the name of a channel of this server")
    }

    /// A rejected reaction or body.
    pub fn rejection(rejection: &Rejection, now_ms: i64) -> Self {
        let kind = ErrorType::from(rejection.kind);
        let server_time_ms = (kind == ErrorType::IdOutOfRange).then_some(now_ms);
        Self { field: rejection.field, server_time_ms, ..Self::new(kind, rejection.detail.clone()) }
    }

    /// A refused submission.
    pub fn refusal(refusal: &Refusal) -> Self {
        let kind = match refusal {
            Refusal::Overloaded => ErrorType::Overloaded,
            Refusal::LogFull(_) => ErrorType::LogFull,
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
        }
        let (status, name, title) = self.kind.facts();
        let server_time = self.server_time_ms.map(time::format_ms);
        let json = Json {
            r#type: type_uri(name),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            field: self.field,
            server_time,
        };
        serde_json::to_vec(&json).expect("strings and numbers can be written as JSON")
    }

    /// The headers beside it.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = self.retry_after {
            // Whole seconds, rounded up: earlier than told would be refused again.
            headers.insert(header::RETRY_AFTER, (wait.as_millis().div_ceil(1_000).max(1) as u64).into());
        }
        headers
    }
}

/// The `type` of an error: a reference to its description on this server.
pub fn type_uri(name: &str) -> String {
    format!("/errors/{name}")
}

impl Problem {
    /// The form of errors outside of `/v1`: `{"error": "…"}`.
    pub fn into_short_response(self) -> Response {
        let json = serde_json::json!({ "error": self.detail });
        let mut headers = self.headers();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
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
