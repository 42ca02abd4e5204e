//! The line of those who wait for room: in memory, in the order of joining, and nobody overtakes.
//!
//! Whoever waits holds a signed token with the time of joining, and shows it when asking again. So the order survives a
//! restart of control: for as long as one may stay silent, everybody only lines up again, and then the line goes on.
//!
//! Silence is measured in a time of the line's own ([`Line::pass`]), which passes only while control could have answered: a
//! process that stood still, a clock that steps and a store that is away cost nobody's place.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::IpAddr,
    time::Duration,
};

use emostream_store::UserId;
use uuid::Uuid;

use crate::rate::CellRate;

#[cfg(test)]
mod tests;
mod token;

use token::Shown;

/// Who does not ask again within this time has left the line, µs; further back it is longer, see [`silence_us`].
pub(super) const SILENCE_US: i64 = 15_000_000;

/// One may be silent for so much longer than one was told to wait before asking again, µs.
const SLACK_US: i64 = 10_000_000;

/// Those who may wait at once.
const WAITING_MAX: usize = 100_000;

/// Places of one account: each is for another device.
const ACCOUNT_MAX: usize = 20;

/// Places of guests of one address: as many people as a company or a provider has behind one.
pub(super) const ADDRESS_MAX: usize = 2_000;

/// After control or the store was away, nobody has left within this time: whoever was not answered for a while asks more and
/// more rarely, µs.
pub(super) const RETURN_US: i64 = 30_000_000;

/// A token holds after a restart when it was shown at most this long before the last that was known of the line, µs.
const RESTART_US: i64 = 300_000_000;

/// Those who have left are looked for at most this often, µs.
const PURGE_EVERY_US: i64 = 1_000_000;

/// When to ask again: so soon at the front, so much later for each who is ahead, and never later than that, ms.
const ASK_AGAIN_MS: (u64, u64, u64) = (2_000, 2, 60_000);

/// Time that did not pass for the line: after so much of it, everybody may be silent for the whole time again, µs.
const MISSED_US: i64 = 2_000_000;

/// Who waits asks at most once a second, and three times at once.
fn asks() -> CellRate {
    CellRate::new(1, 3)
}

/// When who has so many ahead shall ask again.
fn ask_again(ahead: usize) -> Duration {
    let (soon_ms, each_ms, late_ms) = ASK_AGAIN_MS;
    let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
    Duration::from_millis(soon_ms.saturating_add(ahead.saturating_mul(each_ms)).min(late_ms))
}

/// For how long who shall ask again after that time may be silent.
fn silence_us(ask_again: Duration) -> i64 {
    let pace_us = i64::try_from(ask_again.as_micros()).unwrap_or(i64::MAX);
    SILENCE_US.max(pace_us.saturating_add(SLACK_US))
}

/// For how long somebody may come back after a restart.
fn return_us(shown: &Shown) -> i64 {
    shown.silence_us().max(RETURN_US)
}

/// The longest silence of all.
fn silence_max_us() -> i64 {
    silence_us(ask_again(usize::MAX))
}

/// Whose a place is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// A guest, with the address that stands for the subscriber.
    Guest(IpAddr),
    /// A device of an account, by the id that it gives itself.
    Device(UserId, String),
}

/// Who answers for a number of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Payer {
    Address(IpAddr),
    Account(UserId),
}

impl Owner {
    fn payer(&self) -> Payer {
        match self {
            Self::Guest(address) => Payer::Address(*address),
            Self::Device(user, _) => Payer::Account(*user),
        }
    }
}

/// Somebody who asks for room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    /// Who.
    pub owner: &'a Owner,
    /// The token of an earlier answer.
    pub token: Option<&'a str>,
    /// For who joins: new.
    pub id: Uuid,
    /// µs since the Unix epoch.
    pub now_us: i64,
}

/// Somebody's place. Ordered by the time of joining.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiter {
    /// When joined, µs since the Unix epoch; of two who wait, never the same.
    joined_us: i64,
    pub(super) id: Uuid,
    owner: Owner,
    /// When last heard of, in the line's time.
    heard_us: i64,
    /// How long this one may be silent.
    silence_us: i64,
    /// The state of [`asks`].
    asks: i64,
}

#[cfg(test)]
impl Waiter {
    /// Somebody with this id.
    pub(super) fn of(id: Uuid) -> Self {
        let owner = Owner::Guest(IpAddr::from([127, 0, 0, 1]));
        Self { joined_us: 0, id, owner, heard_us: 0, silence_us: SILENCE_US, asks: 0 }
    }
}

