//! Placement: sends each viewer to an edge that has room, with a ticket and, for accounts, a lease for the device; and takes
//! what edges report. It advises; edges enforce.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use emostream_log::Clock;
use emostream_protocol::placement::{EdgeOrders, EdgeReport};
use emostream_store::{
    LEASES_PER_GROUP_MAX, LeaseTimes, NewLease, REPORTS_PER_GROUP_MAX, Reserved, Store, StoreError,
    TierLimits, UserId, check_report,
};
use futures_util::{FutureExt as _, future::BoxFuture};

use crate::{
    config::{AccountsConfig, PlacementConfig},
    control::tickets::TicketSigner,
    http::problem::{ErrorType, Problem},
    placement_link::{ControlLink, LinkError, TicketKeys},
    rate::{AddressLimits, CellRate, Limits},
    tasks::Tasks,
    telemetry::Metrics,
};

mod clusters;
mod contact;
mod devices;
mod given;
mod group;
mod house;
mod line;
mod places;
mod standby;
mod taken;
mod upkeep;

pub use clusters::{ClusterView, EdgeView};
use contact::Contact;
pub use devices::ConnectedDevice;
use given::Given;
use group::{Group, NotDone};
use house::House;
pub use house::{EdgeState, Hearing};
use line::Line;
pub use line::Waiting;
pub use places::{Check, Device, Placed, Wanted, Who};
use standby::Standby;

/// Tickets that an account may ask for: 50 at once, then five a second. Each takes a place until it is used.
const ACCOUNT: (u32, u32) = (5, 50);

/// After so long some of an account's ended leases are likely to be closed.
const UNSETTLED_RETRY: Duration = Duration::from_secs(10);

/// What placement needs of the node.
pub struct Components {
    /// Where clusters, edges and leases are.
    pub store: Store,
    /// Signs tickets.
    pub signer: TicketSigner,
    /// Holds the mark that people were waiting when the node stopped.
    pub dir: PathBuf,
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// Placement of a node with the role control.
pub struct Placement {
    store: Store,
    signer: TicketSigner,
    ticket_ms: i64,
    report_us: i64,
    accounts: Limits<UserId>,
    guests: AddressLimits,
    core: Arc<Core>,
    reservations: Group<NewLease, Reserved>,
    reports: Group<EdgeReport, EdgeOrders>,
}

/// What requests and the tasks behind them share.
struct Core {
    store: Store,
    tiers: TierLimits,
    contact: Contact,
    state: Mutex<State>,
    metrics: Arc<Metrics>,
    mark: PathBuf,
    standby: Standby,
    /// The line's key, and places in it of guests of one address.
    line: ([u8; 32], usize),
    ttl_us: i64,
}

struct State {
    house: House,
    line: Line,
    given: Given,
}

impl Placement {
    /// Makes the clusters of the configuration, reads what the store knows of edges, and starts to take requests.
    pub async fn start(
        config: &PlacementConfig,
        accounts: &AccountsConfig,
        components: Components,
        tasks: &Tasks,
    ) -> anyhow::Result<Arc<Self>> {
        let Components { store, signer, dir, metrics, clock } = components;
        let hearing = Hearing::of(config);
        let contact = Contact::new(clock, hearing, i64::from(config.ticket_ms) * 1_000);
        for cluster in &config.clusters {
            store.put_cluster(&cluster.name, cluster.capacity, contact.now_us()).await?;
        }
        let mark = dir.join("line");
        let waited_us = upkeep::waited_us(&mark, contact.now_us());
        let guests = AddressLimits::new(config.guests_per_s, config.guests_burst);
        // Where a venue is behind one address, nobody counts its guests.
        let address_max = if guests.is_off() { usize::MAX } else { line::ADDRESS_MAX };
        let of_line = (signer.line_key(), address_max);
        let line = Line::new(of_line.0, waited_us, address_max, contact.now_us());
        let state = Mutex::new(State { house: House::new(hearing), line, given: Given::new(hearing.ttl_us) });
        let tiers: Vec<_> = accounts.tiers().collect();
        let tiers = TierLimits::new(&tiers, accounts.default_devices())?;
        let core = Arc::new(Core {
            store: store.clone(),
            tiers,
            contact,
            state,
            metrics,
            mark,
            standby: Standby::default(),
            line: of_line,
            ttl_us: hearing.ttl_us,
        });
        let mut claim = store.claim();
        standby::begin(&core, &mut claim).await;
        core.refresh().await?;
        let placement = Arc::new(Self {
            store,
            signer,
            ticket_ms: config.ticket_ms.into(),
            report_us: hearing.report_us,
            accounts: Limits::new(CellRate::new(ACCOUNT.0, ACCOUNT.1)),
            guests,
            reservations: reservations(&core, tasks),
            reports: reports(&core, tasks),
            core: core.clone(),
        });
        tasks.spawn_essential("placement", upkeep::run(core, claim, waited_us.is_some(), tasks.stop.clone()));
        Ok(placement)
    }

    /// Whether the store answers.
    pub fn store_answers(&self) -> bool {
        self.core.contact.is_answering()
    }

