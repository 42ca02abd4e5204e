//! Random fleets from a seed. `EMOSTREAM_SEEDS=n` sets how many seeds, `EMOSTREAM_SEED=n` runs one again.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use emostream_log::TopicPartition;

use super::{
    Dice,
    broker::{NodeLog, any_fate},
    world::{Node, World},
};
use crate::telemetry::Labelled;

/// Things that happen in a run.
const STEPS: usize = 1_500;

const NODES_MAX: usize = 4;

/// What a run has seen, so that nobody takes a run in which nothing happened for a proof.
type Seen = BTreeMap<&'static str, u64>;

struct Run {
    world: World,
    dice: Dice,
    nodes: Vec<Node>,
    /// Nodes that the groups have given up, and that do not know it.
    zombies: Vec<Node>,
    /// Crashed nodes: their sessions last, and what they sent is still on its way.
    crashed: Vec<Arc<NodeLog>>,
    seen: Seen,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let world = World::new(1 + dice.below(5) as u32, 1 + dice.below(4) as u32);
        let (nodes, zombies, crashed) = (Vec::new(), Vec::new(), Vec::new());
        Self { world, dice, nodes, zombies, crashed, seen: Seen::new() }
    }

    fn note(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// One thing happens somewhere.
    fn step(&mut self) {
        match self.dice.below(100) {
            0..=19 => self.world.audience.act(&mut self.dice, self.world.now_ms()),
            20..=34 => self.let_time_pass(),
            35..=69 => self.turn(),
            70..=91 => self.deliver(),
            92..=93 => self.hear(),
            94 => self.break_connection(),
            95 => self.join(),
            96 => self.stop_gracefully(),
            97 => self.crash(),
            98 => self.freeze_or_wake(),
            _ => self.end_session_of_crashed(),
        }
    }

    fn let_time_pass(&mut self) {
        let ms = match self.dice.below(60) {
            0 => self.dice.between(20_000, 60_000),
            1..=3 => self.dice.between(2_000, 6_000),
            _ => self.dice.between(1, 400),
        };
        self.world.clock.advance(ms);
    }

    fn any_node(&mut self) -> Option<&mut Node> {
        let all = self.nodes.len() + self.zombies.len();
        let chosen = (all > 0).then(|| self.dice.below(all))?;
        self.nodes.iter_mut().chain(&mut self.zombies).nth(chosen)
    }

    fn turn(&mut self) {
        let merge = self.dice.one_in(2);
        let Some(node) = self.any_node() else { return };
        if merge {
            node.turn_merge();
        } else {
            node.turn_count();
        }
        let before = self.nodes.len();
        self.nodes.retain(|node| node.count.is_some() || node.merge.is_some());
        *self.seen.entry("graceful stops done").or_default() += (before - self.nodes.len()) as u64;
        self.zombies.retain(|node| node.count.is_some() || node.merge.is_some());
    }

    fn deliver(&mut self) {
        let crashed = self.crashed.iter().cloned();
        let logs = self.nodes.iter().chain(&self.zombies).map(|node| node.log.clone());
        let busy: Vec<_> = logs
            .chain(crashed)
            .flat_map(|log| log.busy().into_iter().map(move |to| (log.clone(), to)))
            .collect();
        if busy.is_empty() {
            return;
        }
        let (log, to) = &busy[self.dice.below(busy.len())];
        for _ in 0..=self.dice.below(6) {
            log.deliver(to, any_fate(&mut self.dice));
        }
    }

    fn hear(&mut self) {
        self.nodes.iter().for_each(|node| node.log.hear());
    }

    fn break_connection(&mut self) {
        let unanswered = self.dice.below(4);
        if let Some(node) = self.any_node() {
            node.log.unanswered.store(unanswered, Ordering::SeqCst);
        }
    }

    fn join(&mut self) {
        if self.nodes.len() < NODES_MAX {
            self.world.part_bytes = [1, 200, 1 << 19][self.dice.below(3)];
            let node = self.world.join();
            self.nodes.push(node);
        }
    }

    fn stop_gracefully(&mut self) {
        let count = self.nodes.len();
        if count > 0 {
            self.nodes[self.dice.below(count)].stopping = true;
        }
    }

    fn crash(&mut self) {
        if self.nodes.is_empty() {
            return;
        }
        let node = self.nodes.swap_remove(self.dice.below(self.nodes.len()));
        self.absorb(&node);
        self.crashed.push(node.crash());
        self.note("crashes");
    }

    fn end_session_of_crashed(&mut self) {
        if !self.crashed.is_empty() {
            let at = self.dice.below(self.crashed.len());
            self.crashed[at].end_session();
            // What it sent may be lost on the way.
            if self.dice.one_in(2) {
                self.crashed.swap_remove(at);
            }
        }
    }

    fn freeze_or_wake(&mut self) {
        if !self.zombies.is_empty() && self.dice.one_in(2) {
            let node = self.zombies.swap_remove(self.dice.below(self.zombies.len()));
            node.log.wake();
            self.nodes.push(node);
        } else if !self.nodes.is_empty() {
            let node = self.nodes.swap_remove(self.dice.below(self.nodes.len()));
            node.log.end_session();
            self.zombies.push(node);
            self.note("zombies");
        }
    }

    /// Everybody is well again and time passes, until everything is closed; then all stop.
    fn recover(&mut self) {
        for log in self.crashed.drain(..) {
            log.end_session();
            log.deliver_all();
        }
        for node in self.zombies.drain(..) {
            node.log.wake();
            self.nodes.push(node);
        }
        if self.nodes.iter().all(|node| node.stopping) {
            let node = self.world.join();
            self.nodes.push(node);
        }
        self.nodes.iter().for_each(|node| node.log.unanswered.store(0, Ordering::SeqCst));
        self.world.pass(&mut self.nodes, 9_000);
        let nodes = std::mem::take(&mut self.nodes);
        nodes.iter().for_each(|node| self.absorb(node));
        self.world.stop(nodes);
    }

    /// Takes what a node's metrics say.
    fn absorb(&mut self, node: &Node) {
        let metrics = &node.metrics;
        let left_out = |kind| metrics.steps_left_out.get_or_create(&Labelled { kind }).get();
        let figures = [
            ("repeats", left_out("repeat")),
            ("early", left_out("early")),
            ("fenced", metrics.writers_fenced.get()),
            ("snapshots", metrics.snapshots_written.get()),
            ("steps", metrics.steps_appended.get()),
            ("windows", metrics.windows_closed.get()),
            ("moments", metrics.moments_found.get()),
        ];
        for (what, count) in figures {
            *self.seen.entry(what).or_default() += count;
        }
    }
}

