//! The world of the model: what really happened, what control and its store were told of it, and whether both agree.

mod faults;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use emostream_protocol::placement::EdgeReport;
use emostream_store::{EdgeRecord, LeaseTimes, NewLease, Reserved, Role, Store, UserId};
use uuid::Uuid;

use super::{Dice, edges::Edge};
use crate::{
    placement::{TICKET_US, TTL_US, limits},
    setup::NOW,
    users::someone,
};

const SECOND_US: i64 = 1_000_000;

struct Person {
    id: UserId,
    /// Devices that the tier allows.
    limit: usize,
    is_gone: bool,
}

/// What is true of a lease that was granted.
#[derive(Debug)]
struct Fact {
    person: usize,
    device: String,
    edge: String,
    generation: Uuid,
    reserved_us: i64,
    /// The store was told that it has connected.
    is_open: bool,
    /// The store was told that it is over.
    is_over: bool,
}

/// What the store has taken of an edge.
struct Heard {
    generation: Uuid,
    /// Starts before, and the newest number heard of each until it was replaced.
    earlier: BTreeMap<Uuid, u64>,
    number: u64,
    at_us: i64,
}

pub(super) struct World {
    pub(super) dice: Dice,
    store: Store,
    seed: u64,
    now_us: i64,
    grace_from_us: i64,
    /// When control is back; until then it cannot be asked.
    control_from_us: i64,
    people: Vec<Person>,
    edges: Vec<Edge>,
    facts: BTreeMap<Uuid, Fact>,
    /// Tickets that were not used.
    tickets: Vec<Uuid>,
    heard: HashMap<String, Heard>,
    /// Edges as control saw them when it last looked.
    seen: Vec<EdgeRecord>,
    /// Reports on their way, and when they arrive. Nobody waits for their answers any more.
    late: Vec<(i64, EdgeReport)>,
    ids: u128,
}

/// What becomes of a report.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    AnswerLost,
    Late,
    /// Answered, and arriving once more.
    Twice,
    Lost,
}

impl World {
    pub(super) async fn new(store: Store, seed: u64) -> Self {
        let mut world = Self {
            dice: Dice(seed),
            store,
            seed,
            now_us: NOW,
            grace_from_us: NOW,
            control_from_us: NOW,
            people: Vec::new(),
            edges: Vec::new(),
            facts: BTreeMap::new(),
            tickets: Vec::new(),
            heard: HashMap::new(),
            seen: Vec::new(),
            late: Vec::new(),
            ids: u128::from(seed) << 32,
        };
        for number in 0..1 + world.dice.below(4) {
            let tier = 1 + world.dice.below(3) as u8;
            let name = format!("{seed} {number}");
            let id = UserId::from_bytes(world.next_id().into_bytes());
            let new = emostream_store::NewUser { id, tier: Some(tier), ..someone(1, &name, Role::Viewer) };
            world.store.create_user(&new, NOW).await.unwrap();
            let limit = limits().devices(Some(tier)) as usize;
            world.people.push(Person { id, limit, is_gone: false });
        }
        for number in 0..1 + world.dice.below(4) {
            world.start_edge(format!("{seed} edge {number}"));
        }
        world
    }

    fn next_id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    fn start_edge(&mut self, name: String) {
        let generation = self.next_id();
        self.edges.push(Edge::start(name, generation, self.now_us));
    }

    fn times(&self) -> LeaseTimes {
        let (now_us, grace_from_us) = (self.now_us, self.grace_from_us);
        LeaseTimes { now_us, ttl_us: TTL_US, grace_from_us, ticket_us: TICKET_US }
    }

    fn has_control(&self) -> bool {
        self.control_from_us <= self.now_us
    }

    /// Lets some time pass, in which edges report, and something happen.
    pub(super) async fn step(&mut self) {
        let until_us = self.now_us + self.dice_us(1_500);
        self.pass(until_us).await;
        match self.dice.below(100) {
            0..35 => self.place().await,
            35..60 => self.use_ticket(),
            60..72 => self.disconnect(),
            72..76 => self.end_device().await,
            76..82 => self.restart_edge(),
            82..89 => self.cut_or_heal(),
            89..92 => self.restart_control(),
            92 => self.delete_person().await,
            93 => self.forget_edge().await,
            94 => self.stay_away().await,
            _ => self.sweep().await,
        }
    }

    fn dice_us(&mut self, below_ms: u64) -> i64 {
        i64::try_from(self.dice.below(below_ms)).unwrap() * 1_000
    }

