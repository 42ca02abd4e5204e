//! Storms of viewers: everybody comes at once, and those of an edge that is killed come back at once. Each asks control for a
//! place and connects to the edge that it is sent to; nobody may miss a moment or see one twice.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::Bench;
use crate::{load::crowd::Crowd, say};

mod house;
mod rows;

use house::{CHANNEL, EDGES, House, Spent};

const VIEWERS: usize = 5_000;
const VIEWERS_QUICK: usize = 600;
/// One viewer in so many is a device of an account; the others are guests.
const MEMBER_EVERY: usize = 5;
const ROUNDS: usize = 3;

/// Everybody is there, or back, within this time.
const PATIENCE: Duration = Duration::from_secs(120);
/// Whoever was just greeted may have a moment on the way.
const LATE: Duration = Duration::from_secs(15);
/// From one batch of taps to the next.
const TAPS_EVERY: Duration = Duration::from_millis(500);
/// What is not a storm's is measured for so long.
const CALM: Duration = Duration::from_secs(8);
/// The last window with its lateness is final within this time.
const LAST_WINDOW: Duration = Duration::from_secs(5);

/// What was measured of people who came.
#[derive(Debug, Default, Clone)]
pub(super) struct Storm {
    /// Viewers who came.
    viewers: usize,
    /// From the begin until all were greeted, s.
    all_s: f64,
    /// Until half of them, and until 99 of 100, s.
    p50_s: f64,
    p99_s: f64,
    /// Until all had a place, s.
    placed_s: f64,
    /// Processor time of the nodes meanwhile, s.
    spent: Spent,
    /// Places asked for.
    asked: u64,
    /// What went wrong, and how often.
    faults: BTreeMap<String, u64>,
}

/// One round.
#[derive(Debug, Default)]
pub(super) struct Round {
    came: Storm,
    back: Storm,
    /// As many at the bare door.
    bare: Storm,
    moments: usize,
}

pub(super) fn run(bench: &Bench) -> Result<Vec<crate::report::Row>> {
    let number = if bench.quick { VIEWERS_QUICK } else { VIEWERS };
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds(ROUNDS) {
        let mut round = event(bench, number)?;
        round.bare = bare(bench, number)?;
        say(&format!(
            "  all there after {:.2} s (bare door {:.2} s), back after {:.2} s, {} moments",
            round.came.all_s, round.bare.all_s, round.back.all_s, round.moments
        ));
        rounds.push(round);
    }
    Ok(rows::of(&rounds))
}

/// Everybody comes; an edge is killed; its viewers come back; all have seen every moment once.
fn event(bench: &Bench, number: usize) -> Result<Round> {
    let mut house = House::start(bench, number)?;
    let members = house.members(number / MEMBER_EVERY)?;
    let (ended, door) = (AtomicBool::new(false), house.count.address);
    std::thread::scope(|scope| {
        let tapping = scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                house::tap(door)?;
                std::thread::sleep(TAPS_EVERY);
            }
            Ok::<_, anyhow::Error>(())
        });
        let measured = storms(bench, &mut house, number, members, &ended);
        ended.store(true, Ordering::Relaxed);
        tapping.join().expect("taps do not panic")?;
        measured
    })
}

