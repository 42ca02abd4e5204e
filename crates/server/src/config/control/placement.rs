//! `placement`: how viewers are sent to edges.

use emostream_protocol::placement::TICKET_SECONDS_MAX;
use serde::{Deserialize, Serialize};

use crate::config::{Findings, is_short_name};

/// How viewers are sent to edges, and for how long edges and tickets hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlacementConfig {
    /// Whether viewers must come with a ticket. Else whoever comes without one is let in as a guest, where the channel
    /// takes guests.
    pub required: bool,
    /// An edge of which control hears nothing for so long counts as lost, and the devices on it as gone, ms.
    pub ttl_ms: u32,
    /// Edges report to control so often, ms.
    pub report_ms: u32,
    /// A ticket opens a connection for so long, ms, rounded down to whole seconds when it is signed.
    pub ticket_ms: u32,
    /// Tickets that one address may ask for in a second as a guest, on average; 0: as many as it likes. Asking again from
    /// a place in the line does not count.
    pub guests_per_s: u32,
    /// Tickets that one address may ask for as a guest at once, beyond that average.
    pub guests_burst: u32,
    /// Clusters that there are from the start. Others can be made while it runs; these are set anew at every start.
    pub clusters: Vec<ClusterConfig>,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// Its name.
    pub name: String,
    /// Viewers on all its edges together. Absent: as many as its edges take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
}

/// Clusters of the configuration; the store takes no more.
const CLUSTERS_MAX: usize = 1_000;

impl Default for PlacementConfig {
    fn default() -> Self {
        Self {
            required: false,
            ttl_ms: 10_000,
            report_ms: 2_000,
            ticket_ms: 30_000,
            guests_per_s: 20,
            guests_burst: 500,
            clusters: Vec::new(),
        }
    }
}

impl PlacementConfig {
    pub(in crate::config) fn validate(&self, findings: &mut Findings) {
        findings.expect(
            (100..=60_000).contains(&self.report_ms),
            "placement.report_ms",
            "milliseconds from 100 to 60000",
        );
        findings.expect(
            (1_000..=600_000).contains(&self.ttl_ms) && self.ttl_ms / 2 >= self.report_ms,
            "placement.ttl_ms",
            "milliseconds from 1000 to 600000, at least twice placement.report_ms",
        );
        let ticket_ms_max = TICKET_SECONDS_MAX * 1_000;
        findings.expect(
            (2_000..=ticket_ms_max).contains(&self.ticket_ms.into()),
            "placement.ticket_ms",
            format_args!("milliseconds from 2000 to {ticket_ms_max}"),
        );
        findings.expect(
            (1..=1_000_000).contains(&self.guests_burst),
            "placement.guests_burst",
            "1 to 1000000",
        );
        findings.expect(
            self.clusters.len() <= CLUSTERS_MAX,
            "placement.clusters",
            format_args!("at most {CLUSTERS_MAX} clusters"),
        );
        for (at, cluster) in self.clusters.iter().enumerate() {
            let key = |field: &str| format!("placement.clusters[{at}].{field}");
            let twice = self.clusters.iter().take(at).any(|other| other.name == cluster.name);
            findings.expect(
                is_short_name(&cluster.name) && !twice,
                &key("name"),
                "1 to 64 letters, digits, '.', '_' or '-', unlike the other clusters'",
            );
            findings.expect(cluster.capacity != Some(0), &key("capacity"), "1 or more viewers");
        }
    }
}
