//! Clusters, and what is known of their edges.

use std::collections::{BTreeSet, VecDeque};

use emostream_protocol::placement::EdgeReport;
use uuid::Uuid;

use crate::{
    LeaseTimes, Store, StoreError,
    database::{Area, Change, many},
    limits::{CLUSTERS_MAX, EDGES_MAX, URL_CHARS_MAX, check_line, check_name},
    sql::{Row, Statement, Value, sql, wide},
};

/// A cluster: edges that people see as one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Name, unique: 1 to [`NAME_CHARS_MAX`](crate::NAME_CHARS_MAX) characters.
    pub name: String,
    /// Viewers that all its edges take together; `None`: as many as they take.
    pub capacity: Option<u32>,
    /// When it was made.
    pub created_us: i64,
}

/// An edge as its newest report tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeRecord {
    /// Name, unique: 1 to [`NAME_CHARS_MAX`](crate::NAME_CHARS_MAX) characters.
    pub name: String,
    /// Its cluster, of which there need not be a record.
    pub cluster: String,
    /// Where viewers reach it; empty: at the host that they have asked, on [`Self::port`].
    pub url: String,
    /// The port that it listens on.
    pub port: u16,
    /// Viewers that it takes.
    pub capacity: u32,
    /// Viewers that were connected.
    pub viewers: u32,
    /// Its start.
    pub generation: Uuid,
    /// Number of the newest report of that start.
    pub number: u64,
    /// Whether an admin has asked for it to be emptied.
    pub is_draining: bool,
    /// Whether it is about to stop.
    pub is_leaving: bool,
    /// When the newest report was taken.
    pub heard_us: i64,
}

/// An edge with what only the store needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownEdge {
    pub(crate) record: EdgeRecord,
    /// The starts before this one that are remembered, the last one first.
    pub(crate) previous: Vec<EarlierStart>,
    /// Whether it still has to name everything that it holds.
    pub(crate) owes_all: bool,
}

/// A start of an edge that another one has replaced. What it still says comes too late, save where that other one is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EarlierStart {
    pub(crate) generation: Uuid,
    /// Number of its newest report before it was replaced.
    pub(crate) number: u64,
}

impl Store {
    /// Makes a cluster, or changes the capacity of the one there is. `LimitReached` beyond [`CLUSTERS_MAX`].
    pub async fn put_cluster(
        &self,
        name: &str,
        capacity: Option<u32>,
        now_us: i64,
    ) -> Result<Cluster, StoreError> {
        check_name("cluster", name)?;
        let mut change = self.database.change(Area::Clusters).await?;
        let put = sql("INSERT INTO clusters (name, capacity, created_us) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET capacity = excluded.capacity");
        change.execute(put.bind(name).bind(capacity.map(i64::from)).bind(now_us)).await?;
        if count(&mut change, "SELECT COUNT(*) AS found FROM clusters").await? > i64::from(CLUSTERS_MAX) {
            return Err(StoreError::LimitReached { what: "clusters", limit: CLUSTERS_MAX });
        }
        let row = change.row(cluster_by_name(name)).await?;
        let cluster = row.as_ref().map(read_cluster).transpose()?;
        change.commit().await?;
        cluster.ok_or(StoreError::NotFound { what: "cluster" })
    }

    /// The cluster of a name; `None` if there is none, or no such name can be.
    pub async fn cluster(&self, name: &str) -> Result<Option<Cluster>, StoreError> {
        if check_name("cluster", name).is_err() {
            return Ok(None);
        }
        self.database.row(cluster_by_name(name)).await?.as_ref().map(read_cluster).transpose()
    }

    /// All clusters, by name.
    pub async fn clusters(&self) -> Result<Vec<Cluster>, StoreError> {
        let query = sql("SELECT name, capacity, created_us FROM clusters ORDER BY name");
        self.database.rows(query).await?.iter().map(read_cluster).collect()
    }

    /// Removes a cluster's record; its edges, if there are any, stay. `NotFound` if there is none.
    pub async fn delete_cluster(&self, name: &str) -> Result<(), StoreError> {
        let mut change = self.database.change(Area::Clusters).await?;
        let deleted = change.execute(sql("DELETE FROM clusters WHERE name = $1").bind(name)).await?;
        found(deleted, "cluster")?;
        change.commit().await
    }

