//! The house: which edges there are, who is on them, and who has a ticket for them. In memory, from what the store knows and
//! what edges report; an edge itself has the last word on whom it lets in.

use std::collections::{BTreeMap, HashMap};

use emostream_protocol::placement::EdgeReport;
use emostream_store::{Cluster, EdgeRecord};
use uuid::Uuid;

use crate::config::PlacementConfig;

/// How an edge is, for those who look after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeState {
    /// It takes viewers.
    Live,
    /// It is being emptied, as an admin has asked for.
    Draining,
    /// It is about to stop.
    Leaving,
    /// It has not reported for longer than it should have; nobody is sent there.
    Silent,
    /// It has not reported for its time to live: the devices on it count no more.
    Lost,
}

impl EdgeState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Live, Self::Draining, Self::Leaving, Self::Silent, Self::Lost];

    /// As it stands in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Draining => "draining",
            Self::Leaving => "leaving",
            Self::Silent => "silent",
            Self::Lost => "lost",
        }
    }
}

/// How long what is heard of edges holds, µs.
#[derive(Debug, Clone, Copy)]
pub struct Hearing {
    /// An edge that was heard longer ago is lost.
    pub ttl_us: i64,
    /// Edges report so often.
    pub report_us: i64,
}

impl Hearing {
    /// As it is configured.
    pub fn of(config: &PlacementConfig) -> Self {
        let us = |ms: u32| i64::from(ms) * 1_000;
        Self { ttl_us: us(config.ttl_ms), report_us: us(config.report_ms) }
    }

    /// How an edge is.
    pub fn state(&self, edge: &EdgeRecord, now_us: i64) -> EdgeState {
        let silent_us = now_us - edge.heard_us;
        if silent_us >= self.ttl_us {
            EdgeState::Lost
        } else if edge.is_leaving {
            EdgeState::Leaving
        } else if edge.is_draining {
            EdgeState::Draining
        } else if silent_us > (self.ttl_us + self.report_us) / 2 {
            EdgeState::Silent
        } else {
            EdgeState::Live
        }
    }
}

/// The house.
pub(super) struct House {
    hearing: Hearing,
    edges: BTreeMap<String, Edge>,
    /// Capacities of clusters that have one.
    clusters: HashMap<String, u32>,
}

/// An edge, and the tickets for it that are not known to be used, with the time after which they will not be.
struct Edge {
    record: EdgeRecord,
    tickets: HashMap<Uuid, i64>,
}

impl Edge {
    fn used(&self) -> u64 {
        u64::from(self.record.viewers) + self.tickets.len() as u64
    }

    fn free(&self) -> u64 {
        u64::from(self.record.capacity).saturating_sub(self.used())
    }
}

impl House {
    /// Without edges yet.
    pub(super) fn new(hearing: Hearing) -> Self {
        Self { hearing, edges: BTreeMap::new(), clusters: HashMap::new() }
    }

    /// Takes over what the store knows. Of an edge that has reported since it was read, only what admins say is new.
    pub(super) fn refresh(&mut self, edges: Vec<EdgeRecord>, clusters: Vec<Cluster>) {
        let mut before = std::mem::take(&mut self.edges);
        for mut record in edges {
            let known = before.remove(&record.name);
            let tickets = match known {
                Some(known) if known.record.generation == record.generation => {
                    // It may have reported since then, or what it reported is not there yet.
                    if known.record.number >= record.number {
                        record = EdgeRecord { is_draining: record.is_draining, ..known.record };
                    }
                    known.tickets
                }
                // Tickets for an earlier start open nothing.
                _ => HashMap::new(),
            };
            self.edges.insert(record.name.clone(), Edge { record, tickets });
        }
        let capacity = |cluster: Cluster| Some((cluster.name, cluster.capacity?));
        self.clusters = clusters.into_iter().filter_map(capacity).collect();
    }

