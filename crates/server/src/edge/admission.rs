//! Who may connect to one edge, and what control is told of it, as a state machine: tickets and orders in, places and
//! reports out. No I/O, no clock, no task, so that tests can look at every step.
//!
//! An edge enforces its capacity and that each ticket opens one connection; which device may connect at all, control has
//! decided when it issued the ticket. What control has not confirmed is told again, so that a report or an answer that is
//! lost changes nothing.

use emostream_protocol::placement::{
    CloseReason, EdgeOrders, EdgeReport, HeldLease, REPORT_DEVICES_MAX, TICKET_SECONDS_MAX, TicketClaims,
    TicketDevice,
};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use uuid::Uuid;

mod news;
#[cfg(test)]
mod tests;

use news::News;

/// Tickets whose use is remembered, until they expire. One more is refused: forgetting one would let it be used twice.
const SPENT_MAX: usize = 2 * REPORT_DEVICES_MAX;

/// What an edge is, as placement knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Unique in the fleet.
    pub name: String,
    /// Its cluster.
    pub cluster: String,
    /// Where viewers reach it; empty where that is the host that they have asked, on `port`.
    pub url: String,
    /// The port that it listens on.
    pub port: u16,
}

/// Why somebody was not let in. It goes to the log; of the ticket the answer says only that it is not good here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The ticket is for another edge.
    #[error("it is for another edge")]
    OtherEdge,
    /// The ticket is for an earlier start of this edge, which nobody remembers.
    #[error("it is for an earlier start of this edge")]
    OtherGeneration,
    /// The ticket has opened a connection before.
    #[error("it was used before")]
    Used,
    /// The ticket's lease was ended before it was used.
    #[error("its lease has ended")]
    Ended,
    /// The device has connected here with a ticket that it got later.
    #[error("the device is connected with a newer one")]
    Older,
    /// As many viewers are connected as may be.
    #[error("the edge is full")]
    Full,
    /// The edge is being emptied.
    #[error("the edge is being drained")]
    Draining,
    /// The edge is about to stop.
    #[error("the edge is about to stop")]
    Leaving,
}

/// One viewer's place. It goes back through [`Admission::leave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    viewer: u64,
    lease: Option<Uuid>,
}

impl Place {
    /// The device lease that it holds; a guest has none.
    pub fn lease(&self) -> Option<Uuid> {
        self.lease
    }
}

/// What to do after control has answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// Leases whose connections are to be closed.
    pub close: Vec<(Uuid, CloseReason)>,
    /// Whether the edge begins to be drained, or ends it; `None`: as before.
    pub drain: Option<bool>,
    /// Whether another process has taken the edge's place from now on, or has it no more; `None`: as before.
    pub is_replaced: Option<bool>,
}

#[derive(Debug)]
struct Held {
    device: TicketDevice,
    since_us: i64,
    viewer: u64,
}

/// A ticket that opens nothing any more.
#[derive(Debug, Clone, Copy)]
struct Spent {
    /// When it expires by itself, s since the Unix epoch.
    until_s: i64,
    why: Refusal,
}

/// The state of one edge since its start.
#[derive(Debug)]
pub struct Admission {
    identity: Identity,
    generation: Uuid,
    capacity: u32,
    viewers: u32,
    next_viewer: u64,
    spent: HashMap<Uuid, Spent, RandomState>,
    held: HashMap<Uuid, Held, RandomState>,
    /// The lease that a device holds here.
    devices: HashMap<(Uuid, String), Uuid, RandomState>,
    opened: News,
    closed: News,
    number: u64,
    /// When control answered last, µs since the Unix epoch; none before its first answer.
    answered_us: Option<i64>,
    must_report_all: bool,
    is_draining: bool,
    is_leaving: bool,
    is_replaced: bool,
    ttl_us: i64,
}

