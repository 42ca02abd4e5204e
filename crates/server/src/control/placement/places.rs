//! One viewer's way to a place: the line, an edge with room, a lease, a ticket.

use std::{net::IpAddr, time::Duration};

use emostream_protocol::placement::{DEVICE_CHARS_MAX, TicketClaims, TicketDevice};
use emostream_store::{EdgeRecord, Lease, NewLease, Reserved, UserId};
use serde_json::json;
use uuid::Uuid;

use super::{
    ConnectedDevice, Placement, Waiting,
    line::{Turn, Waiter},
    not_done, unsettled,
};
use crate::{
    http::problem::{ErrorType, Problem},
    telemetry::Labelled,
};

/// When to ask again where as many wait in line as may.
const FULL_LINE_RETRY: Duration = Duration::from_secs(10);

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

/// A device, as it calls itself.
#[derive(Debug, Clone)]
pub struct Device {
    /// The same whenever it comes back: it takes over its own lease.
    pub id: String,
    /// For its owner, such as a browser and a system.
    pub name: String,
}

/// A request for a place.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Who.
    pub who: Who,
    /// The token of an answer that said to wait.
    pub line: Option<String>,
    /// A device of the account to be ended first.
    pub end_device: Option<String>,
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
        let id = id.unwrap_or_else(|| Uuid::from_bytes(rand::random()).simple().to_string());
        let name = name.unwrap_or_default();
        let is_line =
            |text: &str| text.chars().count() <= DEVICE_CHARS_MAX && !text.contains(char::is_control);
        let expected = |from: u8| {
            format!("expected {from} to {DEVICE_CHARS_MAX} characters, none of them a control character")
        };
        if id.is_empty() || !is_line(&id) {
            return Err(Problem::field("device_id", &expected(1)));
        }
        if !is_line(&name) {
            return Err(Problem::field("device_name", &expected(0)));
        }
        Ok(Self { id, name })
    }
}

/// A place that was taken, and what to give back if nothing comes of it.
struct Taken {
    ticket: Uuid,
    edge: EdgeRecord,
    waiter: Option<Waiter>,
}

impl Placement {
    /// A place for a viewer. `DeviceLimit` with the devices that are connected; `NoRoom` with a place in the line.
    pub async fn place(&self, wanted: Wanted) -> Result<Placed, Problem> {
        let placed = self.find(wanted).await;
        let kind = placed.as_ref().map_or_else(|problem| problem.kind.name(), |_| "granted");
        self.core.metrics.placements.get_or_create(&Labelled { kind }).inc();
        placed
    }