fn storms(
    bench: &Bench,
    house: &mut House,
    number: usize,
    members: Vec<crate::load::crowd::Member>,
    ended: &AtomicBool,
) -> Result<Round> {
    let before = house.spent()?;
    let crowd = Crowd::begin(house.control.address, CHANNEL, number, members)?;
    crowd.wait_for_all(PATIENCE)?;
    let came = Storm::of(&crowd, crowd.began, house.spent()?.since(before), |_| true);

    // Moments that nothing disturbs, to tell them from those that a storm does.
    std::thread::sleep(bench.seconds(8.0));
    let killed = EDGES[0];
    let lost = crowd.sights(|sight| sight.edge.as_deref() == Some(killed));
    ensure!(lost.iter().any(|lost| *lost), "nobody is on the edge that is killed");
    let (faults_before, asked_before) = (crowd.faults(), crowd.asked());
    let at = Instant::now();
    house.kill(killed)?;
    let before = house.spent()?;
    let is_back = |crowd: &Crowd| {
        let greeted = crowd.sights(|sight| sight.greeted > Some(at));
        Ok(greeted.iter().zip(&lost).all(|(greeted, lost)| *greeted || !*lost))
    };
    crowd.wait("those of the edge that was killed are back", PATIENCE, is_back)?;
    crowd.wait_for_all(PATIENCE)?;
    let wall_s = at.elapsed().as_secs_f64();
    let spent = house.spent()?.since(before);

    // What goes on when nobody comes: pulses, windows and moments to all, from the edges that are left.
    let before = house.spent()?;
    std::thread::sleep(CALM);
    let calm = house.spent()?.since(before).times(wall_s / CALM.as_secs_f64());
    let mut back = Storm::of(&crowd, at, spent.since(calm), |viewer| lost[viewer]);
    back.asked -= asked_before;
    for (kind, number) in &mut back.faults {
        *number -= faults_before.get(kind).copied().unwrap_or(0);
    }
    back.faults.retain(|_, number| *number > 0);

    ended.store(true, Ordering::Relaxed);
    let moments = all_saw_all(house, &crowd)?;
    drop(crowd);
    Ok(Round { came, back, bare: Storm::default(), moments })
}

/// Everybody has seen every moment since the first greeting, once, in order; how many moments there were.
fn all_saw_all(house: &House, crowd: &Crowd) -> Result<usize> {
    std::thread::sleep(LAST_WINDOW);
    let moments = house.moments()?;
    ensure!(!moments.is_empty(), "there was no moment");
    let due = |since: u64| moments.iter().copied().filter(|seq| *seq > since).collect::<Vec<_>>();
    let arrived = |crowd: &Crowd| {
        Ok(crowd.sights(|sight| sight.moments.len() >= due(sight.since).len()).into_iter().all(|all| all))
    };
    // Whoever lacks some then is told of below.
    drop(crowd.wait("every moment has arrived", LATE, arrived));
    let wrong = crowd.sights(|sight| {
        let (due, seen, gaps) = (due(sight.since), &sight.moments, sight.gaps);
        (*seen != due || gaps > 0).then(|| format!("saw {seen:?} and {gaps} gaps where {due:?} were due"))
    });
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    ensure!(wrong.is_empty(), "{} viewers did not see every moment once: one {}", wrong.len(), wrong[0]);
    Ok(moments.len())
}

/// As many viewers at a door that does the least.
fn bare(bench: &Bench, number: usize) -> Result<Storm> {
    let door = bench.floor(&["bare-door"])?;
    let before = door.cpu_s()?;
    let crowd = Crowd::begin(door.address, CHANNEL, number, Vec::new())?;
    crowd.wait_for_all(PATIENCE)?;
    let spent = Spent { edges: door.cpu_s()? - before, ..Spent::default() };
    Ok(Storm::of(&crowd, crowd.began, spent, |_| true))
}

impl Storm {
    /// What became of some viewers since `began`.
    fn of(crowd: &Crowd, began: Instant, spent: Spent, is_one: impl Fn(usize) -> bool) -> Self {
        let since = |at: Option<Instant>| at.map_or(f64::NAN, |at| at.duration_since(began).as_secs_f64());
        let times = crowd.sights(|sight| (since(sight.placed), since(sight.greeted)));
        let (placed, mut greeted): (Vec<_>, Vec<_>) = times
            .into_iter()
            .enumerate()
            .filter(|(viewer, _)| is_one(*viewer))
            .map(|(_, times)| times)
            .unzip();
        greeted.sort_unstable_by(f64::total_cmp);
        let part = |percent: usize| greeted.get((greeted.len() * percent / 100).min(greeted.len() - 1));
        Self {
            viewers: greeted.len(),
            all_s: greeted.last().copied().unwrap_or(f64::NAN),
            p50_s: part(50).copied().unwrap_or(f64::NAN),
            p99_s: part(99).copied().unwrap_or(f64::NAN),
            placed_s: placed.into_iter().fold(0.0, f64::max),
            spent,
            asked: crowd.asked(),
            faults: crowd.faults(),
        }
    }
}