    /// Reports that are due on the way are made and arrive.
    async fn pass(&mut self, until_us: i64) {
        loop {
            let reports = self.edges.iter().map(|edge| edge.due_us);
            let next = reports.chain(self.late.iter().map(|late| late.0)).min().unwrap_or(until_us);
            if next > until_us {
                break;
            }
            self.now_us = self.now_us.max(next);
            self.come_back();
            self.arrive().await;
            self.report().await;
        }
        self.now_us = until_us;
        self.come_back();
    }

    /// The time from which on edges are judged begins when control does.
    fn come_back(&mut self) {
        if self.has_control() {
            self.grace_from_us = self.grace_from_us.max(self.control_from_us);
        }
    }

    /// Those that were on their way for long.
    async fn arrive(&mut self) {
        let (now, late) = self.late.drain(..).partition::<Vec<_>, _>(|late| late.0 <= self.now_us);
        self.late = late;
        if self.has_control() && !now.is_empty() {
            let reports: Vec<_> = now.into_iter().map(|late| late.1).collect();
            self.take(&reports).await;
        }
    }

    /// Edges whose time has come report, those at once together.
    async fn report(&mut self) {
        let (mut reports, mut waiting) = (Vec::new(), Vec::new());
        for place in 0..self.edges.len() {
            if self.edges[place].due_us > self.now_us {
                continue;
            }
            let fate = self.fate(place);
            let report = self.edges[place].report(self.now_us);
            self.edges[place].due_us = self.now_us + SECOND_US + self.dice_us(1_500);
            if matches!(fate, Fate::Late | Fate::Twice) {
                // An edge gives up waiting long before its leases end.
                let at = self.now_us + self.dice_us(5_000);
                self.late.push((at, report.clone()));
            }
            if matches!(fate, Fate::Answered | Fate::AnswerLost | Fate::Twice) {
                reports.push(report);
                waiting.push((place, fate != Fate::AnswerLost));
            }
        }
        let orders = self.take(&reports).await;
        for ((place, is_answered), (report, orders)) in waiting.into_iter().zip(reports.iter().zip(orders)) {
            if is_answered {
                self.edges[place].answered(report, &orders, self.now_us);
                if !orders.report_all {
                    self.check_edge(place).await;
                }
            }
        }
    }

    fn fate(&mut self, place: usize) -> Fate {
        if self.edges[place].is_cut_off || !self.has_control() {
            return Fate::Lost;
        }
        match self.dice.below(20) {
            0 | 1 => Fate::AnswerLost,
            2 => Fate::Late,
            3 | 4 => Fate::Twice,
            5 => Fate::Lost,
            _ => Fate::Answered,
        }
    }

    async fn take(&mut self, reports: &[EdgeReport]) -> Vec<emostream_protocol::placement::EdgeOrders> {
        let orders = self.store.take_reports(reports, &limits(), &self.times()).await.unwrap();
        for report in reports {
            self.note(report);
        }
        orders
    }

    /// Notes what the store has been told.
    fn note(&mut self, report: &EdgeReport) {
        let (number, at_us) = (report.number, self.now_us);
        let new = Heard { generation: report.generation, earlier: BTreeMap::new(), number, at_us };
        let heard = self.heard.entry(report.edge.clone()).or_insert(new);
        // One that was replaced comes back when what replaced it is lost.
        let in_contact = heard.at_us.max(self.grace_from_us) + TTL_US > at_us;
        if heard.earlier.get(&report.generation).is_some_and(|newest| in_contact || number <= *newest)
            || heard.generation == report.generation && number < heard.number
        {
            return;
        }
        // The same number a second time tells nothing new, and is no sign of life.
        let is_again = heard.generation == report.generation && number == heard.number && heard.at_us < at_us;
        if is_again {
            return;
        }
        let mut is_back = false;
        if heard.generation != report.generation {
            is_back = heard.earlier.remove(&report.generation).is_some();
            heard.earlier.insert(heard.generation, heard.number);
        }
        (heard.generation, heard.number, heard.at_us) = (report.generation, number, at_us);
        for (id, fact) in self.facts.iter_mut().filter(|fact| fact.1.generation == report.generation) {
            fact.is_open |= report.opened.contains(id);
            let is_held = |held: &Vec<_>| {
                held.iter().any(|held: &emostream_protocol::placement::HeldLease| held.lease == *id)
            };
            // What took its place is forgotten with the start that was replaced; what is connected is admitted again.
            fact.is_over &= !(is_back && report.held.as_ref().is_some_and(is_held));
            let is_missing = report.held.as_ref().is_some_and(|held| !is_held(held));
            fact.is_over |=
                report.closed.contains(id) || is_missing && fact.is_open && !report.opened.contains(id);
        }
    }