    /// All edges that have reported and are not forgotten, dead ones among them, by name.
    pub async fn edges(&self) -> Result<Vec<EdgeRecord>, StoreError> {
        let rows = self.database.rows(Statement::composed(format!("{EDGES} ORDER BY name"))).await?;
        rows.iter().map(|row| read_edge(row).map(|edge| edge.record)).collect()
    }

    /// Asks for an edge to be emptied, or no longer; it learns of it with the answer to its next report. `NotFound` if it is not known.
    pub async fn set_draining(&self, edge: &str, is_draining: bool) -> Result<(), StoreError> {
        let mut change = self.database.change(Area::Leases).await?;
        let statement = sql("UPDATE edges SET is_draining = $1 WHERE name = $2").bind(is_draining).bind(edge);
        found(change.execute(statement).await?, "edge")?;
        change.commit().await
    }

    /// Forgets an edge: its leases count no more. One that is alive comes back with its next report. `NotFound` if it is not known.
    pub async fn forget_edge(&self, name: &str) -> Result<(), StoreError> {
        let mut change = self.database.change(Area::Leases).await?;
        found(change.execute(sql("DELETE FROM edges WHERE name = $1").bind(name)).await?, "edge")?;
        change.commit().await
    }
}

impl KnownEdge {
    /// What the first report that is heard of a start tells.
    pub(crate) fn of(report: &EdgeReport, now_us: i64) -> Self {
        let record = EdgeRecord {
            name: report.edge.clone(),
            cluster: report.cluster.clone(),
            url: report.url.clone(),
            port: report.port,
            capacity: report.capacity,
            viewers: report.viewers,
            generation: report.generation,
            number: report.number,
            is_draining: false,
            is_leaving: report.is_leaving,
            heard_us: now_us,
        };
        Self { record, previous: Vec::new(), owes_all: report.held.is_none() }
    }

    /// The same where another start was known before.
    pub(crate) fn instead_of(self, other: &Self) -> Self {
        let replaced = EarlierStart { generation: other.record.generation, number: other.record.number };
        let previous = [replaced].into_iter().chain(other.previous.iter().copied());
        let previous = previous.filter(|earlier| earlier.generation != self.record.generation);
        Self { previous: previous.take(PREVIOUS_MAX).collect(), ..self }
    }
}

/// Bytes of an earlier start as it is stored: its id and the number, big-endian.
const EARLIER_BYTES: usize = 24;

