//! Which answers a page from another origin may read. What is not opened here stays closed: the browser's own rule.
//!
//! | routes | origins |
//! |---|---|
//! | the source systems' (`routes::compat`), and reading under `/v1` that needs no account | `http.cors_origins`; without any: every origin |
//! | all else under `/v1` | `http.cors_origins` |
//! | the page, `/metrics`, health, `/openapi.json`, unknown paths | none |
//!
//! Never with credentials: a cookie or a password of the browser is of no use to another origin; tokens travel in the
//! `Authorization` header, which a page has only if it was given one. WebSockets are outside of this rule by their nature.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::http::{
    app::App,
    routes::{Access, ROUTES, Route, is_of_a_source_system},
};

/// Headers that a page may send.
const REQUEST_HEADERS: &str = "authorization, content-type, if-match, idempotency-key, last-event-id";

/// Headers of an answer that a page may read.
const ANSWER_HEADERS: &str = "etag, retry-after, allow, content-disposition";

/// So long a browser may remember the answer to a preflight, in seconds.
const PREFLIGHT_AGE_S: &str = "600";

/// Who may read a route's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Openness {
    /// Every origin, unless some are configured.
    Every,
    /// Configured origins only.
    Configured,
    /// No other origin.
    None,
}

fn openness(route: &Route) -> Openness {
    let native = route.path.starts_with("/v1/");
    let reads_for_anyone =
        route.method.name() == "GET" && matches!(route.access, Access::Anyone | Access::Optional);
    match native {
        false if is_of_a_source_system(route) => Openness::Every,
        false => Openness::None,
        true if reads_for_anyone => Openness::Every,
        true => Openness::Configured,
    }
}

/// The value of `Access-Control-Allow-Origin` for an origin, if there is one.
fn allowed(openness: Openness, origin: &HeaderValue, configured: &[String]) -> Option<HeaderValue> {
    let is_configured = configured.iter().any(|known| known.as_bytes() == origin.as_bytes());
    match openness {
        Openness::None => None,
        Openness::Every if configured.is_empty() => Some(HeaderValue::from_static("*")),
        Openness::Every | Openness::Configured => is_configured.then(|| origin.clone()),
    }
}

/// The same for reactions, which are answered in front of the router.
pub(in crate::http) fn allowed_for_reactions(
    headers: &HeaderMap,
    configured: &[String],
) -> Option<Box<HeaderValue>> {
    if configured.is_empty() {
        return None;
    }
    allowed(Openness::Configured, headers.get(header::ORIGIN)?, configured).map(Box::new)
}

/// Opens an answer to an origin.
pub(in crate::http) fn open(headers: &mut HeaderMap, allowed: HeaderValue) {
    if allowed != "*" {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(ANSWER_HEADERS));
}

/// The layer in front of all routes: answers preflights, and opens answers to whom they are for.
pub(in crate::http) async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return next.run(request).await };
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
    let is_preflight = request.method() == Method::OPTIONS && asked.is_some();
    let method = match asked {
        Some(asked) if is_preflight => asked.to_str().unwrap_or_default(),
        // HEAD is answered where GET is.
        _ if request.method() == Method::HEAD => "GET",
        _ => request.method().as_str(),
    };
    let route = ROUTES.iter().find(|route| Some(route.path) == path && route.method.name() == method);
    let allowed = route.and_then(|route| allowed(openness(route), origin, &app.config.http.cors_origins));
    if is_preflight && let (Some(route), Some(allowed)) = (route, &allowed) {
        return preflight(route, allowed.clone());
    }
    let mut response = next.run(request).await;
    if let Some(allowed) = allowed {
        open(response.headers_mut(), allowed);
    }
    response
}

fn preflight(route: &Route, allowed: HeaderValue) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    open(headers, allowed);
    let of = |name: HeaderName, value: &'static str| (name, HeaderValue::from_static(value));
    headers.extend([
        of(header::ACCESS_CONTROL_ALLOW_METHODS, route.method.name()),
        of(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
        of(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE_S),
    ]);
    response
}
