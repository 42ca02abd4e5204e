//! Programs that send: where to, in whose shape, and how much.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::checked_emotes;

/// Where reactions are sent, and in which shape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// The native one: `POST /v1/channels/{channel}/reactions`, or the viewer's WebSocket.
    #[default]
    Reactions,
    /// System E's: `POST /emoji` with `user_id`, `emoji_type` and `timestamp`.
    Emoji,
    /// System B's: `POST /emojis` with `emoji` and `user_id`.
    Emojis,
    /// System D's: `POST /send-emoji` with `user_id`, `emoji_type` and `timestamp`.
    SendEmoji,
}

/// Clients that send side by side, each its messages one after another, each when the last is answered.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// How many, each with a connection and a user of its own.
    pub number: u32,
    /// Messages of each.
    pub messages: u32,
    /// Average rest of a client after each message, drawn from half to one and a half times this.
    #[serde(default)]
    pub pause_ms: u32,
    /// Emotes and how often each is chosen, relative to the others.
    pub emotes: BTreeMap<String, f64>,
}

/// Clients of one process: each has a connection.
pub const CLIENTS_MAX: u32 = 20_000;

/// Messages of one client.
pub const MESSAGES_MAX: u32 = 100_000_000;

/// Longest rest between messages.
const PAUSE_MS_MAX: u32 = 60_000;

impl Endpoint {
    /// Its path, without a server's prefix; `None` for the native one, which depends on the channel.
    pub fn path(self) -> Option<&'static str> {
        match self {
            Self::Reactions => None,
            Self::Emoji => Some("/emoji"),
            Self::Emojis => Some("/emojis"),
            Self::SendEmoji => Some("/send-emoji"),
        }
    }
}

impl Clients {
    pub(super) fn check(&mut self) -> Result<()> {
        if !(1..=CLIENTS_MAX).contains(&self.number) {
            bail!("number: expected 1 to {CLIENTS_MAX}");
        }
        if !(1..=MESSAGES_MAX).contains(&self.messages) {
            bail!("messages: expected 1 to {MESSAGES_MAX}");
        }
        if self.pause_ms > PAUSE_MS_MAX {
            bail!("pause_ms: expected at most {PAUSE_MS_MAX}");
        }
        self.emotes = checked_emotes(&self.emotes)?;
        Ok(())
    }
}