impl EarlierStart {
    fn bytes(&self) -> [u8; EARLIER_BYTES] {
        let mut bytes = [0; EARLIER_BYTES];
        bytes[..16].copy_from_slice(self.generation.as_bytes());
        bytes[16..].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    fn of(bytes: &[u8; EARLIER_BYTES]) -> Self {
        let generation = Uuid::from_bytes(std::array::from_fn(|place| bytes[place]));
        let number = u64::from_be_bytes(std::array::from_fn(|place| bytes[16 + place]));
        Self { generation, number }
    }
}

/// Starts of an edge that are remembered behind the one that holds.
const PREVIOUS_MAX: usize = 8;

/// Whether a report's names can be stored.
pub(crate) fn check_edge(report: &EdgeReport) -> Result<(), StoreError> {
    check_name("edge", &report.edge)?;
    check_name("cluster", &report.cluster)?;
    check_line("url", &report.url, URL_CHARS_MAX)?;
    wide("number", report.number).map(drop)
}

/// The edges of these names that are known.
pub(crate) async fn known_edges(change: &mut Change, names: &[Value]) -> Result<Vec<KnownEdge>, StoreError> {
    let rows = many::find_listed(change, &format!("{EDGES} WHERE name IN ({{list}})"), names).await?;
    rows.iter().map(read_edge).collect()
}

/// How many more edges may be remembered.
pub(crate) async fn room_for_edges(change: &mut Change) -> Result<usize, StoreError> {
    let known = count(change, "SELECT COUNT(*) AS found FROM edges").await?;
    Ok(usize::try_from(i64::from(EDGES_MAX).saturating_sub(known)).unwrap_or(0))
}

/// Edges that are out of contact, those that have been silent for longest first; at most `count`, and none of `but`.
pub(crate) async fn lost_edges(
    change: &mut Change,
    times: &LeaseTimes,
    count: usize,
    but: &BTreeSet<&str>,
) -> Result<VecDeque<String>, StoreError> {
    if times.is_in_contact(i64::MIN) {
        return Ok(VecDeque::new());
    }
    let query = sql("SELECT name FROM edges WHERE heard_us <= $1 ORDER BY heard_us, name LIMIT $2");
    let limit = i64::try_from(count.saturating_add(but.len())).unwrap_or(i64::MAX);
    let rows = change.rows(query.bind(times.now_us.saturating_sub(times.ttl_us)).bind(limit)).await?;
    let names = rows.iter().map(|row| row.get("name")).collect::<Result<Vec<String>, _>>()?;
    Ok(names.into_iter().filter(|name| !but.contains(name.as_str())).take(count).collect())
}

/// Removes edges; their leases count no more.
pub(crate) async fn drop_edges(change: &mut Change, names: &[String]) -> Result<(), StoreError> {
    let names: Vec<_> = names.iter().map(|name| Value::from(name.as_str())).collect();
    many::change_listed(change, "DELETE FROM edges WHERE name IN ({list})", &[], &names).await.map(drop)
}

/// Stores edges, new ones and those that there are.
pub(crate) async fn put_edges(change: &mut Change, edges: &[&KnownEdge]) -> Result<(), StoreError> {
    let rows = edges.iter().map(|edge| edge_values(edge)).collect::<Result<Vec<_>, _>>()?;
    many::insert(change, EDGE_COLUMNS, rows).await.map(drop)
}

const EDGE_COLUMNS: many::Target = many::Target {
    table: "edges",
    columns: &[
        "name",
        "cluster",
        "url",
        "port",
        "capacity",
        "viewers",
        "generation",
        "previous_generations",
        "number",
        "is_draining",
        "is_leaving",
        "owes_all",
        "heard_us",
    ],
    on_conflict: "(name) DO UPDATE SET cluster = excluded.cluster, url = excluded.url, port = excluded.port,
        capacity = excluded.capacity, viewers = excluded.viewers, generation = excluded.generation,
        previous_generations = excluded.previous_generations, number = excluded.number,
        is_draining = excluded.is_draining, is_leaving = excluded.is_leaving, owes_all = excluded.owes_all,
        heard_us = excluded.heard_us",
};

const EDGES: &str =
    "SELECT name, cluster, url, port, capacity, viewers, generation, previous_generations, number,
    is_draining, is_leaving, owes_all, heard_us FROM edges";

fn edge_values(edge: &KnownEdge) -> Result<Vec<Value>, StoreError> {
    let record = &edge.record;
    Ok(vec![
        record.name.as_str().into(),
        record.cluster.as_str().into(),
        record.url.as_str().into(),
        i64::from(record.port).into(),
        i64::from(record.capacity).into(),
        i64::from(record.viewers).into(),
        record.generation.into(),
        edge.previous.iter().flat_map(EarlierStart::bytes).collect::<Vec<u8>>().as_slice().into(),
        wide("number", record.number)?.into(),
        record.is_draining.into(),
        record.is_leaving.into(),
        edge.owes_all.into(),
        record.heard_us.into(),
    ])
}

fn read_edge(row: &Row) -> Result<KnownEdge, StoreError> {
    let record = EdgeRecord {
        name: row.get("name")?,
        cluster: row.get("cluster")?,
        url: row.get("url")?,
        port: row.int("port")?,
        capacity: row.int("capacity")?,
        viewers: row.int("viewers")?,
        generation: row.uuid("generation")?,
        number: row.int("number")?,
        is_draining: row.flag("is_draining")?,
        is_leaving: row.flag("is_leaving")?,
        heard_us: row.get("heard_us")?,
    };
    let previous: Vec<u8> = row.get("previous_generations")?;
    let (starts, _) = previous.as_chunks::<EARLIER_BYTES>();
    let previous = starts.iter().map(EarlierStart::of).collect();
    Ok(KnownEdge { record, previous, owes_all: row.flag("owes_all")? })
}

fn cluster_by_name(name: &str) -> Statement {
    sql("SELECT name, capacity, created_us FROM clusters WHERE name = $1").bind(name)
}

fn read_cluster(row: &Row) -> Result<Cluster, StoreError> {
    Ok(Cluster {
        name: row.get("name")?,
        capacity: row.optional_int("capacity")?,
        created_us: row.get("created_us")?,
    })
}

async fn count(change: &mut Change, query: &'static str) -> Result<i64, StoreError> {
    change.row(sql(query)).await?.map_or(Ok(0), |row| row.get("found"))
}

/// `NotFound` if nothing was changed.
fn found(changed: u64, what: &'static str) -> Result<(), StoreError> {
    if changed == 0 { Err(StoreError::NotFound { what }) } else { Ok(()) }
}
