//! Reading reactions from request bodies and viewer messages, with errors that name the field.
//!
//! An object as nearly all clients write it is read by `plain`, any other by the general parser; both borrow every string
//! from the body. Only when that fails is the body read again, slowly, to say what was wrong with which field of which
//! reaction.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, de};

use crate::{
    emote::{EmoteError, Emotes},
    id::{IdError, ReactionId},
    limits::{MEDIA_TIME_MS_MAX, REACTIONS_PER_REQUEST_MAX, USER_ID_BYTES_MAX},
    palette::Palette,
    record::NewReaction,
    time,
};

mod diagnose;
mod plain;

/// A reaction as a client wrote it. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ReactionInput<'a> {
    /// Emoji, alias, shortcode or custom emote.
    #[serde(borrow)]
    pub emote: Text<'a>,
    /// UUIDv7 in server time; the idempotency key.
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    /// Who tapped.
    #[serde(borrow, default)]
    pub user_id: Option<Text<'a>>,
    /// When, RFC 3339.
    #[serde(borrow, default)]
    pub tapped_at: Option<Text<'a>>,
    /// Where the player was.
    #[serde(default)]
    pub media_time_ms: Option<u64>,
}

/// Text borrowed from the body unless it holds escapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// What is wrong with one reaction or a whole body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The class of error, for programs.
    pub kind: RejectionKind,
    /// The field, where there is one.
    pub field: Option<&'static str>,
    /// What was expected, for people.
    pub detail: String,
}

/// Classes of errors in input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectionKind {
    /// The body is no JSON.
    BodyInvalid,
    /// More reactions than one request may hold.
    TooManyReactions,
    /// A required field is absent.
    FieldMissing,
    /// A field has the wrong type or an impossible value.
    FieldInvalid,
    /// The emote is none that this server knows.
    EmoteUnknown,
    /// The emote is not in the channel's palette.
    EmoteNotAllowed,
    /// The id's time is too far from the server's.
    IdOutOfRange,
    /// The event is over.
    ChannelClosed,
}

impl RejectionKind {
    /// The last part of the error's `type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BodyInvalid => "body-invalid",
            Self::TooManyReactions => "too-many-reactions",
            Self::FieldMissing => "field-missing",
            Self::FieldInvalid => "field-invalid",
            Self::EmoteUnknown => "emote-unknown",
            Self::EmoteNotAllowed => "emote-not-allowed",
            Self::IdOutOfRange => "id-out-of-range",
            Self::ChannelClosed => "channel-closed",
        }
    }
}

impl Rejection {
    fn new(kind: RejectionKind, field: Option<&'static str>, detail: impl fmt::Display) -> Self {
        Self { kind, field, detail: detail.to_string() }
    }
}

/// The reactions of one body.
#[derive(Debug)]
pub enum Body<'a> {
    /// A single object: its error is the request's error.
    One(ReactionInput<'a>),
    /// An array or NDJSON: each is accepted or rejected by itself.
    Many(Vec<Result<ReactionInput<'a>, Rejection>>),
}

/// Reads a JSON object, a JSON array, or one object a line (`ndjson`).
pub fn parse_body(body: &[u8], ndjson: bool) -> Result<Body<'_>, Rejection> {
    if ndjson {
        return parse_lines(body);
    }
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => parse_array(body),
        Some(b'{') => parse_one(body).map(Body::One),
        _ => Err(Rejection::new(
            RejectionKind::BodyInvalid,
            None,
            "expected a JSON object, an array of objects, or one object a line with content type application/x-ndjson",
        )),
    }
}

fn parse_array(body: &[u8]) -> Result<Body<'_>, Rejection> {
    if let Ok(all) = serde_json::from_slice::<Vec<ReactionInput<'_>>>(body) {
        check_number(all.len())?;
        return Ok(Body::Many(all.into_iter().map(Ok).collect()));
    }
    let raw: Vec<&serde_json::value::RawValue> =
        serde_json::from_slice(body).map_err(|error| diagnose::not_json(&error))?;
    check_number(raw.len())?;
    Ok(Body::Many(raw.into_iter().map(|item| parse_one(item.get().as_bytes())).collect()))
}

