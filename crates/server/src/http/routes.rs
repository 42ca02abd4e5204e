//! Every route of the server in one table: who may call it, which errors it can answer, how it is documented, what
//! handles it. A route that lacks one of these does not compile.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
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
    /// What handles it.
    pub handler: fn() -> MethodRouter<Arc<App>>,
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

const STREAM_ERRORS: &[ErrorType] =
    &[ErrorType::ParameterInvalid, ErrorType::NodeFull, ErrorType::Stopping, ErrorType::RoleNotHere];

const EVENTS_ERRORS: &[ErrorType] = &[
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
        handler: || post(reactions_elsewhere),
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
        handler: || get(query::windows),
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
        handler: || get(query::moments),
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
                an unknown channel is closed with 4502.",
            parameters: JOIN_PARAMETERS,
            request: None,
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
            answer: ("text/event-stream", Some(EventStream::schema)),
        },
        handler: || get(stream::events::events),
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
        handler: || get(page::root),
    },
    Route {
        method: Method::Get,
        path: "/livez",
        access: Access::Anyone,
        errors: &[],
        document: plain_document("The process answers", "text/plain", None),
        handler: || get(health::livez),
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
        handler: || get(health::readyz),
    },
    Route {
        method: Method::Get,
        path: "/health",
        access: Access::Anyone,
        errors: &[],
        document: plain_document(
            "Health, in a form kept for existing clients",
            "application/json",
            Some(health::Health::schema),
        ),
        handler: || get(health::health),
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
        handler: || get(health::metrics),
    },
    Route {
        method: Method::Get,
        path: "/openapi.json",
        access: Access::Anyone,
        errors: &[],
        document: plain_document("This document", "application/json", None),
        handler: || get(openapi::document),
    },
    Route {
        method: Method::Get,
        path: "/errors/{name}",
        access: Access::Anyone,
        errors: &[ErrorType::NotFound],
        document: plain_document("What an error type means", "text/plain", None),
        handler: || get(page::error_type),
    },
];

const fn plain_document(summary: &'static str, kind: &'static str, answer: Option<SchemaOf>) -> Document {
    Document { summary, description: "", parameters: &[], request: None, answer: (kind, answer) }
}

/// The router of everything. The hot route is answered in front of it where ingest runs.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = match route.access {
            Access::Anyone => router.route(route.path, (route.handler)()),
        };
    }
    router
        .fallback(page::file)
        .method_not_allowed_fallback(|| async {
            Problem::new(ErrorType::MethodNotAllowed, "expected another method; see /openapi.json")
        })
        .layer(middleware::from_fn(explain_refusals))
        .with_state(app)
}

/// Reactions for a node without ingest, or in a form of path that the hot route does not read.
async fn reactions_elsewhere(State(app): State<Arc<App>>, Path(channel): Path<String>) -> Problem {
    match app.channel(&channel).and_then(|_| app.intake().map(|_| ())) {
        Ok(()) => Problem::new(ErrorType::NotFound, "expected the channel's name without percent encoding"),
        Err(problem) => problem,
    }
}

/// Requests that the framework refuses by itself (a query string that cannot be read, no upgrade where one is needed)
/// get the same form of error as all others. Outside of `/v1`, where RFC 9457 is not expected, that form is shorter.
async fn explain_refusals(request: Request, next: Next) -> Response {
    let native = request.uri().path().starts_with("/v1/");
    let mut response = next.run(request).await;
    let allow = response.headers().get(header::ALLOW).cloned();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(_) if native => return response,
        Some(problem) => problem,
        None if response.status().is_client_error() => refusal_of_the_framework(response).await,
        None => return response,
    };
    let mut restated = if native { problem.into_response() } else { problem.into_short_response() };
    restated.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    restated
}

async fn refusal_of_the_framework(response: Response) -> Problem {
    let kind = match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => ErrorType::MethodNotAllowed,
        _ => ErrorType::ParameterInvalid,
    };
    let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&body);
    let detail = if said.is_empty() { "expected another request; see /openapi.json" } else { &*said };
    Problem::new(kind, detail)
}
