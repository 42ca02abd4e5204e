//! A reaction on its way: a tap with the id that stays the same through all attempts.

use std::sync::Arc;

use emostream_protocol::{ReactionId, time};
use rand::{Rng as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
use serde::Serialize;
use tokio::time::Instant;

use super::backlog::DueTap;
use crate::clock::ServerClock;

/// A tap that has an id.
#[derive(Debug, Clone)]
pub(crate) struct Reaction {
    pub(crate) id: ReactionId,
    /// When the id was made: the server knows it for a limited time.
    pub(crate) made: Instant,
    pub(crate) due: Instant,
    /// Whether its id has been made anew because the clock was wrong: once is enough.
    pub(crate) renewed: bool,
    pub(crate) user: u32,
    pub(crate) emote: Arc<str>,
    media_time_ms: Option<u64>,
    skew_ms: Option<i64>,
}

/// Makes ids in the server's time. Their random part is never that of another run, even with the same seed: the server
/// would take the reactions for repeats.
pub(crate) struct IdMaker {
    clock: ServerClock,
    rng: Xoshiro256PlusPlus,
}

impl IdMaker {
    pub(crate) fn new(clock: ServerClock) -> Self {
        Self { clock, rng: Xoshiro256PlusPlus::from_rng(&mut rand::rng()) }
    }

    pub(crate) fn clock(&self) -> &ServerClock {
        &self.clock
    }

    pub(crate) fn reaction(&mut self, tap: DueTap) -> Reaction {
        Reaction {
            id: self.id(),
            made: Instant::now(),
            due: tap.due,
            renewed: false,
            user: tap.user,
            emote: tap.emote,
            media_time_ms: tap.media_time_ms,
            skew_ms: tap.skew_ms,
        }
    }

    /// Gives a reaction that was refused for its id's time another id.
    pub(crate) fn renew(&mut self, reaction: &mut Reaction) {
        reaction.id = self.id();
        reaction.made = Instant::now();
        reaction.renewed = true;
    }

    fn id(&mut self) -> ReactionId {
        let mut random = [0; 10];
        self.rng.fill_bytes(&mut random);
        ReactionId::from_parts(self.clock.now_ms(), random)
    }
}

impl Reaction {
    /// Appends the reaction as a JSON object, with `kind` as its type where the protocol wants one.
    pub(crate) fn encode(&self, kind: Option<&'static str>, into: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Json<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            r#type: Option<&'static str>,
            emote: &'a str,
            id: String,
            user_id: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            media_time_ms: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            tapped_at: Option<String>,
        }
        let json = Json {
            r#type: kind,
            emote: &self.emote,
            id: self.id.to_string(),
            user_id: format!("fan-{}", self.user),
            media_time_ms: self.media_time_ms,
            tapped_at: self.skew_ms.map(|skew_ms| time::format_ms(self.id.unix_ms() + skew_ms)),
        };
        serde_json::to_writer(into, &json).expect("writing strings and numbers to memory cannot fail");
    }
}
