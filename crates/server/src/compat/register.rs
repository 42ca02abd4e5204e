//! `POST /register`: system B's, which makes an account, and system D's, which asks for a place among those who are notified.
//! The body's fields decide.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json,
    extract::{ConnectInfo, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    body::{self, Shape},
    documents::Registered,
    subscribers::{At, endpoints},
};
use crate::http::{app::App, problem::Problem, stream::AtGate};

/// What system B's users send.
const ACCOUNT: Shape = Shape {
    required: &["name", "password"],
    said: "a JSON object {\"name\": string, \"tier\": 1, 2 or 3, \"password\": string} (system B)",
};

/// What fits neither is told both.
const EITHER: Shape = Shape {
    required: &["name", "password"],
    said: "a JSON object {\"name\": string, \"tier\": 1, 2 or 3, \"password\": string} (system B) or {\"client_id\": string, \
           \"client_url\": string or absent} (system D)",
};

/// `POST /register`.
pub async fn register(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    at: AtGate,
    request: Request,
) -> Result<Response, Problem> {
    let body = body::read(&app, request).await?;
    if is_of_client(&body) {
        return endpoints::register(&app, At::from(&at), body).await;
    }
    account(&app, peer, body).await
}

/// Whether a body is that of a client of system D, on whatever node it is looked at.
pub(crate) fn is_of_client(body: &Value) -> bool {
    body.get("client_id").is_some()
}

/// Makes an account of system B's user, as `POST /v1/register` does.
async fn account(app: &App, peer: SocketAddr, body: Value) -> Result<Response, Problem> {
    let shape = if body.get("name").is_some() { ACCOUNT } else { EITHER };
    let tier = body.get("tier").cloned();
    let fields = shape.fields(body)?;
    let tier = match tier {
        None | Some(Value::Null) => None,
        Some(tier) => {
            let number = tier.as_u64().and_then(|tier| u8::try_from(tier).ok());
            Some(number.ok_or_else(|| Problem::field("tier", "expected a number such as 1, 2 or 3"))?)
        }
    };
    let (name, password) = (fields.text("name")?, fields.text("password")?.to_owned());
    let accounts = &app.control()?.accounts;
    let user = accounts.register(name, password, tier, peer.ip()).await.map_err(renamed)?;
    let registered = Registered { tier: accounts.tier_of(&user), name: user.name };
    Ok((StatusCode::CREATED, Json(registered)).into_response())
}

/// A problem with the name that system B gives the field.
fn renamed(problem: Problem) -> Problem {
    match problem.field.as_deref() {
        Some("username") => {
            let detail = problem.detail.replacen("username", "name", 1);
            Problem { field: Some("name".into()), detail, ..problem }
        }
        _ => problem,
    }
}
