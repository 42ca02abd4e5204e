//! Whether the node lives, is ready, and is well; and its metrics.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::{App, Phase};
use crate::{
    node::{BrokerEvents, Brokers},
    telemetry::{Labelled, Metrics},
};

/// Answer of `/readyz`: what keeps the node from being ready.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether traffic may be sent here.
    ready: bool,
    /// One line for each thing that is missing.
    waiting_for: Vec<&'static str>,
    /// On a node with control, whether its store answers: `ok` or `silent`. Reactions and viewers do without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<&'static str>,
    /// On a node with control, whether it places viewers: `places`, or `stands-by` where another process on the same store
    /// does.
    #[serde(skip_serializing_if = "Option::is_none")]
    control: Option<&'static str>,
}

/// Answer of `/health`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `starting`, `stopping`, `failed`.
    status: &'static str,
    /// Whether Kafka is reached; null on the embedded log.
    kafka_connected: Option<bool>,
    /// Reactions acknowledged and not yet in Kafka; 0 on the embedded log.
    buffer_size: u64,
    /// Viewers connected here.
    viewers: usize,
    /// Version of the program.
    version: &'static str,
}

/// `GET /livez`: the process answers.
pub async fn livez() -> &'static str {
    "ok\n"
}

/// `GET /readyz`.
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    let readiness = readiness(&app);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

/// What the node waits for, if anything.
pub fn readiness(app: &App) -> Readiness {
    let mut waiting_for = Vec::new();
    match app.phase() {
        Phase::Starting => waiting_for.push("start"),
        Phase::Stopping => waiting_for.push("the node is stopping"),
        Phase::Serving => {}
    }
    if app.tasks.has_failed() {
        waiting_for.push("a part of the node has failed");
    }
    if app.edge.as_ref().is_some_and(|edge| !edge.hub.is_caught_up()) {
        waiting_for.push("edge: recent windows are being loaded");
    }
    if app.pressure.is_counting_behind() {
        waiting_for.push("aggregate: the log is being counted");
    }
    let is_answering = app.control.as_ref().map(|control| control.placement.store_answers());
    // Where reactions are taken or shown as well, these go on, and traffic must go on coming for them.
    if is_answering == Some(false) && app.intake.is_none() && app.edge.is_none() {
        waiting_for.push("control: the store does not answer");
    }
    let stands_by = app.control.as_ref().map(|control| control.placement.stands_by());
    if stands_by == Some(true) && app.intake.is_none() && app.edge.is_none() {
        waiting_for.push("control: another process places viewers on this store");
    }
    let store = is_answering.map(|is_answering| if is_answering { "ok" } else { "silent" });
    let control = stands_by.map(|stands_by| if stands_by { "stands-by" } else { "places" });
    Readiness { ready: waiting_for.is_empty(), waiting_for, store, control }
}

/// `GET /health`, with the fields that clients of system E read.
pub async fn health(State(app): State<Arc<App>>) -> Response {
    let (code, status) = match app.phase() {
        _ if app.tasks.has_failed() => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        Phase::Serving => (StatusCode::OK, "ok"),
    };
    let viewers = app.edge.as_ref().map_or(0, |edge| edge.hub.viewers());
    let version = env!("CARGO_PKG_VERSION");
    let kafka_connected = app.brokers.as_ref().map(|brokers| brokers.is_connected());
    let buffer_size = u64::try_from(app.metrics.spool_reactions.get()).unwrap_or(0);
    (code, Json(Health { status, kafka_connected, buffer_size, viewers, version })).into_response()
}

/// `GET /metrics` in the OpenMetrics text format.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    if let Some(brokers) = &app.brokers {
        note_brokers(&app.metrics, &**brokers);
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.encode()).into_response()
}

fn note_brokers(metrics: &Metrics, brokers: &dyn Brokers) {
    metrics.kafka_connected.set(brokers.is_connected().into());
    metrics.kafka_clock_offset_ms.set(brokers.clock_offset_ms());
    let BrokerEvents { rebalances, reconnects, fenced, writer_restarts, pulses_dropped } = brokers.events();
    for (kind, number) in [
        ("rebalance", rebalances),
        ("reconnect", reconnects),
        ("fenced", fenced),
        ("writer-restart", writer_restarts),
        ("pulses-dropped", pulses_dropped),
    ] {
        let gauge = metrics.kafka_events.get_or_create(&Labelled { kind });
        gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
    }
}
