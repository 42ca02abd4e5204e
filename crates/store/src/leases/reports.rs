//! What edges report, and what they are told: several reports in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use emostream_protocol::placement::{
    CloseOrder, CloseReason, DEVICE_CHARS_MAX, EdgeOrders, EdgeReport, HeldLease, REPORT_DEVICES_MAX,
};
use uuid::Uuid;

use super::{
    LeaseTimes, TierLimits,
    admission::readmit,
    check_device,
    picture::{LeaseRow, Picture, read_reason},
};
use crate::{
    Store, StoreError, UserId,
    clusters::{KnownEdge, check_edge, drop_edges, known_edges, lost_edges, put_edges, room_for_edges},
    database::{Area, Change, many},
    limits::{REPORTS_PER_GROUP_MAX, check_line},
    sql::Value,
};

/// What a report is, judged by what is known of its edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is news.
    New,
    /// It was taken before, or a later one was: its edge is answered, nothing is changed.
    Repeated,
    /// Of a start before the one that is known: whoever sends it has been replaced, and closes everything. It comes back by
    /// itself once that other one is lost: an even earlier one may have replaced it, with a report that came late.
    Replaced,
    /// Of an edge that is one too many, while all others are in contact.
    Refused,
}

impl Store {
    /// Takes an edge's report, in one transaction; what the edge is to do. Repeating a report is harmless.
    pub async fn take_report(
        &self,
        report: &EdgeReport,
        limits: &TierLimits,
        times: &LeaseTimes,
    ) -> Result<EdgeOrders, StoreError> {
        let orders = self.take_reports(std::slice::from_ref(report), limits, times).await?;
        Ok(orders.into_iter().next().unwrap_or_default())
    }

    /// Takes reports in the order given, all in one transaction; at most [`REPORTS_PER_GROUP_MAX`]. One that
    /// [`check_report`] refuses is refused with the whole group.
    pub async fn take_reports(
        &self,
        reports: &[EdgeReport],
        limits: &TierLimits,
        times: &LeaseTimes,
    ) -> Result<Vec<EdgeOrders>, StoreError> {
        if reports.len() > REPORTS_PER_GROUP_MAX {
            return Err(StoreError::invalid("reports", format!("at most {REPORTS_PER_GROUP_MAX}")));
        }
        reports.iter().try_for_each(check_report)?;
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let mut change = self.database.change(Area::Leases).await?;
        let mut edges = Edges::load(&mut change, reports, times).await?;
        let mut picture = load(&mut change, reports).await?;
        edges.known.values().for_each(|edge| picture.see(&edge.record));
        let standings: Vec<_> =
            reports.iter().map(|report| edges.apply(report, &mut picture, limits, times)).collect();
        drop_edges(&mut change, &edges.displaced).await?;
        put_edges(&mut change, &edges.changed()).await?;
        picture.write(&mut change, times).await?;
        let to_close = to_close(&mut change, reports).await?;
        change.commit().await?;
        let answers = reports.iter().zip(standings);
        Ok(answers.map(|(report, standing)| edges.orders(report, standing, &to_close)).collect())
    }
}

/// Whether a report can be taken: names, texts and numbers of devices are within their limits.
pub fn check_report(report: &EdgeReport) -> Result<(), StoreError> {
    check_edge(report)?;
    let held = report.held.as_deref().unwrap_or_default();
    let devices = [("opened", report.opened.len()), ("closed", report.closed.len()), ("held", held.len())];
    if let Some((field, _)) = devices.into_iter().find(|devices| devices.1 > REPORT_DEVICES_MAX) {
        return Err(StoreError::invalid(field, format!("at most {REPORT_DEVICES_MAX} devices")));
    }
    for lease in held {
        check_device("held.device_id", &lease.device.device_id)?;
        check_line("held.name", &lease.device.name, DEVICE_CHARS_MAX)?;
    }
    Ok(())
}

