//! Reads what other people's programs write to Kafka: one record's JSON value becomes one reaction, or it is said which
//! field is wrong and what was expected.
//!
//! The first that is there counts, of `emote`, `emoji_type`, `emoji`, `type`; of `user_id`, `userId`, `user`; of `timestamp`,
//! `time`. A `channel` counts where it names one that exists. All other fields are ignored, and so is a field that is null.

use std::{borrow::Cow, sync::Arc};

use emostream_protocol::{
    ChannelName, EmoteError, EmoteId, Emotes,
    input::{Rejection, RejectionKind},
    limits::USER_ID_BYTES_MAX,
    time,
};
use serde::Deserialize;

use self::scalar::Scalar;
use crate::{
    channels::{Channel, Channels},
    intake::GUEST_PREFIX,
};

mod scalar;

/// Bytes of one value: far more than any source system writes, and little enough that a record with 500 of them is no load.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// What a value has to be.
const SHAPE: &str = "a JSON object such as {\"emote\": \"🔥\", \"timestamp\": \"2026-04-06T10:32:11.123Z\"}";

/// A reaction that a foreign record holds.
#[derive(Debug, Clone)]
pub struct ForeignReaction<'a> {
    /// Where it belongs.
    pub channel: Arc<Channel>,
    /// What was tapped, accepted by the channel now.
    pub emote: EmoteId,
    /// Who tapped; empty when unknown.
    pub user: Cow<'a, str>,
    /// When, by the producer's word; `None` when it does not say.
    pub tapped_ms: Option<i64>,
}

/// What a value is read against.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The channels that exist.
    pub channels: Arc<Channels>,
    /// Known emotes.
    pub emotes: Arc<Emotes>,
    /// The channel of records that name none, or one that does not exist.
    pub channel: ChannelName,
}

/// The fields that are looked at.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    emote: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    emoji_type: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    emoji: Option<Scalar<'a>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    user_id: Option<Scalar<'a>>,
    #[serde(borrow, default, rename = "userId")]
    user_id_camel: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    user: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    timestamp: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    time: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    channel: Option<Scalar<'a>>,
}

impl Reading {
    /// Whether the channel of records that name none exists: before that nothing can be read.
    pub fn is_ready(&self) -> bool {
        self.channels.get(&self.channel).is_some()
    }

    /// Reads a record's value. Fails with what was wrong; the record is none of ours then, and never will be.
    pub fn read<'a>(&self, value: &'a [u8]) -> Result<ForeignReaction<'a>, Rejection> {
        let fields = fields(value)?;
        let channel = self.channel_of(fields.channel)?;
        let (field, emote) = first([
            ("emote", fields.emote),
            ("emoji_type", fields.emoji_type),
            ("emoji", fields.emoji),
            ("type", fields.kind),
        ])
        .ok_or_else(|| {
            let detail = "expected an emote in one of emote, emoji_type, emoji, type";
            rejection(RejectionKind::FieldMissing, Some("emote"), detail)
        })?;
        let emote = self.emote(field, &emote, &channel)?;
        let users = [("user_id", fields.user_id), ("userId", fields.user_id_camel), ("user", fields.user)];
        let user = first(users).map_or(Ok(Cow::Borrowed("")), |(field, user)| read_user(field, user))?;
        let times = [("timestamp", fields.timestamp), ("time", fields.time)];
        let tapped_ms = first(times).map(|(field, time)| read_time(field, &time)).transpose()?;
        Ok(ForeignReaction { channel, emote, user, tapped_ms })
    }

    fn channel_of(&self, named: Option<Scalar<'_>>) -> Result<Arc<Channel>, Rejection> {
        let named = match named {
            Some(Scalar::Text(name)) => self.channels.get(&name),
            _ => None,
        };
        named.or_else(|| self.channels.get(&self.channel)).ok_or_else(|| {
            let detail = format!("expected a channel that exists: there is no channel {}", self.channel);
            rejection(RejectionKind::FieldInvalid, Some("channel"), &detail)
        })
    }

    fn emote(
        &self,
        field: &'static str,
        emote: &Scalar<'_>,
        channel: &Channel,
    ) -> Result<EmoteId, Rejection> {
        let Scalar::Text(text) = emote else {
            let detail = format!("expected a string with an emote, got {}", emote.kind());
            return Err(rejection(RejectionKind::FieldInvalid, Some(field), &detail));
        };
        let emote = self.emotes.resolve(text).map_err(|error| {
            let kind = match error {
                EmoteError::TooLong => RejectionKind::FieldInvalid,
                _ => RejectionKind::EmoteUnknown,
            };
            rejection(kind, Some(field), &error.to_string())
        })?;
        if !channel.accepting()?.palette.accepts(emote) {
            let detail = format!("expected an emote that channel {} accepts", channel.name);
            return Err(rejection(RejectionKind::EmoteNotAllowed, Some(field), &detail));
        }
        Ok(emote)
    }
}

