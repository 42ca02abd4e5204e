//! `POST /v1/channels/{channel}/reactions`: the hot route, answered in front of the router.

use std::{fmt::Write, future::Future, net::IpAddr, sync::Arc, task::Poll, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use emostream_protocol::{
    Emotes, Palette,
    input::{Body, ReactionInput, Rejection, RejectionKind, parse_body},
    limits::REQUEST_BODY_BYTES_MAX,
    record::NewReaction,
    settings::Guests,
};
use futures_util::{FutureExt, poll};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response,
    body::{Body as HttpBody, Frame},
    header,
};

use crate::{
    channels::{Channel, Channels},
    http::problem::{ErrorType, Problem, type_uri},
    intake::{Accepted, GUEST_PREFIX, Intake, Receipt},
    members::{KnownMembers, NotMember},
    telemetry::{Labelled, Metrics},
};

/// Name of the cookie that keeps a guest's token.
pub const GUEST_COOKIE: &str = "emostream_guest";

/// The most frequent answer by far.
const ONE_ACCEPTED: &str = r#"{"accepted":1,"duplicates":0,"rejected":[]}"#;

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
    /// Who tells members; none where control is nowhere.
    pub members: Option<KnownMembers>,
    /// How long a body may take.
    pub body_timeout: Duration,
}

/// The channel of a path `/v1/channels/{channel}/reactions`.
fn channel_of_path(path: &str) -> Option<&str> {
    let channel = path.strip_prefix("/v1/channels/")?.strip_suffix("/reactions")?;
    (!channel.contains('/')).then_some(channel)
}

/// What a request says before its body.
struct Head {
    channel: Arc<Channel>,
    ndjson: bool,
    cookie: Option<Box<str>>,
    peer: IpAddr,
    /// In a channel for members, the login token of whoever sends.
    token: Option<Box<str>>,
}

/// Who sends: a guest known by a cookie, or one signed in now.
struct Sender {
    /// Whose login token it is, in a channel for members: reactions name nobody else.
    member: Option<String>,
    guest: Option<String>,
    new_token: Option<String>,
}

/// What remains to be done for a request whose reactions wait for the log.
struct Submitted {
    receipt: Receipt,
    rejected: Vec<(usize, Rejection)>,
    new_token: Option<String>,
    now_ms: i64,
}

impl Endpoint {
    /// Whether a request is for this endpoint.
    pub fn takes<B>(request: &Request<B>) -> bool {
        request.method() == Method::POST && channel_of_path(request.uri().path()).is_some()
    }