impl Admission {
    /// An edge that has just started, with nobody connected. `ttl_us`: so long leases live without a report, as far as is
    /// known before control says it. All times are by control's clock.
    pub fn new(identity: Identity, generation: Uuid, capacity: u32, ttl_us: i64) -> Self {
        Self {
            identity,
            generation,
            capacity,
            viewers: 0,
            next_viewer: 0,
            spent: HashMap::default(),
            held: HashMap::default(),
            devices: HashMap::default(),
            opened: News::default(),
            closed: News::default(),
            number: 0,
            answered_us: None,
            must_report_all: true,
            is_draining: false,
            is_leaving: false,
            is_replaced: false,
            ttl_us,
        }
    }

    /// What the edge is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Viewers that it takes.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Viewers connected.
    pub fn viewers(&self) -> u32 {
        self.viewers
    }

    /// Whether nobody is let in any more, for now or for good.
    pub fn is_closed(&self) -> bool {
        self.is_draining || self.is_leaving
    }

    /// Lets somebody in without a ticket.
    pub fn admit(&mut self) -> Result<Place, Refusal> {
        self.expect_open()?;
        if self.viewers >= self.capacity {
            return Err(Refusal::Full);
        }
        self.viewers += 1;
        Ok(self.place(None))
    }

    /// Lets in who shows a ticket that control has signed and that still holds. A device that is connected here already
    /// passes its place on: the lease to be closed is returned beside the new one.
    pub fn admit_ticket(
        &mut self,
        claims: &TicketClaims,
        now_us: i64,
    ) -> Result<(Place, Option<Uuid>), Refusal> {
        if claims.edge != self.identity.name {
            return Err(Refusal::OtherEdge);
        }
        if claims.generation != self.generation {
            return Err(Refusal::OtherGeneration);
        }
        let now_s = now_us.div_euclid(1_000_000);
        if let Some(spent) = self.spent.get(&claims.jti).filter(|spent| spent.until_s > now_s) {
            return Err(spent.why);
        }
        self.expect_open()?;
        let key = |device: &TicketDevice| (device.user_id, device.device_id.clone());
        let old = claims.device.as_ref().and_then(|device| self.devices.get(&key(device)).copied());
        if old.is_some_and(|old| is_newer(old, claims.jti, now_us)) {
            return Err(Refusal::Older);
        }
        let is_full = self.viewers >= self.capacity && old.is_none();
        // No more than a report can tell, nor than can be remembered.
        let is_too_much = self.opened.len().max(self.held.len()) >= REPORT_DEVICES_MAX;
        if is_full || is_too_much || !self.has_room_for_spent(now_s) {
            return Err(Refusal::Full);
        }
        self.spent.insert(claims.jti, Spent { until_s: claims.exp, why: Refusal::Used });
        self.opened.add(claims.jti);
        match old {
            // Whoever held it has no place any more, and gives none back.
            Some(old) => {
                self.held.remove(&old);
                self.closed.add(old);
            }
            None => self.viewers += 1,
        }
        let place = self.place(claims.device.as_ref().map(|_| claims.jti));
        if let Some(device) = &claims.device {
            self.devices.insert(key(device), claims.jti);
            let held = Held { device: device.clone(), since_us: now_us, viewer: place.viewer };
            self.held.insert(claims.jti, held);
        }
        Ok((place, old))
    }

    /// Takes a place back; the connection has ended.
    pub fn leave(&mut self, place: Place) {
        let Some(lease) = place.lease else {
            self.viewers = self.viewers.saturating_sub(1);
            return;
        };
        if self.held.get(&lease).is_none_or(|held| held.viewer != place.viewer) {
            return;
        }
        if let Some(Held { device, .. }) = self.held.remove(&lease) {
            self.devices.remove(&(device.user_id, device.device_id));
        }
        self.viewers = self.viewers.saturating_sub(1);
        self.closed.add(lease);
    }

    /// Lets nobody in from now on: the edge is about to stop.
    pub fn set_leaving(&mut self) {
        self.is_leaving = true;
    }

