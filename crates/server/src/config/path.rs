//! The sections of a reaction's path: log, windows, ingest, edge, and the HTTP limits around them.

use serde::{Deserialize, Serialize};

use super::{
    Findings, Network,
    edges::{BASE_EXPECTED, is_base},
};

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum LogKind {
    /// Segment files in the data directory.
    Embedded,
    /// Apache Kafka. Refused by a build without it.
    Kafka,
}

impl TryFrom<String> for LogKind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "embedded" => Ok(Self::Embedded),
            "kafka" => Ok(Self::Kafka),
            _ => Err(format!("expected embedded or kafka, got {text:?}")),
        }
    }
}

/// When an append is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum Durability {
    /// After `fdatasync`: survives power loss.
    Fsync,
    /// After `write`: survives the process, not the machine.
    Os,
}

impl TryFrom<String> for Durability {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "fsync" => Ok(Self::Fsync),
            "os" => Ok(Self::Os),
            _ => Err(format!("expected fsync or os, got {text:?}")),
        }
    }
}

/// `log`: the durable log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Which log.
    pub kind: LogKind,
    /// When an append is answered.
    pub durability: Durability,
    /// Partitions of `emote-log`, fixed when the log is created. Absent: 1 on the embedded log, where one core counts more
    /// than one machine takes in and each partition costs its own syncs; 6 on Kafka, where so many nodes can count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<u32>,
    /// Bytes of a segment file.
    pub segment_bytes: u64,
    /// Reactions are kept at least until no replay needs them, then until they are this old, ms …
    pub retention_ms: u64,
    /// … or until the raw log is this large, bytes, whichever comes first.
    pub retention_bytes: u64,
    /// Windows and moments are kept this long, ms.
    pub output_retention_ms: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            kind: LogKind::Embedded,
            durability: Durability::Fsync,
            partitions: None,
            segment_bytes: 64 << 20,
            retention_ms: 24 * 3_600_000,
            retention_bytes: 2 << 30,
            output_retention_ms: 7 * 24 * 3_600_000,
        }
    }
}

impl LogConfig {
    /// Partitions of `emote-log`.
    pub fn effective_partitions(&self) -> u32 {
        self.partitions.unwrap_or(match self.kind {
            LogKind::Embedded => 1,
            LogKind::Kafka => 6,
        })
    }

    pub(super) fn validate(&self, findings: &mut Findings) {
        findings.expect(
            self.kind == LogKind::Embedded || cfg!(feature = "kafka"),
            "log.kind",
            "embedded: this build has no Kafka, which KAFKA_BOOTSTRAP_SERVERS or kafka.bootstrap_servers asks for",
        );
        let partitions = self.effective_partitions();
        findings.expect((1..=1024).contains(&partitions), "log.partitions", "a number from 1 to 1024");
        findings.expect(
            (1 << 20..=1 << 30).contains(&self.segment_bytes),
            "log.segment_bytes",
            "bytes from 1048576 (1 MiB) to 1073741824 (1 GiB)",
        );
        findings.expect(
            self.retention_bytes >= 2 * self.segment_bytes,
            "log.retention_bytes",
            "at least twice log.segment_bytes",
        );
    }
}

/// `windows`: fixed when the log is created, except the pulse.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowsConfig {
    /// Length of a window, ms: a multiple of 100.
    pub window_ms: u32,
    /// Length of a pulse, ms.
    pub pulse_ms: u32,
    /// How long a window waits for reactions that were tapped in it but come later, ms.
    pub allowed_lateness_ms: u32,
    /// How long ids given by clients are remembered, ms.
    pub horizon_ms: u32,
}

impl Default for WindowsConfig {
    fn default() -> Self {
        Self { window_ms: 2_000, pulse_ms: 100, allowed_lateness_ms: 500, horizon_ms: 240_000 }
    }
}

impl WindowsConfig {
    pub(super) fn validate(&self, findings: &mut Findings) {
        findings.expect(
            self.window_ms.is_multiple_of(100) && (100..=600_000).contains(&self.window_ms),
            "windows.window_ms",
            "a multiple of 100 from 100 to 600000",
        );
        findings.expect(
            (20..=5_000).contains(&self.pulse_ms),
            "windows.pulse_ms",
            "a number from 20 to 5000",
        );
        findings.expect(
            self.allowed_lateness_ms <= 60_000,
            "windows.allowed_lateness_ms",
            "a number from 0 to 60000",
        );
        findings.expect(
            (125_000..=86_400_000).contains(&self.horizon_ms),
            "windows.horizon_ms",
            "a number from 125000 (older ids are refused at the door) to 86400000",
        );
    }
}

/// `ingest`: limits of taking reactions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// How long a batch waits for more reactions while the log is idle, ms. While the log writes, all wait together
    /// anyway.
    pub flush_ms: u64,
    /// Reactions that may wait for the log in each partition; more are refused with 503.
    pub queue_reactions_max: usize,
    /// Ids given by clients that counting may hold in memory, about 35 bytes each; beyond it, reactions with ids are refused with 503.
    pub remembered_ids_max: u64,
    /// Reactions a second that one address may send on average; 0: no limit.
    pub address_reactions_per_s: u32,
    /// Reactions that one address may send at once beyond that average.
    pub address_burst: u32,
    /// Reactions a second that one viewer connection may send on average.
    pub viewer_reactions_per_s: u32,
    /// Reactions that one viewer connection may send at once beyond that average.
    pub viewer_burst: u32,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            flush_ms: 0,
            queue_reactions_max: 65_536,
            remembered_ids_max: 20_000_000,
            address_reactions_per_s: 0,
            address_burst: 10_000,
            viewer_reactions_per_s: 50,
            viewer_burst: 100,
        }
    }
}

