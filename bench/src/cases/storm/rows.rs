//! The tables of what was measured.

use super::{MEMBER_EVERY, Round, Storm};
use crate::report::{Figure, Row, Series};

pub(super) fn of(rounds: &[Round]) -> Vec<Row> {
    vec![came(rounds), back(rounds)]
}

fn series(name: &str, unit: &str, rounds: &[Round], of: impl Fn(&Round) -> f64) -> Series {
    Series::new(name, unit, rounds.iter().map(of).collect())
}

/// Microseconds of processor time a viewer.
fn each_us(storm: &Storm, seconds: f64) -> f64 {
    seconds * 1e6 / storm.viewers as f64
}

fn split(rounds: &[Round], storm: impl Fn(&Round) -> &Storm) -> Vec<Series> {
    let unit = "µs CPU a viewer";
    let each = |name, of: fn(&Storm) -> f64| {
        series(name, unit, rounds, |round| each_us(storm(round), of(storm(round))))
    };
    vec![
        each("Emostream, control and edges", |storm| storm.spent.for_viewers()),
        series("bare door", unit, rounds, |round| each_us(&round.bare, round.bare.spent.edges)),
        each("of which control", |storm| storm.spent.control),
        each("of which edges", |storm| storm.spent.edges),
        each("beside: ingest and counting", |storm| storm.spent.count),
        each("beside: the broker", |storm| storm.spent.broker),
    ]
}

fn came(rounds: &[Round]) -> Row {
    let mut all = split(rounds, |round| &round.came);
    let ratio = all[0].median / all[1].median;
    all.extend([
        series("all greeted, Emostream", "s", rounds, |round| round.came.all_s),
        series("all greeted, bare door", "s", rounds, |round| round.bare.all_s),
        series("greeted, p50, Emostream", "s", rounds, |round| round.came.p50_s),
        series("greeted, p50, bare door", "s", rounds, |round| round.bare.p50_s),
        series("greeted, p99, Emostream", "s", rounds, |round| round.came.p99_s),
        series("greeted, p99, bare door", "s", rounds, |round| round.bare.p99_s),
        series("places, Emostream", "a second", rounds, |round| {
            round.came.viewers as f64 / round.came.placed_s
        }),
        series("places, bare door", "a second", rounds, |round| {
            round.bare.viewers as f64 / round.bare.placed_s
        }),
        series("places asked for, Emostream", "a viewer", rounds, |round| asked(&round.came)),
        series("places asked for, bare door", "a viewer", rounds, |round| asked(&round.bare)),
        series("places refused with 429 or 503", "in all", rounds, |round| refused(&round.came)),
    ]);
    Row {
        what: format!("{} viewers come at once, over three edges", viewers(rounds, |round| &round.came)),
        against: "as many at a bare hyper server that signs a ticket, verifies it and greets with one frame; CPU a viewer"
            .to_owned(),
        aim: String::new(),
        result: Figure::times(ratio),
        met: None,
        series: all,
        notes: vec![
            format!(
                "A viewer is a connection that asks control for a place and another one to the edge, which ends with the \
                 first frame. One in {MEMBER_EVERY} is a device of an account, with a durable lease; the others are guests. \
                 Nobody waits before the first attempt; behind a fault each does what the JavaScript SDK does. Control, \
                 edges, the node that counts and the broker share one core, all viewers the other. Taps twice a second \
                 make windows, pulses and moments meanwhile, which are in the figures."
            ),
            format!("What went wrong, Emostream: {}.", faults(rounds, |round| &round.came)),
            format!("What went wrong, bare door: {}.", faults(rounds, |round| &round.bare)),
        ],
    }
}

fn back(rounds: &[Round]) -> Row {
    let mut all = vec![
        series("all back", "s", rounds, |round| round.back.all_s),
        series("back, p50", "s", rounds, |round| round.back.p50_s),
        series("back, p99", "s", rounds, |round| round.back.p99_s),
    ];
    let until_all = Figure::of(all[0].median, "s");
    all.extend(split(rounds, |round| &round.back));
    all.extend([
        series("places asked for", "a viewer", rounds, |round| asked(&round.back)),
        series("places refused with 429 or 503", "in all", rounds, |round| refused(&round.back)),
        series("moments, seen once by each viewer", "in all", rounds, |round| round.moments as f64),
    ]);
    let number = viewers(rounds, |round| &round.back);
    Row {
        what: format!("{number} viewers come back after their edge was killed"),
        against: "time until all are back; the CPU time beside that of a viewer who comes to the bare door".to_owned(),
        aim: String::new(),
        result: until_all,
        met: None,
        series: all,
        notes: vec![
            "From `kill -9` until the first frame on another edge, where the stream goes on behind what was seen. Viewers do \
             what the JavaScript SDK does: before attempt n a random pause of up to 0.5 s × 2ⁿ. Control learns of the \
             death by the edge's silence, behind (`placement.ttl_ms` + `placement.report_ms`) / 2 = 6 s; until then whoever \
             says which edge was lost (`lost_edge`) is sent to another one. Of the CPU time that is subtracted what as many seconds cost when all are back. The \
             benchmark fails where a viewer misses a moment, sees one twice, or sees them out of order."
                .to_owned(),
            format!("What went wrong meanwhile: {}.", faults(rounds, |round| &round.back)),
        ],
    }
}

fn asked(storm: &Storm) -> f64 {
    storm.asked as f64 / storm.viewers as f64
}

fn refused(storm: &Storm) -> f64 {
    let refusals = storm.faults.iter().filter(|(kind, _)| kind.starts_with("places refused with "));
    refusals.map(|(_, number)| *number).sum::<u64>() as f64
}

/// How many there were, in the middle.
fn viewers(rounds: &[Round], storm: impl Fn(&Round) -> &Storm) -> usize {
    let mut numbers: Vec<_> = rounds.iter().map(|round| storm(round).viewers).collect();
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}

/// Every kind with its numbers by round.
fn faults(rounds: &[Round], storm: impl Fn(&Round) -> &Storm) -> String {
    let mut kinds: Vec<_> = rounds.iter().flat_map(|round| storm(round).faults.keys().cloned()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let by_round = |kind: &String| {
        let number = |round| storm(round).faults.get(kind).copied().unwrap_or(0).to_string();
        format!("{kind} ({})", rounds.iter().map(number).collect::<Vec<_>>().join(", "))
    };
    match kinds.len() {
        0 => "nothing".to_owned(),
        _ => kinds.iter().map(by_round).collect::<Vec<_>>().join("; "),
    }
}
