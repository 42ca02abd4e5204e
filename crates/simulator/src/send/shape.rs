//! The shape of requests and answers: the native one, and those of the source systems.

use std::sync::Arc;

use bytes::Bytes;
use emostream_protocol::time;
use hyper::{HeaderMap, StatusCode};
use rand::Rng as _;
use serde::Serialize;

use super::{answer::Answer, reaction::Reaction};
use crate::{audience::chance, scenario::Endpoint, target::Target};

/// How reactions are put into requests and answers are read.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    endpoint: Endpoint,
    path: Arc<str>,
    seed: u64,
}

/// What systems D and E take.
#[derive(Serialize)]
struct EmojiJson<'a> {
    user_id: String,
    emoji_type: &'a str,
    timestamp: String,
}

/// What system B takes.
#[derive(Serialize)]
struct EmojisJson<'a> {
    emoji: &'a str,
    user_id: String,
}

impl Shape {
    /// The same seed gives the same users.
    pub(crate) fn new(endpoint: Endpoint, target: &Target, seed: u64) -> Self {
        let path = endpoint.path().map_or_else(|| target.reactions_path(), |path| target.path(path));
        Self { endpoint, path: path.into(), seed }
    }

    pub(crate) fn path(&self) -> Arc<str> {
        self.path.clone()
    }

    /// Whether a reaction that is sent twice is known by its id and counted once.
    pub(crate) fn has_ids(&self) -> bool {
        self.endpoint == Endpoint::Reactions
    }

    /// Reactions that one request can carry.
    pub(crate) fn batch_max(&self) -> usize {
        if self.has_ids() { usize::MAX } else { 1 }
    }

    /// Content type and body of a request.
    pub(crate) fn encode(&self, reactions: &[Reaction]) -> (&'static str, Bytes) {
        let mut body = Vec::with_capacity(reactions.len() * 128);
        for reaction in reactions {
            let user = || self.user(reaction.user);
            match self.endpoint {
                Endpoint::Reactions => reaction.encode(None, &mut body),
                Endpoint::Emojis => write(&EmojisJson { emoji: &reaction.emote, user_id: user() }, &mut body),
                Endpoint::Emoji | Endpoint::SendEmoji => {
                    let timestamp = time::format_ms(reaction.id.unix_ms());
                    write(&EmojiJson { user_id: user(), emoji_type: &reaction.emote, timestamp }, &mut body);
                }
            }
            if reactions.len() > 1 {
                body.push(b'\n');
            }
        }
        let kind = if reactions.len() > 1 { "application/x-ndjson" } else { "application/json" };
        (kind, body.into())
    }

    /// What an answer means.
    pub(crate) fn read(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
        if self.has_ids() {
            Answer::read(status, headers, body)
        } else {
            Answer::read_message(status, headers, body)
        }
    }

    /// The source systems' users are UUIDs.
    fn user(&self, number: u32) -> String {
        let mut bytes = [0; 16];
        chance(self.seed, 0, number as usize, 6).fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }
}

fn write(json: &impl Serialize, into: &mut Vec<u8>) {
    serde_json::to_writer(into, json).expect("writing strings to memory cannot fail");
}
