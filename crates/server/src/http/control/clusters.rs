//! Clusters and edges, for admins.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use emostream_protocol::time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    control::placement::{ClusterView, EdgeView},
    http::{access::Caller, app::App, body::JsonBody, problem::Problem},
};

/// Bytes of a body about a cluster or an edge.
const BODY_BYTES_MAX: usize = 1024;

/// All clusters, by name.
#[derive(Serialize, ToSchema)]
pub struct ClusterList {
    #[schema(inline)]
    items: Vec<ClusterDocument>,
}

/// A cluster with its edges.
#[derive(Serialize, ToSchema)]
pub struct ClusterDocument {
    /// Name.
    name: String,
    /// Viewers on all its edges together; null: as many as they take.
    capacity: Option<u32>,
    /// When it was made, RFC 3339; null where only edges name it.
    created_at: Option<String>,
    /// Viewers on its edges, lost ones left out.
    viewers: u64,
    /// Its edges, by name.
    #[schema(inline)]
    edges: Vec<EdgeDocument>,
}

/// An edge, as it reported.
#[derive(Serialize, ToSchema)]
pub struct EdgeDocument {
    /// Name.
    name: String,
    /// Its cluster.
    cluster: String,
    /// `live`, `draining`, `leaving`, `silent` (it should have reported by now) or `lost`.
    state: &'static str,
    /// Where viewers reach it; empty: on the host that they know, on `port`.
    url: String,
    /// The port that it listens on.
    port: u16,
    /// Viewers that it takes.
    capacity: u32,
    /// Viewers that are connected.
    viewers: u32,
    /// Tickets for it that are not known to be used.
    tickets: u64,
    /// When it last reported, RFC 3339.
    heard_at: String,
}

/// What to make of a cluster.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterInput {
    /// Viewers on all its edges together; absent or null: as many as they take.
    capacity: Option<u32>,
}

/// What to make of an edge.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EdgeInput {
    /// Whether it is to be emptied: nobody is sent there, and its viewers are told to go elsewhere.
    draining: bool,
}

impl From<EdgeView> for EdgeDocument {
    fn from(EdgeView { record, state, tickets }: EdgeView) -> Self {
        Self {
            name: record.name,
            cluster: record.cluster,
            state: state.name(),
            url: record.url,
            port: record.port,
            capacity: record.capacity,
            viewers: record.viewers,
            tickets: tickets as u64,
            heard_at: time::format_ms(record.heard_us.div_euclid(1_000)),
        }
    }
}

impl From<ClusterView> for ClusterDocument {
    fn from(view: ClusterView) -> Self {
        let there = view.edges.iter().filter(|edge| edge.state != crate::control::placement::EdgeState::Lost);
        Self {
            name: view.name,
            capacity: view.record.as_ref().and_then(|record| record.capacity),
            created_at: view.record.map(|record| time::format_ms(record.created_us.div_euclid(1_000))),
            viewers: there.map(|edge| u64::from(edge.record.viewers)).sum(),
            edges: view.edges.into_iter().map(EdgeDocument::from).collect(),
        }
    }
}

/// `GET /v1/clusters`.
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<ClusterList>, Problem> {
    let clusters = app.control()?.placement.clusters().await?;
    Ok(Json(ClusterList { items: clusters.into_iter().map(ClusterDocument::from).collect() }))
}

/// `PUT /v1/clusters/{name}`.
pub async fn put(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(input): JsonBody<ClusterInput, BODY_BYTES_MAX>,
) -> Result<Json<ClusterDocument>, Problem> {
    if input.capacity == Some(0) {
        return Err(Problem::field("capacity", "expected 1 or more viewers, or null"));
    }
    let cluster = app.control()?.placement.put_cluster(&name, input.capacity).await?;
    tracing::info!(cluster = name, capacity = input.capacity, by = caller.username, "cluster set");
    Ok(Json(cluster.into()))
}

/// `DELETE /v1/clusters/{name}`.
pub async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    app.control()?.placement.delete_cluster(&name).await?;
    tracing::info!(cluster = name, by = caller.username, "cluster removed");
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /v1/edges/{name}`.
pub async fn put_edge(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(input): JsonBody<EdgeInput, BODY_BYTES_MAX>,
) -> Result<Json<EdgeDocument>, Problem> {
    let edge = app.control()?.placement.set_draining(&name, input.draining).await?;
    tracing::info!(edge = name, draining = input.draining, by = caller.username, "edge set");
    Ok(Json(edge.into()))
}

/// `DELETE /v1/edges/{name}`.
pub async fn forget_edge(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    app.control()?.placement.forget_edge(&name).await?;
    tracing::info!(edge = name, by = caller.username, "edge forgotten");
    Ok(StatusCode::NO_CONTENT)
}
