//! The gate of one edge: lets viewers in by what [`super::admission`] decides, and tells those who must go.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use emostream_log::Clock;
use emostream_protocol::{
    close::CloseCode,
    placement::{CloseReason, EdgeOrders, EdgeReport, TicketClaims},
    settings::Guests,
};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    admission::{Admission, Identity, Place, Refusal},
    control_time::ControlTime,
    hub::{Hub, Seat},
    keyring::{Keyring, Unverified},
};
use crate::{
    channels::Channel,
    telemetry::{Labelled, LogThrottle, Metrics},
};

/// Why a guest is refused, for the log.
const FOR_MEMBERS: &str = "the channel is for members";

/// What a gate needs of its node.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) hub: Arc<Hub>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) control_time: Arc<ControlTime>,
    pub(super) metrics: Arc<Metrics>,
    /// Viewers of the whole node.
    pub(super) viewers_max: usize,
    /// Whether nobody is let in without a ticket.
    pub(super) requires_ticket: bool,
    /// So long leases live without a report, µs.
    pub(super) ttl_us: i64,
}

/// One edge's gate, or that of listeners that belong to none.
pub struct Gate {
    name: String,
    around: Surroundings,
    state: Mutex<State>,
    is_stopping: AtomicBool,
    refusals: LogThrottle,
    /// Something is worth a report before its time.
    pub(super) news: Notify,
    /// Control was told that nobody is let in any more, or did not answer when it was told.
    pub(super) told: CancellationToken,
    /// Everybody has gone: one last report.
    pub(super) finished: CancellationToken,
    /// It was sent, or nobody sends any.
    pub(super) reported: CancellationToken,
}

struct State {
    admission: Admission,
    leases: HashMap<Uuid, Lease, RandomState>,
    /// Tells all viewers to go.
    emptying: CancellationToken,
}

/// How the connection of a lease is told to go.
#[derive(Clone)]
struct Lease {
    ended: CancellationToken,
    why: Arc<OnceLock<CloseCode>>,
}

/// Why a viewer was not let in, as far as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// No place is free.
    Full,
    /// The edge is being emptied.
    Draining,
    /// The node is stopping.
    Stopping,
    /// The ticket is not good here.
    Ticket,
    /// The channel is for members.
    Guests,
    /// Nobody is let in without a ticket.
    NoTicket,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::Full,
            Refusal::Draining => Self::Draining,
            Refusal::Leaving => Self::Stopping,
            Refusal::OtherEdge
            | Refusal::OtherGeneration
            | Refusal::Used
            | Refusal::Ended
            | Refusal::Older => Self::Ticket,
        }
    }
}

/// Who is let in: one connection's place, given back on drop.
pub struct Entry {
    gate: Arc<Gate>,
    place: Place,
    ended: CancellationToken,
    why: Option<Arc<OnceLock<CloseCode>>>,
    user: Option<String>,
    _seat: Seat,
}

impl Entry {
    /// The user that the ticket names; `None` without one.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether it is a device's of an account.
    pub fn has_lease(&self) -> bool {
        self.place.lease().is_some()
    }

    /// Whether somebody may watch and react in a channel now: who has a device lease always, all others as its settings say.
    pub fn may_stay_in(&self, channel: &Channel) -> bool {
        self.has_lease() || takes_guests(channel)
    }

    /// Whether whoever was let in must go.
    pub fn is_over(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Waits until the viewer must go; says why.
    pub async fn ended(&self) -> CloseCode {
        self.ended.cancelled().await;
        let own = self.why.as_ref().and_then(|why| why.get().copied());
        own.unwrap_or_else(|| {
            if self.gate.is_stopping.load(Ordering::Acquire) {
                CloseCode::ShuttingDown
            } else {
                CloseCode::Draining
            }
        })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.admission.leave(self.place);
        if let Some(lease) = self.place.lease() {
            // One that another has taken over is not there any more.
            state.leases.remove(&lease);
            drop(state);
            self.gate.news.notify_one();
        }
    }
}

fn takes_guests(channel: &Channel) -> bool {
    channel.published().settings.guests == Guests::Allowed
}

impl Gate {
    pub(super) fn new(identity: Identity, capacity: u32, around: Surroundings) -> Arc<Self> {
        let name = identity.name.clone();
        let admission = Admission::new(
            identity,
            uuid::Builder::from_random_bytes(rand::random()).into_uuid(),
            capacity,
            around.ttl_us,
        );
        Arc::new(Self {
            name,
            around,
            state: Mutex::new(State {
                admission,
                leases: HashMap::default(),
                emptying: CancellationToken::new(),
            }),
            is_stopping: AtomicBool::new(false),
            refusals: LogThrottle::default(),
            news: Notify::new(),
            told: CancellationToken::new(),
            finished: CancellationToken::new(),
            reported: CancellationToken::new(),
        })
    }

    /// The edge's name; empty for listeners that belong to none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Viewers connected.
    pub fn viewers(&self) -> u32 {
        self.state().admission.viewers()
    }

    /// What placement knows of it.
    pub fn identity(&self) -> Identity {
        self.state().admission.identity().clone()
    }

    /// Viewers that it takes.
    pub fn capacity(&self) -> u32 {
        self.state().admission.capacity()
    }

    /// A place for somebody who gets what a channel shows by another way than viewers, and has no ticket.
    pub fn take(self: &Arc<Self>, channel: Option<&Channel>) -> Result<Entry, Denied> {
        self.enter_without(channel)
    }