impl IngestConfig {
    pub(super) fn validate(&self, findings: &mut Findings) {
        findings.expect(self.flush_ms <= 1_000, "ingest.flush_ms", "a number from 0 to 1000");
        findings.expect(
            (1_000..=250_000).contains(&self.queue_reactions_max),
            "ingest.queue_reactions_max",
            "a number from 1000 to 250000, which the log takes in one append",
        );
        findings.expect(self.remembered_ids_max >= 1_000, "ingest.remembered_ids_max", "at least 1000");
        findings.expect(self.address_burst >= 1_000, "ingest.address_burst", "at least 1000, a full request");
        findings.expect(self.viewer_reactions_per_s >= 1, "ingest.viewer_reactions_per_s", "at least 1");
        findings.expect(self.viewer_burst >= 1, "ingest.viewer_burst", "at least 1");
    }
}

/// `edge`: viewers' connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeConfig {
    /// Viewers that this node holds at once; one more is refused with 503.
    pub viewers_max: usize,
    /// Newest moments kept for those who resume, per channel.
    pub moments_history: usize,
    /// A viewer that does not take a frame for so long is closed, ms.
    pub send_timeout_ms: u64,
    /// A ping is sent after so long without a frame from the viewer, and twice that without any closes, ms. To devices of
    /// accounts after half of `placement.ttl_ms` where that is sooner, but not sooner than 5 s.
    pub ping_ms: u64,
    /// On a graceful stop viewers are told to come back within this time, ms, each at its own moment.
    pub reconnect_spread_ms: u64,
    /// Where viewers reach this node, such as `https://node-1.example.org`, if it has no `edges` of its own. Absent: who has
    /// asked this node stays on the address that was asked; others are sent to the host that they have asked, on the port
    /// of `listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            viewers_max: 100_000,
            moments_history: 256,
            send_timeout_ms: 20_000,
            ping_ms: 25_000,
            reconnect_spread_ms: 5_000,
            url: None,
        }
    }
}

impl EdgeConfig {
    pub(super) fn validate(&self, findings: &mut Findings) {
        findings.expect(self.viewers_max >= 1, "edge.viewers_max", "at least 1");
        findings.expect(
            (1..=10_000).contains(&self.moments_history),
            "edge.moments_history",
            "from 1 to 10000",
        );
        findings.expect(self.send_timeout_ms >= 100, "edge.send_timeout_ms", "at least 100");
        findings.expect(self.ping_ms >= 100, "edge.ping_ms", "at least 100");
        findings.expect(self.url.as_deref().is_none_or(is_base), "edge.url", BASE_EXPECTED);
    }
}

/// `http`: limits of every connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Connections at once, viewers included; more wait in the kernel's queue.
    pub connections_max: usize,
    /// A request's head must arrive within this time, ms; an idle connection is closed after it.
    pub header_timeout_ms: u64,
    /// A request's body must arrive within this time, ms.
    pub body_timeout_ms: u64,
    /// On a graceful stop, requests under way get this long, ms.
    pub stop_timeout_ms: u64,
    /// Origins whose pages may call this server, such as `https://example.org`. Empty: every origin for the source
    /// systems' endpoints and for reading what needs no account, none for all else.
    pub cors_origins: Vec<String>,
    /// Networks of the proxies in front of this node, such as `10.0.0.0/8`: of their requests, `proxy_header` says who calls.
    /// Of all others it is passed over. Empty: nobody is believed.
    pub trusted_proxies: Vec<Network>,
    /// The header in which those proxies say so, every one of them; the other one is not looked at.
    pub proxy_header: ProxyHeader,
}

/// Where proxies say whose request it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum ProxyHeader {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto` beside it.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl TryFrom<String> for ProxyHeader {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err(format!("expected x-forwarded-for or forwarded, got {text:?}")),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connections_max: 120_000,
            header_timeout_ms: 15_000,
            body_timeout_ms: 15_000,
            stop_timeout_ms: 10_000,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            proxy_header: ProxyHeader::default(),
        }
    }
}

impl HttpConfig {
    pub(super) fn validate(&self, findings: &mut Findings) {
        findings.expect(self.connections_max >= 1, "http.connections_max", "at least 1");
        findings.expect(self.header_timeout_ms >= 100, "http.header_timeout_ms", "at least 100");
        findings.expect(self.body_timeout_ms >= 100, "http.body_timeout_ms", "at least 100");
        findings.expect(self.trusted_proxies.len() <= 64, "http.trusted_proxies", "at most 64 networks");
        findings.expect(
            self.cors_origins.iter().all(|origin| is_origin(origin)),
            "http.cors_origins",
            "origins without path, such as https://example.org or http://localhost:5173",
        );
    }
}

/// Whether a text is an origin as browsers send it: lower case, no path, no slash at its end.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    !rest.is_empty()
        && rest.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b':' | b'[' | b']')
        })
}
