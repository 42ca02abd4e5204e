//! What a transaction on leases looks at: loaded at once, changed in memory, written back in few statements.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use emostream_protocol::placement::CloseReason;
use uuid::Uuid;

use super::{Lease, LeaseTimes};
use crate::{
    StoreError, UserId,
    clusters::EdgeRecord,
    database::{Change, many},
    sql::{Row, Statement, Value, damaged},
};

/// A lease as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeaseRow {
    pub(super) id: Uuid,
    pub(super) user: UserId,
    pub(super) device_id: String,
    pub(super) device_name: String,
    pub(super) edge: String,
    pub(super) generation: Uuid,
    pub(super) since_us: i64,
    pub(super) is_open: bool,
    pub(super) ended: Option<CloseReason>,
}

/// What decides whether an edge's leases count.
#[derive(Debug, Clone)]
struct SeenEdge {
    cluster: String,
    generation: Uuid,
    heard_us: i64,
}

/// Leases, their edges and users, as they are by now and as they are stored.
#[derive(Debug, Default)]
pub(super) struct Picture {
    tiers: HashMap<UserId, Option<u8>>,
    leases: BTreeMap<Uuid, LeaseRow>,
    stored: HashMap<Uuid, LeaseRow>,
    by_user: HashMap<UserId, BTreeSet<Uuid>>,
    edges: HashMap<String, SeenEdge>,
}

impl Picture {
    /// Loads users with all their leases.
    pub(super) async fn load_users(
        &mut self,
        change: &mut Change,
        users: impl Iterator<Item = UserId>,
    ) -> Result<(), StoreError> {
        let ids: BTreeSet<_> = users.collect();
        let ids: Vec<Value> = ids.iter().map(|id| Value::from(*id.as_bytes())).collect();
        for row in many::find_listed(change, "SELECT id, tier FROM users WHERE id IN ({list})", &ids).await? {
            self.tiers.insert(UserId::from_bytes(row.id("id")?), row.optional_int("tier")?);
        }
        self.load(change, "l.user_id IN ({list})", &ids).await
    }

    /// Loads leases by their ids, as far as there are any.
    pub(super) async fn load_ids(
        &mut self,
        change: &mut Change,
        ids: impl Iterator<Item = Uuid>,
    ) -> Result<(), StoreError> {
        let ids: BTreeSet<_> = ids.collect();
        let ids: Vec<Value> = ids.into_iter().map(Value::from).collect();
        self.load(change, "l.id IN ({list})", &ids).await
    }

    /// Loads all leases of starts of edges.
    pub(super) async fn load_generations(
        &mut self,
        change: &mut Change,
        generations: impl Iterator<Item = Uuid>,
    ) -> Result<(), StoreError> {
        let generations: Vec<Value> = generations.map(Value::from).collect();
        self.load(change, "l.generation IN ({list})", &generations).await
    }

    async fn load(&mut self, change: &mut Change, which: &str, list: &[Value]) -> Result<(), StoreError> {
        let rows = many::find_listed(change, &format!("{LEASES} WHERE {which}"), list).await?;
        self.take_rows(&rows)
    }

    /// Takes rows of [`of_user`].
    pub(super) fn take_rows(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        for row in rows {
            let lease = read(row)?;
            if let Some(heard_us) = row.get::<Option<i64>>("heard_us")? {
                let seen = SeenEdge {
                    cluster: row.get("cluster")?,
                    generation: row.uuid("edge_generation")?,
                    heard_us,
                };
                self.edges.insert(lease.edge.clone(), seen);
            }
            self.stored.insert(lease.id, lease.clone());
            self.put(lease);
        }
        Ok(())
    }

    /// The tier of a loaded user; `None` if there is no such account.
    pub(super) fn tier(&self, user: UserId) -> Option<Option<u8>> {
        self.tiers.get(&user).copied()
    }

    pub(super) fn lease(&self, id: Uuid) -> Option<&LeaseRow> {
        self.leases.get(&id)
    }