    /// An edge that was answered holds only what counts.
    async fn check_edge(&mut self, place: usize) {
        for id in self.edges[place].connections() {
            let user = self.people[self.facts[&id].person].id;
            let counting = self.store.leases_of(user, &self.times()).await.unwrap();
            assert!(
                counting.iter().any(|lease| lease.id == id && lease.is_connected),
                "{}: {id} is connected and does not count: {counting:?}",
                self.again()
            );
        }
        let person = self.dice.below(self.people.len() as u64) as usize;
        self.check_person(person).await;
    }

    /// Nobody has more devices than may be, and none that is known to be gone.
    async fn check_person(&self, person: usize) -> usize {
        let Person { id, limit, .. } = self.people[person];
        let counting = self.store.leases_of(id, &self.times()).await.unwrap();
        assert!(counting.len() <= limit, "{}: {counting:?}", self.again());
        for lease in &counting {
            let fact = &self.facts[&lease.id];
            assert!(self.may_count(fact), "{}: {lease:?} counts for nothing: {fact:?}", self.again());
            assert_eq!((fact.person, &fact.device, &fact.edge), (person, &lease.device_id, &lease.edge));
        }
        counting.len()
    }

    /// Whether control can do no better than count a lease: its edge was heard within the time to live, and has not told
    /// that it is over; or its ticket may still be used.
    fn may_count(&self, fact: &Fact) -> bool {
        let is_awaited = fact.reserved_us + TICKET_US + TTL_US > self.now_us;
        match self.heard.get(&fact.edge) {
            None => is_awaited && !fact.is_over,
            Some(heard) => {
                let in_contact = heard.at_us.max(self.grace_from_us) + TTL_US > self.now_us;
                let is_current = heard.generation == fact.generation;
                !fact.is_over && is_current && in_contact && (fact.is_open || is_awaited)
            }
        }
    }

