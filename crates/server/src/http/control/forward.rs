//! What only control can answer: nodes without it pass such calls on, with the caller's address, and bring the answer back.
//!
//! The call travels inside one of the internal API, which nobody but nodes may make: only from them is it believed whose
//! call it is.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{ConnectInfo, Path, Request, State},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tower::ServiceExt;

use crate::{
    compat::register,
    control::placement::Placed,
    http::{
        app::App,
        body,
        listener::OverTls,
        problem::{ErrorType, Problem},
        routes::{AsItIs, Method, Route},
    },
    node::ControlClient,
    rate::subscriber,
};

/// Calls that are passed on, all of them POST.
const PATHS: [&str; 5] = ["/v1/register", "/v1/login", "/v1/placements", "/login", "/register"];

/// The internal API's path that takes them; the call's own stands behind it.
const INTERNAL: &str = "/internal/v1/forward";

/// Bytes of a body that is passed on at most.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Calls that may be on their way to control at once; one more is refused.
const FORWARDS_MAX: usize = 256;

/// The same for one address.
const ADDRESS_FORWARDS_MAX: usize = 64;

/// When to try again what control did not answer.
const RETRY: Duration = Duration::from_secs(2);

/// Whose call it is, and what of its head says something else on the way.
const CALLER: HeaderName = HeaderName::from_static("x-emostream-caller");
const AUTHORIZATION: HeaderName = HeaderName::from_static("x-emostream-authorization");
const HOST: HeaderName = HeaderName::from_static("x-emostream-host");

/// The edge that the node which passes a call on is as a whole.
const EDGE: HeaderName = HeaderName::from_static("x-emostream-edge");

/// It was asked over TLS, as far as its caller is concerned.
const OVER_TLS: HeaderName = HeaderName::from_static("x-emostream-over-tls");

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

/// The node that a viewer has asked. Whoever is sent there stays on the address that led here, whatever stands in between:
/// TLS, a mapped port, another name.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The edge that it is as a whole; none where it has edges of its own, or is none.
    edge: Option<String>,
    /// Whether it was asked over TLS, as a trusted proxy says.
    is_over_tls: bool,
}

impl Asked {
    /// This node.
    fn here(app: &App, extensions: &Extensions) -> Self {
        let name = app.edge.as_ref().map(|edge| edge.common.name());
        let edge = name.filter(|name| !name.is_empty()).map(str::to_owned);
        Self { edge, is_over_tls: extensions.get::<OverTls>().is_some() }
    }

    /// The node which has passed a call on, or this one, which was asked itself.
    pub(crate) fn of(extensions: &Extensions, app: &App) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_else(|| Self::here(app, extensions))
    }

    /// Where a viewer goes who asked here, by the header `Host`; empty: stays.
    pub(in crate::http) fn url_of(&self, placed: &Placed, host: Option<&str>) -> String {
        if self.is_meant(placed) { String::new() } else { placed.url(host) }
    }

    /// The same for who needs an address in any case.
    pub(crate) fn address_of(&self, placed: &Placed, host: Option<&str>) -> String {
        match host.filter(|host| !host.is_empty() && self.is_meant(placed)) {
            Some(host) => format!("{}://{host}", if self.is_over_tls { "https" } else { "http" }),
            None => placed.url(host),
        }
    }

    fn is_meant(&self, placed: &Placed) -> bool {
        placed.edge.url.is_empty() && self.edge.as_ref() == Some(&placed.edge.name)
    }
}

/// Calls on their way to control, by the address that they are from.
#[derive(Default)]
pub struct Forwards {
    by_address: Mutex<HashMap<IpAddr, usize, RandomState>>,
}

/// One call's share; given back on drop.
struct Permit<'a> {
    forwards: &'a Forwards,
    address: IpAddr,
}