    /// Takes over what can be known of a report before the store takes it: that its edge is there, how many are, and who has come.
    pub(super) fn hear(&mut self, report: &EdgeReport, now_us: i64) {
        let edge = self.edges.get_mut(&report.edge);
        let Some(edge) = edge.filter(|edge| edge.record.generation == report.generation) else { return };
        for ticket in &report.opened {
            edge.tickets.remove(ticket);
        }
        let record = &mut edge.record;
        if report.number > record.number {
            (record.viewers, record.is_leaving, record.heard_us) =
                (report.viewers, report.is_leaving, now_us);
        }
    }

    /// Takes over what a report says that the store has taken. Whether the edge's start is known; if it is not, the store
    /// must be asked.
    pub(super) fn note(&mut self, report: &EdgeReport, now_us: i64) -> bool {
        let edge = self.edges.get_mut(&report.edge);
        let Some(edge) = edge.filter(|edge| edge.record.generation == report.generation) else {
            return false;
        };
        // Before its number is looked at: the store may have been read between taking this report and this note of it, and
        // the edge tells of each only until it was answered.
        for ticket in &report.opened {
            edge.tickets.remove(ticket);
        }
        if report.number <= edge.record.number {
            return true;
        }
        let record = &mut edge.record;
        record.cluster.clone_from(&report.cluster);
        record.url.clone_from(&report.url);
        (record.port, record.capacity, record.viewers) = (report.port, report.capacity, report.viewers);
        (record.number, record.is_leaving, record.heard_us) = (report.number, report.is_leaving, now_us);
        true
    }

    /// How many more viewers there is room for.
    pub(super) fn free(&self, now_us: i64) -> u64 {
        let left = self.left_in_clusters(now_us);
        let mut free: HashMap<&str, u64> = HashMap::new();
        for edge in self.open(now_us) {
            *free.entry(&edge.record.cluster).or_default() += edge.free();
        }
        free.into_iter().map(|(cluster, free)| left.get(cluster).map_or(free, |left| free.min(*left))).sum()
    }

    /// Takes a place for a ticket: of two edges that have room, drawn at random, on the one with the larger free share. So
    /// edges fill evenly, and not all go to the same one while its next report is on its way. The edge that this viewer has
    /// just lost comes last: it may be dead, which its silence will tell only in a while. `draw` gives a number below its
    /// argument.
    pub(super) fn take(
        &mut self,
        ticket: Uuid,
        until_us: i64,
        now_us: i64,
        lost: Option<&str>,
        mut draw: impl FnMut(usize) -> usize,
    ) -> Option<EdgeRecord> {
        let left = self.left_in_clusters(now_us);
        let has_room = |edge: &&Edge| edge.free() > 0 && left.get(edge.record.cluster.as_str()) != Some(&0);
        let mut open: Vec<&Edge> = self.open(now_us).filter(has_room).collect();
        let is_other = |edge: &&Edge| Some(edge.record.name.as_str()) != lost;
        if open.iter().any(is_other) {
            open.retain(is_other);
        }
        if open.is_empty() {
            return None;
        }
        let one = draw(open.len());
        // Another one, each with the same chance.
        let other = if open.len() > 1 { (one + 1 + draw(open.len() - 1)) % open.len() } else { one };
        let share = |edge: &Edge| edge.free() as f64 / f64::from(edge.record.capacity.max(1));
        let (one, other) = (open.get(one)?, open.get(other)?);
        let chosen = if share(other) > share(one) { other } else { one };
        let name = chosen.record.name.clone();
        let edge = self.edges.get_mut(&name)?;
        edge.tickets.insert(ticket, until_us);
        Some(edge.record.clone())
    }

    /// Frees the place of a ticket that was not given.
    pub(super) fn give_back(&mut self, edge: &str, ticket: Uuid) {
        if let Some(edge) = self.edges.get_mut(edge) {
            edge.tickets.remove(&ticket);
        }
    }

    /// Frees the place of a ticket that opens nothing any more, wherever it was for.
    pub(super) fn release(&mut self, ticket: Uuid) {
        for edge in self.edges.values_mut() {
            edge.tickets.remove(&ticket);
        }
    }

