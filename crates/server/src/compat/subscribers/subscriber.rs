//! One subscriber: the places of an edge, and the clients that hold some of them.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Receiver, events::Reading};
use crate::edge::gate::Denied;

/// A place that a client holds; freed on drop.
pub type Place = Box<dyn Hold>;

/// What holds a place.
pub trait Hold: Send + Sync {
    /// Whether whoever holds it must go: the edge is being emptied, or the channel is for members now.
    fn is_over(&self) -> bool;
}

/// An edge as far as its subscriber needs it.
pub struct Room {
    /// Name of the edge.
    pub name: String,
    /// Its cluster.
    pub cluster: String,
    /// Places that it has, those of its viewers among them.
    pub capacity: u32,
    /// Takes one of them, if one is free, and clients are let in at all.
    pub take: Box<dyn Fn() -> Result<Place, Denied> + Send + Sync>,
    /// How many are free now.
    pub free: Box<dyn Fn() -> u32 + Send + Sync>,
    /// Where clients reach it; `None` where it is not another address than that on which they ask.
    pub url: Option<String>,
}

/// The running subscriber.
pub(in crate::compat) struct Subscriber {
    room: Room,
    /// By their ids; as many as there are places.
    clients: Mutex<HashMap<String, Held>>,
}

/// A client with its place.
struct Held {
    client: Client,
    place: Place,
}

/// A registered client.
pub(super) struct Client {
    /// Which registration it is.
    number: u64,
    how: How,
    /// Ends what is under way for it.
    pub(super) end: CancellationToken,
}

/// How a client gets its windows.
enum How {
    /// It is called. It may read besides, on its newest connection.
    Called(CancellationToken),
    /// It reads, since the read with this number.
    Reading(u64),
    /// It will read, or read until then: what it has not read yet waits.
    Waiting { since: Instant, windows: Receiver },
}

impl Client {
    pub(super) fn called(number: u64) -> Self {
        let end = CancellationToken::new();
        Self { number, how: How::Called(end.child_token()), end }
    }

    pub(super) fn waiting(number: u64, windows: Receiver) -> Self {
        let how = How::Waiting { since: Instant::now(), windows };
        Self { number, how, end: CancellationToken::new() }
    }
}

/// Whoever was served under this registration is no longer.
impl Drop for Client {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Subscriber {
    pub(super) fn new(room: Room) -> Self {
        Self { room, clients: Mutex::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.room.name
    }

    pub(in crate::compat) fn room(&self) -> &Room {
        &self.room
    }

    pub(super) fn capacity(&self) -> u32 {
        self.room.capacity
    }

    pub(super) fn free(&self) -> u32 {
        (self.room.free)()
    }

    pub(super) fn has(&self, client: &str) -> bool {
        self.clients().contains_key(client)
    }

    /// Takes a client in, or its new registration.
    pub(super) fn admit(&self, id: &str, client: Client) -> Result<(), Denied> {
        match self.clients().entry(id.to_owned()) {
            Entry::Occupied(mut held) => held.get_mut().client = client,
            Entry::Vacant(vacant) => drop(vacant.insert(Held { client, place: (self.room.take)()? })),
        }
        Ok(())
    }

    /// Frees a client's place, if the registration is that of the number, or any where there is none; whether it did.
    pub(super) fn remove(&self, id: &str, number: Option<u64>) -> bool {
        let mut clients = self.clients();
        let is_it =
            clients.get(id).is_some_and(|held| number.is_none_or(|number| held.client.number == number));
        is_it && clients.remove(id).is_some()
    }

    /// A client begins to read, where an earlier read stopped.
    pub(super) fn read(
        self: &Arc<Self>,
        id: &str,
        from_now_on: impl FnOnce() -> Receiver,
    ) -> Option<Reading> {
        let mut clients = self.clients();
        let client = &mut clients.get_mut(id)?.client;
        let (read, windows) = match std::mem::replace(&mut client.how, How::Reading(0)) {
            How::Waiting { windows, .. } => (1, windows),
            // The earlier connection ends; what it has not read is only on its way there.
            How::Reading(read) => {
                client.end.cancel();
                client.end = CancellationToken::new();
                (read + 1, from_now_on())
            }
            How::Called(earlier) => {
                earlier.cancel();
                let newest = client.end.child_token();
                client.how = How::Called(newest.clone());
                return Some(Reading::of_called(from_now_on(), newest));
            }
        };
        client.how = How::Reading(read);
        let (subscriber, end) = (self.clone(), client.end.clone());
        Some(Reading::new(subscriber, id.to_owned(), (client.number, read), windows, end))
    }

    /// A client has stopped reading: the rest waits for it.
    pub(super) fn stopped_reading(&self, id: &str, (number, read): (u64, u64), windows: Receiver) {
        if let Some(held) = self.clients().get_mut(id)
            && held.client.number == number
            && matches!(held.client.how, How::Reading(newest) if newest == read)
        {
            held.client.how = How::Waiting { since: Instant::now(), windows };
        }
    }

    /// Frees the places of clients that have read nothing since then, and of those who must go.
    pub(super) fn drop_gone(&self, idle_since: Option<Instant>) {
        self.clients().retain(|id, held| {
            let before = |since| idle_since.is_some_and(|idle_since| since <= idle_since);
            let idle = matches!(held.client.how, How::Waiting { since, .. } if before(since));
            if idle {
                tracing::debug!(client = id, subscriber = self.name(), "a client reads nothing");
            }
            !idle && !held.place.is_over()
        });
    }

    /// A thread that panicked while it held the lock left whole entries.
    fn clients(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