    /// Lets a viewer in, with a ticket or without. Where the channel is known and takes no guests, a ticket must be of an
    /// account.
    pub async fn enter(
        self: &Arc<Self>,
        ticket: Option<&str>,
        channel: Option<&Channel>,
    ) -> Result<Entry, Denied> {
        let Some(ticket) = ticket else { return self.enter_without(channel) };
        let now_ms = self.around.control_time.now_us().div_euclid(1_000);
        let claims = self.around.keyring.verify(ticket, now_ms).await;
        let claims = claims.map_err(|unverified| self.refuse_unverified(unverified))?;
        let admitted = if claims.device.is_none() && !channel.is_none_or(takes_guests) {
            Err((FOR_MEMBERS.to_owned(), Denied::Guests))
        } else {
            self.admit(&claims).map_err(|refusal| (refusal.to_string(), refusal.into()))
        };
        let kind = if admitted.is_ok() { "opened" } else { "refused" };
        self.around.metrics.tickets.get_or_create(&Labelled { kind }).inc();
        admitted.map_err(|(why, denied)| {
            self.note("a ticket", &why, &claims.user);
            denied
        })
    }

    fn enter_without(self: &Arc<Self>, channel: Option<&Channel>) -> Result<Entry, Denied> {
        let admitted = if !channel.is_none_or(takes_guests) {
            Err((FOR_MEMBERS.to_owned(), Denied::Guests))
        } else if self.around.requires_ticket {
            Err(("placement.required is set".to_owned(), Denied::NoTicket))
        } else {
            self.admit_without().map_err(|refusal| (refusal.to_string(), refusal.into()))
        };
        admitted.map_err(|(why, denied)| {
            self.note("who has no ticket", &why, "");
            denied
        })
    }

    fn admit_without(self: &Arc<Self>) -> Result<Entry, Refusal> {
        let seat = self.seat()?;
        let mut state = self.state();
        let place = state.admission.admit()?;
        Ok(Entry {
            gate: self.clone(),
            place,
            ended: state.emptying.clone(),
            why: None,
            user: None,
            _seat: seat,
        })
    }

    fn seat(&self) -> Result<Seat, Refusal> {
        self.around.hub.seat(self.around.viewers_max).ok_or(Refusal::Full)
    }

    fn admit(self: &Arc<Self>, claims: &TicketClaims) -> Result<Entry, Refusal> {
        let seat = self.seat()?;
        let now_us = self.around.control_time.now_us();
        let mut state = self.state();
        let (place, displaced) = state.admission.admit_ticket(claims, now_us)?;
        if let Some(old) = displaced {
            state.close(old, CloseReason::TakenOver);
            state.leases.remove(&old);
        }
        let mut ended = state.emptying.clone();
        let mut why = None;
        if let Some(lease) = place.lease() {
            ended = ended.child_token();
            let own = Lease { ended: ended.clone(), why: Arc::default() };
            why = Some(own.why.clone());
            state.leases.insert(lease, own);
        }
        Ok(Entry { gate: self.clone(), place, ended, why, user: Some(claims.user.clone()), _seat: seat })
    }

    fn refuse_unverified(&self, unverified: Unverified) -> Denied {
        self.around.metrics.tickets.get_or_create(&Labelled { kind: "refused" }).inc();
        self.note("a ticket", &unverified.to_string(), "");
        Denied::Ticket
    }

    /// Why somebody was refused stands here; of a ticket the answer does not say it.
    fn note(&self, what: &str, why: &str, user: &str) {
        if let Some(left_out) = self.refusals.admit(self.around.clock.now_ms()) {
            tracing::warn!(edge = self.name, user, left_out, "{what} is refused: {why}");
        }
    }

    /// Lets nobody in from now on, and tells control so.
    pub fn leave(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.state().admission.set_leaving();
        self.news.notify_one();
    }

    /// Waits until control was told, or does not answer: else it would send those back who are told to go.
    pub async fn told(&self) {
        self.told.cancelled().await;
    }

    /// Tells all viewers to go.
    pub fn empty(&self) {
        self.state().emptying.cancel();
    }

    /// Waits until control was told that everybody has gone, or does not answer.
    pub async fn finish(&self) {
        self.finished.cancel();
        self.reported.cancelled().await;
    }

    /// What to tell control now.
    pub(super) fn report(&self) -> EdgeReport {
        let now_us = self.around.control_time.now_us();
        self.state().admission.report(now_us)
    }

    /// Does what control has answered to the report with this number, so long after it was sent.
    pub(super) fn obey(&self, number: u64, orders: EdgeOrders, round_trip: Duration) {
        if let Some(control_us) = orders.now_us {
            self.around.control_time.heard(control_us, round_trip);
        }
        let now_us = self.around.control_time.now_us();
        let mut state = self.state();
        let commands = state.admission.answered(number, orders, now_us);
        for (lease, reason) in commands.close {
            state.close(lease, reason);
        }
        match commands.is_replaced {
            Some(true) => tracing::error!(
                edge = self.name,
                "another process reports to control under this edge's name, and has its place: this one takes nobody. Give \
                 each process a name of its own (node_name, or the names of `edges`), or stop one of them"
            ),
            Some(false) => {
                tracing::info!(edge = self.name, "no other process has this edge's place any more");
            }
            None => {}
        }
        match commands.drain {
            Some(true) => {
                if commands.is_replaced.is_none() {
                    tracing::info!(edge = self.name, "the edge is being drained");
                }
                state.emptying.cancel();
            }
            Some(false) => {
                tracing::info!(edge = self.name, "the edge takes viewers again");
                state.emptying = CancellationToken::new();
            }
            None => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl State {
    fn close(&mut self, lease: Uuid, reason: CloseReason) {
        if let Some(lease) = self.leases.get(&lease) {
            // The first reason stays: the connection is on its way out already.
            lease.why.get_or_init(|| reason.into());
            lease.ended.cancel();
        }
    }
}
