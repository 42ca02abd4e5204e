//! Loads a server at a fixed rate, or as fast as it answers, and reports exact latencies.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use emostream_protocol::palette::FEATURED_BY_DEFAULT;
use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
use serde::Serialize;

use crate::{
    args::LoadArgs,
    audience::Tap,
    clock::{Clock, ServerClock},
    console::{self, Console, Length},
    ready::wait_until_ready,
    report::{Latency, summary},
    run::{Outcome, Run, fail_if_nothing_was_accepted, shared},
    scenario::Endpoint,
    send::{BACKLOG_MAX, Counts, Shape, Source},
    target::Target,
    viewers::{Viewers, ViewersReport},
};

/// People that the load comes from.
const PEOPLE: u32 = 100_000;

/// How long answers are waited for at the end.
const GRACE: Duration = Duration::from_secs(10);

/// The results of a load test, as in its JSON file.
#[derive(Debug, Serialize)]
struct LoadReport<'a> {
    url: String,
    channel: &'a str,
    transport: &'static str,
    connections: u16,
    batch: u16,
    closed_loop: bool,
    seed: u64,
    /// `null` in a closed loop.
    rate_target: Option<f64>,
    /// Accepted reactions per second.
    rate_achieved: f64,
    duration_s: f64,
    counts: &'a Counts,
    latency_ms: Latency,
    viewers: Option<&'a ViewersReport>,
}

/// Runs a load test.
pub(crate) async fn load(args: &LoadArgs, clock: Arc<dyn Clock>) -> Result<()> {
    let seed = args.server.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let (target, clock) = (Target::parse(&args.server.url, &args.server.channel)?, ServerClock::new(clock));
    let headline = headline(args, &target, seed);
    let mut console = Console::begin(&headline, Length::Time(args.duration));
    wait_until_ready(&target, &clock, args.server.wait).await?;
    let viewers = Viewers::start(&target, args, seed);
    viewers.wait_until_connected().await;

    let taps = LoadTaps::new(seed, args.rate, args.batch);
    let closed = args.closed_loop;
    let source = if closed { Source::closed(taps.clone()) } else { Source::open(BACKLOG_MAX) };
    let shape = Shape::new(Endpoint::Reactions, &target, seed);
    let shared = shared(target.clone(), shape, source, clock, usize::from(args.batch));
    let mut run = Run::start(shared, &args.server, usize::from(args.connections));
    // A closed loop takes its taps itself; the pacing thread then only waits for the end.
    let take = if closed { 0 } else { usize::MAX };
    run.pace(1.0, Some(args.duration), move |lay_out| lay_out(&mut taps.take(take)));
    console.started();
    run.show_until_done(&mut console, |_| "load".to_owned()).await;
    let outcome = run.finish(GRACE).await;
    let viewers = viewers.finish().await;

    let latency = Latency::of(&outcome.latency);
    let mut text = summary(&headline, outcome.seconds, &outcome.counts, &latency);
    if let Some(viewers) = &viewers {
        text.push('\n');
        text.push_str(&viewers.summary());
    }
    console.end(&text);
    if let Some(path) = &args.json {
        write_json(path, &report(args, &target, seed, &outcome, viewers.as_ref()))?;
    }
    fail_if_nothing_was_accepted(&outcome.counts)
}

fn headline(args: &LoadArgs, target: &Target, seed: u64) -> String {
    let pace = if args.closed_loop { "closed loop".to_owned() } else { format!("{} a second", args.rate) };
    format!(
        "Load · {pace} · {} connections over {} · batch {} · seed {seed} · {} · channel {}",
        args.connections,
        args.server.transport.as_str(),
        args.batch,
        target.url(),
        target.channel(),
    )
}

fn report<'a>(
    args: &LoadArgs,
    target: &'a Target,
    seed: u64,
    outcome: &'a Outcome,
    viewers: Option<&'a ViewersReport>,
) -> LoadReport<'a> {
    LoadReport {
        url: target.url(),
        channel: target.channel(),
        transport: args.server.transport.as_str(),
        connections: args.connections,
        batch: args.batch,
        closed_loop: args.closed_loop,
        seed,
        rate_target: (!args.closed_loop).then_some(args.rate),
        rate_achieved: outcome.counts.accepted as f64 / outcome.seconds.max(0.001),
        duration_s: outcome.seconds,
        counts: &outcome.counts,
        latency_ms: Latency::of(&outcome.latency),
        viewers,
    }
}

fn write_json(path: &Path, report: &LoadReport<'_>) -> Result<()> {
    let mut json = serde_json::to_string_pretty(report)?;
    if path.as_os_str() == "-" {
        console::print(&json);
        return Ok(());
    }
    json.push('\n');
    std::fs::write(path, json).with_context(|| format!("writing the results to {}", path.display()))
}

/// Reactions at equal distances, `batch` at a time, of people and emotes by chance.
#[derive(Debug, Clone)]
struct LoadTaps {
    rng: Xoshiro256PlusPlus,
    emotes: Vec<Arc<str>>,
    rate: f64,
    batch: u64,
    number: u64,
}

impl LoadTaps {
    fn new(seed: u64, rate: f64, batch: u16) -> Self {
        let emotes = FEATURED_BY_DEFAULT.iter().map(|emote| Arc::from(*emote)).collect();
        Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            emotes,
            rate,
            batch: u64::from(batch),
            number: 0,
        }
    }
}

impl Iterator for LoadTaps {
    type Item = Tap;

    fn next(&mut self) -> Option<Tap> {
        let first_of_batch = self.number - self.number % self.batch;
        self.number += 1;
        let emote = self.emotes.get(self.rng.random_range(0..self.emotes.len()))?.clone();
        Some(Tap {
            due: Duration::from_secs_f64(first_of_batch as f64 / self.rate),
            user: self.rng.random_range(0..PEOPLE),
            emote,
            phase: 0,
            media_time_ms: None,
            skew_ms: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::LoadTaps;

    #[test]
    fn load_comes_at_its_rate_a_batch_at_a_time_and_the_same_for_a_seed() {
        let taps: Vec<_> = LoadTaps::new(1, 1_000.0, 10).take(100).collect();
        assert_eq!(taps[9].due, Duration::ZERO);
        assert_eq!(taps[10].due, Duration::from_millis(10));
        assert_eq!(taps[99].due, Duration::from_millis(90));
        assert_eq!(taps, LoadTaps::new(1, 1_000.0, 10).take(100).collect::<Vec<_>>());
    }
}