    /// What to tell control now. Only the newest report's answer may be given to [`Self::answered`].
    pub fn report(&mut self, now_us: i64) -> EdgeReport {
        self.number += 1;
        let is_silent = self.answered_us.is_none_or(|answered_us| now_us - answered_us > self.ttl_us);
        self.must_report_all |= is_silent;
        let Identity { name, cluster, url, port } = self.identity.clone();
        EdgeReport {
            edge: name,
            cluster,
            url,
            port,
            capacity: self.capacity,
            generation: self.generation,
            number: self.number,
            viewers: self.viewers,
            is_leaving: self.is_leaving,
            opened: self.opened.tell(REPORT_DEVICES_MAX),
            closed: self.closed.tell(REPORT_DEVICES_MAX),
            held: self.must_report_all.then(|| self.all_held()),
        }
    }

    /// Whether something has happened that control does not know.
    pub fn has_news(&self) -> bool {
        self.opened.len() + self.closed.len() > 0
    }

    /// Takes control's answer to the report with this number.
    pub fn answered(&mut self, number: u64, orders: EdgeOrders, now_us: i64) -> Commands {
        if number != self.number {
            return Commands::default();
        }
        self.answered_us = Some(now_us);
        self.must_report_all = orders.report_all;
        self.ttl_us = orders.ttl_us.filter(|ttl_us| *ttl_us > 0).unwrap_or(self.ttl_us);
        self.opened.confirm();
        self.closed.confirm();
        let mut commands = Commands::default();
        for order in orders.close {
            if self.held.contains_key(&order.lease) {
                commands.close.push((order.lease, order.reason));
            } else {
                self.forbid(order.lease, now_us.div_euclid(1_000_000));
            }
        }
        if orders.drain != self.is_draining {
            self.is_draining = orders.drain;
            commands.drain = Some(orders.drain);
        }
        if orders.is_replaced != self.is_replaced {
            self.is_replaced = orders.is_replaced;
            commands.is_replaced = Some(orders.is_replaced);
        }
        commands
    }

    /// A lease that nobody holds here: its connection has ended, or its ticket was not used yet and must not be.
    fn forbid(&mut self, lease: Uuid, now_s: i64) {
        // Without room it is left as it is, and control orders it again.
        if self.spent.contains_key(&lease) || self.has_room_for_spent(now_s) {
            let spent = Spent { until_s: now_s + TICKET_SECONDS_MAX, why: Refusal::Ended };
            self.spent.entry(lease).or_insert(spent);
            self.closed.add(lease);
        }
    }

    fn place(&mut self, lease: Option<Uuid>) -> Place {
        self.next_viewer += 1;
        Place { viewer: self.next_viewer, lease }
    }

    fn expect_open(&self) -> Result<(), Refusal> {
        match (self.is_leaving, self.is_draining) {
            (true, _) => Err(Refusal::Leaving),
            (_, true) => Err(Refusal::Draining),
            _ => Ok(()),
        }
    }

    /// Whether the use of one more ticket can be remembered; expired ones are forgotten for it.
    fn has_room_for_spent(&mut self, now_s: i64) -> bool {
        if self.spent.len() == self.spent.capacity() || self.spent.len() >= SPENT_MAX {
            self.spent.retain(|_, spent| spent.until_s > now_s);
        }
        self.spent.len() < SPENT_MAX
    }

    fn all_held(&self) -> Vec<HeldLease> {
        let held = self.held.iter().take(REPORT_DEVICES_MAX);
        held.map(|(lease, held)| HeldLease {
            lease: *lease,
            device: held.device.clone(),
            since_us: held.since_us,
        })
        .collect()
    }
}

/// Whether a ticket was given out after another one: its device has the place then, and the other one comes too late. One
/// that is of the future says that control's clock was set back, and nothing of their order.
fn is_newer(ticket: Uuid, other: Uuid, now_us: i64) -> bool {
    let since_epoch = |id: Uuid| id.get_timestamp().map(|at| at.to_unix());
    let is_past =
        |(seconds, _)| i64::try_from(seconds).is_ok_and(|seconds| seconds <= now_us.div_euclid(1_000_000));
    let (ticket, other) = (since_epoch(ticket), since_epoch(other));
    ticket.is_some_and(is_past) && other.is_some() && ticket > other
}
