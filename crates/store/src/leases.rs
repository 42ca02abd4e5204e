//! Leases: the places of devices. A user has as many as the tier allows, each on one edge, and an edge that is silent keeps none.

mod admission;
mod picture;
mod reports;
mod sweep;

use std::collections::BTreeSet;

use emostream_protocol::placement::{CloseReason, DEVICE_CHARS_MAX};
use uuid::Uuid;

pub use self::reports::check_report;
use self::{
    admission::reserve,
    picture::{LeaseRow, Picture},
};
use crate::{
    Store, StoreError, UserId,
    clusters::known_edges,
    database::{Area, Change},
    limits::{DEVICES_PER_USER_MAX, LEASES_PER_GROUP_MAX, check_line, check_name},
    sql::{Value, sql},
};

/// How many devices each tier may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierLimits {
    tiers: Vec<(u8, u32)>,
    default_devices: u32,
}

/// The times by which leases are judged, µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// Now, since the Unix epoch.
    pub now_us: i64,
    /// For how long an edge that is silent keeps its leases.
    pub ttl_us: i64,
    /// From when on reports could be taken again: no edge is judged by its silence before.
    pub grace_from_us: i64,
    /// For how long a ticket holds.
    pub ticket_us: i64,
}

/// A device that is connected, or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Id, which is its ticket's too.
    pub id: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// Id that the device gave itself.
    pub device_id: String,
    /// Its name, for its owner.
    pub device_name: String,
    /// The edge that it is for.
    pub edge: String,
    /// That edge's cluster; empty where the edge is not known.
    pub cluster: String,
    /// When it was reserved, and once it has connected, when the edge told of it.
    pub since_us: i64,
    /// Whether the edge has told that it has connected.
    pub is_connected: bool,
}

/// A lease to be reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLease {
    /// Id, given so that chance stays with the caller. Reserving an id again changes nothing.
    pub id: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// Id that the device gave itself: 1 to [`DEVICE_CHARS_MAX`] characters.
    pub device_id: String,
    /// Its name, at most [`DEVICE_CHARS_MAX`] characters.
    pub device_name: String,
    /// The edge that it is for, and that edge's start.
    pub edge: String,
    /// The start of [`Self::edge`] for which it holds.
    pub generation: Uuid,
    /// Another device of the same user that gives way to this one: it is ended if this one gets its place, and only then.
    pub ends: Option<String>,
}

/// What came of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// The device has its place.
    Granted {
        /// The leases that it had before, and those of the device that gave way: to be closed now.
        replaced: Vec<Uuid>,
    },
    /// As many other devices have places as the tier allows, oldest first.
    Full {
        /// The devices.
        devices: Vec<Lease>,
    },
    /// More than [`ENDED_LEASES_PER_USER_MAX`](crate::ENDED_LEASES_PER_USER_MAX) leases of the account have ended and are still to
    /// be closed by edges in contact. Some are with the next reports.
    Unsettled,
    /// There is no such account.
    NoUser,
}

impl TierLimits {
    /// Devices for each tier, and for accounts of another tier or none; each at most [`DEVICES_PER_USER_MAX`].
    pub fn new(tiers: &[(u8, u32)], default_devices: u32) -> Result<Self, StoreError> {
        if tiers.iter().map(|tier| tier.1).chain([default_devices]).any(|count| count > DEVICES_PER_USER_MAX)
        {
            return Err(StoreError::invalid(
                "tier_devices",
                format!("at most {DEVICES_PER_USER_MAX} for each"),
            ));
        }
        Ok(Self { tiers: tiers.to_vec(), default_devices })
    }

    /// Devices that a user of a tier may connect.
    pub fn devices(&self, tier: Option<u8>) -> u32 {
        let found = self.tiers.iter().find(|known| Some(known.0) == tier);
        found.map_or(self.default_devices, |known| known.1)
    }
}

impl LeaseTimes {
    /// Whether an edge that was last heard then is in contact.
    pub fn is_in_contact(&self, heard_us: i64) -> bool {
        heard_us.max(self.grace_from_us).saturating_add(self.ttl_us) > self.now_us
    }

    /// Whether a ticket that was given then may still be about to be used, or its use to be told of.
    pub fn may_open(&self, reserved_us: i64) -> bool {
        reserved_us.saturating_add(self.ticket_us).saturating_add(self.ttl_us) > self.now_us
    }
}

