//! Every route of the server in one table: who may call it, which errors it can answer, how it is documented, what
//! handles it. A route that lacks one of these does not compile.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::Request,
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use utoipa::openapi::{HttpMethod, RefOr, Schema};

pub use super::access::{Access, Role};
use super::{
    access::{self, cors},
    app::App,
    control::forward,
    page,
    problem::{ErrorType, Problem},
};
use crate::node::REFUSED_NODE;

mod accounts;
mod channels;
mod compat;
mod internal;
mod moments;
mod node;
mod placements;
mod reactions;

/// Method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET, and HEAD with it.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    /// As it is written in a request.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// As the OpenAPI document names it.
    pub(super) fn documented(self) -> HttpMethod {
        match self {
            Self::Get => HttpMethod::Get,
            Self::Post => HttpMethod::Post,
            Self::Put => HttpMethod::Put,
            Self::Patch => HttpMethod::Patch,
            Self::Delete => HttpMethod::Delete,
        }
    }
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
    /// Content type and schema of the request's body.
    pub request: Option<(&'static str, SchemaOf)>,
    /// Status of the good answer.
    pub status: u16,
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
    /// Errors that it can answer, besides those of its access.
    pub errors: &'static [ErrorType],
    /// Its documentation.
    pub document: Document,
    /// What handles it.
    pub handler: fn() -> MethodRouter<Arc<App>>,
}

impl Route {
    /// Errors that it can answer, those of its access included, each once.
    pub fn all_errors(&self) -> Vec<ErrorType> {
        let mut all = self.errors.to_vec();
        let passed_on = forward::is_forwardable(self).then_some(forward::ERRORS).into_iter().flatten();
        let more: Vec<_> = self.access.errors().iter().copied().chain(passed_on).collect();
        all.extend(more.into_iter().filter(|error| !self.errors.contains(error)));
        all
    }
}

/// The parts of the table, in the order of the reference.
const PARTS: &[&[Route]] = &[
    reactions::ROUTES,
    moments::ROUTES,
    channels::ROUTES,
    accounts::ROUTES,
    placements::ROUTES,
    compat::ROUTES,
    node::ROUTES,
    internal::ROUTES,
];

const NUMBER: usize = {
    let (mut number, mut part) = (0, 0);
    while part < PARTS.len() {
        number += PARTS[part].len();
        part += 1;
    }
    number
};

/// The table.
pub const ROUTES: &[Route] = &{
    let mut all = [PARTS[0][0]; NUMBER];
    let (mut at, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut row = 0;
        while row < PARTS[part].len() {
            all[at] = PARTS[part][row];
            at += 1;
            row += 1;
        }
        part += 1;
    }
    all
};

const fn query(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, header: false, description }
}

const fn plain_document(summary: &'static str, kind: &'static str, answer: Option<SchemaOf>) -> Document {
    Document { summary, description: "", parameters: &[], request: None, status: 200, answer: (kind, answer) }
}

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Everything.
    Whole,
    /// Everything but the internal API, which has a listener of its own.
    Public,
    /// The internal API alone.
    Internal,
}

impl Surface {
    fn has(self, route: &Route) -> bool {
        let is_internal = route.access == Access::Node;
        match self {
            Self::Whole => true,
            Self::Public => !is_internal,
            Self::Internal => is_internal,
        }
    }
}

/// Those of the routes that are wanted, each with what stands in front of it.
fn routed(app: &Arc<App>, is_wanted: impl Fn(&Route) -> bool) -> Router<Arc<App>> {
    let mut router = Router::new();
    // Without control here, what only control answers is passed on, before anybody asks who calls.
    let passes_on = app.control.is_none() && app.control_client.is_some();
    for route in ROUTES.iter().filter(|route| is_wanted(route)) {
        let guarded = middleware::from_fn_with_state((app.clone(), route.access), access::guard);
        let mut handler = (route.handler)();
        if route.access != Access::Anyone {
            handler = handler.route_layer(guarded);
        }
        if passes_on && forward::is_forwardable(route) {
            handler = handler.route_layer(middleware::from_fn_with_state(app.clone(), forward::layer));
        }
        router = router.route(route.path, handler);
    }
    router
}

/// The router of a surface. The hot route is answered in front of it where ingest runs.
pub fn router(app: Arc<App>, surface: Surface) -> Router {
    let router = routed(&app, |route| surface.has(route));
    let forwardable = routed(&app, forward::is_forwardable)
        .layer(middleware::from_fn(explain_refusals))
        .with_state(app.clone());
    let router = match surface {
        Surface::Whole | Surface::Internal => router.layer(Extension(forward::Forwardable(forwardable))),
        Surface::Public => router,
    };
    let router = match surface {
        Surface::Internal => router
            .fallback(|| async { Problem::new(ErrorType::NotFound, "expected a path of the internal API") }),
        Surface::Whole | Surface::Public => router.fallback(page::file),
    };
    router
        .method_not_allowed_fallback(|| async {
            Problem::new(ErrorType::MethodNotAllowed, "expected another method; see /openapi.json")
        })
        .layer(middleware::from_fn(explain_refusals))
        .layer(middleware::from_fn_with_state(app.clone(), cors::layer))
        .with_state(app)
}

/// Whether a route is one of the source systems', whose pages have other origins.
pub(super) fn is_of_a_source_system(route: &Route) -> bool {
    compat::ROUTES.iter().any(|one| one.path == route.path && one.method == route.method)
}

/// Marks an answer that is whole already.
#[derive(Debug, Clone, Copy)]
pub(super) struct AsItIs;

/// Requests that the framework refuses by itself (a query string that cannot be read, no upgrade where one is needed)
/// get the same form of error as all others. Outside of `/v1`, where RFC 9457 is not expected, that form is shorter.
async fn explain_refusals(request: Request, next: Next) -> Response {
    let native = request.uri().path().starts_with("/v1/");
    let mut response = next.run(request).await;
    let kept = [header::ALLOW, header::VARY, REFUSED_NODE]
        .map(|name| (name.clone(), response.headers().get(name).cloned()));
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(_) if native => return response,
        Some(problem) => problem,
        None if response.extensions().get::<page::ForPeople>().is_some() => return response,
        None if response.extensions().get::<AsItIs>().is_some() => return response,
        None if response.status().is_client_error() => refusal_of_the_framework(response).await,
        None => return response,
    };
    let mut restated = if native { problem.into_response() } else { problem.into_short_response() };
    restated.headers_mut().extend(kept.into_iter().filter_map(|(name, value)| Some((name, value?))));
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
