//! `POST /register`: system D's, which asks for a place among those who are notified. The body's fields decide.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};

use super::{
    body,
    subscribers::{At, endpoints},
};
use crate::http::{app::App, problem::Problem, stream::AtGate};

/// `POST /register`.
pub async fn register(
    State(app): State<Arc<App>>,
    at: AtGate,
    request: Request,
) -> Result<Response, Problem> {
    let body = body::read(&app, request).await?;
    endpoints::register(&app, At::from(&at), body).await
}
