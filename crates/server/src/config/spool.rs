//! `spool`: what ingest keeps on its own disk until Kafka has it.

use serde::{Deserialize, Serialize};

use super::Findings;

/// `spool`: reactions acknowledged and not yet in Kafka. No effect on the embedded log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpoolConfig {
    /// While the oldest reaction that waits for Kafka is older than this, ms, new ones are refused with 503.
    pub max_age_ms: u64,
    /// Bytes on disk. New reactions are refused with 503 while it is full; Kafka has taken up to a quarter of it already,
    /// since files are deleted as a whole.
    pub max_bytes: u64,
    /// On a graceful stop, what waits for Kafka gets this long, ms. The rest stays for the next start.
    pub drain_timeout_ms: u64,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { max_age_ms: 600_000, max_bytes: 1 << 30, drain_timeout_ms: 30_000 }
    }
}

impl SpoolConfig {
    pub(super) fn validate(&self, findings: &mut Findings) {
        findings.expect(
            (1_000..=86_400_000).contains(&self.max_age_ms),
            "spool.max_age_ms",
            "a number from 1000 to 86400000 (a day)",
        );
        findings.expect(self.max_bytes >= 16 << 20, "spool.max_bytes", "at least 16777216 (16 MiB)");
        findings.expect(
            self.drain_timeout_ms <= 3_600_000,
            "spool.drain_timeout_ms",
            "a number from 0 to 3600000 (an hour)",
        );
    }
}