impl Store {
    /// Reserves leases in the order given, all in one transaction; at most [`LEASES_PER_GROUP_MAX`].
    ///
    /// A device that has a lease takes it over. What counts no more gives way: an opened lease whose edge is silent for
    /// longer than it may be, one that was reserved and not opened in time, one of an earlier start of its edge.
    pub async fn reserve_leases(
        &self,
        wanted: &[NewLease],
        limits: &TierLimits,
        times: &LeaseTimes,
    ) -> Result<Vec<Reserved>, StoreError> {
        if wanted.len() > LEASES_PER_GROUP_MAX {
            return Err(StoreError::invalid("leases", format!("at most {LEASES_PER_GROUP_MAX}")));
        }
        wanted.iter().try_for_each(check)?;
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut change = self.database.change(Area::Leases).await?;
        let mut picture = Picture::default();
        picture.load_users(&mut change, wanted.iter().map(|lease| lease.user)).await?;
        let edges: BTreeSet<_> = wanted.iter().map(|lease| lease.edge.as_str()).collect();
        let edges: Vec<_> = edges.into_iter().map(Value::from).collect();
        known_edges(&mut change, &edges).await?.iter().for_each(|edge| picture.see(&edge.record));
        let reserved = wanted.iter().map(|lease| reserve(&mut picture, lease, limits, times)).collect();
        picture.write(&mut change, times).await?;
        change.commit().await?;
        Ok(reserved)
    }

    /// The devices of a user that count, oldest first.
    pub async fn leases_of(&self, user: UserId, times: &LeaseTimes) -> Result<Vec<Lease>, StoreError> {
        let rows = self.database.rows(picture::of_user(user)).await?;
        let mut picture = Picture::default();
        picture.take_rows(&rows)?;
        Ok(picture.devices_of(user, times))
    }

    /// Ends a device's lease: it counts no more, and its edge is told to close its connection. Whether it had one that counts.
    pub async fn end_lease(
        &self,
        user: UserId,
        device_id: &str,
        times: &LeaseTimes,
    ) -> Result<bool, StoreError> {
        if check_device("device_id", device_id).is_err() {
            return Ok(false);
        }
        let mut change = self.database.change(Area::Leases).await?;
        let rows = change.rows(picture::of_user(user)).await?;
        let mut picture = Picture::default();
        picture.take_rows(&rows)?;
        let had = picture.devices_of(user, times).iter().any(|lease| lease.device_id == device_id);
        // One that was surplus would else come back with its edge where there is room.
        let end = sql("UPDATE leases SET ended = $1
             WHERE user_id = $2 AND device_id = $3 AND (ended IS NULL OR ended = $4)");
        let end = end.bind(picture::reason_text(CloseReason::Ended)).bind(*user.as_bytes()).bind(device_id);
        let end = end.bind(picture::reason_text(CloseReason::Surplus));
        change.execute(end).await?;
        change.commit().await?;
        Ok(had)
    }
}

/// Ends all leases of a user.
pub(crate) async fn end_all(
    change: &mut Change,
    user: UserId,
    reason: CloseReason,
) -> Result<(), StoreError> {
    let end = sql("UPDATE leases SET ended = $1 WHERE user_id = $2 AND ended IS NULL");
    change.execute(end.bind(picture::reason_text(reason)).bind(*user.as_bytes())).await.map(drop)
}

fn check(lease: &NewLease) -> Result<(), StoreError> {
    check_device("device_id", &lease.device_id)?;
    check_line("device_name", &lease.device_name, DEVICE_CHARS_MAX)?;
    lease.ends.as_deref().map_or(Ok(()), |ends| check_device("ends", ends))?;
    check_name("edge", &lease.edge)
}

fn check_device(field: &'static str, device_id: &str) -> Result<(), StoreError> {
    if device_id.is_empty() {
        return Err(StoreError::invalid(field, format!("1 to {DEVICE_CHARS_MAX} characters")));
    }
    check_line(field, device_id, DEVICE_CHARS_MAX)
}

impl From<&NewLease> for LeaseRow {
    fn from(lease: &NewLease) -> Self {
        Self {
            id: lease.id,
            user: lease.user,
            device_id: lease.device_id.clone(),
            device_name: lease.device_name.clone(),
            edge: lease.edge.clone(),
            generation: lease.generation,
            since_us: 0,
            is_open: false,
            ended: None,
        }
    }
}