    /// Whether another process with control places viewers, and this one does not.
    pub fn stands_by(&self) -> bool {
        self.core.standby.is_on()
    }

    /// What to answer then.
    pub fn refuse_on_standby(&self) -> Result<(), Problem> {
        if self.stands_by() { Err(Standby::problem()) } else { Ok(()) }
    }

    /// Public halves of the keys that tickets are signed with.
    pub fn keys(&self) -> &TicketKeys {
        self.signer.public()
    }

    /// Takes the report of an edge; what the edge is to do. Durable when it is answered.
    pub async fn take_report(&self, report: EdgeReport) -> Result<EdgeOrders, LinkError> {
        if self.stands_by() {
            return Err(LinkError::Unavailable(Standby::WHY.to_owned()));
        }
        check_report(&report).map_err(|error| LinkError::Refused(error.to_string()))?;
        // Guests are sent where edges are heard, whether or not the store can take what they say.
        let now_us = self.core.contact.now_us();
        self.core.state().house.hear(&report, now_us);
        let mut orders = self.reports.ask(report).await.map_err(|refused| match refused {
            NotDone::Busy => LinkError::Unavailable("too many reports wait".to_owned()),
            NotDone::Stopping => LinkError::Unavailable("the node is stopping".to_owned()),
            NotDone::Store(error @ (StoreError::Invalid { .. } | StoreError::LimitReached { .. })) => {
                LinkError::Refused(error.to_string())
            }
            NotDone::Store(error) => LinkError::Unavailable(error.to_string()),
        })?;
        self.core.metrics.edge_reports_taken.inc();
        let LeaseTimes { now_us, ttl_us, .. } = self.core.contact.times();
        (orders.now_us, orders.ttl_us) = (Some(now_us), Some(ttl_us));
        Ok(orders)
    }

    /// Whether an address may ask for another ticket as a guest, or how long it has to wait.
    fn admit_guest(&self, address: IpAddr) -> Result<(), Duration> {
        self.guests.admit(address, 1, self.core.contact.now_us() / 1_000)
    }
}

impl ControlLink for Placement {
    fn report(&self, report: EdgeReport) -> BoxFuture<'_, Result<EdgeOrders, LinkError>> {
        self.take_report(report).boxed()
    }

    fn ticket_keys(&self) -> BoxFuture<'_, Result<TicketKeys, LinkError>> {
        std::future::ready(Ok(self.keys().clone())).boxed()
    }
}

impl Core {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Reads anew what the store knows of clusters and edges.
    async fn refresh(&self) -> Result<(), StoreError> {
        let read = async { Ok((self.store.edges().await?, self.store.clusters().await?)) }.await;
        self.contact.note(&read, false);
        let (edges, clusters) = read?;
        self.state().house.refresh(edges, clusters);
        Ok(())
    }
}

/// Reservations of leases, many in one transaction.
fn reservations(core: &Arc<Core>, tasks: &Tasks) -> Group<NewLease, Reserved> {
    let core = core.clone();
    let work = move |wanted: Vec<NewLease>| {
        let core = core.clone();
        async move {
            let done = core.store.reserve_leases(&wanted, &core.tiers, &core.contact.times()).await;
            core.contact.note(&done, true);
            done
        }
        .boxed()
    };
    Group::start("reservation of leases", LEASES_PER_GROUP_MAX, tasks, Arc::new(work))
}

/// Reports of edges, many in one transaction.
fn reports(core: &Arc<Core>, tasks: &Tasks) -> Group<EdgeReport, EdgeOrders> {
    let core = core.clone();
    let work = move |reports: Vec<EdgeReport>| {
        let core = core.clone();
        async move {
            let times = core.contact.begin_reports();
            let done = core.store.take_reports(&reports, &core.tiers, &times).await;
            core.contact.note_reports(&done);
            if done.is_ok() {
                let mut is_known = true;
                for report in &reports {
                    let mut state = core.state();
                    state.given.opened(&report.opened);
                    is_known &= state.house.note(report, times.now_us);
                }
                // A new start of an edge. If this fails, upkeep reads it soon.
                if !is_known && let Err(error) = core.refresh().await {
                    tracing::debug!(%error, "a new start of an edge is not read yet");
                }
            }
            done
        }
        .boxed()
    };
    Group::start("reports of edges", REPORTS_PER_GROUP_MAX, tasks, Arc::new(work))
}

/// Too many tickets were taken over unused, or their connections are still to be closed; the next reports end some.
fn unsettled() -> Problem {
    let detail = "too many places were asked for and given up; wait as long as Retry-After says";
    Problem { retry_after: Some(UNSETTLED_RETRY), ..Problem::new(ErrorType::RateLimited, detail) }
}

/// Why a reservation was not made, for who asked.
fn not_done(error: &NotDone) -> Problem {
    let (kind, detail) = match error {
        NotDone::Store(error) => return Problem::store(error),
        NotDone::Busy => (ErrorType::Overloaded, "too many are asking for a place at this moment"),
        NotDone::Stopping => (ErrorType::Stopping, "the node is stopping"),
    };
    Problem { retry_after: Some(Duration::from_secs(2)), ..Problem::new(kind, detail) }
}
