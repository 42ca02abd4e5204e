//! Shapes of bodies as the OpenAPI document describes them, where the wire type is hand-written for speed.
#![allow(dead_code, reason = "read by the schema generator only")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::query::moments::MomentItem;

/// A reaction.
#[derive(ToSchema)]
pub struct ReactionDocument {
    /// Emoji, alias (happy, sad), shortcode (:fire:) or custom emote (:name:) of the channel.
    emote: String,
    /// UUIDv7 in server time, the idempotency key.
    id: Option<String>,
    /// Who tapped, 1 to 64 bytes.
    user_id: Option<String>,
    /// When, RFC 3339; without a zone UTC.
    tapped_at: Option<String>,
    /// Where the player was, ms.
    media_time_ms: Option<u64>,
}

/// What became of reactions.
#[derive(ToSchema)]
pub struct ReactionsAnswer {
    /// New reactions, durable now.
    accepted: u32,
    /// Known repeats of durable ones.
    duplicates: u32,
    /// Those that were wrong.
    #[schema(inline)]
    rejected: Vec<Rejected>,
}

/// A reaction that was rejected.
#[derive(ToSchema)]
pub struct Rejected {
    /// Its place in the request.
    index: usize,
    /// Type of the error.
    r#type: String,
    /// What was expected.
    detail: String,
    /// Which field.
    field: Option<String>,
}

/// A page of windows.
#[derive(ToSchema)]
pub struct WindowPage {
    /// The windows.
    #[schema(inline)]
    items: Vec<WindowDocument>,
    /// For the next page; null at the end.
    next_cursor: Option<String>,
}

/// Final counts of a window.
#[derive(ToSchema)]
pub struct WindowDocument {
    /// Sequence.
    seq: u64,
    /// RFC 3339.
    window_start: String,
    /// Length, ms.
    window_ms: u32,
    /// Exact counts per emote.
    counts: BTreeMap<String, u64>,
    /// Their sum.
    total: u64,
    /// Of these, late by spool.
    late: u64,
    /// Estimated distinct users.
    reactors: u64,
    /// Counted although a repeat could not be ruled out.
    unverified: u64,
    /// Late ones per emote.
    late_by_emote: BTreeMap<String, u64>,
    /// Estimated distinct users per emote.
    reactors_by_emote: BTreeMap<String, u64>,
}

/// A page of moments.
#[derive(ToSchema)]
pub struct MomentPage {
    /// The moments.
    #[schema(inline)]
    items: Vec<MomentItem>,
    /// For the next page; null at the end.
    next_cursor: Option<String>,
}

/// A file: text/plain, text/vtt, text/csv or application/json, by its format.
#[derive(ToSchema)]
pub struct MomentFile(String);

/// Server-sent events: hello, pulse, window, moment, settings, gap, bye.
#[derive(ToSchema)]
pub struct EventStream(String);