    /// All leases that have been loaded or made.
    pub(super) fn leases(&self) -> impl Iterator<Item = &LeaseRow> {
        self.leases.values()
    }

    /// The leases of a user that was loaded, oldest first.
    pub(super) fn of(&self, user: UserId) -> Vec<&LeaseRow> {
        let ids = self.by_user.get(&user).into_iter().flatten();
        let mut leases: Vec<_> = ids.filter_map(|id| self.leases.get(id)).collect();
        leases.sort_by_key(|lease| (lease.since_us, lease.id));
        leases
    }

    /// The devices of a user that count, oldest first.
    pub(super) fn devices_of(&self, user: UserId, times: &LeaseTimes) -> Vec<Lease> {
        let counting = self.of(user).into_iter().filter(|lease| self.counts(lease, times));
        counting.map(|lease| self.device(lease)).collect()
    }

    /// Makes or replaces a lease.
    pub(super) fn put(&mut self, lease: LeaseRow) {
        self.by_user.entry(lease.user).or_default().insert(lease.id);
        self.leases.insert(lease.id, lease);
    }

    pub(super) fn remove(&mut self, id: Uuid) {
        if let Some(lease) = self.leases.remove(&id) {
            self.by_user.entry(lease.user).or_default().remove(&id);
        }
    }

    pub(super) fn end(&mut self, id: Uuid, reason: CloseReason) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.ended = Some(reason);
        }
    }

    /// Marks a lease as opened, if it was not yet.
    pub(super) fn open(&mut self, id: Uuid, times: &LeaseTimes) {
        if let Some(lease) = self.leases.get_mut(&id).filter(|lease| !lease.is_open) {
            lease.is_open = true;
            lease.since_us = times.now_us;
        }
    }

    /// Says how an edge is by now.
    pub(super) fn see(&mut self, edge: &EdgeRecord) {
        let seen =
            SeenEdge { cluster: edge.cluster.clone(), generation: edge.generation, heard_us: edge.heard_us };
        self.edges.insert(edge.name.clone(), seen);
    }

    /// Whether a lease takes one of its user's places. One that has not ended and does not count gives way to others,
    /// and counts again if its edge comes back before.
    pub(super) fn counts(&self, lease: &LeaseRow, times: &LeaseTimes) -> bool {
        if lease.ended.is_some() {
            return false;
        }
        let is_awaited = !lease.is_open && times.may_open(lease.since_us);
        match self.edges.get(&lease.edge) {
            None => is_awaited,
            Some(edge) => {
                edge.generation == lease.generation
                    && times.is_in_contact(edge.heard_us)
                    && (lease.is_open || is_awaited)
            }
        }
    }

    /// Whether nothing can be heard of a lease any more: its edge has started anew, and no ticket is out with which that start
    /// might come back; or the edge has been heard for so long since its ticket ended that a use of it would be known, slow
    /// reports and clocks that differ allowed for.
    pub(super) fn is_over(&self, lease: &LeaseRow, times: &LeaseTimes) -> bool {
        self.edges.get(&lease.edge).is_some_and(|edge| {
            let told_us = edge.heard_us.saturating_sub(times.ttl_us.saturating_mul(2));
            let heard = LeaseTimes { now_us: told_us, ..*times };
            let is_replaced = edge.generation != lease.generation;
            is_replaced && (lease.is_open || !times.may_open(lease.since_us))
                || !lease.is_open && !heard.may_open(lease.since_us)
        })
    }

    /// Whether a lease's edge is in contact, and so learns what becomes of it.
    pub(super) fn can_be_told(&self, lease: &LeaseRow, times: &LeaseTimes) -> bool {
        self.edges.get(&lease.edge).is_some_and(|edge| times.is_in_contact(edge.heard_us))
    }

    fn device(&self, lease: &LeaseRow) -> Lease {
        Lease {
            id: lease.id,
            user: lease.user,
            device_id: lease.device_id.clone(),
            device_name: lease.device_name.clone(),
            edge: lease.edge.clone(),
            cluster: self.edges.get(&lease.edge).map(|edge| edge.cluster.clone()).unwrap_or_default(),
            since_us: lease.since_us,
            is_connected: lease.is_open,
        }
    }

    /// Writes what is different from what is stored.
    pub(super) async fn write(&self, change: &mut Change, times: &LeaseTimes) -> Result<(), StoreError> {
        let (mut deleted, mut opened, mut inserted) = (Vec::new(), Vec::new(), Vec::new());
        let mut ended: BTreeMap<Option<&'static str>, Vec<Value>> = BTreeMap::new();
        for id in self.stored.keys().filter(|id| !self.leases.contains_key(id)) {
            deleted.push(Value::from(*id));
        }
        for lease in self.leases.values() {
            let Some(stored) = self.stored.get(&lease.id) else {
                inserted.push(values(lease));
                continue;
            };
            if lease.is_open != stored.is_open {
                opened.push(Value::from(lease.id));
            }
            if lease.ended != stored.ended {
                ended.entry(lease.ended.map(reason_text)).or_default().push(Value::from(lease.id));
            }
        }
        many::change_listed(change, "DELETE FROM leases WHERE id IN ({list})", &[], &deleted).await?;
        let open = "UPDATE leases SET is_open = 1, since_us = $1 WHERE id IN ({list})";
        many::change_listed(change, open, &[times.now_us.into()], &opened).await?;
        for (reason, ids) in ended {
            let end = "UPDATE leases SET ended = $1 WHERE id IN ({list})";
            many::change_listed(change, end, &[reason.into()], &ids).await?;
        }
        many::insert(change, COLUMNS, inserted).await.map(drop)
    }
}

