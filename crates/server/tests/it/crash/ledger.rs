//! What the crowd knows: which reactions it made, which were acknowledged, which have had no answer yet.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
use serde_json::{Value, json};

use crate::harness::{id_of, windows::Totals};

const EMOTES: [&str; 6] = ["🔥", "👏", "😂", "🎉", "❤️", "😱"];

/// Acknowledged reactions are sent again within this time: older ids are refused at the door after two minutes.
const RESENT_WITHIN: Duration = Duration::from_secs(40);

/// A reaction as its client keeps it until it is answered.
#[derive(Debug, Clone)]
pub(super) struct Reaction {
    pub(super) id: String,
    pub(super) channel: &'static str,
    emote: &'static str,
    user: u32,
}

impl Reaction {
    pub(super) fn json(&self) -> Value {
        json!({"emote": self.emote, "id": self.id, "user_id": format!("user-{}", self.user)})
    }
}

#[derive(Default)]
struct State {
    /// Every reaction that was ever acknowledged.
    acknowledged: HashMap<String, Reaction>,
    /// Acknowledged not long ago.
    recent: VecDeque<(Instant, Reaction)>,
    unanswered: HashMap<&'static str, Vec<Reaction>>,
}

/// Shared by all clients.
pub(super) struct Ledger {
    state: Mutex<State>,
    rng: Mutex<Xoshiro256PlusPlus>,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: Mutex::default(), rng: Mutex::new(Xoshiro256PlusPlus::seed_from_u64(seed)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Reactions to send now: what had no answer first, some that were answered long since, the rest new.
    pub(super) fn take(&self, channel: &'static str, number: usize) -> Vec<Reaction> {
        let mut rng = self.rng.lock().unwrap();
        let mut state = self.state();
        while state.recent.front().is_some_and(|(at, _)| at.elapsed() > RESENT_WITHIN) {
            state.recent.pop_front();
        }
        let mut taken = Vec::with_capacity(number);
        while taken.len() < number {
            let again = if rng.random_ratio(1, 8) && !state.recent.is_empty() {
                let at = rng.random_range(0..state.recent.len());
                Some(state.recent[at].1.clone()).filter(|reaction| reaction.channel == channel)
            } else {
                state.unanswered.get_mut(channel).and_then(Vec::pop)
            };
            taken.push(again.unwrap_or_else(|| Reaction {
                id: id_of(rng.random()),
                channel,
                emote: EMOTES[rng.random_range(0..EMOTES.len())],
                user: rng.random_range(0..400),
            }));
        }
        taken
    }

    /// Everything that has had no answer.
    pub(super) fn take_unanswered(&self, channel: &'static str) -> Vec<Reaction> {
        self.state().unanswered.remove(channel).unwrap_or_default()
    }

    /// Notes an answer.
    pub(super) fn acknowledge(&self, reactions: Vec<Reaction>) {
        let mut state = self.state();
        for reaction in reactions {
            // Counted from the first answer: who is sent again and again would grow too old.
            if state.acknowledged.insert(reaction.id.clone(), reaction.clone()).is_none() {
                state.recent.push_back((Instant::now(), reaction));
            }
        }
    }

    /// Notes that no answer came, or a refusal: to be sent again.
    pub(super) fn give_back(&self, reactions: Vec<Reaction>) {
        let mut state = self.state();
        for reaction in reactions {
            // A repeat of what is acknowledged already need not be answered.
            if !state.acknowledged.contains_key(&reaction.id) {
                state.unanswered.entry(reaction.channel).or_default().push(reaction);
            }
        }
    }

    pub(super) fn is_acknowledged(&self, id: &str) -> bool {
        self.state().acknowledged.contains_key(id)
    }

    /// What the windows of a channel must add up to.
    pub(super) fn expected(&self, channel: &str) -> Totals {
        let mut totals = Totals::new();
        for reaction in self.state().acknowledged.values().filter(|reaction| reaction.channel == channel) {
            *totals.entry(reaction.emote.to_owned()).or_default() += 1;
        }
        totals
    }
}