    /// Whether an edge takes viewers, and has not been started anew since it was known so.
    pub(super) fn takes_at(&self, edge: &EdgeRecord, now_us: i64) -> bool {
        self.open(now_us)
            .any(|open| open.record.name == edge.name && open.record.generation == edge.generation)
    }

    /// Whether a ticket has a place on an edge that is not full, and is not known to be used.
    pub(super) fn lets_in(&self, edge: &str, ticket: Uuid) -> bool {
        let known = self.edges.get(edge);
        known.is_some_and(|edge| {
            edge.record.viewers < edge.record.capacity && edge.tickets.contains_key(&ticket)
        })
    }

    /// Frees the places of tickets whose time is over.
    pub(super) fn purge(&mut self, now_us: i64) {
        for edge in self.edges.values_mut() {
            edge.tickets.retain(|_, until_us| *until_us > now_us);
        }
    }

    /// The edges with how they are, and how many tickets for them are out.
    pub(super) fn edges(&self, now_us: i64) -> impl Iterator<Item = (&EdgeRecord, EdgeState, usize)> {
        self.edges
            .values()
            .map(move |edge| (&edge.record, self.hearing.state(&edge.record, now_us), edge.tickets.len()))
    }

    fn open(&self, now_us: i64) -> impl Iterator<Item = &Edge> {
        self.edges.values().filter(move |edge| self.hearing.state(&edge.record, now_us) == EdgeState::Live)
    }

