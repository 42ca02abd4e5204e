//! Every route of the server in one table: who may call it, which errors it can answer, how it is documented, what
//! handles it. A route that lacks one of these does not compile.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use utoipa::{PartialSchema, openapi::RefOr, openapi::Schema};

use super::{
    app::App,
    documents::{EventStream, MomentPage, ReactionDocument, ReactionsAnswer, WindowPage},
    health, openapi, page,
    problem::{ErrorType, Problem},
    query, stream,
};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody. A viewer without a token is signed in as a guest.
    Anyone,
}

/// Method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET, and HEAD with it.
    Get,
    /// POST.
    Post,
}

/// A schema, made when the document is.
pub type SchemaOf = fn() -> RefOr<Schema>;

/// How a route stands in the OpenAPI document.
#[derive(Debug, Clone, Copy)]
pub struct Document {
    /// One line.
    pub summary: &'static str,
    /// What a caller must know besides.
    pub description: &'static str,
    /// Query parameters and headers: name, where, meaning.
    pub parameters: &'static [Parameter],
    /// Body of the request.
    pub request: Option<SchemaOf>,
    /// Content type and schema of the good answer.
    pub answer: (&'static str, Option<SchemaOf>),
}

/// A query parameter or header.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Name.
    pub name: &'static str,
    /// Whether it is a header; else it stands in the query.
    pub header: bool,
    /// Meaning.
    pub description: &'static str,
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path, with `{parameters}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Errors that it can answer.
    pub errors: &'static [ErrorType],
    /// Its documentation.
    pub document: Document,
    /// What handles it; `None` for the hot route, which the listener answers before the router.
    pub handler: Option<fn() -> MethodRouter<Arc<App>>>,
}

const fn query(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, header: false, description }
}

const PAGE_PARAMETERS: &[Parameter] = &[
    query("from", "RFC 3339: only what begins at or after it"),
    query("to", "RFC 3339: only what begins before it"),
    query("limit", "items of a page, 1 to 1000, default 100"),
    query("cursor", "next_cursor of the page before"),
];

const JOIN_PARAMETERS: &[Parameter] = &[
    query("epoch", "epoch of the last frame seen, to resume; together with since"),
    query("since", "seq of the last frame seen, to resume"),
    query("replay_window", "how many of the newest windows to send first, 0 to 64"),
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
    ErrorType::RateLimited,
    ErrorType::Overloaded,
    ErrorType::LogFull,
    ErrorType::LogUnavailable,
    ErrorType::TooManyIds,
    ErrorType::Stopping,
    ErrorType::RoleNotHere,
];

const QUERY_ERRORS: &[ErrorType] =
    &[ErrorType::ParameterInvalid, ErrorType::ChannelNotFound, ErrorType::Overloaded, ErrorType::Internal];

const JOIN_ERRORS: &[ErrorType] = &[
    ErrorType::ParameterInvalid,
    ErrorType::ChannelNotFound,
    ErrorType::NodeFull,
    ErrorType::Stopping,
    ErrorType::RoleNotHere,
];

/// The table.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/v1/channels/{channel}/reactions",
        access: Access::Anyone,
        errors: SUBMIT_ERRORS,
        document: Document {
            summary: "Send reactions",
            description: "One object, an array, or one object a line (application/x-ndjson), up to 1000 reactions and \
                256 KiB. The answer comes when the log has them durably. A repeat of an id is counted once; `duplicates` \
                is what this node knew of. A single object that is wrong answers 400, in an array each is judged by itself.",
            parameters: &[],
            request: Some(ReactionDocument::schema),
            answer: ("application/json", Some(ReactionsAnswer::schema)),
        },
        handler: None,
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/windows",
        access: Access::Anyone,
        errors: QUERY_ERRORS,
        document: Document {
            summary: "Final windows",
            description: "In ascending order of seq. Windows without reactions have no item.",
            parameters: PAGE_PARAMETERS,
            request: None,
            answer: ("application/json", Some(WindowPage::schema)),
        },
        handler: Some(|| get(query::windows)),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/moments",
        access: Access::Anyone,
        errors: QUERY_ERRORS,
        document: Document {
            summary: "Moments",
            description: "In ascending order of seq.",
            parameters: PAGE_PARAMETERS,
            request: None,
            answer: ("application/json", Some(MomentPage::schema)),
        },
        handler: Some(|| get(query::moments)),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/stream",
        access: Access::Anyone,
        errors: JOIN_ERRORS,
        document: Document {
            summary: "Watch and react over a WebSocket",
            description: "Subprotocol emostream.json.v1. Pulses and windows are newest-wins, moments are never skipped \
                within the history; what is gone is said in a gap frame. Close codes from 4500 on: do not reconnect.",
            parameters: JOIN_PARAMETERS,
            request: None,
            answer: ("application/json", None),
        },
        handler: Some(|| get(stream::websocket::upgrade)),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/events",
        access: Access::Anyone,
        errors: JOIN_ERRORS,
        document: Document {
            summary: "Watch over server-sent events",
            description: "The frames of the WebSocket as events named by their type, with id epoch.seq.",
            parameters: JOIN_PARAMETERS,
            request: None,
            answer: ("text/event-stream", Some(EventStream::schema)),
        },
        handler: Some(|| get(stream::events::events)),
    },
    Route {
        method: Method::Get,
        path: "/",
        access: Access::Anyone,
        errors: &[],
        document: Document {
            summary: "The app, or service information",
            description: "HTML for browsers (Accept: text/html), JSON for programs.",
            parameters: &[],
            request: None,
            answer: ("application/json", Some(page::ServiceInformation::schema)),
        },
        handler: Some(|| get(page::root)),
    },
    Route {
        method: Method::Get,
        path: "/livez",
        access: Access::Anyone,
        errors: &[],
        document: plain_document("The process answers", "text/plain", None),
        handler: Some(|| get(health::livez)),
    },
    Route {
        method: Method::Get,
        path: "/readyz",
        access: Access::Anyone,
        errors: &[],
        document: plain_document(
            "Whether traffic may be sent here; 503 while not",
            "application/json",
            Some(health::Readiness::schema),
        ),
        handler: Some(|| get(health::readyz)),
    },
    Route {
        method: Method::Get,
        path: "/health",
        access: Access::Anyone,
        errors: &[],
        document: plain_document("Health (system E)", "application/json", Some(health::Health::schema)),
        handler: Some(|| get(health::health)),
    },
    Route {
        method: Method::Get,
        path: "/metrics",
        access: Access::Anyone,
        errors: &[],
        document: plain_document(
            "Metrics in the OpenMetrics text format",
            "application/openmetrics-text",
            None,
        ),
        handler: Some(|| get(health::metrics)),
    },
    Route {
        method: Method::Get,
        path: "/openapi.json",
        access: Access::Anyone,
        errors: &[],
        document: plain_document("This document", "application/json", None),
        handler: Some(|| get(openapi::document)),
    },
    Route {
        method: Method::Get,
        path: "/errors/{name}",
        access: Access::Anyone,
        errors: &[ErrorType::NotFound],
        document: plain_document("What an error type means", "text/plain", None),
        handler: Some(|| get(page::error_type)),
    },
];

const fn plain_document(summary: &'static str, kind: &'static str, answer: Option<SchemaOf>) -> Document {
    Document { summary, description: "", parameters: &[], request: None, answer: (kind, answer) }
}

/// The router of everything but the hot route.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let handler = match (route.handler, route.access) {
            (Some(handler), Access::Anyone) => handler(),
            (None, _) => continue,
        };
        router = router.route(route.path, handler);
    }
    router
        .fallback(page::file)
        .method_not_allowed_fallback(|| async {
            Problem::new(ErrorType::MethodNotAllowed, "expected another method; see /openapi.json")
        })
        .layer(middleware::from_fn(explain_refusals))
        .with_state(app)
}

/// Requests that the framework refuses by itself (a query string that cannot be read, no upgrade where one is needed)
/// get the same form of error as all others.
async fn explain_refusals(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_ours =
        response.headers().get("content-type").is_some_and(|kind| kind != "text/plain; charset=utf-8");
    if !status.is_client_error() || is_ours {
        return response;
    }
    let kind = if status.as_u16() == 405 { ErrorType::MethodNotAllowed } else { ErrorType::ParameterInvalid };
    let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap_or_default();
    let detail = String::from_utf8_lossy(&body).into_owned();
    let detail =
        if detail.is_empty() { "expected another request; see /openapi.json".into() } else { detail };
    Problem::new(kind, detail).into_response()
}
