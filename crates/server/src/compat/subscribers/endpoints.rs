//! System D's calls: register, deregister, and reading what is broadcast.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use emostream_protocol::limits::USER_ID_BYTES_MAX;
use serde::Deserialize;
use serde_json::Value;

use super::{At, Refused, calls, events};
use crate::{
    compat::{
        body::{self, Shape},
        documents::{ClientPlace, Deregistered, SubscribersFull},
    },
    http::{
        app::App,
        problem::{ErrorType, Problem},
        stream::{AtGate, problem_of},
    },
};

/// Seconds after which a client that found no room asks again.
const POLL_S: u64 = 1;

/// What system D's clients send to register.
pub(in crate::compat) const REGISTERS: Shape = Shape {
    required: &["client_id"],
    said: "a JSON object {\"client_id\": string, \"client_url\": string or absent} (system D)",
};

const LEAVES: Shape =
    Shape { required: &["client_id"], said: "a JSON object {\"client_id\": string} (system D)" };

/// Query of `GET /notify-client`.
#[derive(Debug, Deserialize)]
pub struct Reader {
    client_id: Option<String>,
}

/// `POST /register` of a client of system D.
pub(in crate::compat) async fn register(app: &App, at: At<'_>, body: Value) -> Result<Response, Problem> {
    let fields = REGISTERS.fields(body)?;
    let client = client_id(fields.text("client_id")?)?;
    let expected = "expected http://HOST[:PORT][/PATH]; https and a user in it are not supported";
    let url = match fields.optional_text("client_url")? {
        None => None,
        Some(url) => Some(calls::parse(url).ok_or_else(|| Problem::field("client_url", expected))?),
    };
    match app.subscribers()?.register(at, client, url.as_ref()).await {
        Ok(subscriber) => {
            let room = subscriber.room();
            Ok(Json(ClientPlace {
                subscriber: room.name.clone(),
                cluster: room.cluster.clone(),
                capacity: room.capacity,
                url: room.url.clone(),
            })
            .into_response())
        }
        Err(Refused::Address) => Err(Problem::field(
            "client_url",
            "expected a host that this server may call, which compat.notify_networks lists; without client_url, read \
             GET /notify-client?client_id=",
        )),
        Err(Refused::Busy) => Err(Problem {
            retry_after: Some(Duration::from_secs(POLL_S)),
            ..Problem::new(
                ErrorType::Overloaded,
                "too many hosts of client_urls are being looked up; ask again",
            )
        }),
        Err(Refused::Full { capacity }) => {
            let full = SubscribersFull { error: "every place is taken; ask again", capacity };
            Ok((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, POLL_S)], Json(full)).into_response())
        }
        Err(Refused::Denied(denied)) => Err(problem_of(denied)),
        Err(Refused::Nowhere) => Err(Problem::new(ErrorType::RoleNotHere, "this edge has no subscriber")),
    }
}

/// `POST /deregister`.
pub async fn deregister(
    State(app): State<Arc<App>>,
    at: AtGate,
    request: Request,
) -> Result<Json<Deregistered>, Problem> {
    let fields = LEAVES.fields(body::read(&app, request).await?)?;
    let client = client_id(fields.text("client_id")?)?;
    if app.subscribers()?.deregister(At::from(&at), client) {
        Ok(Json(Deregistered { status: "deregistered" }))
    } else {
        Err(unknown())
    }
}

/// `GET /notify-client?client_id=`: the lines of each window as server-sent events.
pub async fn read(
    State(app): State<Arc<App>>,
    at: AtGate,
    Query(reader): Query<Reader>,
) -> Result<Response, Problem> {
    let client = reader.client_id.unwrap_or_default();
    if client.is_empty() {
        return Err(Problem::parameter("client_id", "expected the id of a client that has registered"));
    }
    let reading = app.subscribers()?.read(At::from(&at), &client).ok_or_else(unknown)?;
    Ok(events::answer(app, reading))
}

fn unknown() -> Problem {
    Problem::new(ErrorType::ClientNotFound, "expected the client_id of a client that is registered here")
}

fn client_id(text: &str) -> Result<&str, Problem> {
    let holds = text.len() <= USER_ID_BYTES_MAX && !text.chars().any(char::is_control);
    let expected = format!("expected 1 to {USER_ID_BYTES_MAX} bytes without control characters");
    holds.then_some(text).ok_or_else(|| Problem::field("client_id", &expected))
}
