//! The line of those who wait for room: in memory, in the order of joining, and nobody overtakes.
//!
//! Whoever waits holds a signed token with the time of joining, and shows it when asking again. So the order survives a
//! restart of control: for as long as one may stay silent, everybody only lines up again, and then the line goes on.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

/// Who does not ask again within this time has left the line, µs.
pub(super) const SILENCE_US: i64 = 15_000_000;

/// Those who may wait at once.
const WAITING_MAX: usize = 100_000;

/// A token holds after a restart when it was shown at most this long before it, µs.
const RESTART_US: i64 = 300_000_000;

/// Those who have left are looked for at most this often, µs.
const PURGE_EVERY_US: i64 = 1_000_000;

/// When to ask again, at least and at most: the last one well within [`SILENCE_US`].
const ASK_AGAIN_MS: (u64, u64) = (2_000, 10_000);

/// Bytes of a token's MAC: 128 bits are beyond guessing.
const MAC_BYTES: usize = 16;

/// Somebody's place. Ordered by the time of joining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiter {
    /// When joined, µs since the Unix epoch; of two who wait, never the same.
    joined_us: i64,
    id: Uuid,
    /// When last heard of, µs.
    asked_us: i64,
}

impl Waiter {
    fn has_left(&self, now_us: i64) -> bool {
        now_us - self.asked_us >= SILENCE_US
    }
}

/// What somebody who asks for room is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is their turn. A place that was had is given up with it; see [`Line::put_back`].
    Go(Option<Waiter>),
    /// Others are first.
    Wait(Waiting),
    /// As many wait as may.
    Full,
}

/// A place in the line, as who waits gets to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// To be shown when asking again.
    pub token: String,
    /// Counted from 1.
    pub place: usize,
    /// All who wait.
    pub waiting: usize,
    /// When to ask again.
    pub ask_again: Duration,
}

/// The line.
pub(super) struct Line {
    /// Ascending.
    waiting: VecDeque<Waiter>,
    key: [u8; 32],
    started_us: i64,
    /// Until then, those who waited before a restart line up again, and nobody is let in.
    returning_until_us: i64,
    /// Those from before the restart who have been let in since.
    served: HashSet<Uuid>,
    purged_us: i64,
}

impl Line {
    /// An empty line. `was_waiting`: before this start somebody was, and may come back.
    pub(super) fn new(key: [u8; 32], was_waiting: bool, now_us: i64) -> Self {
        let returning_until_us = if was_waiting { now_us + SILENCE_US } else { now_us };
        let (waiting, served) = (VecDeque::new(), HashSet::new());
        Self { waiting, key, started_us: now_us, returning_until_us, served, purged_us: now_us }
    }

    /// Who asks for room while there is room for `free`, with the token of an earlier answer; `id` is new, for who joins.
    pub(super) fn ask(&mut self, token: Option<&str>, free: u64, id: Uuid, now_us: i64) -> Turn {
        self.purge(now_us);
        let known = token.and_then(|token| self.read(token));
        let at = known.and_then(|known| self.find(known, now_us));
        let ahead = at.unwrap_or(self.waiting.len());
        if now_us >= self.returning_until_us && u64::try_from(ahead).is_ok_and(|ahead| ahead < free) {
            let gone = at.and_then(|at| self.waiting.remove(at));
            if let Some(waiter) = gone.filter(|waiter| waiter.joined_us < self.started_us) {
                self.served.insert(waiter.id);
            }
            return Turn::Go(gone);
        }
        if at.is_none() {
            if self.waiting.len() >= WAITING_MAX {
                return Turn::Full;
            }
            let last_us = self.waiting.back().map_or(i64::MIN, |last| last.joined_us);
            let joined_us = now_us.max(last_us.saturating_add(1));
            self.waiting.push_back(Waiter { joined_us, id, asked_us: now_us });
        }
        let Some(waiter) = self.waiting.get_mut(ahead) else { return Turn::Full };
        waiter.asked_us = now_us;
        let waiter = *waiter;
        Turn::Wait(self.told(waiter, ahead))
    }

    /// Whether a token is of somebody who waits here.
    pub(super) fn knows(&self, token: &str) -> bool {
        self.read(token).is_some_and(|waiter| self.position(waiter).is_ok())
    }

