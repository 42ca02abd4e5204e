//! What people see: a status line on a terminal, plain lines elsewhere, and the summary.
#![expect(clippy::print_stdout, reason = "the one module that prints")]

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::send::Counts;

/// Time between plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Time between two looks at the counters for the status line.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The screen or log file of a run.
pub(crate) struct Console {
    bar: Option<ProgressBar>,
    length: Length,
    start: Instant,
    last_line: Instant,
    last_look: (Instant, u64),
    rate: f64,
}

/// How long a run is, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Until a signal.
    Endless,
    /// Real time.
    Time(Duration),
    /// Until so many reactions have been sent.
    Reactions(u64),
}

/// Prints lines while a status line is shown.
#[derive(Clone)]
pub(crate) struct Printer {
    bar: Option<ProgressBar>,
}

impl Printer {
    /// Prints a line above the status line, if there is one.
    pub(crate) fn print(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| println!("{line}")),
            None => println!("{line}"),
        }
    }
}

/// A look at a run.
pub(crate) struct Status<'a> {
    /// The phase, or what else is going on.
    pub(crate) doing: &'a str,
    pub(crate) counts: &'a Counts,
    /// Taps that are due and not taken.
    pub(crate) waiting: usize,
}

impl Console {
    /// Prints what begins.
    pub(crate) fn begin(headline: &str, length: Length) -> Self {
        println!("{headline}");
        // indicatif draws on standard error, so that standard output can be kept in a file.
        let bar = std::io::stderr().is_terminal().then(|| status_bar(length));
        let now = Instant::now();
        Self { bar, length, start: now, last_line: now, last_look: (now, 0), rate: 0.0 }
    }

    /// Restarts the clock: the run has begun.
    pub(crate) fn started(&mut self) {
        let now = Instant::now();
        (self.start, self.last_line, self.last_look) = (now, now, (now, 0));
        if let Some(bar) = &self.bar {
            bar.reset_elapsed();
        }
    }

    /// Shows how the run is going.
    pub(crate) fn show(&mut self, status: &Status<'_>) {
        let now = Instant::now();
        if self.bar.is_some() {
            self.rate = self.rate_since(now, status.counts);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(match self.length {
                Length::Reactions(_) => status.counts.sent,
                _ => millis(self.start.elapsed()),
            });
            bar.set_message(line(status, self.rate));
        } else if now.duration_since(self.last_line) >= LINE_EVERY {
            self.last_line = now;
            self.rate = self.rate_since(now, status.counts);
            println!("[{:>5.0} s] {}", self.start.elapsed().as_secs_f64(), line(status, self.rate));
        }
    }

    /// Prints lines beside the status line.
    pub(crate) fn printer(&self) -> Printer {
        Printer { bar: self.bar.clone() }
    }

    /// Removes the status line and prints the summary.
    pub(crate) fn end(&self, summary: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        println!("{summary}");
    }

    fn rate_since(&mut self, now: Instant, counts: &Counts) -> f64 {
        let (then, before) = self.last_look;
        let seconds = now.duration_since(then).as_secs_f64();
        if seconds < 0.1 {
            return self.rate;
        }
        self.last_look = (now, counts.accepted);
        counts.accepted.saturating_sub(before) as f64 / seconds
    }
}

/// Prints a text that is no part of a run.
pub(crate) fn print(text: &str) {
    println!("{text}");
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn status_bar(length: Length) -> ProgressBar {
    const WITH_END: &str = "{spinner:.cyan} {elapsed_precise:.dim} {bar:24.cyan/dim} {wide_msg}";
    let (bar, template) = match length {
        Length::Time(length) => (ProgressBar::new(millis(length)), WITH_END),
        Length::Reactions(number) => (ProgressBar::new(number), WITH_END),
        Length::Endless => (ProgressBar::new_spinner(), "{spinner:.cyan} {elapsed_precise:.dim} {wide_msg}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    bar
}

fn line(status: &Status<'_>, rate: f64) -> String {
    let counts = status.counts;
    let mut line = format!(
        "{} · {:.0}/s · sent {} · accepted {}",
        status.doing,
        rate,
        HumanCount(counts.sent),
        HumanCount(counts.accepted + counts.duplicates),
    );
    // What is not as it should be is named only when there is some.
    for (name, number) in [
        ("rejected", counts.rejected),
        ("retried", counts.retried),
        ("unanswered", counts.unanswered),
        ("overflowed", counts.overflowed),
        ("waiting", status.waiting as u64),
    ] {
        if number > 0 {
            line.push_str(&format!(" · {name} {}", HumanCount(number)));
        }
    }
    line
}
