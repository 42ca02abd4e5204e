//! Places that were given to those who had waited, until their tickets are used or expire: whoever did not get the answer asks
//! again with the token of the line, and is told the same once more.

use std::{collections::HashMap, time::Duration};

use uuid::Uuid;

use super::{Placed, house::House};
use crate::rate::CellRate;

/// Places that were given, by the id of who had waited. As many as tickets for the house are out, at most.
pub(super) struct Given {
    entries: HashMap<Uuid, Entry>,
    asks: CellRate,
}

struct Entry {
    ticket: Uuid,
    /// `None` while it is being made.
    placed: Option<Placed>,
    asks: i64,
}

/// What is known of a place that was given.
#[derive(Debug, Clone)]
pub(super) enum Again {
    /// It is about to be.
    Pending,
    /// This.
    Placed(Box<Placed>),
    /// This one asks too often.
    TooSoon(Duration),
}

impl Given {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { entries: HashMap::new(), asks: CellRate::new(1, 3) }
    }

    /// A place is about to be given.
    pub(super) fn begin(&mut self, waiter: Uuid, ticket: Uuid) {
        self.entries.insert(waiter, Entry { ticket, placed: None, asks: 0 });
    }

    /// It was.
    pub(super) fn keep(&mut self, waiter: Uuid, placed: Placed) {
        if let Some(entry) = self.entries.get_mut(&waiter) {
            entry.placed = Some(placed);
        }
    }

    /// Nothing came of it.
    pub(super) fn forget(&mut self, waiter: Uuid) {
        self.entries.remove(&waiter);
    }

    /// Whether something was given to somebody.
    pub(super) fn knows(&self, waiter: Uuid) -> bool {
        self.entries.contains_key(&waiter)
    }

    /// What was given, as long as it is of use. `device`: the one that asks, where it says so.
    pub(super) fn again(
        &mut self,
        waiter: Uuid,
        device: Option<&str>,
        house: &House,
        now_us: i64,
    ) -> Option<Again> {
        let entry = self.entries.get_mut(&waiter)?;
        let Some(placed) = &entry.placed else { return Some(Again::Pending) };
        let is_of_use = placed.expires_at_ms * 1_000 > now_us
            && house.holds(&placed.edge.name, entry.ticket)
            && device.is_none_or(|device| placed.device_id.as_deref() == Some(device));
        if !is_of_use {
            return None;
        }
        Some(match self.asks.take(&mut entry.asks, 1, now_us / 1_000) {
            Ok(()) => Again::Placed(Box::new(placed.clone())),
            Err(wait) => Again::TooSoon(wait),
        })
    }

    /// Forgets what is of no use any more.
    pub(super) fn purge(&mut self, house: &House, now_us: i64) {
        self.entries.retain(|_, entry| {
            entry.placed.as_ref().is_none_or(|placed| {
                placed.expires_at_ms * 1_000 > now_us && house.holds(&placed.edge.name, entry.ticket)
            })
        });
    }
}

#[cfg(test)]
mod tests {
    use emostream_store::EdgeRecord;
    use uuid::Uuid;

    use super::{super::house::Hearing, Again, Given, House, Placed};

    const S: i64 = 1_000_000;
    const NOW: i64 = 1_750_000_000 * S;
    const WAITER: Uuid = Uuid::from_u128(1);
    const TICKET: Uuid = Uuid::from_u128(2);

    fn edge() -> EdgeRecord {
        EdgeRecord {
            name: "a".into(),
            cluster: "north".into(),
            url: String::new(),
            port: 3005,
            capacity: 1,
            viewers: 0,
            generation: Uuid::from_u128(3),
            number: 1,
            is_draining: false,
            is_leaving: false,
            heard_us: NOW,
        }
    }

    fn house() -> House {
        let mut house = House::new(Hearing { ttl_us: 100 * S, report_us: S });
        house.refresh(vec![edge()], Vec::new());
        house.take(TICKET, NOW + 34 * S, NOW, None, |_| 0).unwrap();
        house
    }

    fn given() -> Given {
        let placed = Placed {
            edge: edge(),
            ticket: "signed".into(),
            expires_at_ms: (NOW + 30 * S) / 1_000,
            lease: Some(TICKET),
            device_id: Some("phone".into()),
        };
        let mut given = Given::new();
        given.begin(WAITER, TICKET);
        given.keep(WAITER, placed);
        given
    }

    fn is_told(again: Option<Again>) -> bool {
        matches!(again, Some(Again::Placed(placed)) if placed.ticket == "signed" && placed.lease == Some(TICKET))
    }

    #[test]
    fn who_did_not_get_the_answer_is_told_the_same_again_until_the_ticket_is_used_or_expires() {
        let (mut house, mut given) = (house(), given());
        assert!(is_told(given.again(WAITER, None, &house, NOW)));
        assert!(is_told(given.again(WAITER, Some("phone"), &house, NOW + 29 * S)));
        // Another device cannot use it, nor somebody else.
        assert!(given.again(WAITER, Some("tv"), &house, NOW + S).is_none());
        assert!(given.again(TICKET, None, &house, NOW + S).is_none());
        assert!(given.again(WAITER, None, &house, NOW + 30 * S).is_none());
        given.purge(&house, NOW + 29 * S);
        assert!(given.knows(WAITER));
        house.release(TICKET);
        assert!(given.again(WAITER, None, &house, NOW + 29 * S).is_none());
        given.purge(&house, NOW + 29 * S);
        assert!(!given.knows(WAITER));
    }

    #[test]
    fn what_is_being_made_is_waited_for_and_nobody_asks_all_the_time() {
        let house = house();
        let mut given = Given::new();
        given.begin(WAITER, TICKET);
        given.purge(&house, NOW + 100 * S);
        assert!(matches!(given.again(WAITER, None, &house, NOW), Some(Again::Pending)));
        given.forget(WAITER);
        assert!(given.again(WAITER, None, &house, NOW).is_none());
        let mut given = super::tests::given();
        let told = (0..100).filter(|_| is_told(given.again(WAITER, None, &house, NOW))).count();
        assert_eq!(told, 3);
        assert!(matches!(given.again(WAITER, None, &house, NOW), Some(Again::TooSoon(_))));
    }
}