    /// Gives somebody whose turn it was the place back: nothing came of it.
    pub(super) fn put_back(&mut self, waiter: Waiter, now_us: i64) {
        self.served.remove(&waiter.id);
        if let Err(at) = self.position(waiter) {
            self.waiting.insert(at, Waiter { asked_us: now_us, ..waiter });
        }
    }

    /// Who leaves the line.
    pub(super) fn leave(&mut self, token: &str) {
        if let Some(at) = self.read(token).and_then(|waiter| self.position(waiter).ok()) {
            self.waiting.remove(at);
        }
    }

    /// How many wait.
    pub(super) fn len(&mut self, now_us: i64) -> usize {
        self.purge(now_us);
        self.waiting.len()
    }

    /// Whether somebody waits, or may still come back from before the start.
    pub(super) fn is_in_use(&mut self, now_us: i64) -> bool {
        now_us < self.returning_until_us || self.len(now_us) > 0
    }

    /// The place of who is known here, or was before a restart.
    fn find(&mut self, known: Waiter, now_us: i64) -> Option<usize> {
        match self.position(known) {
            Ok(at) if self.waiting.get(at).is_some_and(|waiter| waiter.has_left(now_us)) => {
                self.waiting.remove(at);
                None
            }
            Ok(at) => Some(at),
            Err(at) => {
                let is_of_before = known.joined_us < self.started_us
                    && known.asked_us >= self.started_us - RESTART_US
                    && now_us < self.started_us + SILENCE_US
                    && !self.served.contains(&known.id);
                if !is_of_before || self.waiting.len() >= WAITING_MAX {
                    return None;
                }
                self.returning_until_us = self.started_us + SILENCE_US;
                self.waiting.insert(at, Waiter { asked_us: now_us, ..known });
                Some(at)
            }
        }
    }

    fn position(&self, waiter: Waiter) -> Result<usize, usize> {
        self.waiting.binary_search_by(|other| (other.joined_us, other.id).cmp(&(waiter.joined_us, waiter.id)))
    }

    fn purge(&mut self, now_us: i64) {
        if now_us - self.purged_us < PURGE_EVERY_US {
            return;
        }
        self.purged_us = now_us;
        self.waiting.retain(|waiter| !waiter.has_left(now_us));
        if now_us >= self.started_us + SILENCE_US {
            self.served = HashSet::new();
        }
    }

    fn told(&self, waiter: Waiter, ahead: usize) -> Waiting {
        let (soon_ms, late_ms) = ASK_AGAIN_MS;
        let ms = soon_ms.saturating_add(u64::try_from(ahead).unwrap_or(u64::MAX)).min(late_ms);
        Waiting {
            token: self.sign(waiter),
            place: ahead + 1,
            waiting: self.waiting.len(),
            ask_again: Duration::from_millis(ms),
        }
    }

    fn sign(&self, waiter: Waiter) -> String {
        let said = format!("l1.{:x}.{:x}.{}", waiter.joined_us, waiter.asked_us, waiter.id.simple());
        let mac = self.mac(&said).finalize().into_bytes();
        let mac: String = mac.iter().take(MAC_BYTES).map(|byte| format!("{byte:02x}")).collect();
        format!("{said}.{mac}")
    }

    fn read(&self, token: &str) -> Option<Waiter> {
        if token.len() > 200 || !token.is_ascii() {
            return None;
        }
        let (said, mac) = token.rsplit_once('.')?;
        let mac = u128::from_str_radix(mac, 16).ok().filter(|_| mac.len() == 2 * MAC_BYTES)?;
        self.mac(said).verify_truncated_left(&mac.to_be_bytes()).ok()?;
        let mut parts = said.strip_prefix("l1.")?.split('.');
        let mut time = || i64::from_str_radix(parts.next()?, 16).ok();
        let (joined_us, asked_us) = (time()?, time()?);
        let id = Uuid::try_parse(parts.next()?).ok()?;
        Some(Waiter { joined_us, id, asked_us })
    }

