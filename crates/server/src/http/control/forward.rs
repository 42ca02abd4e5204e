//! What only control can answer: nodes without it pass such calls on, with the caller's address, and bring the answer back.
//!
//! The call travels inside one of the internal API, which nobody but nodes may make: only from them is it believed whose
//! call it is.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{ConnectInfo, Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::{Deserialize, de::IgnoredAny};
use tower::ServiceExt;

use crate::{
    http::{
        app::App,
        body,
        problem::{ErrorType, Problem},
        routes::{AsItIs, Method, Route},
    },
    node::ControlClient,
};

/// Calls that are passed on, all of them POST.
const PATHS: [&str; 5] = ["/v1/register", "/v1/login", "/v1/placements", "/login", "/register"];

/// The internal API's path that takes them; the call's own stands behind it.
const INTERNAL: &str = "/internal/v1/forward";

/// Bytes of a body that is passed on at most.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Calls that may be on their way to control at once; one more is refused.
pub(in crate::http) const FORWARDS_MAX: usize = 256;

/// When to try again what control did not answer.
const RETRY: Duration = Duration::from_secs(2);

/// Whose call it is, and what of its head says something else on the way.
const CALLER: HeaderName = HeaderName::from_static("x-emostream-caller");
const AUTHORIZATION: HeaderName = HeaderName::from_static("x-emostream-authorization");
const HOST: HeaderName = HeaderName::from_static("x-emostream-host");

/// Headers that go to control as they came, and back.
const THERE: [HeaderName; 4] = [header::CONTENT_TYPE, header::ACCEPT, header::COOKIE, header::USER_AGENT];
const BACK: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::RETRY_AFTER,
    header::SET_COOKIE,
    header::WWW_AUTHENTICATE,
    header::CACHE_CONTROL,
];

/// The routes that nodes without control pass on, as a node with it answers them.
#[derive(Clone)]
pub struct Forwardable(pub(in crate::http) Router);

/// Errors that such a route answers besides its own, where it is passed on.
pub(in crate::http) const ERRORS: [ErrorType; 2] = [ErrorType::Overloaded, ErrorType::ControlUnavailable];

/// Whether a route is one of those.
pub(in crate::http) fn is_forwardable(route: &Route) -> bool {
    route.method == Method::Post && PATHS.contains(&route.path)
}

/// The layer in front of such a route on a node that passes it on.
pub(in crate::http) async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(client) = app.control_client.clone() else { return next.run(request).await };
    pass_on(&app, &client, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn pass_on(
    app: &App,
    client: &ControlClient,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let busy = || {
        let detail = "too many calls are on their way to control";
        Problem { retry_after: Some(RETRY), ..Problem::new(ErrorType::Overloaded, detail) }
    };
    let _permit = app.forwards.try_acquire().map_err(|_| busy())?;
    let (parts, body) = request.into_parts();
    let timeout = Duration::from_millis(app.config.http.body_timeout_ms);
    let body = body::read(Request::new(body), BODY_BYTES_MAX, timeout).await?;
    if is_for_this_edge(parts.uri.path(), &body) {
        return Ok(next.run(Request::from_parts(parts, Body::from(body))).await);
    }
    let ConnectInfo(peer) = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .ok_or_else(|| Problem::new(ErrorType::Internal, "something went wrong here"))?;
    let path = format!("{INTERNAL}{}", parts.uri.path());
    match client.forward(&path, head_of(&parts.headers, peer.ip()), body).await {
        Ok(answer) => Ok(answer_of(answer)),
        Err(error) => {
            if let Some(left_out) = app.forward_failures.admit(app.clock.now_ms()) {
                tracing::warn!(left_out, error = format!("{error:#}"), "a call is not passed on");
            }
            let detail = "accounts and placement are not to be had now";
            Err(Problem { retry_after: Some(RETRY), ..Problem::new(ErrorType::ControlUnavailable, detail) })
        }
    }
}

/// System D's clients register at edges themselves.
fn is_for_this_edge(path: &str, body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct OfClient {
        #[serde(rename = "client_id")]
        _client_id: IgnoredAny,
    }
    path == "/register" && serde_json::from_slice::<OfClient>(body).is_ok()
}

fn head_of(headers: &HeaderMap, caller: IpAddr) -> HeaderMap {
    let mut head = HeaderMap::new();
    let renamed = [(header::AUTHORIZATION, AUTHORIZATION), (header::HOST, HOST)];
    for (from, to) in THERE.into_iter().map(|name| (name.clone(), name)).chain(renamed) {
        if let Some(value) = headers.get(&from) {
            head.insert(to, value.clone());
        }
    }
    if let Ok(caller) = HeaderValue::from_str(&caller.to_string()) {
        head.insert(CALLER, caller);
    }
    head
}

fn answer_of(answer: Response<Bytes>) -> Response {
    let (parts, body) = answer.into_parts();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = parts.status;
    for name in BACK {
        for value in parts.headers.get_all(&name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    response.extensions_mut().insert(AsItIs);
    response
}

/// `POST /internal/v1/forward/{*path}`: answers a call that another node passes on.
pub async fn answer(
    State(app): State<Arc<App>>,
    forwardable: Option<Extension<Forwardable>>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    app.control()?;
    let Some(Extension(Forwardable(router))) = forwardable else {
        return Err(Problem::new(ErrorType::NotFound, "expected a path that is passed on"));
    };
    let (mut parts, body) = request.into_parts();
    let caller = parts.headers.remove(CALLER);
    let caller: Option<IpAddr> = caller.and_then(|caller| caller.to_str().ok()?.parse().ok());
    let caller = caller.ok_or_else(|| Problem::parameter("x-emostream-caller", "expected an address"))?;
    let mut call = Request::new(body);
    *call.method_mut() = HttpMethod::POST;
    *call.uri_mut() = format!("/{path}")
        .parse()
        .map_err(|_| Problem::new(ErrorType::NotFound, "expected a path that is passed on"))?;
    // The node's own credential is not the caller's.
    for (from, to) in [(AUTHORIZATION, header::AUTHORIZATION), (HOST, header::HOST)] {
        parts.headers.remove(&to);
        if let Some(value) = parts.headers.remove(from) {
            parts.headers.insert(to, value);
        }
    }
    *call.headers_mut() = parts.headers;
    call.extensions_mut().insert(ConnectInfo(SocketAddr::new(caller, 0)));
    let Ok(mut response) = router.oneshot(call).await;
    response.extensions_mut().insert(AsItIs);
    Ok(response)
}
