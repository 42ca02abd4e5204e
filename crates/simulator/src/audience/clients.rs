//! What the clients of a scenario send: each its own messages, one after another.

use std::{sync::Arc, time::Duration};

use rand::rngs::Xoshiro256PlusPlus;

use super::{Tap, mix::Mix, timeline::chance};
use crate::scenario::Clients;

/// The messages of one client, which know no time: each is due when the last is answered.
#[derive(Debug)]
pub struct ClientTaps {
    client: u32,
    left: u32,
    emotes: Arc<Mix>,
    rng: Xoshiro256PlusPlus,
}

impl ClientTaps {
    /// The messages of each client in turn. The same clients and seed give the same messages.
    pub fn of_all(clients: &Clients, seed: u64) -> Vec<Self> {
        let emotes = Arc::new(Mix::new(&clients.emotes));
        let of = |client| Self {
            client,
            left: clients.messages,
            emotes: emotes.clone(),
            rng: chance(seed, 0, client as usize, 3),
        };
        (0..clients.number).map(of).collect()
    }
}

impl Iterator for ClientTaps {
    type Item = Tap;

    fn next(&mut self) -> Option<Tap> {
        self.left = self.left.checked_sub(1)?;
        let emote = self.emotes.pick(&mut self.rng);
        Some(Tap {
            due: Duration::ZERO,
            user: self.client,
            emote,
            phase: 0,
            media_time_ms: None,
            skew_ms: None,
        })
    }
}
