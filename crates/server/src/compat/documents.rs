//! The source systems' bodies and answers as the OpenAPI document shows them.

use serde::Serialize;
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