/// Loads what reports are about: the leases that they name, all of starts that name everything they hold, and the users whose
/// devices are to be admitted again.
async fn load(change: &mut Change, reports: &[EdgeReport]) -> Result<Picture, StoreError> {
    let mut picture = Picture::default();
    // Collected, since a future that keeps such an iterator cannot be sent to another thread in a box.
    let named: Vec<_> =
        reports.iter().flat_map(|report| report.opened.iter().chain(&report.closed)).copied().collect();
    picture.load_ids(change, named.into_iter()).await?;
    let full = reports.iter().filter(|report| report.held.is_some()).map(|report| report.generation);
    let full: Vec<_> = full.collect();
    picture.load_generations(change, full.into_iter()).await?;
    let held = || reports.iter().flat_map(|report| report.held.iter().flatten());
    let unknown = held().map(|held| held.lease).filter(|id| picture.lease(*id).is_none());
    let unknown: Vec<_> = unknown.collect();
    picture.load_ids(change, unknown.into_iter()).await?;
    let living = |held: &&HeldLease| picture.lease(held.lease).is_some_and(|lease| lease.ended.is_none());
    let users: Vec<_> = held().filter(|held| !living(held)).map(user_of).collect();
    picture.load_users(change, users.into_iter()).await?;
    Ok(picture)
}

fn user_of(held: &HeldLease) -> UserId {
    UserId::from_bytes(held.device.user_id.into_bytes())
}

/// The edges that report.
struct Edges {
    known: BTreeMap<String, KnownEdge>,
    changed: BTreeSet<String>,
    /// How many more may be remembered.
    room: usize,
    /// Those that are lost, where there is no room for all new ones; the next one to give way first.
    lost: VecDeque<String>,
    /// Those that have given way.
    displaced: Vec<String>,
}

impl Edges {
    async fn load(
        change: &mut Change,
        reports: &[EdgeReport],
        times: &LeaseTimes,
    ) -> Result<Self, StoreError> {
        let names: BTreeSet<_> = reports.iter().map(|report| report.edge.as_str()).collect();
        let listed: Vec<_> = names.iter().map(|name| Value::from(*name)).collect();
        let edges = known_edges(change, &listed).await?;
        let new = names.len().saturating_sub(edges.len());
        let room = if new > 0 { room_for_edges(change).await? } else { 0 };
        let surplus = new.saturating_sub(room);
        let lost =
            if surplus > 0 { lost_edges(change, times, surplus, &names).await? } else { VecDeque::new() };
        let known = edges.into_iter().map(|edge| (edge.record.name.clone(), edge)).collect();
        Ok(Self { known, changed: BTreeSet::new(), room, lost, displaced: Vec::new() })
    }

    fn changed(&self) -> Vec<&KnownEdge> {
        self.changed.iter().filter_map(|name| self.known.get(name)).collect()
    }

    /// Takes one report.
    fn apply(
        &mut self,
        report: &EdgeReport,
        picture: &mut Picture,
        limits: &TierLimits,
        times: &LeaseTimes,
    ) -> Standing {
        let standing = self.meet(report, times);
        if standing == Standing::New {
            if let Some(edge) = self.known.get(&report.edge) {
                picture.see(&edge.record);
            }
            take_devices(report, picture, limits, times);
        }
        standing
    }

    /// Brings what is known of the edge up to date, if the report is news.
    fn meet(&mut self, report: &EdgeReport, times: &LeaseTimes) -> Standing {
        let mut now = KnownEdge::of(report, times.now_us);
        match self.known.get(&report.edge) {
            None => {
                if !self.make_room() {
                    return Standing::Refused;
                }
            }
            Some(edge) if is_replaced(edge, report, times) => return Standing::Replaced,
            Some(edge) if edge.record.generation == report.generation => {
                if report.number <= edge.record.number {
                    return Standing::Repeated;
                }
                let was_away = !times.is_in_contact(edge.record.heard_us);
                now.owes_all = report.held.is_none() && (edge.owes_all || was_away);
                now.previous.clone_from(&edge.previous);
                now.record.is_draining = edge.record.is_draining;
            }
            Some(edge) => {
                now = now.instead_of(edge);
                now.record.is_draining = edge.record.is_draining;
            }
        }
        self.known.insert(report.edge.clone(), now);
        self.changed.insert(report.edge.clone());
        Standing::New
    }

    /// Makes room for one more, where there is none in place of the one that has been lost for longest.
    fn make_room(&mut self) -> bool {
        if let Some(left) = self.room.checked_sub(1) {
            self.room = left;
            return true;
        }
        let Some(lost) = self.lost.pop_front() else { return false };
        self.displaced.push(lost);
        true
    }

