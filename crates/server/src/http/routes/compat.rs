//! Routes of the source systems, which their clients know; see [`crate::compat`].

use axum::routing::{get, post};
use utoipa::PartialSchema;

use super::{Access, Document, Method, Route};
use crate::{
    compat::{
        bridge,
        documents::{QueuedTap, TapAnswer, TimedTap},
        taps,
    },
    http::problem::ErrorType,
};

const TAP_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::UnsupportedMedia,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::EmoteUnknown,
    ErrorType::EmoteNotAllowed,
    ErrorType::ChannelNotFound,
    ErrorType::ChannelClosed,
    ErrorType::RateLimited,
    ErrorType::Overloaded,
    ErrorType::LogFull,
    ErrorType::LogUnavailable,
    ErrorType::Stopping,
    ErrorType::RoleNotHere,
];

const TAKES_TIMED: Document = Document {
    summary: "Send an emoji, as systems D and E do",
    description: "All fields are required. The answer comes when the log has the reaction durably; message_id is its id. \
        It goes to the channel compat.channel.",
    parameters: &[],
    request: Some(("application/json", TimedTap::schema)),
    status: 200,
    answer: ("application/json", Some(TapAnswer::schema)),
};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/ws",
        access: Access::Anyone,
        errors: &[
            ErrorType::ParameterInvalid,
            ErrorType::NodeFull,
            ErrorType::Stopping,
            ErrorType::RoleNotHere,
        ],
        document: Document {
            summary: "Watch moments over a WebSocket, as system A's front end does",
            description: "Each message is one moment, {\"emote\", \"count\", \"timestamp\"}, or one reaction, {\"emote\", \
                \"timestamp\"}, where websocket_bridge.source is raw. Live only, of the channel compat.channel; what a slow \
                client misses is skipped.",
            parameters: &[],
            request: None,
            status: 101,
            answer: ("application/json", None),
        },
        handler: || get(bridge::join),
    },
    Route {
        method: Method::Post,
        path: "/emoji",
        access: Access::Anyone,
        errors: TAP_ERRORS,
        document: TAKES_TIMED,
        handler: || post(taps::timed),
    },
    Route {
        method: Method::Post,
        path: "/send-emoji",
        access: Access::Anyone,
        errors: TAP_ERRORS,
        document: TAKES_TIMED,
        handler: || post(taps::timed),
    },
    Route {
        method: Method::Post,
        path: "/emojis",
        access: Access::Anyone,
        errors: TAP_ERRORS,
        document: Document {
            summary: "Send an emoji, as system B's users do",
            description: "The answer comes when the log has the reaction durably.",
            parameters: &[],
            request: Some(("application/json", QueuedTap::schema)),
            status: 200,
            answer: ("application/json", Some(TapAnswer::schema)),
        },
        handler: || post(taps::queued),
    },
];
