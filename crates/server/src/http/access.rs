//! Who may call a route: the rule that stands in the table, and the one layer that enforces it.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts, Request, State},
    http::{Extensions, HeaderMap, HeaderValue, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio_rustls::rustls::{
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName},
    server::ParsedCertificate,
};

use super::{
    app::App,
    problem::{ErrorType, Problem},
};

use crate::{control::accounts::Shown, node::REFUSED_NODE, tasks::Tasks};

pub(super) mod cors;

pub use emostream_store::Role;
use emostream_store::UserId;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody; a token is not looked at. A viewer without one is signed in as a guest.
    Anyone,
    /// Everybody, and who is logged in is told more. A token that is not valid is refused rather than passed over.
    Optional,
    /// The same for what those ask again and again who wait in line: the handler is given [`Shown`], and has it checked before
    /// it gives anything.
    Waiting,
    /// Who is logged in with at least this role.
    Role(Role),
    /// Other nodes of the fleet, which show the shared key `internal.key`.
    Node,
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anyone => "anyone",
            Self::Optional | Self::Waiting => "anyone, more when logged in",
            Self::Role(role) => role.as_str(),
            Self::Node => "nodes of the fleet",
        })
    }
}

impl Access {
    /// Errors that the layer answers on behalf of the route.
    pub fn errors(self) -> &'static [ErrorType] {
        const OPTIONAL: &[ErrorType] = &[
            ErrorType::TokenInvalid,
            ErrorType::TokenExpired,
            ErrorType::StoreUnavailable,
            ErrorType::RoleNotHere,
        ];
        const ROLE: &[ErrorType] = &[
            ErrorType::TokenMissing,
            ErrorType::TokenInvalid,
            ErrorType::TokenExpired,
            ErrorType::Forbidden,
            ErrorType::StoreUnavailable,
            ErrorType::RoleNotHere,
        ];
        match self {
            Self::Anyone => &[],
            Self::Optional | Self::Waiting => OPTIONAL,
            Self::Role(_) => ROLE,
            Self::Node => &[ErrorType::Forbidden],
        }
    }
}

/// Who called. Handlers take it as an argument, on routes with [`Access::Optional`] as an `Option`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Id of the account.
    pub id: UserId,
    /// Name of the account.
    pub username: String,
    /// Its role now, whatever the token says.
    pub role: Role,
    /// Its tier now.
    pub tier: u8,
    /// When its token expires, ms since the Unix epoch.
    pub expires_at_ms: i64,
}

/// What the layer found out, for the extractors.
#[derive(Debug, Clone)]
struct Checked(Option<Who>);

/// Who it is, where somebody has shown a token.
#[derive(Debug, Clone)]
enum Who {
    Caller(Caller),
    Waiting(Shown),
}

/// The layer in front of every route that is not for [`Access::Anyone`].
pub(super) async fn guard(
    State((app, access)): State<(Arc<App>, Access)>,
    mut request: Request,
    next: Next,
) -> Response {
    match check(&app, access, request.headers(), request.extensions()).await {
        Ok(caller) => {
            request.extensions_mut().insert(Checked(caller));
            match *request.method() {
                Method::GET | Method::HEAD => next.run(request).await,
                _ => to_the_end(&app.tasks, next.run(request)).await,
            }
        }
        Err(problem) => {
            let mut response = problem.into_response();
            if access == Access::Node {
                // Who passes on a call tells this refusal from that of the call.
                response.headers_mut().insert(REFUSED_NODE, HeaderValue::from_static("1"));
            }
            response
        }
    }
}

/// Goes on with a change even when the caller does not wait for its answer: what is stored would not be published.
async fn to_the_end(tasks: &Tasks, change: impl Future<Output = Response> + Send + 'static) -> Response {
    let (answer, answered) = oneshot::channel();
    tasks.spawn(async move { drop(answer.send(change.await)) });
    answered.await.unwrap_or_else(|_| {
        tracing::error!("a change broke off");
        Problem::new(ErrorType::Internal, "something went wrong here").into_response()
    })
}

