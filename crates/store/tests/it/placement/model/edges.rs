//! Edges of the model: what they hold, and how they report it.

use std::collections::{BTreeMap, BTreeSet};

use emostream_protocol::placement::{EdgeOrders, EdgeReport, HeldLease, TicketDevice};
use uuid::Uuid;

use crate::placement::TTL_US;

/// One start of an edge.
pub(super) struct Edge {
    pub(super) name: String,
    pub(super) generation: Uuid,
    /// Whether nothing passes between it and control.
    pub(super) is_cut_off: bool,
    /// When it reports again.
    pub(super) due_us: i64,
    connections: BTreeMap<Uuid, HeldLease>,
    used: BTreeSet<Uuid>,
    opened: BTreeSet<Uuid>,
    closed: BTreeSet<Uuid>,
    number: u64,
    answered_us: i64,
    owes_all: bool,
}

impl Edge {
    pub(super) fn start(name: String, generation: Uuid, now_us: i64) -> Self {
        Self {
            name,
            generation,
            is_cut_off: false,
            due_us: now_us,
            connections: BTreeMap::new(),
            used: BTreeSet::new(),
            opened: BTreeSet::new(),
            closed: BTreeSet::new(),
            number: 0,
            answered_us: now_us,
            owes_all: true,
        }
    }

    /// Lets a device in; whether its ticket had not been used before.
    pub(super) fn connect(&mut self, lease: Uuid, user: Uuid, device: &str, now_us: i64) -> bool {
        if !self.used.insert(lease) {
            return false;
        }
        let device = TicketDevice { user_id: user, device_id: device.to_owned(), name: String::new() };
        self.connections.insert(lease, HeldLease { lease, device, since_us: now_us });
        self.opened.insert(lease);
        true
    }

    pub(super) fn disconnect(&mut self, lease: Uuid) {
        if self.connections.remove(&lease).is_some() {
            self.closed.insert(lease);
        }
    }

    pub(super) fn connections(&self) -> Vec<Uuid> {
        self.connections.keys().copied().collect()
    }

    pub(super) fn report(&mut self, now_us: i64) -> EdgeReport {
        self.number += 1;
        let all = self.owes_all || now_us >= self.answered_us + TTL_US;
        EdgeReport {
            edge: self.name.clone(),
            cluster: "west".into(),
            url: String::new(),
            port: 3005,
            capacity: 1_000,
            generation: self.generation,
            number: self.number,
            viewers: u32::try_from(self.connections.len()).unwrap(),
            is_leaving: false,
            opened: self.opened.iter().copied().collect(),
            closed: self.closed.iter().copied().collect(),
            held: all.then(|| self.connections.values().cloned().collect()),
        }
    }

    /// Does what it is told in answer to a report.
    pub(super) fn answered(&mut self, report: &EdgeReport, orders: &EdgeOrders, now_us: i64) {
        self.answered_us = now_us;
        self.opened.retain(|id| !report.opened.contains(id));
        self.closed.retain(|id| !report.closed.contains(id));
        self.owes_all = orders.report_all;
        for order in &orders.close {
            self.disconnect(order.lease);
        }
    }
}