    /// Devices ask for a place, several together.
    async fn place(&mut self) {
        if self.dice.one_in(2) || self.seen.is_empty() {
            self.seen = self.store.edges().await.unwrap();
        }
        let times = self.times();
        let seed = format!("{} ", self.seed);
        let is_ours = |edge: &&EdgeRecord| edge.name.starts_with(&seed) && times.is_in_contact(edge.heard_us);
        let live: Vec<_> = self.seen.iter().filter(is_ours).cloned().collect();
        let mut wanted = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            let Some(edge) = self.dice.pick(&live).filter(|_| self.has_control()) else { return };
            let person = self.dice.below(self.people.len() as u64) as usize;
            let device = format!("device {}", self.dice.below(self.people[person].limit as u64 + 2));
            let (id, user) = (self.next_id(), self.people[person].id);
            let (device_name, generation) = (String::new(), edge.generation);
            let ends = self.dice.one_in(5).then(|| format!("device {}", self.dice.below(4)));
            let lease =
                NewLease { id, user, device_id: device, device_name, edge: edge.name, generation, ends };
            wanted.push((person, lease));
        }
        let leases: Vec<_> = wanted.iter().map(|wanted| wanted.1.clone()).collect();
        let reserved = self.store.reserve_leases(&leases, &limits(), &times).await.unwrap();
        for ((person, lease), reserved) in wanted.iter().zip(reserved) {
            self.reserved(*person, lease, &reserved);
        }
        if self.dice.one_in(4) {
            // An answer that was lost on its way to the caller: it asks again.
            let again = self.store.reserve_leases(&leases, &limits(), &times).await.unwrap();
            assert_eq!(again.len(), leases.len());
            for ((person, lease), reserved) in wanted.iter().zip(again) {
                if !self.facts.contains_key(&lease.id) {
                    self.reserved(*person, lease, &reserved);
                }
            }
        }
        for (person, _) in &wanted {
            self.check_person(*person).await;
        }
    }

    fn reserved(&mut self, person: usize, lease: &NewLease, reserved: &Reserved) {
        let Person { limit, is_gone, .. } = self.people[person];
        assert_eq!(is_gone, *reserved == Reserved::NoUser, "{}", self.again());
        match reserved {
            Reserved::NoUser => {}
            Reserved::Unsettled => panic!("{}: so many have not ended", self.again()),
            Reserved::Full { devices } => {
                assert!(devices.len() >= limit, "{}: refused beside {devices:?}", self.again());
                for device in devices {
                    let fact = &self.facts[&device.id];
                    assert!(self.may_count(fact), "{}: a ghost: {fact:?}", self.again());
                }
            }
            Reserved::Granted { .. } => {
                let is_own = |fact: &&mut Fact| {
                    let goes = fact.device == lease.device_id || lease.ends.as_ref() == Some(&fact.device);
                    fact.person == person && goes
                };
                self.facts.values_mut().filter(is_own).for_each(|fact| fact.is_over = true);
                let fact = Fact {
                    person,
                    device: lease.device_id.clone(),
                    edge: lease.edge.clone(),
                    generation: lease.generation,
                    reserved_us: self.now_us,
                    is_open: false,
                    is_over: false,
                };
                self.facts.insert(lease.id, fact);
                self.tickets.push(lease.id);
            }
        }
    }

    fn use_ticket(&mut self) {
        if self.tickets.is_empty() {
            return;
        }
        let place = self.dice.below(self.tickets.len() as u64) as usize;
        let id = self.tickets[place];
        // Whoever has been told of it may try it twice.
        if !self.dice.one_in(5) {
            self.tickets.swap_remove(place);
        }
        let fact = &self.facts[&id];
        let user = Uuid::from_bytes(*self.people[fact.person].id.as_bytes());
        let is_valid = self.now_us < fact.reserved_us + TICKET_US;
        let edge = self.edges.iter_mut().find(|edge| edge.generation == fact.generation);
        if let Some(edge) = edge.filter(|_| is_valid) {
            edge.connect(id, user, &fact.device, self.now_us);
        }
    }

    fn disconnect(&mut self) {
        let place = self.dice.below(self.edges.len().max(1) as u64) as usize;
        let Some(edge) = self.edges.get_mut(place) else { return };
        if let Some(lease) = self.dice.pick(&edge.connections()) {
            edge.disconnect(lease);
        }
    }

    /// Somebody ends one of the devices that are shown.
    async fn end_device(&mut self) {
        let person = self.dice.below(self.people.len() as u64) as usize;
        let user = self.people[person].id;
        let devices = self.store.leases_of(user, &self.times()).await.unwrap();
        let Some(lease) = self.dice.pick(&devices).filter(|_| self.has_control()) else { return };
        assert!(self.store.end_lease(user, &lease.device_id, &self.times()).await.unwrap());
        self.facts.get_mut(&lease.id).unwrap().is_over = true;
    }

    /// Everybody leaves, and what is left is heard.
    pub(super) async fn end(&mut self) {
        self.late.clear();
        self.control_from_us = self.now_us;
        let names: BTreeSet<_> = self.edges.iter().map(|edge| edge.name.clone()).collect();
        let newest = names.iter().filter_map(|name| self.edges.iter().rposition(|edge| edge.name == *name));
        let newest: BTreeSet<_> = newest.collect();
        let mut place = 0;
        self.edges.retain(|_| {
            place += 1;
            newest.contains(&(place - 1))
        });
        self.tickets.clear();
        for edge in &mut self.edges {
            edge.is_cut_off = false;
            edge.due_us = self.now_us;
            edge.connections().into_iter().for_each(|lease| edge.disconnect(lease));
        }
        self.pass(self.now_us + TICKET_US + TTL_US).await;
        for person in 0..self.people.len() {
            assert_eq!(self.check_person(person).await, 0, "{}: something is left", self.again());
        }
        self.everybody_gets_in().await;
        for edge in self.store.edges().await.unwrap() {
            self.store.forget_edge(&edge.name).await.unwrap();
        }
        // Nobody is heard any more.
        self.now_us += 2 * 86_400 * SECOND_US;
        self.store.sweep_leases(&self.times()).await.unwrap();
        assert_eq!(self.store.sweep_leases(&self.times()).await, Ok(0));
    }

    /// As many as the tiers allow, and not one more.
    async fn everybody_gets_in(&mut self) {
        let edges = self.store.edges().await.unwrap().into_iter();
        let mut live = edges.filter(|edge| {
            let runs = self.edges.iter().any(|started| started.generation == edge.generation);
            runs && self.times().is_in_contact(edge.heard_us)
        });
        let Some(EdgeRecord { name: edge, generation, .. }) = live.next() else { return };
        for person in 0..self.people.len() {
            let Person { id: user, limit, is_gone } = self.people[person];
            for number in 0..=limit {
                let (id, device_id) = (self.next_id(), format!("another device {number}"));
                let (edge, device_name) = (edge.clone(), String::new());
                let ends = None;
                let lease = NewLease { id, user, device_id, device_name, edge, generation, ends };
                let leases = std::slice::from_ref(&lease);
                let reserved = self.store.reserve_leases(leases, &limits(), &self.times()).await.unwrap();
                let is_granted = reserved[0] == Reserved::Granted { replaced: Vec::new() };
                assert_eq!(is_granted, !is_gone && number < limit, "{}: {reserved:?}", self.again());
                self.reserved(person, &lease, &reserved[0]);
            }
        }
    }

    /// How to see it again.
    fn again(&self) -> String {
        format!("EMOSTREAM_SEED={}", self.seed)
    }
}