    fn mac(&self, said: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(b"emostream line 1 ");
        mac.update(said.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
    use uuid::Uuid;

    use super::{Line, SILENCE_US, Turn, WAITING_MAX, Waiting};

    const KEY: [u8; 32] = [7; 32];
    const S: i64 = 1_000_000;
    const T0: i64 = 1_750_000_000 * S;

    fn id(n: u64) -> Uuid {
        // Ids must not decide the order.
        Uuid::from_u128(u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    fn waits(turn: Turn) -> Waiting {
        match turn {
            Turn::Wait(waiting) => waiting,
            other => panic!("expected to wait, got {other:?}"),
        }
    }

    fn goes(turn: &Turn) -> bool {
        matches!(turn, Turn::Go(_))
    }

    #[test]
    fn who_came_first_goes_first_and_a_newcomer_does_not_take_a_place_that_others_wait_for() {
        let mut line = Line::new(KEY, false, T0);
        assert!(goes(&line.ask(None, 1, id(0), T0)));
        let first = waits(line.ask(None, 0, id(1), T0));
        let second = waits(line.ask(None, 0, id(2), T0));
        assert_eq!(((first.place, first.waiting), (second.place, second.waiting)), ((1, 1), (2, 2)));
        // One place: not for the second, nor for somebody new.
        assert_eq!(waits(line.ask(Some(&second.token), 1, id(9), T0 + S)).place, 2);
        assert_eq!(waits(line.ask(None, 1, id(3), T0 + S)).place, 3);
        assert!(goes(&line.ask(Some(&first.token), 1, id(9), T0 + 2 * S)));
        assert!(goes(&line.ask(Some(&second.token), 1, id(9), T0 + 2 * S)));
        // A token is good once: a copy of it queues behind.
        assert_eq!(waits(line.ask(Some(&first.token), 1, id(4), T0 + 3 * S)).place, 2);
    }

    #[test]
    fn who_is_silent_drops_out_and_who_gave_up_leaves() {
        let mut line = Line::new(KEY, false, T0);
        let silent = waits(line.ask(None, 0, id(1), T0));
        let mut other = waits(line.ask(None, 0, id(2), T0));
        for s in 1..15 {
            other = waits(line.ask(Some(&other.token), 1, id(9), T0 + s * S));
            assert_eq!(other.place, 2, "{s}");
        }
        assert!(goes(&line.ask(Some(&other.token), 1, id(9), T0 + SILENCE_US)));
        assert_eq!(waits(line.ask(Some(&silent.token), 0, id(3), T0 + SILENCE_US)).place, 1);
        let leaving = waits(line.ask(None, 0, id(4), T0 + SILENCE_US));
        line.leave(&leaving.token);
        assert!(!line.knows(&leaving.token));
        assert_eq!(line.len(T0 + SILENCE_US), 1);
    }

    #[test]
    fn a_place_that_came_to_nothing_is_given_back() {
        let mut line = Line::new(KEY, false, T0);
        let first = waits(line.ask(None, 0, id(1), T0));
        waits(line.ask(None, 0, id(2), T0));
        let Turn::Go(Some(waiter)) = line.ask(Some(&first.token), 1, id(9), T0 + S) else {
            panic!("the first goes");
        };
        line.put_back(waiter, T0 + S);
        line.put_back(waiter, T0 + S);
        assert_eq!(waits(line.ask(Some(&first.token), 0, id(9), T0 + 2 * S)).place, 1);
        assert_eq!(line.len(T0 + 2 * S), 2);
    }

    #[test]
    fn the_order_survives_a_restart() {
        for was_waiting in [true, false] {
            let mut before = Line::new(KEY, false, T0);
            let tokens: Vec<_> = (0..5).map(|n| waits(before.ask(None, 0, id(n), T0 + S))).collect();
            let start = T0 + 60 * S;
            let mut line = Line::new(KEY, was_waiting, start);
            // The last one comes back first, with room for all: nobody is let in yet.
            for (n, known) in tokens.iter().enumerate().rev().filter(|(n, _)| *n != 2) {
                waits(line.ask(Some(&known.token), 100, id(90), start + S));
                assert!(line.knows(&known.token), "{n}");
            }
            let newcomer = waits(line.ask(None, 100, id(50), start + 2 * S));
            assert_eq!(newcomer.place, 5);
            // Afterwards the line goes on in the old order, without the one who did not come back in time.
            let after = start + SILENCE_US;
            let again: Vec<_> =
                [0, 1, 3, 4].map(|n| line.ask(Some(&tokens[n].token), 0, id(91), after - 1)).into();
            let again: Vec<_> = again.into_iter().map(|turn| waits(turn).place).collect();
            assert_eq!(again, [1, 2, 3, 4]);
            waits(line.ask(Some(&newcomer.token), 0, id(92), after - 1));
            assert!(!goes(&line.ask(Some(&tokens[1].token), 1, id(93), after)));
            assert!(goes(&line.ask(Some(&tokens[0].token), 1, id(93), after)));
            assert_eq!(waits(line.ask(Some(&tokens[2].token), 1, id(94), after)).place, 5);
            // Who has been let in cannot use the old token once more.
            assert_eq!(waits(line.ask(Some(&tokens[0].token), 1, id(95), after)).place, 6);
        }
    }

    #[test]
    fn forged_and_foreign_tokens_are_newcomers() {
        let mut line = Line::new(KEY, false, T0);
        let own = waits(line.ask(None, 0, id(1), T0));
        waits(line.ask(None, 0, id(2), T0));
        let mut foreign = Line::new([8; 32], false, T0);
        let foreign = waits(foreign.ask(None, 0, id(1), T0)).token;
        let mut forged: Vec<String> = (0..own.token.len())
            .map(|at| {
                let mut bytes = own.token.clone().into_bytes();
                bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
                String::from_utf8(bytes).unwrap()
            })
            .collect();
        forged.extend([foreign, String::new(), "l1...".into(), "é".repeat(40), "x".repeat(1_000)]);
        for token in forged {
            assert!(!line.knows(&token), "{token}");
        }
    }

    #[test]
    fn the_line_is_bounded() {
        let mut line = Line::new(KEY, false, T0);
        for n in 0..WAITING_MAX as u64 {
            waits(line.ask(None, 0, id(n), T0));
        }
        assert_eq!(line.ask(None, 0, id(u64::MAX), T0), Turn::Full);
        assert_eq!(line.len(T0 + SILENCE_US), 0);
    }

    /// People come, ask at their own pace, give up, and are let in as places come free; control restarts on the way.
    #[test]
    fn nobody_overtakes_whatever_the_crowd_does() {
        for seed in 0..20 {
            let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut line = Line::new(KEY, false, T0);
            let mut crowd: HashMap<u64, (u64, Waiting, i64)> = HashMap::new();
            let (mut now, mut next, mut joined, mut let_in) = (T0, 0, 0, 0);
            for _ in 0..5_000 {
                now += dice.random_range(0..200_000);
                let free = u64::from(dice.random_bool(0.5)) * dice.random_range(1..4);
                if dice.random_bool(0.001) {
                    line = Line::new(KEY, true, now);
                    crowd.retain(|_, person| now - person.2 < 10 * S);
                    // From here on, all have the same time to come back.
                    crowd.values_mut().for_each(|person| person.2 = now);
                }
                let person = if crowd.is_empty() || (crowd.len() < 20 && dice.random_bool(0.1)) {
                    next += 1;
                    next
                } else {
                    let at = dice.random_range(0..crowd.len());
                    *crowd.keys().nth(at).unwrap()
                };
                let known = crowd.get(&person).cloned();
                let token = known.as_ref().map(|known| known.1.token.as_str());
                match line.ask(token, free, id(1_000 + next * 1_000 + joined), now) {
                    Turn::Wait(told) => {
                        // Who was away for too long joins anew, behind the others.
                        let kept = known.as_ref().is_some_and(|known| now - known.2 < SILENCE_US);
                        let since = known.filter(|_| kept).map_or_else(
                            || {
                                joined += 1;
                                joined
                            },
                            |known| known.0,
                        );
                        crowd.insert(person, (since, told, now));
                    }
                    Turn::Go(_) => {
                        let_in += 1;
                        let since = known.filter(|known| now - known.2 < SILENCE_US).map(|known| known.0);
                        crowd.remove(&person);
                        let ahead = crowd.values().filter(|other| {
                            now - other.2 < SILENCE_US - 2 * S && since.is_none_or(|since| other.0 < since)
                        });
                        assert!((ahead.count() as u64) < free, "seed {seed}: somebody was overtaken");
                    }
                    Turn::Full => panic!("nowhere near the limit"),
                }
            }
            assert!(let_in > 50, "seed {seed}: {let_in}");
        }
    }
}