    async fn find(&self, wanted: Wanted) -> Result<Placed, Problem> {
        let is_in_line = wanted.line.as_deref().is_some_and(|token| self.core.state().line.knows(token));
        if !is_in_line {
            self.admit(&wanted.who)?;
        }
        if let (Who::Account { id, .. }, Some(device)) = (&wanted.who, &wanted.end_device) {
            self.end_device(*id, device).await?;
        }
        let taken = match self.take(wanted.line.as_deref())? {
            Ok(taken) => taken,
            Err(waiting) => {
                if !is_in_line {
                    self.refuse_surplus(&wanted.who, &waiting).await?;
                }
                return Err(no_room(&waiting));
            }
        };
        match self
            .reserve(&wanted.who, &taken)
            .await
            .and_then(|lease| self.signed(&wanted.who, &taken, lease))
        {
            Ok(placed) => Ok(placed),
            Err(problem) => {
                let now_us = self.core.contact.now_us();
                let mut state = self.core.state();
                state.house.give_back(&taken.edge.name, taken.ticket);
                if let Some(waiter) = taken.waiter {
                    state.line.put_back(waiter, now_us);
                }
                Err(problem)
            }
        }
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
    fn take(&self, token: Option<&str>) -> Result<Result<Taken, Waiting>, Problem> {
        let now_us = self.core.contact.now_us();
        let mut state = self.core.state();
        let free = state.house.free(now_us);
        let ticket = new_id(now_us);
        match state.line.ask(token, free, ticket, now_us) {
            Turn::Go(waiter) => {
                // Its use may be told of one report after its end, and another one for luck.
                let until_us = now_us + self.ticket_ms * 1_000 + 2 * self.report_us;
                let draw = |below| rand::RngExt::random_range(&mut rand::rng(), 0..below);
                match state.house.take(ticket, until_us, now_us, draw) {
                    Some(edge) => Ok(Ok(Taken { ticket, edge, waiter })),
                    None => {
                        tracing::error!(free, "there is room, and no edge that has it");
                        Err(Problem::new(ErrorType::Internal, "something went wrong here"))
                    }
                }
            }
            Turn::Wait(waiting) => Ok(Err(waiting)),
            Turn::Full => Err(Problem {
                retry_after: Some(FULL_LINE_RETRY),
                ..Problem::new(ErrorType::NoRoom, "there is no room, and as many wait in line as may")
            }),
        }
    }

    /// Does not let somebody wait who would then be refused for having too many devices.
    async fn refuse_surplus(&self, who: &Who, waiting: &Waiting) -> Result<(), Problem> {
        let Who::Account { id, device, .. } = who else { return Ok(()) };
        let counted = async {
            let user = self.store.user(*id).await?;
            let devices = self.store.leases_of(*id, &self.core.contact.times()).await?;
            Ok((user, devices))
        };
        let counted = counted.await;
        self.core.contact.note(&counted, false);
        let problem = match counted {
            Ok((None, _)) => account_gone(),
            Ok((Some(user), devices)) => {
                let others = devices.iter().filter(|lease| lease.device_id != device.id).count();
                let limit = usize::try_from(self.core.tiers.devices(user.tier)).unwrap_or(usize::MAX);
                if others < limit {
                    return Ok(());
                }
                device_limit(devices)
            }
            Err(error) => Problem::store(&error),
        };
        self.core.state().line.leave(&waiting.token);
        Err(problem)
    }

    /// A lease for the device of an account, durable when it is answered.
    async fn reserve(&self, who: &Who, taken: &Taken) -> Result<Option<Uuid>, Problem> {
        let Who::Account { id, device, .. } = who else { return Ok(None) };
        let lease = NewLease {
            id: taken.ticket,
            user: *id,
            device_id: device.id.clone(),
            device_name: device.name.clone(),
            edge: taken.edge.name.clone(),
            generation: taken.edge.generation,
        };
        match self.reservations.ask(lease).await.map_err(|error| not_done(&error))? {
            Reserved::Granted { .. } => Ok(Some(taken.ticket)),
            Reserved::Full { devices } => Err(device_limit(devices)),
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
        let ticket = self.signer.sign(&claims).map_err(|error| {
            tracing::error!(%error, "a ticket was not signed");
            Problem::new(ErrorType::Internal, "the ticket could not be signed")
        })?;
        Ok(Placed { edge: taken.edge.clone(), ticket, expires_at_ms: exp * 1_000, lease })
    }
}

fn new_id(now_us: i64) -> Uuid {
    let ms = u64::try_from(now_us / 1_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(ms, &rand::random()).into_uuid()
}

fn account_gone() -> Problem {
    Problem::new(ErrorType::TokenInvalid, "the account has been changed since; log in again")
}

fn device_limit(devices: Vec<Lease>) -> Problem {
    let detail = "as many devices are connected as the account's tier allows; end one of them, or close it";
    let shown = |lease| serde_json::to_value(ConnectedDevice::from(lease)).unwrap_or_default();
    let devices: Vec<_> = devices.into_iter().map(shown).collect();
    Problem::new(ErrorType::DeviceLimit, detail).with("devices", devices.into())
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
            let placed = Placed { edge: edge(url), ticket: String::new(), expires_at_ms: 0, lease: None };
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
