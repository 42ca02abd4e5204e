//! What viewers saw, for people and as JSON.

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use crate::report::Latency;

/// What all viewers of a load test saw together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ViewersReport {
    /// Viewers that should read.
    pub viewers: u32,
    /// Viewers that connected and never read.
    pub silent: u32,
    /// The most that were connected and reading at once.
    pub connected_max: u64,
    /// Frames of all kinds.
    pub frames: u64,
    /// Bytes of their text.
    pub bytes: u64,
    /// Pulses.
    pub pulses: u64,
    /// Windows.
    pub windows: u64,
    /// Moments.
    pub moments: u64,
    /// Gaps that the server named.
    pub gaps: u64,
    /// Frames whose sequence did not ascend.
    pub order_faults: u64,
    /// Moments that a viewer got twice without asking.
    pub duplicate_moments: u64,
    /// Connections lost or refused.
    pub disconnects: u64,
    /// The first reason for a lost or refused connection.
    pub first_error: Option<String>,
    /// Probe taps sent.
    pub probes: u64,
    /// Probe taps that the server did not take.
    pub probes_failed: u64,
    /// Viewer by viewer: probe taps that were not seen.
    pub probes_missed: u64,
    /// From a probe's tap to the first pulse with it, in milliseconds.
    pub tap_to_screen_ms: Latency,
}

impl ViewersReport {
    /// A line a fact.
    pub(crate) fn summary(&self) -> String {
        let count = |number: u64| HumanCount(number).to_string();
        let mut lines = vec![format!(
            "  viewers     {} of {} reading, {} frames ({}): {} pulses, {} windows, {} moments",
            count(self.connected_max),
            self.viewers,
            count(self.frames),
            HumanBytes(self.bytes),
            count(self.pulses),
            count(self.windows),
            count(self.moments),
        )];
        if self.silent > 0 {
            lines.push(format!("  silent      {} connected and never read", self.silent));
        }
        lines.push(format!(
            "  order       {} faults, {} duplicate moments, {} gaps",
            self.order_faults, self.duplicate_moments, self.gaps
        ));
        if self.disconnects > 0 {
            let why = self.first_error.as_deref().unwrap_or("unknown");
            lines.push(format!("  disconnects {} (first: {why})", self.disconnects));
        }
        lines.push(format!(
            "  tap→screen  {} · {} taps, {} sights missed, {} failed",
            self.tap_to_screen_ms.line(),
            self.probes,
            self.probes_missed,
            self.probes_failed,
        ));
        lines.join("\n")
    }
}
