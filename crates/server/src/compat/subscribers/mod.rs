//! System D's subscribers: each edge of this process is one. Clients register for a place on it, and get each final window
//! until they deregister, fail, or read nothing for too long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::Uri;
use tokio::time::{Instant, interval};

use super::windows::{Receiver, Windows};
use crate::{
    config::CompatConfig, edge::gate::Denied, http::stream::AtGate, tasks::Tasks, telemetry::Metrics,
};

mod calls;
mod delivery;
pub mod endpoints;
mod events;
mod subscriber;

use calls::Calls;
use subscriber::{Client, Subscriber};
pub use subscriber::{Hold, Place, Room};

/// How often clients that read nothing are looked for.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// The subscribers of this process.
pub struct Subscribers {
    list: Vec<Arc<Subscriber>>,
    windows: Windows,
    calls: Calls,
    idle: Duration,
    failures_max: u32,
    /// Tells one registration from the next of the same client.
    registrations: AtomicU64,
    metrics: Arc<Metrics>,
    tasks: Tasks,
}

/// Which subscriber a call is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At<'a> {
    /// That of this edge.
    Edge(&'a str),
    /// Any of this process: the call came to a listener that is no edge's.
    Any,
}

impl<'a> From<&'a AtGate> for At<'a> {
    fn from(gate: &'a AtGate) -> Self {
        gate.edge().map_or(Self::Any, Self::Edge)
    }
}

/// Why a client has not been registered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Nobody may be called at this address.
    Address,
    /// Too many names of addresses are being looked up.
    Busy,
    /// Every place is taken, of so many.
    Full { capacity: u32 },
    /// Nobody gets a place without a ticket, or a guest none in this channel.
    Denied(Denied),
    /// The listener's edge has no subscriber.
    Nowhere,
}

impl Subscribers {
    /// Subscribers for these rooms.
    pub fn start(
        (config, own_ports): (&CompatConfig, Vec<u16>),
        rooms: Vec<Room>,
        windows: Windows,
        metrics: Arc<Metrics>,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let subscribers = Arc::new(Self {
            list: rooms.into_iter().map(|room| Arc::new(Subscriber::new(room))).collect(),
            windows,
            calls: Calls::new(config, own_ports),
            idle: Duration::from_millis(config.notify_idle_ms),
            failures_max: config.notify_failures_max,
            registrations: AtomicU64::new(0),
            metrics,
            tasks: tasks.clone(),
        });
        let (swept, stop) = (subscribers.clone(), tasks.stop.clone());
        tasks.spawn_essential("sweep of subscribers", async move {
            let mut beat = interval(SWEEP_EVERY);
            while stop.run_until_cancelled(beat.tick()).await.is_some() {
                let idle_since = Instant::now().checked_sub(swept.idle);
                for subscriber in &swept.list {
                    subscriber.drop_gone(idle_since);
                }
            }
            Ok(())
        });
        subscribers
    }

    /// Windows from now on.
    pub(super) fn windows(&self) -> Receiver {
        self.windows.listen()
    }

    /// Gives a client a place, for good until it deregisters, or has failed or been idle for too long. Who is registered
    /// already keeps its place.
    pub(super) async fn register(
        self: &Arc<Self>,
        at: At<'_>,
        client: &str,
        url: Option<&Uri>,
    ) -> Result<Arc<Subscriber>, Refused> {
        let called_at = match url {
            None => None,
            Some(url) => {
                let resolved = self.calls.resolve_soon(url).await.map_err(|_| Refused::Busy)?;
                Some(resolved.ok_or(Refused::Address)?)
            }
        };
        let subscriber = self.room_for(at, client)?;
        let number = self.registrations.fetch_add(1, Ordering::Relaxed);
        let windows = self.windows.listen();
        let (registration, windows) = match &called_at {
            None => (Client::waiting(number, windows), None),
            Some(_) => (Client::called(number), Some(windows)),
        };
        let end = registration.end.clone();
        subscriber.admit(client, registration).map_err(|denied| match denied {
            // They come of placement, of which these clients know nothing: asking again leads nowhere.
            Denied::Ticket | Denied::NoTicket | Denied::Guests => Refused::Denied(denied),
            Denied::Full | Denied::Draining | Denied::Stopping => {
                Refused::Full { capacity: subscriber.capacity() }
            }
        })?;
        if let (Some(to), Some(windows)) = (called_at, windows) {
            let delivery = delivery::Delivery {
                subscribers: self.clone(),
                subscriber: subscriber.clone(),
                client: client.to_owned(),
                number,
                end,
                to,
            };
            self.tasks.spawn(delivery.run(windows));
        }
        Ok(subscriber)
    }

    /// Where a client is, or else is to go.
    fn room_for(&self, at: At<'_>, client: &str) -> Result<Arc<Subscriber>, Refused> {
        let most_free = || self.at(at).max_by_key(|subscriber| subscriber.free());
        self.of(at, client).or_else(most_free).cloned().ok_or(Refused::Nowhere)
    }

    /// Frees a client's place; false where it has none.
    pub(super) fn deregister(&self, at: At<'_>, client: &str) -> bool {
        self.of(at, client).is_some_and(|subscriber| subscriber.remove(client, None))
    }

    /// The windows for a client that reads: those since it registered, or stopped reading. One that reads twice reads on
    /// its newest connection only.
    pub(super) fn read(&self, at: At<'_>, client: &str) -> Option<events::Reading> {
        let subscriber = self.of(at, client)?;
        subscriber.read(client, || self.windows.listen())
    }

    fn at<'a>(&'a self, at: At<'a>) -> impl Iterator<Item = &'a Arc<Subscriber>> {
        self.list.iter().filter(move |subscriber| match at {
            At::Edge(name) => subscriber.name() == name,
            At::Any => true,
        })
    }

    /// The subscriber on which a client is registered.
    fn of<'a>(&'a self, at: At<'a>, client: &str) -> Option<&'a Arc<Subscriber>> {
        self.at(at).find(|subscriber| subscriber.has(client))
    }
}