    /// Answers one request that it [takes](Self::takes). The answer comes after the log has the reactions.
    ///
    /// The future is moved for every request: what is large is looked at before it begins, or boxed where it is rare.
    pub fn post<B>(
        self: &Arc<Self>,
        request: Request<B>,
        peer: IpAddr,
    ) -> impl Future<Output = Response<Full<Bytes>>> + use<B>
    where
        B: HttpBody,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let endpoint = self.clone();
        let head = self.head(&request, peer);
        let answering = self.clone().answer(head, request.into_body());
        answering.map(move |answered| answered.unwrap_or_else(|problem| endpoint.refuse(&problem)))
    }

    fn head<B>(&self, request: &Request<B>, peer: IpAddr) -> Option<Head> {
        let channel = self.channels.get(channel_of_path(request.uri().path())?)?;
        let headers = request.headers();
        let token = if channel.published().settings.guests.are_allowed() { None } else { bearer(headers) };
        Some(Head {
            token: token.map(Box::from),
            channel,
            ndjson: is_ndjson(headers),
            cookie: guest_cookie(headers).map(Box::from),
            peer,
        })
    }

    async fn answer<B>(self: Arc<Self>, head: Option<Head>, body: B) -> Result<Response<Full<Bytes>>, Problem>
    where
        B: HttpBody,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let head = head.ok_or_else(Problem::no_channel)?;
        let body = self.read(body).await?;
        let member = match head.channel.published().settings.guests {
            Guests::Allowed => None,
            Guests::Refused => Some(Box::pin(self.member(head.token.as_deref())).await?),
        };
        let submitted = self.submit(&head, &body, member)?;
        let accepted = submitted.receipt.await.map_err(|refusal| Problem::refusal(&refusal))?;
        self.metrics.reactions_duplicate.inc_by(accepted.duplicates.into());
        Ok(answer(accepted, &submitted.rejected, submitted.new_token.as_deref(), submitted.now_ms))
    }

    fn refuse(&self, problem: &Problem) -> Response<Full<Bytes>> {
        self.metrics.submissions_refused.get_or_create(&Labelled { kind: problem.kind.name() }).inc();
        let mut response = Response::new(Full::from(problem.to_json()));
        *response.status_mut() = problem.kind.status();
        *response.headers_mut() = problem.headers();
        response
    }

    /// Reads, checks and queues the reactions of a body.
    fn submit(&self, head: &Head, body: &[u8], member: Option<String>) -> Result<Submitted, Problem> {
        let now_ms = self.intake.now_ms();
        let published =
            head.channel.accepting().map_err(|rejection| Problem::rejection(&rejection, now_ms))?;
        let palette = &published.palette;
        let body =
            parse_body(body, head.ndjson).map_err(|rejection| Problem::rejection(&rejection, now_ms))?;
        let number = match &body {
            Body::One(_) => 1,
            Body::Many(items) => u32::try_from(items.len()).unwrap_or(u32::MAX),
        };
        self.intake.admit(head.peer, number).map_err(|refusal| Problem::refusal(&refusal))?;
        let sender = self.sender(&body, head.cookie.as_deref(), member);
        let mut rejected = Vec::new();
        let receipt = match &body {
            Body::One(input) => {
                let reaction = self.validate(input, palette, &sender, now_ms);
                let reaction = reaction.map_err(|rejection| Problem::rejection(&rejection, now_ms))?;
                self.intake.submit(&head.channel, std::slice::from_ref(&reaction))
            }
            Body::Many(items) => {
                let reactions = self.validate_all(items, palette, &sender, now_ms, &mut rejected);
                self.intake.submit(&head.channel, &reactions)
            }
        };
        let receipt = receipt.map_err(|refusal| Problem::refusal(&refusal))?;
        Ok(Submitted { receipt, rejected, new_token: sender.new_token, now_ms })
    }

    async fn read<B>(&self, body: B) -> Result<Bytes, Problem>
    where
        B: HttpBody,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if body.size_hint().lower() > REQUEST_BODY_BYTES_MAX as u64 {
            return Err(too_large());
        }
        let mut body = std::pin::pin!(Limited::new(body, REQUEST_BODY_BYTES_MAX));
        // Nearly every body is here already, and in one piece.
        let first = match poll!(body.frame()) {
            Poll::Ready(Some(first)) => Some(data_of(first)?),
            Poll::Ready(None) => return Ok(Bytes::new()),
            Poll::Pending => None,
        };
        if let Some(whole) = first.as_ref().filter(|_| body.is_end_stream()) {
            return Ok(whole.clone());
        }
        let rest = async {
            let mut whole = BytesMut::from(first.unwrap_or_default());
            while let Some(frame) = body.frame().await {
                whole.extend_from_slice(&data_of(frame)?);
            }
            Ok(whole.freeze())
        };
        let read = Box::pin(tokio::time::timeout(self.body_timeout, rest)).await;
        read.map_err(|_| Problem::new(ErrorType::BodyTimeout, "expected the whole body sooner"))?
    }

    /// The member whose login token it is.
    async fn member(&self, token: Option<&str>) -> Result<String, Problem> {
        let members = self.members.as_ref().ok_or(NotMember::Unavailable("it is not known here".to_owned()));
        let asked = match (token, members) {
            (None, _) => {
                let detail = "expected the header `Authorization: Bearer` with a token of POST /v1/login";
                return Err(Problem::new(ErrorType::GuestsRefused, detail));
            }
            (Some(_), Err(error)) => Err(error),
            (Some(token), Ok(members)) => members.member(token).await,
        };
        asked.map_err(|error| match error {
            NotMember::Invalid => Problem::new(ErrorType::TokenInvalid, "expected a token that is valid"),
            NotMember::Unavailable(_) => Problem {
                retry_after: Some(Duration::from_secs(2)),
                ..Problem::new(ErrorType::ControlUnavailable, "who is a member cannot be asked now")
            },
        })
    }

    /// A guest is looked for, or signed in, only when a reaction names no user.
    fn sender(&self, body: &Body<'_>, cookie: Option<&str>, member: Option<String>) -> Sender {
        let anonymous = match body {
            Body::One(input) => input.user_id.is_none(),
            Body::Many(items) => items.iter().flatten().any(|input| input.user_id.is_none()),
        };
        if !anonymous || member.is_some() {
            return Sender { member, guest: None, new_token: None };
        }
        if let Some(guest) = cookie.and_then(|token| self.intake.guest(token)) {
            return Sender { member: None, guest: Some(guest), new_token: None };
        }
        let (guest, token) = self.intake.new_guest();
        Sender { member: None, guest: Some(guest), new_token: Some(token) }
    }

    fn validate<'a>(
        &self,
        input: &'a ReactionInput<'_>,
        palette: &Palette,
        sender: &'a Sender,
        now_ms: i64,
    ) -> Result<NewReaction<'a>, Rejection> {
        let mut reaction = input.validate(palette, &self.emotes, now_ms, rand::random)?;
        if let Some(member) = &sender.member {
            reaction.user = member;
        } else if reaction.user.is_empty() {
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
        palette: &Palette,
        sender: &'a Sender,
        now_ms: i64,
        rejected: &mut Vec<(usize, Rejection)>,
    ) -> Vec<NewReaction<'a>> {
        let mut reactions = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let checked = match item {
                Ok(input) => self.validate(input, palette, sender, now_ms),
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

/// The data of a body's next frame; trailers have none.
fn data_of<D, E>(frame: Result<Frame<D>, E>) -> Result<Bytes, Problem>
where
    D: Buf,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match frame.map(Frame::into_data).map_err(Into::into) {
        Ok(Ok(mut data)) => Ok(data.copy_to_bytes(data.remaining())),
        Ok(Err(_)) => Ok(Bytes::new()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => {
            Err(Problem::new(ErrorType::BodyInvalid, "expected a whole body; the connection broke off"))
        }
    }
}

fn too_large() -> Problem {
    let detail = format!("expected a body of at most {REQUEST_BODY_BYTES_MAX} bytes");
    Problem::new(ErrorType::BodyTooLarge, detail)
}

/// Any other content type is taken for JSON: senders without one are common in small scripts, and a body that is no JSON
/// is refused anyway.
fn is_ndjson(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or("").trim();
    ["application/x-ndjson", "application/ndjson", "application/jsonl"]
        .iter()
        .any(|name| essence.eq_ignore_ascii_case(name))
}

/// The login token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
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
    accepted: Accepted,
    rejected: &[(usize, Rejection)],
    new_token: Option<&str>,
    now_ms: i64,
) -> Response<Full<Bytes>> {
    let json = match (accepted, rejected) {
        (Accepted { accepted: 1, duplicates: 0 }, []) => Bytes::from_static(ONE_ACCEPTED.as_bytes()),
        _ => answer_json(accepted, rejected, now_ms).into(),
    };
    let mut response = Response::new(Full::from(json));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if let Some(cookie) = new_token.and_then(|token| guest_set_cookie(token).parse().ok()) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

fn answer_json(accepted: Accepted, rejected: &[(usize, Rejection)], now_ms: i64) -> String {
    let Accepted { accepted, duplicates } = accepted;
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
    json
}

#[cfg(test)]
mod tests {
    use super::{Accepted, ONE_ACCEPTED, answer_json};

    #[test]
    fn the_most_frequent_answer_is_the_one_that_would_be_made() {
        assert_eq!(answer_json(Accepted { accepted: 1, duplicates: 0 }, &[], 0), ONE_ACCEPTED);
    }
}