    /// What an edge is told in answer to its report.
    fn orders(
        &self,
        report: &EdgeReport,
        standing: Standing,
        to_close: &HashMap<(&str, Uuid), Vec<CloseOrder>>,
    ) -> EdgeOrders {
        let edge = self.known.get(&report.edge);
        match (standing, edge) {
            (Standing::New | Standing::Repeated, Some(edge)) => {
                let close = to_close.get(&(report.edge.as_str(), report.generation));
                EdgeOrders {
                    close: close.cloned().unwrap_or_default(),
                    drain: edge.record.is_draining,
                    report_all: edge.owes_all,
                    ..EdgeOrders::default()
                }
            }
            _ => {
                let held = report.held.iter().flatten().map(|held| held.lease);
                let all: BTreeSet<_> = held.chain(report.opened.iter().copied()).collect();
                let close = |lease| CloseOrder { lease, reason: CloseReason::Surplus };
                EdgeOrders {
                    close: all.into_iter().map(close).collect(),
                    drain: true,
                    report_all: true,
                    is_replaced: standing == Standing::Replaced,
                    ..EdgeOrders::default()
                }
            }
        }
    }
}

/// Whether a report is of a start that was replaced, by one that is in contact; or of one that ends, or late.
fn is_replaced(edge: &KnownEdge, report: &EdgeReport, times: &LeaseTimes) -> bool {
    let earlier = edge.previous.iter().find(|earlier| earlier.generation == report.generation);
    earlier.is_some_and(|earlier| {
        let is_held = times.is_in_contact(edge.record.heard_us);
        is_held || report.is_leaving || report.number <= earlier.number
    })
}

/// Takes what a report says of devices.
fn take_devices(report: &EdgeReport, picture: &mut Picture, limits: &TierLimits, times: &LeaseTimes) {
    let is_own = |lease: &LeaseRow| lease.edge == report.edge && lease.generation == report.generation;
    for id in &report.opened {
        if picture.lease(*id).is_some_and(is_own) {
            picture.open(*id, times);
        }
    }
    if let Some(held) = &report.held {
        let there: BTreeSet<_> =
            held.iter().map(|held| held.lease).chain(report.opened.iter().copied()).collect();
        let gone =
            picture.leases().filter(|lease| is_own(lease) && lease.is_open && !there.contains(&lease.id));
        let gone: Vec<_> = gone.map(|lease| lease.id).collect();
        gone.into_iter().for_each(|id| picture.remove(id));
        for held in held {
            match picture.lease(held.lease) {
                Some(lease) if !is_own(lease) => {}
                Some(lease) if lease.ended != Some(CloseReason::Surplus) => picture.open(held.lease, times),
                _ => readmit(picture, row(report, held, times), limits, times),
            }
        }
    }
    for id in &report.closed {
        if picture.lease(*id).is_some_and(is_own) {
            picture.remove(*id);
        }
    }
}

fn row(report: &EdgeReport, held: &HeldLease, times: &LeaseTimes) -> LeaseRow {
    LeaseRow {
        id: held.lease,
        user: user_of(held),
        device_id: held.device.device_id.clone(),
        device_name: held.device.name.clone(),
        edge: report.edge.clone(),
        generation: report.generation,
        since_us: held.since_us.min(times.now_us),
        is_open: true,
        ended: None,
    }
}

/// The connections that each start of the reporting edges is to close, and the tickets that it must not let in any more: those
/// whose leases have ended, whether or not they were used.
async fn to_close<'r>(
    change: &mut Change,
    reports: &'r [EdgeReport],
) -> Result<HashMap<(&'r str, Uuid), Vec<CloseOrder>>, StoreError> {
    let names: BTreeSet<_> = reports.iter().map(|report| report.edge.as_str()).collect();
    let listed: Vec<_> = names.iter().map(|name| Value::from(*name)).collect();
    let query = "SELECT id, edge, generation, ended FROM leases
        WHERE edge IN ({list}) AND ended IS NOT NULL ORDER BY id";
    let mut orders: HashMap<_, Vec<_>> = HashMap::new();
    for row in many::find_listed(change, query, &listed).await? {
        let edge: String = row.get("edge")?;
        let Some(edge) = names.get(edge.as_str()) else { continue };
        let reason = read_reason(&row.get::<String>("ended")?)?;
        let order = CloseOrder { lease: row.uuid("id")?, reason };
        orders.entry((*edge, row.uuid("generation")?)).or_default().push(order);
    }
    Ok(orders)
}