    /// How many more viewers each cluster with a capacity takes. Those on edges that are being emptied are there too.
    fn left_in_clusters(&self, now_us: i64) -> HashMap<&str, u64> {
        let mut left: HashMap<&str, u64> =
            self.clusters.iter().map(|(name, capacity)| (name.as_str(), u64::from(*capacity))).collect();
        let there = |edge: &&Edge| self.hearing.state(&edge.record, now_us) != EdgeState::Lost;
        for edge in self.edges.values().filter(there) {
            if let Some(left) = left.get_mut(edge.record.cluster.as_str()) {
                *left = left.saturating_sub(edge.used());
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use emostream_protocol::placement::EdgeReport;
    use emostream_store::{Cluster, EdgeRecord};
    use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
    use uuid::Uuid;

    use super::{EdgeState, Hearing, House};

    const S: i64 = 1_000_000;
    const NOW: i64 = 1_750_000_000 * S;
    const HEARING: Hearing = Hearing { ttl_us: 10 * S, report_us: 2 * S };

    fn edge(name: &str, cluster: &str, capacity: u32, viewers: u32) -> EdgeRecord {
        EdgeRecord {
            name: name.into(),
            cluster: cluster.into(),
            url: String::new(),
            port: 3005,
            capacity,
            viewers,
            generation: Uuid::from_u128(1),
            number: 1,
            is_draining: false,
            is_leaving: false,
            heard_us: NOW,
        }
    }

    fn report(name: &str, number: u64, viewers: u32, opened: &[Uuid]) -> EdgeReport {
        EdgeReport {
            edge: name.into(),
            cluster: "north".into(),
            url: String::new(),
            port: 3005,
            capacity: 10,
            generation: Uuid::from_u128(1),
            number,
            viewers,
            is_leaving: false,
            opened: opened.to_vec(),
            closed: Vec::new(),
            held: None,
        }
    }

    fn house(edges: Vec<EdgeRecord>, clusters: &[(&str, u32)]) -> House {
        let mut house = House::new(HEARING);
        let cluster = |(name, capacity): &(&str, u32)| Cluster {
            name: (*name).into(),
            capacity: Some(*capacity),
            created_us: 0,
        };
        house.refresh(edges, clusters.iter().map(cluster).collect());
        house
    }

    fn ticket(n: u64) -> Uuid {
        Uuid::from_u128(u128::from(n) + 1_000)
    }

    #[test]
    fn edges_fill_evenly_to_the_last_place_and_never_beyond() {
        for seed in 0..10 {
            let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed);
            let sizes = [("a", 100), ("b", 200), ("c", 50)];
            let mut house =
                house(sizes.iter().map(|(name, size)| edge(name, "north", *size, 0)).collect(), &[]);
            assert_eq!(house.free(NOW), 350);
            let mut taken = std::collections::HashMap::<String, u32>::new();
            for n in 0..350 {
                let draw = |below| dice.random_range(0..below);
                let chosen = house.take(ticket(n), NOW + 30 * S, NOW, None, draw).expect("there is room");
                *taken.entry(chosen.name).or_default() += 1;
                if n == 174 {
                    // Half full: each edge is, within what two choices leave.
                    for (name, size) in sizes {
                        let share = f64::from(taken[name]) / f64::from(size);
                        assert!((0.4..0.6).contains(&share), "seed {seed}: {name} {share}");
                    }
                }
            }
            assert_eq!(house.free(NOW), 0);
            assert!(house.take(ticket(999), NOW + 30 * S, NOW, None, |_| 0).is_none());
            assert!(sizes.iter().all(|(name, size)| taken[*name] == *size), "seed {seed}: {taken:?}");
        }
    }

    #[test]
    fn tickets_take_places_until_they_are_used_given_back_or_over() {
        let mut house = house(vec![edge("a", "north", 10, 7)], &[]);
        for n in 0..3 {
            assert!(house.take(ticket(n), NOW + 30 * S, NOW, None, |_| 0).is_some());
        }
        assert_eq!(house.free(NOW), 0);
        // One of them has come; whoever left meanwhile is no longer among the viewers.
        assert!(house.note(&report("a", 2, 7, &[ticket(0)]), NOW + S));
        assert_eq!(house.free(NOW + S), 1);
        // The same report, delayed or repeated, changes nothing.
        assert!(house.note(&report("a", 2, 0, &[ticket(0)]), NOW + S));
        assert_eq!(house.free(NOW + S), 1);
        house.give_back("a", ticket(1));
        assert_eq!(house.free(NOW + S), 2);
        assert!(
            house.lets_in("a", ticket(2)) && !house.lets_in("a", ticket(0)) && !house.lets_in("b", ticket(2))
        );
        house.release(ticket(2));
        assert!(!house.lets_in("a", ticket(2)));
        assert_eq!(house.free(NOW + S), 3);
        assert!(house.take(ticket(3), NOW + 30 * S, NOW + S, None, |_| 0).is_some());
        house.purge(NOW + 30 * S);
        assert!(house.note(&report("a", 3, 7, &[]), NOW + 30 * S));
        assert_eq!(house.free(NOW + 30 * S), 3);
    }

    #[test]
    fn a_ticket_that_was_used_takes_no_place_although_the_store_was_read_before_its_report_was_noted() {
        let mut house = house(vec![edge("a", "north", 10, 0)], &[]);
        house.take(ticket(0), NOW + 30 * S, NOW, None, |_| 0).unwrap();
        // The store has taken report 2, and is read before that is noted.
        house.refresh(vec![EdgeRecord { number: 2, ..edge("a", "north", 10, 1) }], Vec::new());
        assert!(house.note(&report("a", 2, 1, &[ticket(0)]), NOW));
        assert_eq!(house.free(NOW), 9);
    }

    #[test]
    fn edges_are_heard_although_the_store_does_not_take_what_they_report() {
        let mut house = house(vec![edge("a", "north", 10, 0)], &[]);
        house.take(ticket(0), NOW + 300 * S, NOW, None, |_| 0).unwrap();
        for n in 1..20 {
            let now_us = NOW + i64::from(n) * 2 * S;
            house.hear(&report("a", 2, n % 9, &[]), now_us);
            // What the store knows is older.
            house.refresh(vec![edge("a", "north", 10, 0)], Vec::new());
            assert_eq!(house.free(now_us), u64::from(9 - n % 9));
        }
        let now_us = NOW + 40 * S;
        house.hear(&report("a", 3, 5, &[ticket(0)]), now_us);
        assert_eq!(house.free(now_us), 5);
        // An older one, delayed, tells nothing new, and one of another start nothing at all.
        house.hear(&report("a", 1, 9, &[]), now_us + 9 * S);
        let other = EdgeReport { generation: Uuid::from_u128(2), ..report("a", 9, 9, &[]) };
        house.hear(&other, now_us + 9 * S);
        assert_eq!(house.free(now_us + 9 * S), 0, "it is silent");
        // The store takes reports again.
        assert!(house.note(&report("a", 4, 6, &[]), now_us + 10 * S));
        assert_eq!(house.free(now_us + 10 * S), 4);
    }

    #[test]
    fn a_clusters_capacity_holds_for_all_its_edges() {
        let edges = vec![edge("a", "north", 10, 2), edge("b", "north", 10, 0), edge("c", "south", 2, 1)];
        let mut house = house(edges, &[("north", 4)]);
        assert_eq!(house.free(NOW), 3);
        let clusters: Vec<_> = (0..3)
            .map(|n| {
                house.take(ticket(n), NOW + 30 * S, NOW, None, |below| n as usize % below).unwrap().cluster
            })
            .collect();
        assert_eq!(clusters.iter().filter(|cluster| *cluster == "north").count(), 2);
        assert_eq!(house.free(NOW), 0);
        assert!(house.take(ticket(9), NOW + 30 * S, NOW, None, |_| 0).is_none());
    }

    #[test]
    fn whoever_has_lost_an_edge_is_sent_to_another_one_as_long_as_there_is_room() {
        let mut house = house(vec![edge("a", "north", 10, 0), edge("b", "north", 3, 0)], &[]);
        let mut take = |n: u64, lost: &str| {
            let taken = house.take(ticket(n), NOW + 30 * S, NOW, Some(lost), |below| n as usize % below);
            taken.map(|edge| edge.name)
        };
        for n in 0..3 {
            assert_eq!(take(n, "a").as_deref(), Some("b"));
        }
        // There is room nowhere else: it may have been the viewer's own network.
        assert_eq!(take(3, "a").as_deref(), Some("a"));
        assert_eq!(take(4, "nowhere").as_deref(), Some("a"));
        assert_eq!(house.free(NOW), 8);
    }

    #[test]
    fn nobody_is_sent_where_nobody_is_taken() {
        let at = |seconds: i64, is_draining: bool, is_leaving: bool| EdgeRecord {
            heard_us: NOW - seconds * S,
            is_draining,
            is_leaving,
            ..edge("a", "north", 10, 0)
        };
        for (record, state) in [
            (at(0, false, false), EdgeState::Live),
            (at(6, false, false), EdgeState::Live),
            (at(7, false, false), EdgeState::Silent),
            (at(10, false, false), EdgeState::Lost),
            (at(0, true, false), EdgeState::Draining),
            (at(0, true, true), EdgeState::Leaving),
        ] {
            assert_eq!(HEARING.state(&record, NOW), state);
            let house = house(vec![record], &[]);
            assert_eq!(house.free(NOW) > 0, state == EdgeState::Live, "{state:?}");
        }
    }

    #[test]
    fn the_store_says_which_start_holds_and_what_admins_want() {
        let mut house = house(vec![edge("a", "north", 10, 0)], &[]);
        house.take(ticket(0), NOW + 30 * S, NOW, None, |_| 0).unwrap();
        assert!(house.note(&report("a", 5, 3, &[]), NOW + S));
        // Read before that report was taken, with an admin's wish.
        house.refresh(vec![EdgeRecord { is_draining: true, ..edge("a", "north", 10, 0) }], Vec::new());
        let (record, state, tickets) = house.edges(NOW + S).next().unwrap();
        assert_eq!((record.viewers, state, tickets), (3, EdgeState::Draining, 1));
        // A new start: whoever has a ticket for the old one asks again.
        let newer = EdgeReport { generation: Uuid::from_u128(2), ..report("a", 1, 0, &[]) };
        assert!(!house.note(&newer, NOW + S));
        house.refresh(
            vec![EdgeRecord { generation: Uuid::from_u128(2), ..edge("a", "north", 10, 0) }],
            Vec::new(),
        );
        assert_eq!(house.free(NOW), 10);
        house.refresh(Vec::new(), Vec::new());
        assert_eq!(house.free(NOW), 0);
    }
}
