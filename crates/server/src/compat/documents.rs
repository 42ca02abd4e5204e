//! The source systems' bodies and answers as the OpenAPI document shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A tap of systems D and E.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body that is read field by field")]
pub struct TimedTap {
    /// Who tapped, 1 to 64 bytes.
    user_id: String,
    /// Emoji, `happy`, `sad`, or a shortcode such as `:fire:`.
    emoji_type: String,
    /// ISO 8601; without a zone UTC.
    timestamp: String,
}

/// A tap of system B.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body that is read field by field")]
pub struct QueuedTap {
    /// Emoji, `happy`, `sad`, or a shortcode such as `:fire:`.
    emoji: String,
    /// Who tapped, 1 to 64 bytes; absent: a guest.
    user_id: Option<String>,
}

/// The answer to a tap: the log has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TapAnswer {
    /// `Emoji received` or `queued`.
    pub(super) status: &'static str,
    /// The reaction's id, a UUID.
    pub(super) message_id: String,
}

/// Name and password of an account: `username` is system A's, `name` is system B's, with what goes on from an answer that said
/// to come again.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body that is read field by field")]
pub struct Login {
    /// System A: name of the account.
    username: Option<String>,
    /// System B: name of the account.
    name: Option<String>,
    /// Its password.
    password: Option<String>,
    /// System B, instead of the password: `token` of an earlier answer.
    token: Option<String>,
    /// System B: `line.token` of an answer that said to wait.
    line: Option<String>,
    /// System B: the same whenever the device comes back; absent: a new one, which the answer tells.
    device_id: Option<String>,
    /// System B: a name for its owner; absent: that of its program.
    device_name: Option<String>,
    /// System B: a device of one's own to be ended once there is a place for this one.
    end_device_id: Option<String>,
}

/// What a login answers: the token, and to system B's users their place.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes an answer of two forms")]
pub struct LoginAnswer {
    /// For `Authorization: Bearer`: a JWT, HS256, with `username`, `iat` and `exp` = `iat` + 3600 s.
    token: String,
    /// System B: tier of the account.
    tier: Option<u8>,
    /// System B: the allotted cluster.
    #[schema(inline)]
    cluster: Option<ClusterPlace>,
    /// System B: opens one connection there, `/?ticket=`, within half a minute.
    ticket: Option<String>,
    /// System B: the device, which takes over its own place.
    device_id: Option<String>,
}

/// What a registration answers: system B's account with 201, or system D's place with 200.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes an answer of two forms")]
pub struct RegisterAnswer {
    /// System B: name of the account.
    name: Option<String>,
    /// System B: its tier.
    tier: Option<u8>,
    /// System D: the edge that holds the place.
    subscriber: Option<String>,
    /// System D: that edge's cluster.
    cluster: Option<String>,
    /// System D: places that the subscriber has.
    capacity: Option<u32>,
    /// System D: where the subscriber is, if that is not where the client asked.
    url: Option<String>,
}

/// A new account of system B, or a client of system D that wants a place: the fields decide.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body that is read field by field")]
pub struct RegisterRequest {
    /// System B: name of the account.
    name: Option<String>,
    /// System B: its tier, where people choose their own.
    tier: Option<u8>,
    /// System B: its password.
    password: Option<String>,
    /// System D: id that the client gave itself, 1 to 64 bytes.
    client_id: Option<String>,
    /// System D: where it is called with each line of a window; absent: it reads `GET /notify-client`.
    client_url: Option<String>,
}

/// System B's account, just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct Registered {
    /// Its name.
    pub(super) name: String,
    /// Its tier.
    pub(super) tier: u8,
}

/// System B's login: who it is, and where the live stream is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClusterLogin {
    /// For `Authorization: Bearer`, as system A's.
    pub(super) token: String,
    /// Tier of the account.
    pub(super) tier: u8,
    /// The allotted cluster.
    #[schema(inline)]
    pub(super) cluster: ClusterPlace,
    /// Opens one connection there, `/?ticket=`, within half a minute.
    pub(super) ticket: String,
    /// The device: the same one takes over its own place.
    pub(super) device_id: String,
}

/// A cluster's server.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClusterPlace {
    /// Name of the cluster.
    pub(super) name: String,
    /// Where it is.
    pub(super) url: String,
}

/// What `/settings` asks for.
#[derive(Serialize)]
pub struct Token {
    /// For `Authorization: Bearer`: a JWT, HS256, with `username`, `iat` and `exp` = `iat` + 3600 s.
    pub(super) token: String,
}

/// The plain rule's threshold.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Threshold {
    /// Above 0. Below 1: share of an interval; from 1 on: count in a window. A moment is found above it.
    pub(super) threshold: f64,
}

/// The plain rule's interval.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Interval {
    /// Reactions after which a share is judged.
    pub(super) interval: u32,
}

/// An emote that can make a moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Allowed {
    /// Emoji or custom emote.
    pub(super) emote: String,
}

/// Whether an emote can make a moment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedChange {
    /// Emoji, alias, shortcode or custom emote.
    pub(super) emote: String,
    /// Whether it can.
    pub(super) is_allowed: bool,
}

/// The allowed emotes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a list")]
pub struct AllowedList(#[schema(inline)] Vec<Allowed>);

/// Emotes with whether each can make a moment.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a list")]
pub struct AllowedChanges(#[schema(inline)] Vec<AllowedChange>);

/// A client's place.
#[derive(Debug, Serialize)]
pub struct ClientPlace {
    /// The edge that holds it.
    pub(super) subscriber: String,
    /// That edge's cluster.
    pub(super) cluster: String,
    /// Places that the subscriber has.
    pub(super) capacity: u32,
    /// Where the subscriber is, if that is not where the client asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
}

/// No place is free.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscribersFull {
    /// What the client is to do.
    pub(super) error: &'static str,
    /// Places that there are.
    pub(super) capacity: u32,
}

/// A client that leaves.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body that is read field by field")]
pub struct Leave {
    /// Its id.
    client_id: String,
}

/// It has left.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deregistered {
    /// `deregistered`.
    pub(super) status: &'static str,
}

/// A line of a window, as system D reads it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a line that is written field by field")]
pub struct Notification {
    /// The emote.
    emoji_type: String,
    /// Reactions in the window.
    count: u64,
    /// ⌊count / 1000⌋.
    shown: u64,
    /// Begin of the window, RFC 3339.
    window_start: String,
}