const COLUMNS: many::Target = many::Target {
    table: "leases",
    columns: &[
        "id",
        "user_id",
        "device_id",
        "device_name",
        "edge",
        "generation",
        "since_us",
        "is_open",
        "ended",
    ],
    on_conflict: "DO NOTHING",
};

const LEASES: &str =
    "SELECT l.id, l.user_id, l.device_id, l.device_name, l.edge, l.generation, l.since_us, l.is_open,
    l.ended, e.cluster, e.generation AS edge_generation, e.heard_us
    FROM leases l LEFT JOIN edges e ON e.name = l.edge";

/// The query for a user's leases.
pub(super) fn of_user(user: UserId) -> Statement {
    Statement::composed(format!("{LEASES} WHERE l.user_id = $1")).bind(*user.as_bytes())
}

fn values(lease: &LeaseRow) -> Vec<Value> {
    vec![
        lease.id.into(),
        (*lease.user.as_bytes()).into(),
        lease.device_id.as_str().into(),
        lease.device_name.as_str().into(),
        lease.edge.as_str().into(),
        lease.generation.into(),
        lease.since_us.into(),
        lease.is_open.into(),
        lease.ended.map(reason_text).into(),
    ]
}

fn read(row: &Row) -> Result<LeaseRow, StoreError> {
    let ended: Option<String> = row.get("ended")?;
    Ok(LeaseRow {
        id: row.uuid("id")?,
        user: UserId::from_bytes(row.id("user_id")?),
        device_id: row.get("device_id")?,
        device_name: row.get("device_name")?,
        edge: row.get("edge")?,
        generation: row.uuid("generation")?,
        since_us: row.get("since_us")?,
        is_open: row.flag("is_open")?,
        ended: ended.as_deref().map(read_reason).transpose()?,
    })
}

/// A reason as it is stored.
pub(crate) fn reason_text(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::TakenOver => "taken-over",
        CloseReason::Ended => "ended",
        CloseReason::Surplus => "surplus",
        CloseReason::AccountGone => "account-gone",
    }
}

pub(super) fn read_reason(text: &str) -> Result<CloseReason, StoreError> {
    let all = [CloseReason::TakenOver, CloseReason::Ended, CloseReason::Surplus, CloseReason::AccountGone];
    all.into_iter().find(|reason| reason_text(*reason) == text).ok_or_else(|| damaged("ended"))
}
