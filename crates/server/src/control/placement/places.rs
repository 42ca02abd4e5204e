//! One viewer's way to a place: the line, an edge with room, a lease, a ticket.

use std::{net::IpAddr, time::Duration};

use emostream_protocol::placement::{DEVICE_CHARS_MAX, TicketClaims, TicketDevice};
use emostream_store::{EdgeRecord, Lease, LeaseTimes, NewLease, Reserved, UserId};
use futures_util::future::BoxFuture;
use serde_json::json;
use uuid::Uuid;

use super::{
    ConnectedDevice, Placement, State, Waiting,
    given::Again,
    line::{Asking, Owner, Turn},
    not_done,
    taken::Taken,
    unsettled,
};
use crate::{
    http::problem::{ErrorType, Problem},
    rate::subscriber,
    telemetry::Labelled,
};

/// When to ask again where as many wait in line as may.
const FULL_LINE_RETRY: Duration = Duration::from_secs(10);

/// When to ask again for a place that is being given.
const PENDING_RETRY: Duration = Duration::from_secs(1);

/// Who wants a place.
#[derive(Debug, Clone)]
pub enum Who {
    /// Somebody without an account.
    Guest {
        /// The guest's name, as reactions have it.
        name: String,
        /// Where the request comes from.
        address: IpAddr,
    },
    /// Somebody with one.
    Account {
        /// Its id.
        id: UserId,
        /// Its name.
        name: String,
        /// The device to connect.
        device: Device,
    },
}

impl Who {
    fn owner(&self) -> Owner {
        match self {
            Self::Guest { address, .. } => Owner::Guest(subscriber(*address)),
            Self::Account { id, device, .. } => Owner::Device(*id, device.id.clone()),
        }
    }

    /// The device by the id that it gave itself.
    fn own_device(&self) -> Option<&str> {
        match self {
            Self::Account { device, .. } if !device.is_nameless => Some(&device.id),
            _ => None,
        }
    }
}

/// A device, as it calls itself.
#[derive(Debug, Clone)]
pub struct Device {
    /// The same whenever it comes back: it takes over its own lease.
    pub id: String,
    /// For its owner, such as a browser and a system.
    pub name: String,
    /// It gave no id, and has a new one.
    is_nameless: bool,
}

/// A request for a place.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Who.
    pub who: Who,
    /// The token of an answer that said to wait.
    pub line: Option<String>,
    /// A device of the account to be ended once there is a place.
    pub end_device: Option<String>,
    /// The edge that the viewer has just lost or did not reach: another one is better, if there is any.
    pub lost_edge: Option<String>,
}

/// A place.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Where.
    pub edge: EdgeRecord,
    /// Opens one connection there.
    pub ticket: String,
    /// When it expires, ms since the Unix epoch.
    pub expires_at_ms: i64,
    /// The device's lease, where there is an account.
    pub lease: Option<Uuid>,
    /// The device that the ticket is for, where there is an account.
    pub device_id: Option<String>,
}

impl Placed {
    /// Where viewers reach the edge: its own address, or the host that they have asked (the value of the header `Host`), on
    /// the edge's port.
    pub fn url(&self, host: Option<&str>) -> String {
        if !self.edge.url.is_empty() {
            return self.edge.url.clone();
        }
        let host = host.filter(|host| !host.is_empty()).unwrap_or("127.0.0.1");
        // The colons of an IPv6 address stand in brackets.
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
            _ => host,
        };
        format!("http://{name}:{}", self.edge.port)
    }
}

impl Device {
    /// A device by the id and name that it gives itself; one without an id is taken for a new one.
    pub fn new(id: Option<String>, name: Option<String>) -> Result<Self, Problem> {
        let is_nameless = id.is_none();
        let id = id.unwrap_or_else(|| Uuid::from_bytes(rand::random()).simple().to_string());
        let name = name.unwrap_or_default();
        check_device("device_id", &id, 1)?;
        check_device("device_name", &name, 0)?;
        Ok(Self { id, name, is_nameless })
    }
}

fn check_device(field: &'static str, text: &str, from: usize) -> Result<(), Problem> {
    let count = text.chars().count();
    if (from..=DEVICE_CHARS_MAX).contains(&count) && !text.contains(char::is_control) {
        return Ok(());
    }
    let expected =
        format!("expected {from} to {DEVICE_CHARS_MAX} characters, none of them a control character");
    Err(Problem::field(field, &expected))
}

/// Whether whoever asks is who they are said to be.
pub type Check<'a> = BoxFuture<'a, Result<(), Problem>>;

