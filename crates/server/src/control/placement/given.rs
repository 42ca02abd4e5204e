//! Places that were given to those who had waited, until their tickets are used or long over: whoever did not get the answer
//! asks again with the token of the line, and is told the same once more; where a ticket turned out to be of no use, through
//! nobody's fault, whoever has it stands in line where they stood.

use std::{collections::HashMap, time::Duration};

use uuid::Uuid;

use super::{Placed, house::House, line::Waiter};
use crate::rate::CellRate;

/// Places that were given, by the id of who had waited. About as many as tickets for the house are out.
pub(super) struct Given {
    entries: HashMap<Uuid, Entry>,
    /// Who has which ticket.
    tickets: HashMap<Uuid, Uuid>,
    asks: CellRate,
    /// Edges that are gone are known to be after so long.
    ttl_us: i64,
}

struct Entry {
    ticket: Uuid,
    /// `None` while it is being made.
    placed: Option<(Placed, Waiter)>,
    asks: i64,
}

/// What is known of a place that was given.
#[derive(Debug, Clone)]
pub(super) enum Again {
    /// It is about to be.
    Pending,
    /// This.
    Placed(Box<Placed>),
    /// It is of no use: its edge takes nobody, has been started anew, or is full. It is forgotten here; the ticket's place
    /// is to be given back, and who had waited is to stand in line.
    Useless {
        /// For which edge it was.
        edge: String,
        /// The ticket's id.
        ticket: Uuid,
        /// Who had waited.
        waiter: Waiter,
    },
    /// This one asks too often.
    TooSoon(Duration),
}

impl Given {
    /// None yet. `ttl_us`: how long an edge may be silent that is not lost.
    pub(super) fn new(ttl_us: i64) -> Self {
        Self { entries: HashMap::new(), tickets: HashMap::new(), asks: CellRate::new(1, 3), ttl_us }
    }

    /// A place is about to be given.
    pub(super) fn begin(&mut self, waiter: Uuid, ticket: Uuid) {
        self.forget(waiter);
        self.entries.insert(waiter, Entry { ticket, placed: None, asks: 0 });
        self.tickets.insert(ticket, waiter);
    }

    /// It was.
    pub(super) fn keep(&mut self, waiter: Waiter, placed: Placed) {
        if let Some(entry) = self.entries.get_mut(&waiter.id) {
            entry.placed = Some((placed, waiter));
        }
    }

    /// Nothing came of it.
    pub(super) fn forget(&mut self, waiter: Uuid) {
        if let Some(entry) = self.entries.remove(&waiter) {
            self.tickets.remove(&entry.ticket);
        }
    }

    /// Tickets were used: whoever had them is in.
    pub(super) fn opened(&mut self, tickets: &[Uuid]) {
        for ticket in tickets {
            if let Some(waiter) = self.tickets.remove(ticket) {
                self.entries.remove(&waiter);
            }
        }
    }

    /// Whether something was given to somebody.
    pub(super) fn knows(&self, waiter: Uuid) -> bool {
        self.entries.contains_key(&waiter)
    }

    /// What was given; `None` where it was of use and is over. `device`: the one that asks, where it says so.
    pub(super) fn again(
        &mut self,
        waiter: Uuid,
        device: Option<&str>,
        house: &House,
        now_us: i64,
    ) -> Option<Again> {
        let entry = self.entries.get_mut(&waiter)?;
        let Some((placed, _)) = &entry.placed else { return Some(Again::Pending) };
        if device.is_some_and(|device| placed.device_id.as_deref() != Some(device)) {
            return None;
        }
        let is_over = placed.expires_at_ms * 1_000 <= now_us;
        let is_there = house.takes_at(&placed.edge, now_us);
        // Nobody stays in front by not using what is given to them.
        if is_over && is_there {
            return None;
        }
        if is_over || !is_there || !house.lets_in(&placed.edge.name, entry.ticket) {
            return self.useless(waiter);
        }
        Some(match self.asks.take(&mut entry.asks, 1, now_us / 1_000) {
            Ok(()) => Again::Placed(Box::new(placed.clone())),
            Err(wait) => Again::TooSoon(wait),
        })
    }

    fn useless(&mut self, waiter: Uuid) -> Option<Again> {
        let Entry { ticket, placed, .. } = self.entries.remove(&waiter)?;
        self.tickets.remove(&ticket);
        let (placed, waiter) = placed?;
        Some(Again::Useless { edge: placed.edge.name, ticket, waiter })
    }

