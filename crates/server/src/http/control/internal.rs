//! What a node with control tells other nodes of the fleet.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    extract::{ConnectInfo, State},
    http::header,
    response::{IntoResponse, Response},
};
use emostream_protocol::{
    placement::{EdgeOrders, EdgeReport},
    settings::PublishedChannel,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::{
        access::{HasCertificate, note_refused_node},
        app::App,
        body::JsonBody,
        problem::{ErrorType, Problem},
    },
    placement_link::{LinkError, TicketKeys},
};

/// Bytes of a report: every device that it may name, with its id and names.
const REPORT_BYTES_MAX: usize = 96 << 20;

/// When an edge may report again after it could not.
const REPORT_RETRY: Duration = Duration::from_secs(1);

/// Answer of `/internal/v1/keys`.
#[derive(Debug, Serialize, ToSchema)]
pub struct SharedKeys {
    /// Keys that sign guests in: the current one, and the one before it.
    #[schema(value_type = Object)]
    guest: serde_json::Value,
    /// Public halves of the keys that tickets are signed with, likewise.
    #[schema(value_type = Object)]
    tickets: TicketKeys,
}

/// `GET /internal/v1/keys`.
pub async fn keys(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let placement = &app.control()?.placement;
    // Whoever asked another process next would not know what was signed with these.
    placement.refuse_on_standby()?;
    let tickets = placement.keys().clone();
    let guest = app.guest_keys.load().to_json();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(SharedKeys { guest, tickets })).into_response())
}

/// `POST /internal/v1/edges/report`: an edge's report, and what the edge is to do.
pub async fn report(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    certificate: Option<Extension<HasCertificate>>,
    JsonBody(report): JsonBody<EdgeReport, REPORT_BYTES_MAX>,
) -> Result<Json<EdgeOrders>, Problem> {
    let is_named = || certificate.is_some_and(|Extension(shown)| shown.names(&report.edge));
    if app.config.internal.tls_names && !is_named() {
        let why = format!("its certificate does not name the edge {:?} that it reports as", report.edge);
        note_refused_node(&app, peer, &why);
        let detail =
            "expected a certificate that names the edge (internal.tls_names): a DNS name in subjectAltName";
        return Err(Problem::new(ErrorType::Forbidden, detail));
    }
    let orders = app.control()?.placement.take_report(report).await;
    orders.map(Json).map_err(|error| match error {
        LinkError::Refused(_) => Problem::new(ErrorType::Conflict, error.to_string()),
        LinkError::Unavailable(_) => Problem {
            retry_after: Some(REPORT_RETRY),
            ..Problem::new(ErrorType::StoreUnavailable, error.to_string())
        },
    })
}

/// A login token that was shown to another node.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShownToken {
    token: String,
}

/// Whose token it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    /// Name of the account.
    username: String,
}

/// Bytes of a body with a token.
const TOKEN_BODY_BYTES_MAX: usize = 8 * 1024;

/// `POST /internal/v1/members`.
pub async fn member(
    State(app): State<Arc<App>>,
    JsonBody(shown): JsonBody<ShownToken, TOKEN_BODY_BYTES_MAX>,
) -> Result<Json<Member>, Problem> {
    let caller = app.control()?.accounts.caller(&shown.token).await?;
    Ok(Json(Member { username: caller.username }))
}

/// `GET /internal/v1/channels`: a JSON array of what the topic `settings` has of each channel.
pub async fn channels(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    app.control()?;
    let mut body = vec![b'['];
    for (number, channel) in app.channels.all().into_iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        let published = channel.published().clone();
        let said = PublishedChannel {
            channel: channel.name.clone(),
            version: published.version,
            closed: published.closed,
            settings: published.settings.clone(),
        };
        body.extend(said.encode());
    }
    body.push(b']');
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