/// Asks once.
async fn ask(check: &mut Option<Check<'_>>) -> Result<(), Problem> {
    match check.take() {
        Some(check) => check.await,
        None => Ok(()),
    }
}

/// What comes of asking for a place on an edge.
enum Step {
    Taken(Taken),
    /// What was given before, and did not arrive.
    Again(Box<Placed>),
    Wait(Waiting),
}

impl Placement {
    /// A place for a viewer. `DeviceLimit` with the devices that are connected; `NoRoom` with a place in the line. Whose
    /// account it is may have been found out a while ago: `check` looks again, before anything is given. Who waits in line
    /// already and is not next is told so without it.
    pub async fn place(&self, wanted: Wanted, check: Check<'_>) -> Result<Placed, Problem> {
        let placed = self.find(wanted, check).await;
        let kind = placed.as_ref().map_or_else(|problem| problem.kind.name(), |_| "granted");
        self.core.metrics.placements.get_or_create(&Labelled { kind }).inc();
        placed
    }

    async fn find(&self, wanted: Wanted, check: Check<'_>) -> Result<Placed, Problem> {
        self.refuse_on_standby()?;
        if let Some(ending) = &wanted.end_device {
            check_device("end_device_id", ending, 1)?;
        }
        let owner = wanted.who.owner();
        let is_known = self.is_known(&wanted, &owner);
        let mut check = Some(check);
        if !is_known {
            ask(&mut check).await?;
            self.admit(&wanted.who)?;
        }
        let mut taken = match self.take(&wanted, &owner)? {
            Step::Taken(taken) => taken,
            Step::Again(placed) => return Ok(*placed),
            Step::Wait(waiting) => {
                if !is_known {
                    self.refuse_surplus(&wanted, &owner, &waiting).await?;
                }
                return Err(no_room(&waiting));
            }
        };
        // Whatever breaks off from here on gives back what was taken.
        if let Err(problem) = ask(&mut check).await {
            // Whoever is nobody any more stands in nobody's way.
            if problem.kind == ErrorType::TokenInvalid {
                taken.leave_line();
            }
            return Err(problem);
        }
        let lease = self.reserve(&wanted, &mut taken).await?;
        let placed = self.signed(&wanted.who, &taken, lease)?;
        taken.keep(&placed);
        Ok(placed)
    }

    /// Whether somebody waits, or was given a place and asks for it again: those have been admitted.
    fn is_known(&self, wanted: &Wanted, owner: &Owner) -> bool {
        let Some(token) = wanted.line.as_deref() else { return false };
        let state = self.core.state();
        state.line.knows(token, owner)
            || state.line.id_of(token, owner).is_some_and(|waiter| state.given.knows(waiter))
    }

    /// Counts a request; too many are refused.
    fn admit(&self, who: &Who) -> Result<(), Problem> {
        let admitted = match who {
            Who::Guest { address, .. } => self.admit_guest(*address),
            Who::Account { id, .. } => self.accounts.take(*id, 1, self.core.contact.now_us() / 1_000),
        };
        admitted.map_err(|wait| Problem {
            retry_after: Some(wait),
            ..Problem::new(
                ErrorType::RateLimited,
                "too many places were asked for; wait as long as Retry-After says",
            )
        })
    }

    /// A place on an edge for who is next, else a place in the line: one step, so that nobody slips in between.
    fn take(&self, wanted: &Wanted, owner: &Owner) -> Result<Step, Problem> {
        let now_us = self.core.contact.now_us();
        let mut state = self.core.state();
        let State { house, line, given } = &mut *state;
        let token = wanted.line.as_deref();
        if let Some(waiter) = token.and_then(|token| line.id_of(token, owner)) {
            match given.again(waiter, wanted.who.own_device(), house, now_us) {
                Some(Again::Placed(placed)) => return Ok(Step::Again(placed)),
                Some(Again::TooSoon(wait)) => return Err(too_soon(wait)),
                Some(Again::Pending) => return Err(pending()),
                Some(Again::Useless { edge, ticket, waiter }) => {
                    house.give_back(&edge, ticket);
                    line.put_back(waiter);
                }
                None => given.forget(waiter),
            }
        }
        let free = house.free(now_us);
        let ticket = new_id(now_us);
        match line.ask(&Asking { owner, token, id: ticket, now_us }, free) {
            Turn::Go(waiter) => {
                // Its use may be told of one report after its end, and another one for luck.
                let until_us = now_us + self.ticket_ms * 1_000 + 2 * self.report_us;
                let draw = |below| rand::RngExt::random_range(&mut rand::rng(), 0..below);
                let Some(edge) = house.take(ticket, until_us, now_us, wanted.lost_edge.as_deref(), draw)
                else {
                    waiter.into_iter().for_each(|waiter| line.put_back(waiter));
                    tracing::error!(free, "there is room, and no edge that has it");
                    return Err(Problem::new(ErrorType::Internal, "something went wrong here"));
                };
                if let Some(waiter) = &waiter {
                    given.begin(waiter.id, ticket);
                }
                Ok(Step::Taken(Taken::new(self.core.clone(), ticket, edge, waiter)))
            }
            Turn::Wait(waiting) => Ok(Step::Wait(waiting)),
            Turn::TooSoon(wait) => Err(too_soon(wait)),
            Turn::Full => Err(Problem {
                retry_after: Some(FULL_LINE_RETRY),
                ..Problem::new(ErrorType::NoRoom, "there is no room, and as many wait in line as may")
            }),
            Turn::Crowded => Err(Problem {
                retry_after: Some(FULL_LINE_RETRY),
                ..Problem::new(
                    ErrorType::RateLimited,
                    "there is no room, and as many wait in line as may of one account or address",
                )
            }),
        }
    }

