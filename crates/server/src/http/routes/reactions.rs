//! Routes of a reaction's path: send, watch.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    routing::{get, post},
};
use utoipa::PartialSchema;

use super::{Access, Document, Method, Parameter, Route, query as parameter};
use crate::http::{
    app::App,
    documents::{EventStream, ReactionDocument, ReactionsAnswer},
    problem::{ErrorType, Problem},
    stream,
};

const JOIN_PARAMETERS: &[Parameter] = &[
    parameter("epoch", "epoch of the last frame seen, to resume; together with since"),
    parameter("since", "seq of the last frame seen, to resume"),
    parameter("replay_window", "how many of the newest windows to send first, 0 to 64"),
    parameter("ticket", "a ticket of POST /v1/placements: good once, on its edge, for seconds"),
    Parameter { name: "Last-Event-ID", header: true, description: "epoch.seq: stands for epoch and since" },
];

const SUBMIT_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::TooManyReactions,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::EmoteUnknown,
    ErrorType::EmoteNotAllowed,
    ErrorType::IdOutOfRange,
    ErrorType::ChannelNotFound,
    ErrorType::ChannelClosed,
    ErrorType::GuestsRefused,
    ErrorType::TokenInvalid,
    ErrorType::ControlUnavailable,
    ErrorType::RateLimited,
    ErrorType::Overloaded,
    ErrorType::LogFull,
    ErrorType::SpoolBehind,
    ErrorType::LogUnavailable,
    ErrorType::TooManyIds,
    ErrorType::Stopping,
    ErrorType::RoleNotHere,
];

const STREAM_ERRORS: &[ErrorType] = &[
    ErrorType::ParameterInvalid,
    ErrorType::NodeFull,
    ErrorType::EdgeDraining,
    ErrorType::Stopping,
    ErrorType::RoleNotHere,
];

const EVENTS_ERRORS: &[ErrorType] = &[
    ErrorType::ParameterInvalid,
    ErrorType::ChannelNotFound,
    ErrorType::TicketRefused,
    ErrorType::TicketMissing,
    ErrorType::GuestsRefused,
    ErrorType::NodeFull,
    ErrorType::EdgeDraining,
    ErrorType::Stopping,
    ErrorType::RoleNotHere,
];

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/v1/channels/{channel}/reactions",
        access: Access::Anyone,
        errors: SUBMIT_ERRORS,
        document: Document {
            summary: "Send reactions",
            description: "One object, an array, or one object a line (application/x-ndjson), up to 1000 reactions and \
                256 KiB. The answer comes when the log has them durably. A repeat of an id is counted once; `duplicates` \
                is what this node knew of. A single object that is wrong answers 400, in an array each is judged by itself. In a channel for members \
                (`guests` is `refused`) it needs `Authorization: Bearer` with a login token, whose account reacts.",
            parameters: &[],
            request: Some(("application/json", ReactionDocument::schema)),
            status: 200,
            answer: ("application/json", Some(ReactionsAnswer::schema)),
        },
        handler: || post(reactions_elsewhere),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/stream",
        access: Access::Anyone,
        errors: STREAM_ERRORS,
        document: Document {
            summary: "Watch and react over a WebSocket",
            description: "Subprotocol emostream.json.v1. Pulses and windows are newest-wins, moments are never skipped \
                within the history; what is gone is said in a gap frame. Close codes from 4500 on: do not reconnect; \
                an unknown channel is closed with 4502, a ticket that is missing or not good here with 4007, a guest on a members' \
                channel with 4506.",
            parameters: JOIN_PARAMETERS,
            request: None,
            status: 101,
            answer: ("application/json", None),
        },
        handler: || get(stream::websocket::upgrade),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/events",
        access: Access::Anyone,
        errors: EVENTS_ERRORS,
        document: Document {
            summary: "Watch over server-sent events",
            description: "The frames of the WebSocket as events named by their type, with id epoch.seq.",
            parameters: JOIN_PARAMETERS,
            request: None,
            status: 200,
            answer: ("text/event-stream", Some(EventStream::schema)),
        },
        handler: || get(stream::events::events),
    },
];

/// Reactions for a node without ingest, or in a form of path that the hot route does not read.
async fn reactions_elsewhere(State(app): State<Arc<App>>, Path(channel): Path<String>) -> Problem {
    match app.channel(&channel).and_then(|_| app.intake().map(|_| ())) {
        Ok(()) => Problem::new(ErrorType::NotFound, "expected the channel's name without percent encoding"),
        Err(problem) => problem,
    }
}
