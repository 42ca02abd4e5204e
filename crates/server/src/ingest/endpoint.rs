//! `POST /v1/channels/{channel}/reactions`: the hot route, answered in front of the router.

use std::{fmt::Write, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use emostream_protocol::{
    Emotes,
    input::{Body, ReactionInput, Rejection, RejectionKind, parse_body},
    limits::REQUEST_BODY_BYTES_MAX,
    record::NewReaction,
};
use futures_util::poll;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{HeaderMap, Request, Response, StatusCode, body::Body as HttpBody, header};

use super::identity::GUEST_PREFIX;
use crate::{
    channels::{Channel, Channels},
    http::problem::{ErrorType, Problem, type_uri},
    intake::Intake,
    telemetry::{Labelled, Metrics},
};

/// Name of the cookie that keeps a guest's token.
pub const GUEST_COOKIE: &str = "emostream_guest";

/// Answers requests with reactions.
pub struct Endpoint {
    /// Where reactions go.
    pub intake: Arc<dyn Intake>,
    /// The channels that exist.
    pub channels: Arc<Channels>,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// How long a body may take.
    pub body_timeout: Duration,
}

/// The channel of a path `/v1/channels/{channel}/reactions`.
pub fn channel_of_path(path: &str) -> Option<&str> {
    let channel = path.strip_prefix("/v1/channels/")?.strip_suffix("/reactions")?;
    (!channel.contains('/')).then_some(channel)
}

/// Who sends: a guest known by a cookie, or one signed in now.
struct Sender {
    guest: Option<String>,
    new_token: Option<String>,
}

impl Endpoint {
    /// Answers one request. The answer comes after the log has the reactions.
    pub async fn post<B>(&self, channel: &str, request: Request<B>, peer: IpAddr) -> Response<Full<Bytes>>
    where
        B: HttpBody,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match self.try_post(channel, request, peer).await {
            Ok(response) => response,
            Err(problem) => {
                let kind = problem.kind.name();
                self.metrics.submissions_refused.get_or_create(&Labelled { kind }).inc();
                let mut response = Response::new(Full::from(problem.to_json()));
                *response.status_mut() = problem.kind.status();
                *response.headers_mut() = problem.headers();
                response
            }
        }
    }

    async fn try_post<B>(
        &self,
        channel: &str,
        request: Request<B>,
        peer: IpAddr,
    ) -> Result<Response<Full<Bytes>>, Problem>
    where
        B: HttpBody,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let channel = self.channels.get(channel).ok_or_else(Problem::no_channel)?;
        let ndjson = is_ndjson(request.headers())?;
        let cookie = guest_cookie(request.headers()).map(str::to_owned);
        let body = self.read(request.into_body()).await?;
        let now_ms = self.intake.now_ms();
        let body = parse_body(&body, ndjson).map_err(|rejection| Problem::rejection(&rejection, now_ms))?;
        let number = match &body {
            Body::One(_) => 1,
            Body::Many(items) => u32::try_from(items.len()).unwrap_or(u32::MAX),
        };
        self.intake.admit(peer, number).map_err(|refusal| Problem::refusal(&refusal))?;
        let sender = self.sender(&body, cookie.as_deref());
        let mut rejected = Vec::new();
        let receipt = {
            let reactions = match &body {
                Body::One(input) => {
                    let reaction = self.validate(input, channel, &sender, now_ms);
                    vec![reaction.map_err(|rejection| Problem::rejection(&rejection, now_ms))?]
                }
                Body::Many(items) => self.validate_all(items, channel, &sender, now_ms, &mut rejected),
            };
            self.intake.submit(channel, &reactions).map_err(|refusal| Problem::refusal(&refusal))?
        };
        let accepted = receipt.await.map_err(|refusal| Problem::refusal(&refusal))?;
        self.metrics.reactions_duplicate.inc_by(accepted.duplicates.into());
        Ok(answer(accepted.accepted, accepted.duplicates, &rejected, sender.new_token.as_deref(), now_ms))
    }

    async fn read<B>(&self, body: B) -> Result<Bytes, Problem>
    where
        B: HttpBody,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let too_large = || {
            let detail = format!("expected a body of at most {REQUEST_BODY_BYTES_MAX} bytes");
            Problem::new(ErrorType::BodyTooLarge, detail)
        };
        if body.size_hint().lower() > REQUEST_BODY_BYTES_MAX as u64 {
            return Err(too_large());
        }
        let mut collecting = std::pin::pin!(Limited::new(body, REQUEST_BODY_BYTES_MAX).collect());
        // Nearly every body is here already: a timer is only made for one that is not.
        let collected = match poll!(&mut collecting) {
            std::task::Poll::Ready(collected) => collected,
            std::task::Poll::Pending => tokio::time::timeout(self.body_timeout, collecting)
                .await
                .map_err(|_| Problem::new(ErrorType::BodyTimeout, "expected the whole body sooner"))?,
        };
        match collected {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
            Err(_) => {
                Err(Problem::new(ErrorType::BodyInvalid, "expected a whole body; the connection broke off"))
            }
        }
    }

    /// A guest is looked for, or signed in, only when a reaction names no user.
    fn sender(&self, body: &Body<'_>, cookie: Option<&str>) -> Sender {
        let anonymous = match body {
            Body::One(input) => input.user_id.is_none(),
            Body::Many(items) => items.iter().flatten().any(|input| input.user_id.is_none()),
        };
        if !anonymous {
            return Sender { guest: None, new_token: None };
        }
        if let Some(guest) = cookie.and_then(|token| self.intake.guest(token)) {
            return Sender { guest: Some(guest), new_token: None };
        }
        let (guest, token) = self.intake.new_guest();
        Sender { guest: Some(guest), new_token: Some(token) }
    }

    fn validate<'a>(
        &self,
        input: &'a ReactionInput<'_>,
        channel: &Channel,
        sender: &'a Sender,
        now_ms: i64,
    ) -> Result<NewReaction<'a>, Rejection> {
        let mut reaction = input.validate(&channel.palette, &self.emotes, now_ms, rand::random)?;
        if reaction.user.is_empty() {
            reaction.user = sender.guest.as_deref().unwrap_or("");
        } else if reaction.user.starts_with(GUEST_PREFIX) {
            return Err(Rejection {
                kind: RejectionKind::FieldInvalid,
                field: Some("user_id"),
                detail: format!("expected a user id that does not begin with {GUEST_PREFIX:?}"),
            });
        }
        Ok(reaction)
    }

    fn validate_all<'a>(
        &self,
        items: &'a [Result<ReactionInput<'_>, Rejection>],
        channel: &Channel,
        sender: &'a Sender,
        now_ms: i64,
        rejected: &mut Vec<(usize, Rejection)>,
    ) -> Vec<NewReaction<'a>> {
        let mut reactions = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let checked = match item {
                Ok(input) => self.validate(input, channel, sender, now_ms),
                Err(rejection) => Err(rejection.clone()),
            };
            match checked {
                Ok(reaction) => reactions.push(reaction),
                Err(rejection) => {
                    let kind = rejection.kind.name();
                    self.metrics.reactions_rejected.get_or_create(&Labelled { kind }).inc();
                    rejected.push((index, rejection));
                }
            }
        }
        reactions
    }
}

