//! System A's login: name and password for a token, which `/settings` asks for.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json,
    extract::{ConnectInfo, Request, State},
};

use super::{
    body::{self, Shape},
    documents::Token,
};
use crate::http::{app::App, problem::Problem};

/// What system A's login form sends.
const CREDENTIALS: Shape = Shape {
    required: &["username", "password"],
    said: "a JSON object {\"username\": string, \"password\": string} (system A)",
};

/// `POST /login`. The token is that of `POST /v1/login`, with the same limits on attempts.
pub async fn login(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Json<Token>, Problem> {
    let fields = CREDENTIALS.fields(body::read(&app, request).await?)?;
    let (username, password) = (fields.text("username")?, fields.text("password")?);
    let logged_in = app.control()?.accounts.login(username, password, peer.ip()).await?;
    Ok(Json(Token { token: logged_in.token }))
}