fn run(seed: u64) -> Seen {
    let mut run = Run::new(seed);
    run.join();
    for _ in 0..STEPS {
        run.step();
    }
    run.recover();
    run.world.assert_exact();
    let is_trimmed = |raw: &u32| run.world.broker.bounds_of(&TopicPartition::new("raw", *raw)).start > 0;
    let trimmed = (0..run.world.raw_partitions).filter(is_trimmed).count();
    run.seen.insert("trimmed", trimmed as u64);
    let lines = run.world.records("dead", 0).len();
    assert!(lines >= run.world.audience.damaged, "every damaged record has a line");
    run.seen
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn a_fleet_in_any_trouble_counts_as_one_process() {
    if let Some(seed) = number_from("EMOSTREAM_SEED") {
        return println!("seed {seed}: {:?}", run(seed));
    }
    let seeds = number_from("EMOSTREAM_SEEDS").unwrap_or(60);
    let mut total = Seen::new();
    for seed in 0..seeds {
        let seen = std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|_| {
            panic!("seed {seed} (again with EMOSTREAM_SEED={seed})");
        });
        seen.into_iter().for_each(|(what, count)| *total.entry(what).or_default() += count);
    }
    println!("{seeds} seeds: {total:?}");
    let needed = ["crashes", "zombies", "repeats", "early", "fenced", "snapshots", "moments", "trimmed"];
    assert!(needed.iter().all(|what| total.get(what).is_some_and(|count| *count >= seeds / 3)), "{total:?}");
}

#[test]
fn a_seed_does_the_same_thing_twice() {
    for seed in 0..3 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