/// What somebody who asks for room is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is their turn. A place that was had is given up with it; see [`Line::put_back`].
    Go(Option<Waiter>),
    /// Others are first.
    Wait(Waiting),
    /// This one asks more often than there is anything to tell.
    TooSoon(Duration),
    /// As many wait as may.
    Full,
    /// As many of this account, or from this address, wait as may.
    Crowded,
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
    /// How many of them are whose.
    places: HashMap<Payer, usize>,
    /// The place of each device: it has one.
    devices: HashMap<Owner, (i64, Uuid)>,
    /// Places of guests of one address.
    address_max: usize,
    key: [u8; 32],
    started_us: i64,
    /// Until then, at least, there was the line from before the start.
    lived_us: i64,
    /// The line's own time: 0 at its start.
    time_us: i64,
    /// How much has not passed since time last did.
    missed_us: i64,
    /// It was late when time was last to pass.
    was_late: bool,
    /// Nobody was silent until then; whoever was not heard since has longer to come back.
    heard_from_us: i64,
    /// Until then, in the line's time, those who waited before a restart line up again, and nobody is let in.
    returning_until_us: i64,
    /// Those from before the restart who have been let in since.
    served: HashSet<Uuid>,
    purged_us: i64,
}

impl Line {
    /// An empty line. `lived_us`: before this start people waited, and may come back; until then that is known, µs since the
    /// Unix epoch. However long ago it is, they have not left.
    pub(super) fn new(key: [u8; 32], lived_us: Option<i64>, address_max: usize, now_us: i64) -> Self {
        Self {
            waiting: VecDeque::new(),
            places: HashMap::new(),
            devices: HashMap::new(),
            address_max,
            key,
            started_us: now_us,
            lived_us: lived_us.unwrap_or(now_us).min(now_us),
            time_us: 0,
            missed_us: 0,
            was_late: false,
            heard_from_us: -1,
            returning_until_us: if lived_us.is_some() { RETURN_US } else { 0 },
            served: HashSet::new(),
            purged_us: 0,
        }
    }

    /// Lets time pass, as a clock has measured it that never steps. It stands still where nobody could be heard: the
    /// store was away, or this comes so late that the process was. After a longer while of that, nobody has been silent.
    /// Where it comes late again and again, everything is slow, and time passes so much the more slowly.
    pub(super) fn pass(&mut self, passed: Duration, could_answer: bool) {
        let passed_us = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
        let is_late = passed_us > MISSED_US;
        let was_late = std::mem::replace(&mut self.was_late, is_late);
        if !could_answer || is_late && !was_late {
            self.missed_us = self.missed_us.saturating_add(passed_us);
            return;
        }
        if std::mem::take(&mut self.missed_us) >= MISSED_US {
            self.heard_from_us = self.time_us;
        }
        self.time_us += passed_us.min(MISSED_US);
        self.purge();
    }

    /// Who asks for room while there is room for `free`.
    pub(super) fn ask(&mut self, asking: &Asking<'_>, free: u64) -> Turn {
        let shown = asking.token.and_then(|token| self.read(token, asking.owner));
        let at = shown.and_then(|shown| self.find(shown, asking.owner)).or_else(|| self.device(asking.owner));
        if let Some(waiter) = at.and_then(|at| self.waiting.get_mut(at)) {
            waiter.heard_us = self.time_us;
            if let Err(wait) = asks().take(&mut waiter.asks, 1, asking.now_us / 1_000) {
                return Turn::TooSoon(wait);
            }
        }
        let ahead = at.unwrap_or(self.waiting.len());
        if self.time_us >= self.returning_until_us && u64::try_from(ahead).is_ok_and(|ahead| ahead < free) {
            let gone = at.and_then(|at| self.remove(at));
            if let Some(waiter) = gone.as_ref().filter(|waiter| waiter.joined_us < self.started_us) {
                self.served.insert(waiter.id);
            }
            return Turn::Go(gone);
        }
        if at.is_none()
            && let Err(refused) = self.join(asking)
        {
            return refused;
        }
        self.told(ahead, asking.now_us).map_or(Turn::Full, Turn::Wait)
    }

    /// Whether a token is of somebody who waits here, or may come back from before a restart.
    pub(super) fn knows(&self, token: &str, owner: &Owner) -> bool {
        let shown = self.read(token, owner);
        shown.is_some_and(|shown| self.position(shown.place()).is_ok() || self.is_of_before(&shown))
    }

    /// Who a token is of, whether or not they wait: the id under which they joined.
    pub(super) fn id_of(&self, token: &str, owner: &Owner) -> Option<Uuid> {
        self.read(token, owner).map(|shown| shown.place().1)
    }

    /// Gives somebody whose turn it was the place back: nothing came of it. A device that has joined anew meanwhile has no
    /// other one.
    pub(super) fn put_back(&mut self, waiter: Waiter) {
        self.served.remove(&waiter.id);
        if let Some(at) = self.device(&waiter.owner) {
            self.remove(at);
        }
        if let Err(at) = self.position((waiter.joined_us, waiter.id)) {
            self.insert(at, Waiter { heard_us: self.time_us, ..waiter });
        }
    }

