//! Taps as systems B, D and E send them: answered when the log has them durably, like all reactions.

use std::{borrow::Cow, net::SocketAddr, sync::Arc};

use axum::{
    Json,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use emostream_protocol::{
    ReactionId,
    input::{ReactionInput, Rejection, Text},
    record::NewReaction,
};

use super::{
    body::{self, Shape},
    documents::TapAnswer,
};
use crate::{
    http::{
        app::App,
        problem::{ErrorType, Problem},
    },
    ingest::endpoint::{guest_cookie, guest_set_cookie},
    intake::{GUEST_PREFIX, Receipt},
    telemetry::Labelled,
};

/// What systems D and E send.
const TIMED: Shape = Shape {
    required: &["user_id", "emoji_type", "timestamp"],
    said: "a JSON object {\"user_id\": string, \"emoji_type\": emoji, \"timestamp\": ISO 8601 time} (systems D and E)",
};

/// What system B's users send.
const QUEUED: Shape = Shape {
    required: &["emoji"],
    said: "a JSON object {\"emoji\": emoji, \"user_id\": string or absent} (system B)",
};

/// A tap in the terms of all systems, with the names that its own system gives the fields.
struct Tap<'a> {
    emote: (&'static str, &'a str),
    user: Option<&'a str>,
    tapped_at: Option<&'a str>,
}

/// `POST /emoji` of system E and `POST /send-emoji` of system D.
pub async fn timed(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let received = async {
        let fields = TIMED.fields(body::read(&app, request).await?)?;
        let tap = Tap {
            user: Some(fields.text("user_id")?),
            emote: ("emoji_type", fields.text("emoji_type")?),
            tapped_at: Some(fields.text("timestamp")?),
        };
        take(&app, peer, &headers, "Emoji received", &tap).await
    };
    received.await.inspect_err(|problem| count(&app, problem))
}

/// `POST /emojis` of system B.
pub async fn queued(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let received = async {
        let fields = QUEUED.fields(body::read(&app, request).await?)?;
        let tap = Tap {
            emote: ("emoji", fields.text("emoji")?),
            user: fields.optional_text("user_id")?,
            tapped_at: None,
        };
        take(&app, peer, &headers, "queued", &tap).await
    };
    received.await.inspect_err(|problem| count(&app, problem))
}

/// A tap that waits for the log.
struct Submitted {
    receipt: Receipt,
    id: ReactionId,
    /// Token of a guest who was signed in for it.
    new_token: Option<String>,
}

/// Takes a tap, and answers when it is durable. The id of the message is the reaction's.
async fn take(
    app: &Arc<App>,
    peer: SocketAddr,
    headers: &HeaderMap,
    status: &'static str,
    tap: &Tap<'_>,
) -> Result<Response, Problem> {
    let Submitted { receipt, id, new_token } = submit(app, peer, headers, tap)?;
    receipt.await.map_err(|refusal| Problem::refusal(&refusal))?;
    let mut response = Json(TapAnswer { status, message_id: id.to_string() }).into_response();
    if let Some(cookie) = new_token.and_then(|token| guest_set_cookie(&token).parse().ok()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Checks a tap as any other reaction, and queues it for the log.
fn submit(app: &App, peer: SocketAddr, headers: &HeaderMap, tap: &Tap<'_>) -> Result<Submitted, Problem> {
    let channel = app.channel(&app.config.compat.channel)?;
    if !channel.published().settings.guests.are_allowed() {
        let detail =
            "the channel is for members: expected a reaction over the live connection, or of a login token";
        return Err(Problem::new(ErrorType::GuestsRefused, detail));
    }
    let intake = app.intake()?;
    let now_ms = intake.now_ms();
    intake.admit(peer.ip(), 1).map_err(|refusal| Problem::refusal(&refusal))?;
    let text = |text| Text(Cow::Borrowed(text));
    let input = ReactionInput {
        emote: text(tap.emote.1),
        id: None,
        user_id: tap.user.map(text),
        tapped_at: tap.tapped_at.map(text),
        media_time_ms: None,
    };
    let reaction = channel
        .accepting()
        .and_then(|published| input.validate(&published.palette, &app.emotes, now_ms, rand::random))
        .map_err(|rejection| renamed(&rejection, tap.emote.0, now_ms))?;
    if reaction.user.starts_with(GUEST_PREFIX) {
        return Err(Problem::field("user_id", "expected a user id that does not begin with \"guest:\""));
    }
    // Who names no user is a guest, by a cookie where the client keeps one.
    let (guest, new_token) = match guest_cookie(headers).and_then(|token| intake.guest(token)) {
        _ if !reaction.user.is_empty() => (String::new(), None),
        Some(guest) => (guest, None),
        None => {
            let (guest, token) = intake.new_guest();
            (guest, Some(token))
        }
    };
    let user = if reaction.user.is_empty() { guest.as_str() } else { reaction.user };
    let receipt = intake.submit(&channel, &[NewReaction { user, ..reaction }]);
    let receipt = receipt.map_err(|refusal| Problem::refusal(&refusal))?;
    Ok(Submitted { receipt, id: reaction.id, new_token })
}

/// A rejection with the names that the source system gives the fields.
fn renamed(rejection: &Rejection, emote: &'static str, now_ms: i64) -> Problem {
    let field = match rejection.field {
        Some("emote") => Some(emote),
        Some("tapped_at") => Some("timestamp"),
        field => field,
    };
    let problem = Problem::rejection(rejection, now_ms);
    let detail = field.map_or_else(|| problem.detail.clone(), |name| format!("{name}: {}", problem.detail));
    Problem { field: field.map(Into::into), detail, ..problem }
}

fn count(app: &App, problem: &Problem) {
    app.metrics.submissions_refused.get_or_create(&Labelled { kind: problem.kind.name() }).inc();
}
