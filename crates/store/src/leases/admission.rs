//! Who has a place: the rules by which devices get, keep and lose theirs. Pure: everything is in the [`Picture`].
//!
//! At any time the leases of a user that have not ended are at most as many as the tier allows, whether they count or not. So
//! none that comes back with its edge is one too many: what stood in for it has ended it.

use emostream_protocol::placement::CloseReason;
use uuid::Uuid;

use super::{
    LeaseTimes, NewLease, Reserved, TierLimits,
    picture::{LeaseRow, Picture},
};
use crate::{UserId, limits::ENDED_LEASES_PER_USER_MAX};

/// The leases of a user that have not ended, oldest first: the device's own, and the others by whether they count.
#[derive(Default)]
struct Standing {
    own: Vec<Uuid>,
    counting: Vec<Uuid>,
    dead: Vec<Uuid>,
}

/// Reserves a lease, if there is room.
pub(super) fn reserve(
    picture: &mut Picture,
    wanted: &NewLease,
    limits: &TierLimits,
    times: &LeaseTimes,
) -> Reserved {
    if picture.lease(wanted.id).is_some() {
        return Reserved::Granted { replaced: Vec::new() };
    }
    let Some(tier) = picture.tier(wanted.user) else { return Reserved::NoUser };
    forget_over(picture, wanted.user, times);
    let mut standing = standing(picture, wanted.user, &wanted.device_id, times);
    let ending = ending(picture, wanted);
    standing.counting.retain(|id| !ending.contains(id));
    standing.dead.retain(|id| !ending.contains(id));
    let limit = places(limits, tier);
    if standing.counting.len() >= limit {
        return Reserved::Full { devices: picture.devices_of(wanted.user, times) };
    }
    if !has_few_ended(picture, wanted.user, times) {
        return Reserved::Unsettled;
    }
    make_room(picture, &standing, limit);
    let surplus = picture.of(wanted.user).into_iter();
    let surplus = surplus.filter(|lease| lease.device_id == wanted.device_id && is_surplus(lease));
    // One that was surplus may come back where there is room, but not behind its own device.
    let surplus: Vec<_> = surplus.map(|lease| lease.id).collect();
    for id in standing.own.iter().chain(&surplus) {
        picture.end(*id, CloseReason::TakenOver);
    }
    ending.iter().for_each(|id| picture.end(*id, CloseReason::Ended));
    picture.put(LeaseRow { since_us: times.now_us, ..LeaseRow::from(wanted) });
    Reserved::Granted { replaced: [standing.own, ending].concat() }
}

/// The leases of the device that gives way, those among them that might come back.
fn ending(picture: &Picture, wanted: &NewLease) -> Vec<Uuid> {
    let Some(device_id) = wanted.ends.as_ref().filter(|ends| **ends != wanted.device_id) else {
        return Vec::new();
    };
    let leases = picture.of(wanted.user).into_iter();
    let may_count = |lease: &&LeaseRow| lease.ended.is_none() || is_surplus(lease);
    leases.filter(|lease| lease.device_id == *device_id).filter(may_count).map(|lease| lease.id).collect()
}

/// Admits a connected device of which there is no living lease, or ends what is one too many: of devices that count, the
/// newest stay.
pub(super) fn readmit(picture: &mut Picture, mut held: LeaseRow, limits: &TierLimits, times: &LeaseTimes) {
    let (id, since) = (held.id, (held.since_us, held.id));
    held.is_open = true;
    held.ended = judge(picture, &held, since, limits, times).err();
    debug_assert!(held.ended.is_some() || picture.lease(id).is_none_or(|lease| lease.ended.is_some()));
    picture.put(held);
}

/// Makes room for a device that is connected since then, or says why there is none.
fn judge(
    picture: &mut Picture,
    held: &LeaseRow,
    since: (i64, Uuid),
    limits: &TierLimits,
    times: &LeaseTimes,
) -> Result<(), CloseReason> {
    let Some(tier) = picture.tier(held.user) else { return Err(CloseReason::AccountGone) };
    let mut standing = standing(picture, held.user, &held.device_id, times);
    let newer = |id: &Uuid| picture.lease(*id).is_some_and(|other| (other.since_us, other.id) > since);
    if standing.own.iter().any(|id| newer(id) && counts(picture, *id, times)) {
        return Err(CloseReason::TakenOver);
    }
    let limit = places(limits, tier);
    let staying = standing.counting.iter().filter(|id| newer(id)).count();
    if staying >= limit {
        return Err(CloseReason::Surplus);
    }
    // The oldest go until there is room for one more.
    let surplus = (standing.counting.len() + 1).saturating_sub(limit);
    for id in standing.counting.drain(..surplus) {
        picture.end(id, CloseReason::Surplus);
    }
    make_room(picture, &standing, limit);
    for id in standing.own {
        picture.end(id, CloseReason::TakenOver);
    }
    Ok(())
}

/// Ends the oldest of those that do not count, until there is room for one more.
fn make_room(picture: &mut Picture, standing: &Standing, limit: usize) {
    let surplus = (standing.counting.len() + standing.dead.len() + 1).saturating_sub(limit);
    for id in standing.dead.iter().take(surplus) {
        picture.end(*id, CloseReason::Surplus);
    }
}

fn standing(picture: &Picture, user: UserId, device_id: &str, times: &LeaseTimes) -> Standing {
    let mut standing = Standing::default();
    for lease in picture.of(user).into_iter().filter(|lease| lease.ended.is_none()) {
        if lease.device_id == device_id {
            standing.own.push(lease.id);
        } else if picture.counts(lease, times) {
            standing.counting.push(lease.id);
        } else {
            standing.dead.push(lease.id);
        }
    }
    standing
}

fn is_surplus(lease: &LeaseRow) -> bool {
    lease.ended == Some(CloseReason::Surplus)
}

fn counts(picture: &Picture, id: Uuid, times: &LeaseTimes) -> bool {
    picture.lease(id).is_some_and(|lease| picture.counts(lease, times))
}

/// Removes a user's leases of which nothing can be heard any more.
fn forget_over(picture: &mut Picture, user: UserId, times: &LeaseTimes) {
    let leases = picture.of(user).into_iter();
    let over: Vec<_> = leases.filter(|lease| picture.is_over(lease, times)).map(|lease| lease.id).collect();
    over.into_iter().for_each(|id| picture.remove(id));
}

/// Whether few enough of a user's leases wait to be closed. Of too many, the oldest go whose edge cannot be told: should it come
/// back, it names what it holds, and [`readmit`] judges that anew.
fn has_few_ended(picture: &mut Picture, user: UserId, times: &LeaseTimes) -> bool {
    let ended: Vec<_> = picture.of(user).into_iter().filter(|lease| lease.ended.is_some()).collect();
    let surplus = ended.len().saturating_sub(ENDED_LEASES_PER_USER_MAX);
    let untold = ended.into_iter().filter(|lease| !picture.can_be_told(lease, times)).take(surplus);
    let untold: Vec<_> = untold.map(|lease| lease.id).collect();
    let is_enough = untold.len() == surplus;
    untold.into_iter().for_each(|id| picture.remove(id));
    is_enough
}

fn places(limits: &TierLimits, tier: Option<u8>) -> usize {
    usize::try_from(limits.devices(tier)).unwrap_or(usize::MAX)
}
