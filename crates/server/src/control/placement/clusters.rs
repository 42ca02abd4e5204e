//! Clusters and edges, as admins see and change them.

use std::collections::BTreeMap;

use emostream_store::{Cluster, EdgeRecord};

use super::{EdgeState, Placement};
use crate::http::problem::{ErrorType, Problem};

/// A cluster with its edges.
#[derive(Debug, Clone)]
pub struct ClusterView {
    /// Its name.
    pub name: String,
    /// Its record; `None` where only edges name it.
    pub record: Option<Cluster>,
    /// Its edges, by name.
    pub edges: Vec<EdgeView>,
}

/// An edge.
#[derive(Debug, Clone)]
pub struct EdgeView {
    /// What it reported.
    pub record: EdgeRecord,
    /// How it is.
    pub state: EdgeState,
    /// Tickets for it that are not known to be used.
    pub tickets: usize,
}

impl Placement {
    /// All clusters with their edges, by name; those too that only edges name.
    pub async fn clusters(&self) -> Result<Vec<ClusterView>, Problem> {
        let records = self.store.clusters().await.map_err(|error| Problem::store(&error))?;
        self.refresh().await?;
        let view = |record: Cluster| {
            let view = ClusterView { name: record.name.clone(), record: Some(record), edges: Vec::new() };
            (view.name.clone(), view)
        };
        let mut clusters: BTreeMap<_, _> = records.into_iter().map(view).collect();
        for edge in self.edges() {
            let name = edge.record.cluster.clone();
            let empty = ClusterView { name: name.clone(), record: None, edges: Vec::new() };
            clusters.entry(name).or_insert(empty).edges.push(edge);
        }
        Ok(clusters.into_values().collect())
    }

    /// Makes a cluster, or changes its capacity.
    pub async fn put_cluster(&self, name: &str, capacity: Option<u32>) -> Result<ClusterView, Problem> {
        let put = self.store.put_cluster(name, capacity, self.core.contact.now_us()).await;
        let record = put.map_err(|error| Problem::store(&error))?;
        self.refresh().await?;
        let edges = self.edges().into_iter().filter(|edge| edge.record.cluster == name).collect();
        Ok(ClusterView { name: name.to_owned(), record: Some(record), edges })
    }

    /// Removes a cluster's record. `Conflict` while an edge of it is there: its capacity would hold no more.
    pub async fn delete_cluster(&self, name: &str) -> Result<(), Problem> {
        self.refresh().await?;
        let is_alive = |edge: &EdgeView| edge.record.cluster == name && edge.state != EdgeState::Lost;
        if self.edges().iter().any(is_alive) {
            let detail = "edges of this cluster are connected; drain and stop them first";
            return Err(Problem::new(ErrorType::Conflict, detail));
        }
        self.store.delete_cluster(name).await.map_err(|error| Problem::store(&error))?;
        self.refresh().await
    }

    /// Asks for an edge to be emptied, or no longer. It learns of it with its next report; nobody is sent there from now on.
    pub async fn set_draining(&self, edge: &str, is_draining: bool) -> Result<EdgeView, Problem> {
        let set = self.store.set_draining(edge, is_draining).await;
        self.core.contact.note(&set, true);
        set.map_err(|error| Problem::store(&error))?;
        self.refresh().await?;
        let found = self.edges().into_iter().find(|view| view.record.name == edge);
        found.ok_or_else(|| Problem::new(ErrorType::EdgeNotFound, "it has been forgotten meanwhile"))
    }

    /// Forgets an edge: the devices on it count no more. One that is alive comes back with its next report.
    pub async fn forget_edge(&self, edge: &str) -> Result<(), Problem> {
        let forgotten = self.store.forget_edge(edge).await;
        self.core.contact.note(&forgotten, true);
        forgotten.map_err(|error| Problem::store(&error))?;
        self.refresh().await
    }

    async fn refresh(&self) -> Result<(), Problem> {
        self.core.refresh().await.map_err(|error| Problem::store(&error))
    }

    fn edges(&self) -> Vec<EdgeView> {
        let now_us = self.core.contact.now_us();
        let state = self.core.state();
        let view = |(record, state, tickets): (&EdgeRecord, _, _)| EdgeView {
            record: record.clone(),
            state,
            tickets,
        };
        state.house.edges(now_us).map(view).collect()
    }
}