    /// Forgets what was of use, or has not been asked for any more.
    pub(super) fn purge(&mut self, now_us: i64) {
        let Self { entries, tickets, ttl_us, .. } = self;
        entries.retain(|_, entry| {
            let until_us = |placed: &Placed| placed.expires_at_ms * 1_000 + *ttl_us;
            let stays = entry.placed.as_ref().is_none_or(|(placed, _)| until_us(placed) > now_us);
            if !stays {
                tickets.remove(&entry.ticket);
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use emostream_store::EdgeRecord;
    use uuid::Uuid;

    use super::{
        super::{house::Hearing, line::Waiter},
        Again, Given, House, Placed,
    };

    const S: i64 = 1_000_000;
    const NOW: i64 = 1_750_000_000 * S;
    const WAITER: Uuid = Uuid::from_u128(1);
    const TICKET: Uuid = Uuid::from_u128(2);
    const TTL: i64 = 100 * S;

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
        let mut house = House::new(Hearing { ttl_us: TTL, report_us: S });
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
        let mut given = Given::new(TTL);
        given.begin(WAITER, TICKET);
        given.keep(Waiter::of(WAITER), placed);
        given
    }

    fn is_told(again: Option<Again>) -> bool {
        matches!(again, Some(Again::Placed(placed)) if placed.ticket == "signed" && placed.lease == Some(TICKET))
    }

    fn is_useless(again: Option<Again>) -> bool {
        matches!(
            again,
            Some(Again::Useless { edge, ticket: TICKET, waiter }) if edge == "a" && waiter.id == WAITER
        )
    }

    #[test]
    fn who_did_not_get_the_answer_is_told_the_same_again_until_the_ticket_is_used_or_expires() {
        let (mut house, mut given) = (house(), given());
        assert!(is_told(given.again(WAITER, None, &house, NOW)));
        assert!(is_told(given.again(WAITER, Some("phone"), &house, NOW + 29 * S)));
        // Another device cannot use it, nor somebody else.
        assert!(given.again(WAITER, Some("tv"), &house, NOW + S).is_none());
        assert!(given.again(TICKET, None, &house, NOW + S).is_none());
        // Who could have used it is nobody's concern afterwards.
        house.purge(NOW + 40 * S);
        assert!(given.again(WAITER, None, &house, NOW + 30 * S).is_none());
        given.opened(&[WAITER]);
        assert!(given.knows(WAITER));
        given.opened(&[TICKET]);
        assert!(!given.knows(WAITER) && given.tickets.is_empty());
        assert!(given.again(WAITER, None, &house, NOW + S).is_none());
    }

    #[test]
    fn who_has_a_ticket_that_is_of_no_use_stands_where_they_stood() {
        let with = |change: fn(&mut EdgeRecord)| {
            let mut record = EdgeRecord { number: 2, ..edge() };
            change(&mut record);
            vec![record]
        };
        for edges in [
            Vec::new(),
            with(|edge| edge.is_draining = true),
            with(|edge| edge.is_leaving = true),
            with(|edge| edge.generation = Uuid::from_u128(4)),
            with(|edge| edge.viewers = 1),
            with(|edge| edge.heard_us = NOW - TTL),
        ] {
            let (mut house, mut given) = (house(), given());
            house.refresh(edges.clone(), Vec::new());
            assert!(is_useless(given.again(WAITER, None, &house, NOW + S)), "{edges:?}");
            assert!(!given.knows(WAITER) && given.tickets.is_empty(), "{edges:?}");
            // For as long as the edge may not have been known to be gone; then they are out of it.
            let mut given = super::tests::given();
            house.refresh(Vec::new(), Vec::new());
            given.purge(NOW + 30 * S + TTL - 1);
            assert!(is_useless(given.again(WAITER, None, &house, NOW + 30 * S + TTL - 1)));
            let mut given = super::tests::given();
            given.purge(NOW + 30 * S + TTL);
            assert!(!given.knows(WAITER) && given.tickets.is_empty());
        }
        // Its device has taken another one since.
        let (mut house, mut given) = (house(), given());
        house.release(TICKET);
        assert!(is_useless(given.again(WAITER, None, &house, NOW + S)));
    }

    #[test]
    fn what_is_being_made_is_waited_for_and_nobody_asks_all_the_time() {
        let house = house();
        let mut given = Given::new(TTL);
        given.begin(WAITER, TICKET);
        given.purge(NOW + 1_000 * S);
        assert!(matches!(given.again(WAITER, None, &house, NOW), Some(Again::Pending)));
        given.forget(WAITER);
        assert!(given.again(WAITER, None, &house, NOW).is_none());
        let mut given = super::tests::given();
        let told = (0..100).filter(|_| is_told(given.again(WAITER, None, &house, NOW))).count();
        assert_eq!(told, 3);
        assert!(matches!(given.again(WAITER, None, &house, NOW), Some(Again::TooSoon(_))));
    }
}
