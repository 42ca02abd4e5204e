//! `POST /login`: system A's, name and password for a token; and system B's, which leads to a cluster. The body's fields decide.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use emostream_store::UserId;
use serde_json::Value;

use super::{
    body::{self, Fields, Shape},
    documents::{ClusterLogin, ClusterPlace, Token},
};
use crate::{
    control::{
        accounts::{Accounts, LoggedIn, Shown},
        placement::{Device, Wanted, Who},
    },
    http::{access::Caller, app::App, control::forward::Asked, problem::Problem},
};

/// What system A's login form sends.
const CREDENTIALS: Shape = Shape {
    required: &["username", "password"],
    said: "a JSON object {\"username\": string, \"password\": string} (system A)",
};

/// What system B's users send.
const NAMED: Shape = Shape {
    required: &["name", "password"],
    said: "a JSON object {\"name\": string, \"password\": string, \"device_id\": string or absent} (system B)",
};

/// What they send who were told to come again.
const RETURNING: Shape = Shape {
    required: &["name", "token"],
    said: "a JSON object {\"name\": string, \"token\": string, \"line\": string or absent, \"device_id\": string or \
           absent} (system B)",
};

/// What fits neither is told both.
const EITHER: Shape = Shape {
    required: &["username", "password"],
    said: "a JSON object {\"username\": string, \"password\": string} (system A) or {\"name\": string, \"password\": \
           string, \"device_id\": string or absent} (system B)",
};

/// Characters of a program's name that stands for a device's.
const AGENT_CHARS_MAX: usize = 40;

/// `POST /login`. The token is that of `POST /v1/login`, with the same limits on attempts; system B's is sent to a cluster
/// as by `POST /v1/placements`.
pub async fn login(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let asked = Asked::of(request.extensions(), &app);
    let body = body::read(&app, request).await?;
    if body.get("username").is_none() && body.get("name").is_some() {
        return to_cluster(&app, (peer, &asked), &headers, body).await;
    }
    let shape = if body.get("username").is_some() { CREDENTIALS } else { EITHER };
    let fields = shape.fields(body)?;
    let (username, password) = (fields.text("username")?, fields.text("password")?);
    let logged_in = app.control()?.accounts.login(username, password, peer.ip()).await?;
    Ok(Json(Token { token: logged_in.token }).into_response())
}

/// Who logs in as system B's user.
struct User {
    token: String,
    id: UserId,
    name: String,
    tier: u8,
    /// Where a token was shown.
    shown: Option<Shown>,
}

/// Logs in, and takes a place on a cluster for the device.
async fn to_cluster(
    app: &App,
    (peer, asked): (SocketAddr, &Asked),
    headers: &HeaderMap,
    body: Value,
) -> Result<Response, Problem> {
    let is_returning = body.get("token").is_some_and(|token| !token.is_null());
    let shape = if is_returning { RETURNING } else { NAMED };
    let fields = shape.fields(body)?;
    let device = device(&fields, headers)?;
    let own = |text: Option<&str>| text.map(str::to_owned);
    let (line, end_device) =
        (own(fields.optional_text("line")?), own(fields.optional_text("end_device_id")?));
    let control = app.control()?;
    let user = user(&control.accounts, &fields, peer).await?;
    let device_id = device.id.clone();
    let who = Who::Account { id: user.id, name: user.name, device };
    let placed = control.place(Wanted { who, line, end_device, lost_edge: None }, user.shown.as_ref()).await;
    let placed = placed.map_err(|problem| to_come_again(problem, &user.token, &device_id))?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let url = asked.address_of(&placed, host);
    let answer = ClusterLogin {
        token: user.token,
        tier: user.tier,
        cluster: ClusterPlace { name: placed.edge.cluster, url },
        ticket: placed.ticket,
        // Whoever repeats a token of the line without an id goes on under the one of before.
        device_id: placed.device_id.unwrap_or(device_id),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// Whose login it is: by the password, or by the token of an earlier answer. That one stays the same, so that nobody is
/// logged in for longer by waiting.
async fn user(accounts: &Accounts, fields: &Fields, peer: SocketAddr) -> Result<User, Problem> {
    let name = fields.text("name")?;
    match fields.optional_text("token")? {
        None => {
            let LoggedIn { token, user, .. } =
                accounts.login(name, fields.text("password")?, peer.ip()).await?;
            let tier = accounts.tier_of(&user);
            Ok(User { token, id: user.id, name: user.name, tier, shown: None })
        }
        Some(token) => {
            let shown = accounts.shown(token).await?;
            let Caller { id, username, tier, .. } = shown.caller.clone();
            if username.to_lowercase() != name.to_lowercase() {
                return Err(Problem::field("token", "expected one of the account that `name` says"));
            }
            Ok(User { token: token.to_owned(), id, name: username, tier, shown: Some(shown) })
        }
    }
}

/// Whoever is told to come again gets what makes that cheap: a password costs a slow hash each time, and a crowd that waits
/// for room would keep everybody from logging in.
fn to_come_again(problem: Problem, token: &str, device_id: &str) -> Problem {
    match problem.kind.status() {
        StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            problem.with("token", token.into()).with("device_id", device_id.into())
        }
        _ => problem,
    }
}

/// The device that logs in. One without a name goes by that of its program.
fn device(fields: &Fields, headers: &HeaderMap) -> Result<Device, Problem> {
    let own = |text: Option<&str>| text.map(str::to_owned);
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let program = agent.and_then(|agent| agent.split_whitespace().next());
    let program = program.map(|program| program.chars().take(AGENT_CHARS_MAX).collect());
    let name = own(fields.optional_text("device_name")?).or(program);
    Device::new(own(fields.optional_text("device_id")?), name)
}