    /// Does not let somebody wait who would then be refused for having too many devices.
    async fn refuse_surplus(&self, wanted: &Wanted, owner: &Owner, waiting: &Waiting) -> Result<(), Problem> {
        let Who::Account { id, device, .. } = &wanted.who else { return Ok(()) };
        let times = self.core.contact.times();
        let counted = async {
            let user = self.store.user(*id).await?;
            let devices = self.store.leases_of(*id, &times).await?;
            Ok((user, devices))
        };
        let counted = counted.await;
        self.core.contact.note(&counted, false);
        let problem = match counted {
            Ok((None, _)) => account_gone(),
            Ok((Some(user), devices)) => {
                // Neither its own place nor the one that it will end stands in the way.
                let stays = |lease: &&Lease| {
                    lease.device_id != device.id && Some(&lease.device_id) != wanted.end_device.as_ref()
                };
                let others = devices.iter().filter(stays).count();
                let limit = usize::try_from(self.core.tiers.devices(user.tier)).unwrap_or(usize::MAX);
                if others < limit {
                    return Ok(());
                }
                device_limit(devices, &times)
            }
            Err(error) => Problem::store(&error),
        };
        self.core.state().line.leave(&waiting.token, owner);
        Err(problem)
    }

    /// A lease for the device of an account, durable when it is answered. An account that may have none does not stay in
    /// front either, where nobody would get past it.
    async fn reserve(&self, wanted: &Wanted, taken: &mut Taken) -> Result<Option<Uuid>, Problem> {
        let Who::Account { id, device, .. } = &wanted.who else { return Ok(None) };
        let lease = NewLease {
            id: taken.ticket,
            user: *id,
            device_id: device.id.clone(),
            device_name: device.name.clone(),
            edge: taken.edge.name.clone(),
            generation: taken.edge.generation,
            ends: wanted.end_device.clone(),
        };
        let reserved = self.reservations.ask(lease).await.map_err(|error| not_done(&error))?;
        if !matches!(reserved, Reserved::Granted { .. }) {
            taken.leave_line();
        }
        match reserved {
            Reserved::Granted { replaced } => {
                // Tickets that the device had before, and that of the one which gave way, open nothing any more.
                let mut state = self.core.state();
                replaced.into_iter().for_each(|replaced| state.house.release(replaced));
                Ok(Some(taken.ticket))
            }
            Reserved::Full { devices } => Err(device_limit(devices, &self.core.contact.times())),
            Reserved::Unsettled => Err(unsettled()),
            Reserved::NoUser => Err(account_gone()),
        }
    }

    fn signed(&self, who: &Who, taken: &Taken, lease: Option<Uuid>) -> Result<Placed, Problem> {
        // Times of the moment at which it is handed out: waiting for the store must not shorten it.
        let now_ms = self.core.contact.now_us() / 1_000;
        let (user, device) = match who {
            Who::Guest { name, .. } => (name, None),
            Who::Account { id, name, device } => {
                let user_id = Uuid::from_bytes(*id.as_bytes());
                let (device_id, name_of) = (device.id.clone(), device.name.clone());
                (name, Some(TicketDevice { user_id, device_id, name: name_of }))
            }
        };
        let exp = (now_ms + self.ticket_ms).div_euclid(1_000);
        let claims = TicketClaims {
            jti: taken.ticket,
            edge: taken.edge.name.clone(),
            generation: taken.edge.generation,
            user: user.clone(),
            device,
            iat: now_ms.div_euclid(1_000),
            exp,
        };
        let device_id = claims.device.as_ref().map(|device| device.device_id.clone());
        let ticket = self.signer.sign(&claims).map_err(|error| {
            tracing::error!(%error, "a ticket was not signed");
            Problem::new(ErrorType::Internal, "the ticket could not be signed")
        })?;
        Ok(Placed { edge: taken.edge.clone(), ticket, expires_at_ms: exp * 1_000, lease, device_id })
    }
}