impl Forwards {
    /// Lets one more call go, unless there are too many already, of this address or of all.
    fn permit(&self, address: IpAddr) -> Option<Permit<'_>> {
        let address = subscriber(address);
        let mut by_address = self.by_address();
        let all: usize = by_address.values().sum();
        let own = by_address.get(&address).copied().unwrap_or(0);
        if all >= FORWARDS_MAX || own >= ADDRESS_FORWARDS_MAX {
            return None;
        }
        by_address.insert(address, own + 1);
        Some(Permit { forwards: self, address })
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, usize, RandomState>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut by_address = self.forwards.by_address();
        if let Some(own) = by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

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
    // Not before the body is there: whoever sends it slowly keeps nobody else waiting.
    let busy = || {
        let detail = "too many calls are on their way to control";
        Problem { retry_after: Some(RETRY), ..Problem::new(ErrorType::Overloaded, detail) }
    };
    let _permit = app.forwards.permit(peer.ip()).ok_or_else(busy)?;
    let path = format!("{INTERNAL}{}", parts.uri.path());
    let head = head_of(&parts.headers, peer.ip(), &Asked::here(app, &parts.extensions));
    match client.forward(&path, head, body).await {
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
    path == "/register" && serde_json::from_slice(body).is_ok_and(|body| register::is_of_client(&body))
}

fn head_of(headers: &HeaderMap, caller: IpAddr, asked: &Asked) -> HeaderMap {
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
    if let Some(edge) = asked.edge.as_deref().and_then(|edge| HeaderValue::from_str(edge).ok()) {
        head.insert(EDGE, edge);
    }
    if asked.is_over_tls {
        head.insert(OVER_TLS, HeaderValue::from_static("1"));
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
    let edge = parts.headers.remove(EDGE).and_then(|edge| Some(edge.to_str().ok()?.to_owned()));
    let is_over_tls = parts.headers.remove(OVER_TLS).is_some();
    let mut call = Request::new(body);
    call.extensions_mut().insert(Asked { edge, is_over_tls });
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::{ADDRESS_FORWARDS_MAX, FORWARDS_MAX, Forwards, is_for_this_edge};

    fn v4(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[test]
    fn one_address_does_not_take_all_the_ways_to_control() {
        let forwards = Forwards::default();
        let mut own: Vec<_> = (0..ADDRESS_FORWARDS_MAX).map_while(|_| forwards.permit(v4(1))).collect();
        assert_eq!((own.len(), forwards.permit(v4(1)).is_none()), (ADDRESS_FORWARDS_MAX, true));
        let network = |low| IpAddr::from(Ipv6Addr::from_bits(0x2001_0db8 << 96 | low));
        let neighbours: Vec<_> =
            (0..=ADDRESS_FORWARDS_MAX).map_while(|low| forwards.permit(network(low as u128))).collect();
        assert_eq!(neighbours.len(), ADDRESS_FORWARDS_MAX, "a subscriber has a whole network");
        drop(neighbours);
        own.pop();
        assert!(forwards.permit(v4(1)).is_some());
        drop(own);
        assert!(forwards.by_address().is_empty());
    }

    #[test]
    fn all_addresses_together_have_a_limit_too() {
        let forwards = Forwards::default();
        let of = |last: u8| (0..ADDRESS_FORWARDS_MAX).map_while(move |_| Some(v4(last)));
        let all: Vec<_> = (0..100).flat_map(of).map_while(|address| forwards.permit(address)).collect();
        assert_eq!(all.len(), FORWARDS_MAX);
    }

    #[test]
    fn a_client_of_system_d_is_known_wherever_it_asks() {
        for (body, is_here) in [
            (r#"{"client_id": "a"}"#, true),
            (r#"{"client_id": "a", "client_id": "b"}"#, true),
            (r#"{"client_id": null, "client_id": 7}"#, true),
            (r#"{"client_id": "a", "name": "ada", "password": "x"}"#, true),
            (r#"{"name": "ada", "password": "x"}"#, false),
            (r#"["client_id"]"#, false),
            (r#""client_id""#, false),
            ("client_id", false),
        ] {
            assert_eq!(is_for_this_edge("/register", body.as_bytes()), is_here, "{body}");
            let seen_there =
                serde_json::from_str(body).is_ok_and(|body| super::register::is_of_client(&body));
            assert_eq!(seen_there, is_here, "{body}");
        }
        assert!(!is_for_this_edge("/v1/register", br#"{"client_id": "a"}"#));
    }
}
