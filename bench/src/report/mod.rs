//! Results: what was measured, as JSON for programs, as a table and bars for people.

use serde::{Deserialize, Serialize};

use crate::measure::{machine::Machine, median};

pub(crate) mod bars;
pub(crate) mod files;
pub(crate) mod table;

/// The results of one benchmark.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Its name.
    pub(crate) benchmark: String,
    /// Whether it was cut short to try it out.
    pub(crate) quick: bool,
    /// What it ran on.
    pub(crate) machine: Machine,
    /// What was compared.
    pub(crate) rows: Vec<Row>,
}

/// One comparison, or one figure with a limit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was done.
    pub(crate) what: String,
    /// What it is compared with.
    pub(crate) against: String,
    /// The aim, in words; empty where there is none.
    pub(crate) aim: String,
    /// The ratio, or the figure that the aim is about.
    pub(crate) result: Figure,
    /// Whether the result is what was aimed at; `None` where there is no aim.
    pub(crate) met: Option<bool>,
    /// The raw numbers, Emostream's first.
    pub(crate) series: Vec<Series>,
    /// What must be known to read it.
    pub(crate) notes: Vec<String>,
}

/// A number with its unit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) unit: String,
}

/// All runs of one side.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Series {
    /// Whose.
    pub(crate) name: String,
    /// Of the numbers.
    pub(crate) unit: String,
    /// In the order in which they were measured.
    pub(crate) runs: Vec<f64>,
    /// Their middle.
    pub(crate) median: f64,
}

impl Series {
    pub(crate) fn new(name: &str, unit: &str, runs: Vec<f64>) -> Self {
        Self { name: name.to_owned(), unit: unit.to_owned(), median: median(&runs), runs }
    }
}

impl Figure {
    /// So many times as much.
    pub(crate) fn times(value: f64) -> Self {
        Self { value, unit: "×".to_owned() }
    }

    pub(crate) fn of(value: f64, unit: &str) -> Self {
        Self { value, unit: unit.to_owned() }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", number(self.value), self.unit)
    }
}

/// A number with about three digits.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
