//! The connected devices of an account.

use emostream_protocol::time;
use emostream_store::{Lease, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::Placement;
use crate::http::problem::{ErrorType, Problem};

/// A device that is connected, or about to, as its owner sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConnectedDevice {
    /// Id that the device gave itself.
    pub device_id: String,
    /// Its name.
    pub name: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Where.
    pub cluster: String,
    /// On which edge.
    pub edge: String,
    /// Whether it is connected; else it has a ticket.
    pub connected: bool,
}

impl From<Lease> for ConnectedDevice {
    fn from(lease: Lease) -> Self {
        Self {
            device_id: lease.device_id,
            name: lease.device_name,
            since: time::format_ms(lease.since_us.div_euclid(1_000)),
            cluster: lease.cluster,
            edge: lease.edge,
            connected: lease.is_connected,
        }
    }
}

impl Placement {
    /// The devices of an account that are connected or about to, oldest first.
    pub async fn devices(&self, user: UserId) -> Result<Vec<ConnectedDevice>, Problem> {
        let devices = self.store.leases_of(user, &self.core.contact.times()).await;
        self.core.contact.note(&devices, false);
        let devices = devices.map_err(|error| Problem::store(&error))?;
        Ok(devices.into_iter().map(ConnectedDevice::from).collect())
    }

    /// How many devices an account of a tier may connect.
    pub fn devices_max(&self, tier: Option<u8>) -> u32 {
        self.core.tiers.devices(tier)
    }

    /// Ends a device: its place is free at once, and its edge closes the connection. Whether it had one.
    pub async fn end_device(&self, user: UserId, device_id: &str) -> Result<bool, Problem> {
        let times = self.core.contact.times();
        let ended = async {
            let leases = self.store.leases_of(user, &times).await?;
            Ok((leases, self.store.end_lease(user, device_id, &times).await?))
        };
        let ended = ended.await;
        self.core.contact.note(&ended, true);
        let (leases, has_ended) = ended.map_err(|error| Problem::store(&error))?;
        // Its ticket opens nothing any more.
        let mut state = self.core.state();
        leases
            .iter()
            .filter(|lease| lease.device_id == device_id)
            .for_each(|lease| state.house.release(lease.id));
        Ok(has_ended)
    }

    /// The same for who expects it to be there.
    pub async fn end_existing_device(&self, user: UserId, device_id: &str) -> Result<(), Problem> {
        if self.end_device(user, device_id).await? {
            return Ok(());
        }
        Err(Problem::new(ErrorType::DeviceNotFound, "expected the id of a device that is connected"))
    }
}
