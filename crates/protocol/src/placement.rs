//! What control and edges tell each other about viewers: tickets, what an edge reports, and what it is told.
//!
//! A ticket is a JWT that control signs with Ed25519 (RFC 8037) and that opens one connection on one edge. An edge
//! reports every few seconds who has come and gone; that report is also its sign of life, and the answer to it says which
//! connections are to be closed. Leases live as long as their edge reports: nothing is sent for each device.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Seconds for which a ticket holds at most.
pub const TICKET_SECONDS_MAX: i64 = 30;

/// Devices of which one report says that they have come, have gone, or are there.
pub const REPORT_DEVICES_MAX: usize = 100_000;

/// Characters of a device's id and of its name.
pub const DEVICE_CHARS_MAX: usize = 128;

/// Claims of a ticket. Its header names the key (`kid`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketClaims {
    /// Id of the ticket, by which a second use is known; where [`Self::device`] is there, also the id of its lease.
    pub jti: Uuid,
    /// The edge that it opens.
    pub edge: String,
    /// That edge's start: a ticket of an earlier one is refused, since nobody remembers any more whether it was used.
    pub generation: Uuid,
    /// The account's name, or the guest's.
    pub user: String,
    /// The account and its device; absent for guests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<TicketDevice>,
    /// When it was issued, s since the Unix epoch.
    pub iat: i64,
    /// From when on it no longer holds, s since the Unix epoch; at most [`TICKET_SECONDS_MAX`] behind `iat`.
    pub exp: i64,
}

/// The device that a ticket's lease is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketDevice {
    /// Id of the account.
    pub user_id: Uuid,
    /// Id that the device gave itself.
    pub device_id: String,
    /// Name to show to its owner, such as a browser and a system.
    #[serde(default)]
    pub name: String,
}

/// What an edge says of itself. Fields that a newer edge has beside are passed over: nodes are brought up to date one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeReport {
    /// Its name, unique in the fleet.
    pub edge: String,
    /// Its cluster.
    pub cluster: String,
    /// Where viewers reach it, such as `https://edge-1.example.org`; empty where it is the host that they have asked, on
    /// [`Self::port`].
    #[serde(default)]
    pub url: String,
    /// The port that it listens on.
    pub port: u16,
    /// Viewers that it takes.
    pub capacity: u32,
    /// Its start, random.
    pub generation: Uuid,
    /// Ascends by one with each report of a generation, so that one that was delayed is known.
    pub number: u64,
    /// Viewers that are connected, guests among them.
    pub viewers: u32,
    /// Whether it takes nobody any more because it is about to stop.
    #[serde(default)]
    pub is_leaving: bool,
    /// Tickets used since the last report that was answered.
    #[serde(default)]
    pub opened: Vec<Uuid>,
    /// Leases whose connections have ended since the last report that was answered.
    #[serde(default)]
    pub closed: Vec<Uuid>,
    /// Every lease that it holds: in its first report, where it was asked for, and after it was without an answer for longer
    /// than the leases live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Vec<HeldLease>>,
}

/// A lease that an edge holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLease {
    /// Its id.
    pub lease: Uuid,
    /// Whose it is.
    #[serde(flatten)]
    pub device: TicketDevice,
    /// When it connected, µs since the Unix epoch.
    pub since_us: i64,
}

/// What an edge is told in answer to its report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeOrders {
    /// Leases whose connections are to be closed, and why. Repeated until they are reported as closed.
    #[serde(default)]
    pub close: Vec<CloseOrder>,
    /// Whether it is to be emptied: it takes nobody, and tells its viewers to go elsewhere.
    #[serde(default)]
    pub drain: bool,
    /// Whether the next report must name every lease that is held.
    #[serde(default)]
    pub report_all: bool,
    /// Whether another process has reported under the edge's name since, and so has taken its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_replaced: bool,
    /// The time by control's clock when it answered, µs since the Unix epoch: tickets are judged by it. An older control
    /// does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now_us: Option<i64>,
    /// For how long leases live without a report, µs. An older control does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_us: Option<i64>,
}

/// A lease that no longer holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseOrder {
    /// Its id.
    pub lease: Uuid,
    /// Why.
    pub reason: CloseReason,
}

/// Why a lease no longer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloseReason {
    /// The same device has connected anew.
    TakenOver,
    /// Its owner, or an admin, has ended it.
    Ended,
    /// More devices are connected than the tier allows, after control could not be asked for a while.
    Surplus,
    /// The account is gone.
    AccountGone,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::EdgeReport;

    #[test]
    fn a_report_of_a_newer_edge_is_read() {
        let held = json!({
            "lease": "00000000-0000-0000-0000-000000000002", "user_id": "00000000-0000-0000-0000-000000000003",
            "device_id": "phone", "name": "the phone", "since_us": 5,
        });
        let report = json!({
            "edge": "a", "cluster": "west", "url": "", "port": 3005, "capacity": 10, "number": 1, "viewers": 1,
            "generation": "00000000-0000-0000-0000-000000000001", "is_leaving": false, "opened": [], "closed": [], "held": [held],
        });
        let read = |report: &Value| serde_json::from_value::<EdgeReport>(report.clone());
        let known = read(&report).unwrap();
        assert_eq!(serde_json::to_value(&known).unwrap(), report);
        let mut newer = report;
        newer["load"] = json!(0.5);
        newer["held"][0]["network"] = json!({ "kind": "mobile" });
        assert_eq!(read(&newer).unwrap(), known);
    }
}