fn parse_lines(body: &[u8]) -> Result<Body<'_>, Rejection> {
    let ends = memchr::memchr_iter(b'\n', body);
    let lines_max = (ends.clone().count() + 1).min(REACTIONS_PER_REQUEST_MAX);
    // In one piece: a vector that grows is copied several times over.
    let mut items = Vec::with_capacity(lines_max);
    let mut start = 0;
    for end in ends.chain([body.len()]) {
        let line = &body[start..end];
        start = end + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        check_number(items.len() + 1)?;
        items.push(parse_one(line));
    }
    Ok(Body::Many(items))
}

/// Reads one JSON object.
pub fn parse_one(body: &[u8]) -> Result<ReactionInput<'_>, Rejection> {
    if let Some(input) = plain::reaction(body) {
        return Ok(input);
    }
    serde_json::from_slice(body).map_err(|error| diagnose::reaction(body, &error))
}

fn check_number(reactions: usize) -> Result<(), Rejection> {
    if reactions <= REACTIONS_PER_REQUEST_MAX {
        return Ok(());
    }
    let detail = format!("expected at most {REACTIONS_PER_REQUEST_MAX} reactions in one request");
    Err(Rejection::new(RejectionKind::TooManyReactions, None, detail))
}

impl ReactionInput<'_> {
    /// Checks every field against the channel's palette and the server's time, and fills in what the client left out.
    /// `random` supplies the random part of an id when the client gave none.
    pub fn validate(
        &self,
        palette: &Palette,
        emotes: &Emotes,
        received_ms: i64,
        random: impl FnOnce() -> [u8; 10],
    ) -> Result<NewReaction<'_>, Rejection> {
        let emote = emotes.resolve(&self.emote.0).map_err(|error| {
            let kind = match error {
                EmoteError::TooLong => RejectionKind::FieldInvalid,
                _ => RejectionKind::EmoteUnknown,
            };
            Rejection::new(kind, Some("emote"), error)
        })?;
        if !palette.accepts(emote) {
            let detail = "expected an emote of the channel's palette";
            return Err(Rejection::new(RejectionKind::EmoteNotAllowed, Some("emote"), detail));
        }
        let (id, id_from_client) = match &self.id {
            Some(text) => (client_id(&text.0, received_ms)?, true),
            None => (ReactionId::from_parts(received_ms, random()), false),
        };
        Ok(NewReaction {
            emote,
            id,
            id_from_client,
            user: self.user_id.as_ref().map_or(Ok(""), |user| check_user(&user.0))?,
            received_ms,
            tapped_ms: self.tapped_at.as_ref().map(|text| check_time(&text.0)).transpose()?,
            media_time_ms: self.media_time_ms.map(check_media).transpose()?,
        })
    }
}

fn client_id(text: &str, received_ms: i64) -> Result<ReactionId, Rejection> {
    let id = ReactionId::parse(text)
        .map_err(|error| Rejection::new(RejectionKind::FieldInvalid, Some("id"), error))?;
    id.check_range(received_ms).map_err(|error| {
        let kind = match error {
            IdError::NotUuid7 => RejectionKind::FieldInvalid,
            IdError::OutOfRange(_) => RejectionKind::IdOutOfRange,
        };
        Rejection::new(kind, Some("id"), error)
    })?;
    Ok(id)
}

fn check_user(user: &str) -> Result<&str, Rejection> {
    if (1..=USER_ID_BYTES_MAX).contains(&user.len()) && !user.chars().any(char::is_control) {
        return Ok(user);
    }
    let detail = format!("expected 1 to {USER_ID_BYTES_MAX} bytes without control characters");
    Err(Rejection::new(RejectionKind::FieldInvalid, Some("user_id"), detail))
}

fn check_time(text: &str) -> Result<i64, Rejection> {
    time::parse_ms(text)
        .map_err(|error| Rejection::new(RejectionKind::FieldInvalid, Some("tapped_at"), error))
}

fn check_media(ms: u64) -> Result<u64, Rejection> {
    if ms <= MEDIA_TIME_MS_MAX {
        return Ok(ms);
    }
    let detail = format!("expected milliseconds from 0 to {MEDIA_TIME_MS_MAX}");
    Err(Rejection::new(RejectionKind::FieldInvalid, Some("media_time_ms"), detail))
}

#[cfg(test)]
mod tests;
