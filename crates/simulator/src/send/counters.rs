//! What became of each reaction, counted once, and why the server refused.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;

/// Counters that all connections share.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) planned: Counter,
    pub(crate) sent: Counter,
    pub(crate) accepted: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) rejected: Counter,
    pub(crate) unanswered: Counter,
    pub(crate) overflowed: Counter,
    pub(crate) unsent: Counter,
    pub(crate) retried: Counter,
    pub(crate) uncertain: Counter,
    pub(crate) refusals: Counter,
    pub(crate) connections_lost: Counter,
    refused: Mutex<BTreeMap<String, Refused>>,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Refusals of one class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// How many.
    pub number: u64,
    /// What the server said the first time.
    pub detail: String,
}

/// The counts of a run. `planned = sent + overflowed + unsent`, `sent = accepted + duplicates + rejected + unanswered`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Reactions whose time came.
    pub planned: u64,
    /// Reactions taken by a connection for sending.
    pub sent: u64,
    /// The server has them in its log.
    pub accepted: u64,
    /// The server had them already: an earlier attempt had arrived.
    pub duplicates: u64,
    /// The server refused them for good.
    pub rejected: u64,
    /// Given up without an answer: they may or may not be in the log.
    pub unanswered: u64,
    /// Not sent because the backlog was full: the server or this machine was too slow for the rate.
    pub overflowed: u64,
    /// Still in the backlog at the end.
    pub unsent: u64,
    /// Attempts after the first one, reaction by reaction, each with the id of the first.
    pub retried: u64,
    /// Attempts that ended without an answer, at an endpoint that knows no ids: what is sent again then may be counted twice.
    pub uncertain: u64,
    /// Answers 429, 503 and the like: "try later".
    pub refusals: u64,
    /// Connections that ended or could not be made.
    pub connections_lost: u64,
    /// Rejections by class.
    pub rejected_by_type: BTreeMap<String, Refused>,
}

/// Classes of rejections that are told apart; the server has fewer.
const CLASSES_MAX: usize = 32;

impl Counters {
    /// Counts rejections of one class.
    pub(crate) fn reject(&self, class: &str, detail: &str, number: u64) {
        self.rejected.add(number);
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let class = if refused.len() < CLASSES_MAX || refused.contains_key(class) { class } else { "other" };
        let entry = refused
            .entry(class.to_owned())
            .or_insert_with(|| Refused { number: 0, detail: detail.to_owned() });
        entry.number += number;
    }

    /// The counts now.
    pub(crate) fn snapshot(&self) -> Counts {
        Counts {
            planned: self.planned.get(),
            sent: self.sent.get(),
            accepted: self.accepted.get(),
            duplicates: self.duplicates.get(),
            rejected: self.rejected.get(),
            unanswered: self.unanswered.get(),
            overflowed: self.overflowed.get(),
            unsent: self.unsent.get(),
            retried: self.retried.get(),
            uncertain: self.uncertain.get(),
            refusals: self.refusals.get(),
            connections_lost: self.connections_lost.get(),
            rejected_by_type: self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