fn new_id(now_us: i64) -> Uuid {
    let ms = u64::try_from(now_us / 1_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(ms, &rand::random()).into_uuid()
}

fn account_gone() -> Problem {
    Problem::new(ErrorType::TokenInvalid, "the account has been changed since; log in again")
}

fn device_limit(devices: Vec<Lease>, times: &LeaseTimes) -> Problem {
    let detail = "as many devices are connected as the account's tier allows; end one of them, or close it";
    // One with a ticket that does not come leaves by itself.
    let until_us = devices
        .iter()
        .filter(|lease| !lease.is_connected)
        .map(|lease| lease.since_us.saturating_add(times.ticket_us).saturating_add(times.ttl_us));
    let left_us = until_us.min().map(|until_us| until_us.saturating_sub(times.now_us).max(1_000_000));
    let retry_after = left_us.and_then(|us| u64::try_from(us).ok()).map(Duration::from_micros);
    let shown = |lease| serde_json::to_value(ConnectedDevice::from(lease)).unwrap_or_default();
    let devices: Vec<_> = devices.into_iter().map(shown).collect();
    let problem = Problem::new(ErrorType::DeviceLimit, detail).with("devices", devices.into());
    Problem { retry_after, ..problem }
}

fn too_soon(wait: Duration) -> Problem {
    let detail = "whoever waits in line asks once a second at most; wait as long as Retry-After says";
    Problem { retry_after: Some(wait), ..Problem::new(ErrorType::RateLimited, detail) }
}

fn pending() -> Problem {
    let detail = "your place is being given to you; ask again";
    Problem { retry_after: Some(PENDING_RETRY), ..Problem::new(ErrorType::Overloaded, detail) }
}

fn no_room(waiting: &Waiting) -> Problem {
    let detail = format!("there is no room at this moment; you are number {} in line", waiting.place);
    let line = json!({ "token": waiting.token, "place": waiting.place, "waiting": waiting.waiting });
    let problem = Problem::new(ErrorType::NoRoom, detail).with("line", line);
    Problem { retry_after: Some(waiting.ask_again), ..problem }
}

#[cfg(test)]
mod tests {
    use emostream_store::EdgeRecord;
    use uuid::Uuid;

    use super::{Device, Placed};

    #[test]
    fn viewers_reach_an_edge_where_it_says_or_on_the_host_that_they_know() {
        let edge = |url: &str| EdgeRecord {
            name: "a".into(),
            cluster: "north".into(),
            url: url.into(),
            port: 3005,
            capacity: 1,
            viewers: 0,
            generation: Uuid::nil(),
            number: 0,
            is_draining: false,
            is_leaving: false,
            heard_us: 0,
        };
        for (url, host, expected) in [
            ("https://edge.example", Some("localhost:3000"), "https://edge.example"),
            ("", Some("localhost:3000"), "http://localhost:3005"),
            ("", Some("example.org"), "http://example.org:3005"),
            ("", Some("[::1]:3000"), "http://[::1]:3005"),
            ("", Some("[::1]"), "http://[::1]:3005"),
            ("", None, "http://127.0.0.1:3005"),
        ] {
            let placed = Placed {
                edge: edge(url),
                ticket: String::new(),
                expires_at_ms: 0,
                lease: None,
                device_id: None,
            };
            assert_eq!(placed.url(host), expected, "{url} {host:?}");
        }
    }

    #[test]
    fn devices_have_ids_and_names_that_can_be_shown() {
        let device = |id: &str, name: &str| Device::new(Some(id.into()), Some(name.into()));
        assert!(device("phone", "Firefox on Linux").is_ok() && device("phone", "").is_ok());
        assert!(device("", "x").is_err() && device("a\nb", "x").is_err() && device("a", "x\0").is_err());
        assert!(device(&"é".repeat(128), "x").is_ok() && device(&"é".repeat(129), "x").is_err());
        let (one, other) = (Device::new(None, None).unwrap(), Device::new(None, None).unwrap());
        assert_ne!(one.id, other.id);
    }
}
