//! The results of a run, for people and as JSON.

use hdrhistogram::Histogram;
use indicatif::HumanCount;
use serde::Serialize;

use crate::send::Counts;

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub number: u64,
    /// Half are at most this.
    pub p50: f64,
    /// 90 % are at most this.
    pub p90: f64,
    /// 99 % are at most this.
    pub p99: f64,
    /// 99.9 % are at most this.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
    /// The average.
    pub mean: f64,
}

impl Latency {
    /// Reads a histogram of microseconds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        if histogram.is_empty() {
            return Self::default();
        }
        Self {
            number: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: histogram.max() as f64 / 1_000.0,
            mean: histogram.mean() / 1_000.0,
        }
    }

    /// One line.
    pub(crate) fn line(&self) -> String {
        if self.number == 0 {
            return "none measured".to_owned();
        }
        format!(
            "p50 {:.1} ms · p90 {:.1} · p99 {:.1} · p99.9 {:.1} · max {:.1}",
            self.p50, self.p90, self.p99, self.p99_9, self.max
        )
    }
}

/// The summary of what was sent, a line a fact.
pub(crate) fn summary(title: &str, seconds: f64, counts: &Counts, latency: &Latency) -> String {
    let rate = (counts.accepted + counts.duplicates) as f64 / seconds.max(0.001);
    let mut lines = vec![format!("{title} · {seconds:.1} s")];
    let mut fact = |name: &str, value: String| lines.push(format!("  {name:<12}{value}"));
    fact("sent", HumanCount(counts.sent).to_string());
    fact("accepted", format!("{} ({rate:.1} a second)", HumanCount(counts.accepted)));
    fact("rejected", HumanCount(counts.rejected).to_string());
    for (class, refused) in &counts.rejected_by_type {
        fact("", format!("{} {class}: {}", HumanCount(refused.number), refused.detail));
    }
    fact("retried", format!("{} (sent again)", HumanCount(counts.retried)));
    for (name, number, meaning) in [
        ("duplicates", counts.duplicates, "an earlier attempt had arrived"),
        ("uncertain", counts.uncertain, "no answer, and no id by which a repeat would be known"),
        ("unanswered", counts.unanswered, "given up without an answer"),
        ("overflowed", counts.overflowed, "not sent: more were due than could be sent"),
        ("unsent", counts.unsent, "still waiting at the end"),
        ("refusals", counts.refusals, "answers that said: later"),
        ("lost", counts.connections_lost, "connections that ended or could not be made"),
    ] {
        if number > 0 {
            fact(name, format!("{} ({meaning})", HumanCount(number)));
        }
    }
    fact("latency", latency.line());
    lines.join("\n")
}