    /// Who leaves the line.
    pub(super) fn leave(&mut self, token: &str, owner: &Owner) {
        if let Some(at) = self.read(token, owner).and_then(|shown| self.position(shown.place()).ok()) {
            self.remove(at);
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether somebody waits, or may still come back from before the start.
    pub(super) fn is_in_use(&self) -> bool {
        self.time_us < self.returning_until_us || !self.waiting.is_empty()
    }

    fn join(&mut self, asking: &Asking<'_>) -> Result<(), Turn> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(Turn::Full);
        }
        let max = match asking.owner {
            Owner::Guest(_) => self.address_max,
            Owner::Device(..) => ACCOUNT_MAX,
        };
        if self.places.get(&asking.owner.payer()).is_some_and(|places| *places >= max) {
            return Err(Turn::Crowded);
        }
        let last_us = self.waiting.back().map_or(i64::MIN, |last| last.joined_us);
        let joined_us = asking.now_us.max(last_us.saturating_add(1));
        let mut waiter = self.waiter(joined_us, asking.id, asking.owner);
        // Joining is asking for the first time.
        asks().take(&mut waiter.asks, 1, asking.now_us / 1_000).map_err(Turn::TooSoon)?;
        self.insert(self.waiting.len(), waiter);
        Ok(())
    }

    /// The place of who is known here, or was before a restart.
    fn find(&mut self, shown: Shown, owner: &Owner) -> Option<usize> {
        let (joined_us, id) = shown.place();
        let at = match self.position((joined_us, id)) {
            Ok(at) => return Some(at),
            Err(at) => at,
        };
        if !self.is_of_before(&shown) || self.waiting.len() >= WAITING_MAX {
            return None;
        }
        // Whoever was ahead may have been told to be silent for as long, and not for longer.
        self.returning_until_us = self.returning_until_us.max(return_us(&shown));
        self.insert(at, self.waiter(joined_us, id, owner));
        Some(at)
    }

    fn is_of_before(&self, shown: &Shown) -> bool {
        let (joined_us, id) = shown.place();
        joined_us < self.started_us
            && shown.asked_us() >= self.lived_us - RESTART_US
            && self.time_us < return_us(shown)
            && !self.served.contains(&id)
    }

    /// The place of a device that asks without its token.
    fn device(&self, owner: &Owner) -> Option<usize> {
        self.devices.get(owner).and_then(|place| self.position(*place).ok())
    }

    fn waiter(&self, joined_us: i64, id: Uuid, owner: &Owner) -> Waiter {
        let (owner, heard_us) = (owner.clone(), self.time_us);
        Waiter { joined_us, id, owner, heard_us, silence_us: SILENCE_US, asks: 0 }
    }

    fn insert(&mut self, at: usize, waiter: Waiter) {
        *self.places.entry(waiter.owner.payer()).or_default() += 1;
        if matches!(waiter.owner, Owner::Device(..)) {
            self.devices.insert(waiter.owner.clone(), (waiter.joined_us, waiter.id));
        }
        self.waiting.insert(at, waiter);
    }

    fn remove(&mut self, at: usize) -> Option<Waiter> {
        let waiter = self.waiting.remove(at)?;
        self.uncount(&waiter);
        Some(waiter)
    }

    fn uncount(&mut self, waiter: &Waiter) {
        let payer = waiter.owner.payer();
        if let Some(places) = self.places.get_mut(&payer) {
            *places -= 1;
            if *places == 0 {
                self.places.remove(&payer);
            }
        }
        if self.devices.get(&waiter.owner) == Some(&(waiter.joined_us, waiter.id)) {
            self.devices.remove(&waiter.owner);
        }
    }

    fn position(&self, place: (i64, Uuid)) -> Result<usize, usize> {
        self.waiting.binary_search_by(|other| (other.joined_us, other.id).cmp(&place))
    }

    fn purge(&mut self) {
        if self.time_us - self.purged_us < PURGE_EVERY_US {
            return;
        }
        self.purged_us = self.time_us;
        let (time_us, from_us) = (self.time_us, self.heard_from_us);
        let has_left = |waiter: &Waiter| {
            if waiter.heard_us <= from_us {
                time_us - from_us >= waiter.silence_us.max(RETURN_US)
            } else {
                time_us - waiter.heard_us >= waiter.silence_us
            }
        };
        if self.waiting.iter().any(has_left) {
            let (left, waiting): (VecDeque<_>, _) =
                std::mem::take(&mut self.waiting).into_iter().partition(has_left);
            self.waiting = waiting;
            left.iter().for_each(|waiter| self.uncount(waiter));
        }
        if time_us >= silence_max_us() {
            self.served = HashSet::new();
        }
    }

    /// What the one at a place is told. From now on the silence runs that goes with it.
    fn told(&mut self, at: usize, now_us: i64) -> Option<Waiting> {
        let ask_again = ask_again(at);
        let waiter = self.waiting.get_mut(at)?;
        waiter.heard_us = self.time_us;
        waiter.silence_us = silence_us(ask_again);
        let waiter = waiter.clone();
        let token = self.sign(&waiter, now_us);
        Some(Waiting { token, place: at + 1, waiting: self.waiting.len(), ask_again })
    }
}
