//! Places for viewers, and the devices of an account.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json,
    extract::{ConnectInfo, Path, State},
    http::{Extensions, HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use emostream_protocol::{settings::Guests, time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    control::accounts::Shown,
    control::placement::{ConnectedDevice, Device, Placed, Wanted, Who},
    http::{
        access::Caller,
        app::App,
        body::JsonBody,
        control::forward::Asked,
        problem::{ErrorType, Problem},
    },
    ingest::endpoint::{guest_cookie, guest_set_cookie},
};

/// Bytes of a body: names of the longest kind.
const BODY_BYTES_MAX: usize = 8 * 1024;

/// What a viewer asks for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacementRequest {
    /// The channel to watch.
    channel: String,
    /// The same whenever the device comes back: it takes over its own place. Absent: a new one, which the answer tells. Not
    /// looked at where nobody is logged in.
    device_id: Option<String>,
    /// For its owner, such as "Firefox on Linux".
    device_name: Option<String>,
    /// `line.token` of an answer that said to wait.
    line: Option<String>,
    /// A device of one's own to be ended once there is a place for this one.
    end_device_id: Option<String>,
    /// The edge whose connection was lost without a good-bye, or did not come about: another one that has room is preferred,
    /// since this one may be dead without control knowing it yet.
    lost_edge: Option<String>,
}

/// Where a viewer goes.
#[derive(Serialize, ToSchema)]
pub struct PlacementAnswer {
    /// The cluster.
    cluster: String,
    /// The edge.
    edge: String,
    /// Where the edge is: paths such as `/v1/channels/main/live` follow. Empty: at the address that was asked.
    url: String,
    /// Opens one connection there, before `expires_at`.
    ticket: String,
    /// RFC 3339.
    expires_at: String,
    /// The device, where there is an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<String>,
    /// Id of the device's place among those that the tier allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
}

/// The devices of an account.
#[derive(Serialize, ToSchema)]
pub struct DeviceList {
    /// How many may be connected at once.
    devices_max: u32,
    /// Oldest first.
    #[schema(inline)]
    items: Vec<ConnectedDevice>,
}

/// `POST /v1/placements`.
pub async fn place(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    shown: Option<Shown>,
    extensions: Extensions,
    JsonBody(request): JsonBody<PlacementRequest, BODY_BYTES_MAX>,
) -> Result<Response, Problem> {
    let guests = app.channel(&request.channel)?.published().settings.guests;
    if shown.is_none() && guests == Guests::Refused {
        if let Some(left_out) = app.refused_guests.admit(app.clock.now_ms()) {
            let (channel, peer) = (&request.channel, peer.ip());
            tracing::warn!(channel, %peer, left_out, "a ticket is refused: the channel is for members");
        }
        let detail = "only who is logged in may watch this channel: expected `Authorization: Bearer`";
        return Err(Problem::new(ErrorType::GuestsRefused, detail));
    }
    let control = app.control()?;
    let (who, cookie) = match &shown {
        Some(Shown { caller, .. }) => {
            let device = Device::new(request.device_id, request.device_name)?;
            (Who::Account { id: caller.id, name: caller.username.clone(), device }, None)
        }
        None => {
            let (name, cookie) = guest(&app, &headers);
            (Who::Guest { name, address: peer.ip() }, cookie)
        }
    };
    let (line, end_device, lost_edge) = (request.line, request.end_device_id, request.lost_edge);
    let wanted = Wanted { who, line, end_device, lost_edge };
    let placed = control.place(wanted, shown.as_ref()).await?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let url = Asked::of(&extensions, &app).url_of(&placed, host);
    let mut response = Json(answer(placed, url)).into_response();
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    if let Some(cookie) = cookie.and_then(|token| guest_set_cookie(&token).parse().ok()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

fn answer(placed: Placed, url: String) -> PlacementAnswer {
    PlacementAnswer {
        url,
        cluster: placed.edge.cluster,
        edge: placed.edge.name,
        ticket: placed.ticket,
        expires_at: time::format_ms(placed.expires_at_ms),
        device_id: placed.device_id,
        lease: placed.lease.map(|lease| lease.to_string()),
    }
}

/// The guest of a request by its cookie, or a new one with the token to keep.
fn guest(app: &App, headers: &HeaderMap) -> (String, Option<String>) {
    let keys = app.guest_keys.load();
    match guest_cookie(headers).and_then(|token| keys.verify(token)) {
        Some(name) => (name, None),
        None => {
            let (name, token) = keys.new_guest(app.clock.now_ms());
            (name, Some(token))
        }
    }
}

/// `GET /v1/me/devices`.
pub async fn devices(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<DeviceList>, Problem> {
    let placement = &app.control()?.placement;
    let items = placement.devices(caller.id).await?;
    Ok(Json(DeviceList { devices_max: placement.devices_max(Some(caller.tier)), items }))
}

/// `DELETE /v1/me/devices/{device_id}`.
pub async fn end_device(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(device_id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.control()?.placement.end_existing_device(caller.id, &device_id).await?;
    tracing::info!(user = caller.username, "device ended by its owner");
    Ok(StatusCode::NO_CONTENT)
}