async fn check(
    app: &App,
    access: Access,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<Who>, Problem> {
    let needed = match access {
        Access::Anyone => return Ok(None),
        Access::Optional | Access::Waiting => None,
        Access::Role(role) => Some(role),
        Access::Node => return check_node(app, headers, extensions).map(|()| None),
    };
    let Some(token) = bearer(headers)? else {
        return match needed {
            None => Ok(None),
            Some(_) => Err(Problem::new(
                ErrorType::TokenMissing,
                "expected the header `Authorization: Bearer` with a token of POST /v1/login",
            )),
        };
    };
    let accounts = &app.control()?.accounts;
    if access == Access::Waiting {
        return Ok(Some(Who::Waiting(accounts.shown(token).await?)));
    }
    let caller = accounts.caller(token).await?;
    if needed.is_some_and(|needed| caller.role < needed) {
        let detail = "this needs an account with a higher role";
        return Err(Problem::new(ErrorType::Forbidden, detail));
    }
    Ok(Some(Who::Caller(caller)))
}

/// The certificate of the fleet that a connection has shown.
#[derive(Debug, Clone)]
pub struct HasCertificate(pub(super) Arc<CertificateDer<'static>>);

impl HasCertificate {
    /// Whether it is of a node of that name.
    pub(super) fn names(&self, name: &str) -> bool {
        let (certificate, name) = (ParsedCertificate::try_from(&*self.0), ServerName::try_from(name));
        let (Ok(certificate), Ok(name)) = (certificate, name) else { return false };
        verify_server_name(&certificate, &name).is_ok()
    }
}

/// Whether another node calls: it has shown a certificate, the key, or both where both are set. Why it is refused stands in
/// the log, and not in the answer.
fn check_node(app: &App, headers: &HeaderMap, extensions: &Extensions) -> Result<(), Problem> {
    let shown = bearer(headers).ok().flatten();
    let why = match (&app.config.internal.key, shown) {
        (None, _) if extensions.get::<HasCertificate>().is_some() => return Ok(()),
        (None, _) => "internal.key is not set on this node",
        (Some(_), None) => "it shows no key",
        (Some(key), Some(shown)) if is_same(key.reveal(), shown) => return Ok(()),
        (Some(_), Some(_)) => "it shows another key",
    };
    if let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>() {
        note_refused_node(app, *peer, why);
    }
    Err(Problem::new(ErrorType::Forbidden, "this is for nodes of the fleet"))
}

/// Logs why somebody was not taken for a node; of many who come at once, not each.
pub(super) fn note_refused_node(app: &App, peer: SocketAddr, why: &str) {
    if let Some(left_out) = app.refused_nodes.admit(app.clock.now_ms()) {
        tracing::warn!(%peer, left_out, "a call of the internal API is refused: {why}");
    }
}

/// Compares digests, so that the time it takes tells nothing of the key.
fn is_same(key: &str, shown: &str) -> bool {
    Sha256::digest(key.as_bytes()) == Sha256::digest(shown.as_bytes())
}

/// The token of a request, if there is one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let malformed =
        || Problem::new(ErrorType::TokenInvalid, "expected one header `Authorization: Bearer TOKEN`");
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(malformed());
    }
    Ok(Some(token))
}

fn unchecked() -> Problem {
    tracing::error!("a handler asks who called, but its route's access lets anyone in unseen");
    Problem::new(ErrorType::Internal, "something went wrong here")
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let checked = parts.extensions.get::<Checked>().ok_or_else(unchecked)?;
        match &checked.0 {
            Some(Who::Caller(caller)) => Ok(caller.clone()),
            _ => Err(unchecked()),
        }
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Problem> {
        let checked = parts.extensions.get::<Checked>().ok_or_else(unchecked)?;
        match &checked.0 {
            None => Ok(None),
            Some(Who::Caller(caller)) => Ok(Some(caller.clone())),
            Some(Who::Waiting(_)) => Err(unchecked()),
        }
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Shown {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Problem> {
        let checked = parts.extensions.get::<Checked>().ok_or_else(unchecked)?;
        match &checked.0 {
            None => Ok(None),
            Some(Who::Waiting(shown)) => Ok(Some(shown.clone())),
            Some(Who::Caller(_)) => Err(unchecked()),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{http::StatusCode, response::IntoResponse};
    use futures_util::poll;
    use tokio::{runtime::Handle, sync::oneshot};

    use super::to_the_end;
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn a_change_is_made_even_when_its_caller_goes_away() {
        let tasks = Tasks::new(Handle::current());
        let (stored, storing) = oneshot::channel::<()>();
        let (publish, published) = oneshot::channel();
        let change = async move {
            storing.await.unwrap();
            publish.send(()).unwrap();
            StatusCode::NO_CONTENT.into_response()
        };
        let mut answer = Box::pin(to_the_end(&tasks, change));
        assert!(poll!(&mut answer).is_pending());
        drop(answer);
        stored.send(()).unwrap();
        published.await.unwrap();
    }
}