fn is_ndjson(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(false) };
    let essence = value.to_str().unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(true),
        // Senders without a JSON type are common in small scripts; a body that is no JSON is refused anyway.
        _ => Ok(false),
    }
}

/// The guest's token in a request's cookies.
pub fn guest_cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(GUEST_COOKIE)?.strip_prefix('='))
}

/// The header that makes a browser keep a guest's token for a year.
pub fn guest_set_cookie(token: &str) -> String {
    format!("{GUEST_COOKIE}={token}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax")
}

fn answer(
    accepted: u32,
    duplicates: u32,
    rejected: &[(usize, Rejection)],
    new_token: Option<&str>,
    now_ms: i64,
) -> Response<Full<Bytes>> {
    let mut json = String::with_capacity(64 + rejected.len() * 128);
    write!(json, "{{\"accepted\":{accepted},\"duplicates\":{duplicates},\"rejected\":[")
        .expect("writing to a String cannot fail");
    for (place, (index, rejection)) in rejected.iter().enumerate() {
        let mut item = serde_json::json!({
            "index": index,
            "type": type_uri(rejection.kind.name()),
            "detail": rejection.detail,
            "field": rejection.field,
        });
        if rejection.kind == RejectionKind::IdOutOfRange {
            item["server_time"] = emostream_protocol::time::format_ms(now_ms).into();
        }
        let comma = if place == 0 { "" } else { "," };
        write!(json, "{comma}{item}").expect("writing to a String cannot fail");
    }
    json.push_str("]}");
    let mut response = Response::new(Full::from(json));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if let Some(cookie) = new_token.and_then(|token| guest_set_cookie(token).parse().ok()) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}
