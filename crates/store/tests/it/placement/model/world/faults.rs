//! What goes wrong in the world of the model.

use std::collections::BTreeSet;

use super::{SECOND_US, World};

impl World {
    /// An edge crashes, and mostly starts anew; or another of its name is started while it still runs.
    pub(super) fn restart_edge(&mut self) {
        let place = self.dice.below(self.edges.len() as u64) as usize;
        let name = self.edges[place].name.clone();
        if !self.dice.one_in(4) {
            self.edges.remove(place);
        }
        let is_left = self.edges.is_empty() || !self.dice.one_in(4);
        // Nobody starts a third one.
        if is_left && self.edges.iter().filter(|edge| edge.name == name).count() < 2 {
            self.start_edge(name);
        }
        if self.dice.one_in(4) {
            let last = self.edges.len() - 1;
            self.edges[last].due_us += self.dice_us(30_000);
        }
    }

    pub(super) fn cut_or_heal(&mut self) {
        let place = self.dice.below(self.edges.len() as u64) as usize;
        self.edges[place].is_cut_off = self.dice.one_in(2);
    }

    pub(super) fn restart_control(&mut self) {
        self.control_from_us = self.now_us + self.dice_us(25_000);
    }

    pub(super) async fn delete_person(&mut self) {
        let person = self.dice.below(self.people.len() as u64) as usize;
        if !self.has_control() || self.people[person].is_gone {
            return;
        }
        self.store.delete_user(self.people[person].id).await.unwrap();
        self.people[person].is_gone = true;
        let facts = self.facts.values_mut().filter(|fact| fact.person == person);
        facts.for_each(|fact| fact.is_over = true);
    }

    /// An admin says that an edge is gone for good.
    pub(super) async fn forget_edge(&mut self) {
        let is_gone = |name: &&String| self.edges.iter().all(|edge| edge.name != **name);
        let gone: BTreeSet<_> = self.heard.keys().filter(is_gone).cloned().collect();
        let gone: Vec<_> = gone.into_iter().collect();
        let Some(name) = self.dice.pick(&gone).filter(|_| self.has_control()) else { return };
        self.store.forget_edge(&name).await.unwrap();
        self.heard.remove(&name);
        self.late.retain(|late| late.1.edge != name);
    }

    /// Control is away for so long that everything is dead when it is back.
    pub(super) async fn stay_away(&mut self) {
        if self.dice.one_in(3) {
            self.control_from_us = self.now_us + 700 * SECOND_US;
            self.late.clear();
            self.edges.iter_mut().for_each(|edge| edge.due_us += 695 * SECOND_US);
            self.pass(self.now_us + 700 * SECOND_US).await;
        }
    }

    pub(super) async fn sweep(&mut self) {
        if self.has_control() {
            self.store.sweep_leases(&self.times()).await.unwrap();
        }
    }
}