fn rejection(kind: RejectionKind, field: Option<&'static str>, detail: &str) -> Rejection {
    Rejection { kind, field, detail: detail.to_owned() }
}

fn fields(value: &[u8]) -> Result<Fields<'_>, Rejection> {
    let invalid = |detail: &str| rejection(RejectionKind::BodyInvalid, None, detail);
    if value.len() > VALUE_BYTES_MAX {
        return Err(invalid(&format!("expected at most {VALUE_BYTES_MAX} bytes, got {}", value.len())));
    }
    // A list would be taken for the fields in their order.
    if value.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(invalid(&format!("expected {SHAPE}")));
    }
    serde_json::from_slice(value).map_err(|error| invalid(&format!("expected {SHAPE}: {error}")))
}

/// The first that is there, with its name.
fn first<'a, const N: usize>(
    named: [(&'static str, Option<Scalar<'a>>); N],
) -> Option<(&'static str, Scalar<'a>)> {
    named.into_iter().find_map(|(name, value)| value.map(|value| (name, value)))
}

/// A user's id; a program that numbers its users means the digits.
fn read_user<'a>(field: &'static str, user: Scalar<'a>) -> Result<Cow<'a, str>, Rejection> {
    let invalid = |detail: &str| Err(rejection(RejectionKind::FieldInvalid, Some(field), detail));
    let user = match user {
        Scalar::Text(text) => text,
        Scalar::Integer(number) => number.to_string().into(),
        other => return invalid(&format!("expected a string with a user's id, got {}", other.kind())),
    };
    if user.len() > USER_ID_BYTES_MAX || user.chars().any(char::is_control) {
        return invalid(&format!("expected at most {USER_ID_BYTES_MAX} bytes without control characters"));
    }
    if user.starts_with(GUEST_PREFIX) {
        return invalid(&format!("expected a user id that does not begin with {GUEST_PREFIX:?}"));
    }
    Ok(user)
}

fn read_time(field: &'static str, time: &Scalar<'_>) -> Result<i64, Rejection> {
    let read = match time {
        Scalar::Text(text) => time::parse_ms(text).ok().or_else(|| epoch_text(text)),
        Scalar::Integer(number) => epoch_integer(*number),
        Scalar::Float(number) => epoch_float(*number),
        Scalar::Other(_) => None,
    };
    read.ok_or_else(|| {
        let detail = "expected a time such as 2026-04-06T10:32:11.123Z (without a zone: UTC), or the seconds or \
                      milliseconds since 1970 of a day from 2001 on";
        rejection(RejectionKind::FieldInvalid, Some(field), detail)
    })
}

fn epoch_text(text: &str) -> Option<i64> {
    let is_number = text.len() <= 24 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !is_number {
        return None;
    }
    text.parse().map_or_else(|_| epoch_float(text.parse().ok()?), epoch_integer)
}

/// The units that programs count time in since 1970: numbers of a unit for one second, and for one millisecond. From 2001
/// to 2286 no number of one unit is one of another.
const UNITS: [u64; 4] = [1, 1_000, 1_000_000, 1_000_000_000];

/// Seconds since 1970 of September 2001, from which on they have ten digits.
const SECONDS_MIN: u64 = 1_000_000_000;

/// Seconds since 1970 of November 2286, when they get an eleventh.
const SECONDS_MAX: u64 = 10 * SECONDS_MIN;

fn epoch_integer(number: i128) -> Option<i64> {
    let number = u64::try_from(number).ok()?;
    let unit = UNITS.into_iter().find(|unit| (SECONDS_MIN..SECONDS_MAX).contains(&(number / unit)))?;
    let ms = if unit == 1 { number * 1_000 } else { number / (unit / 1_000) };
    i64::try_from(ms).ok()
}

fn epoch_float(number: f64) -> Option<i64> {
    // Truncated like finer digits in a text. What is not finite or out of range is in no unit.
    let unit = UNITS.into_iter().find(|unit| {
        let seconds = number / *unit as f64;
        seconds >= SECONDS_MIN as f64 && seconds < SECONDS_MAX as f64
    })?;
    Some((number / unit as f64 * 1_000.0) as i64)
}

#[cfg(test)]
mod tests;
