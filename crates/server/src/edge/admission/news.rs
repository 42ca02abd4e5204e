//! What control is to be told once, and may have to be told again: it counts as told only when the report was answered.

use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use uuid::Uuid;

/// Ids in the order in which they came, each once until control has confirmed it.
#[derive(Debug, Default)]
pub(super) struct News {
    waiting: VecDeque<Uuid>,
    known: HashSet<Uuid, RandomState>,
    /// How many of the oldest stood in the last report.
    told: usize,
}

impl News {
    pub(super) fn add(&mut self, id: Uuid) {
        if self.known.insert(id) {
            self.waiting.push_back(id);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The oldest, for a report.
    pub(super) fn tell(&mut self, max: usize) -> Vec<Uuid> {
        self.told = self.waiting.len().min(max);
        self.waiting.iter().take(self.told).copied().collect()
    }

    /// The last report was answered.
    pub(super) fn confirm(&mut self) {
        for id in self.waiting.drain(..self.told) {
            self.known.remove(&id);
        }
        self.told = 0;
    }
}
