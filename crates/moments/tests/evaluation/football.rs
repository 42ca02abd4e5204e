//! Seven decisive moments of a football match. `scenarios/football/README.md` has the data and what a hit is.

use super::{Series, moments};
use crate::cases::Dice;

const POSTS: &str = include_str!("../../../../scenarios/football/posts_per_second.csv");
const MOMENTS: &str = include_str!("../../../../scenarios/football/moments.csv");

fn number(field: Option<&str>) -> i64 {
    field.and_then(|field| field.trim().parse().ok()).expect("a number")
}

/// Second of the first post, and posts per second from then on.
fn posts() -> (i64, Vec<u64>) {
    let rows = POSTS.lines().skip(1).map(|line| {
        let mut fields = line.split(',');
        (number(fields.next()), number(fields.next()) as u64)
    });
    let rows: Vec<(i64, u64)> = rows.collect();
    let first = rows[0].0;
    let mut posts = vec![0; (rows[rows.len() - 1].0 - first + 1) as usize];
    rows.iter().for_each(|(second, count)| posts[(second - first) as usize] = *count);
    (first, posts)
}

fn decisive(first: i64) -> Vec<f64> {
    let rows = MOMENTS.lines().skip(1).filter(|line| line.ends_with(",1"));
    rows.map(|line| (number(line.split(',').next()) - first) as f64).collect()
}

fn series(posts: &[u64], seconds: usize) -> Series {
    let counts = posts.chunks(seconds).map(|window| window.iter().sum()).collect();
    Series { window_ms: seconds as i64 * 1_000, counts, reactors: None }
}

/// Precision, recall and F1 of alarms.
fn score(alarms: &[f64], decisive: &[f64]) -> (f64, f64, f64) {
    let mut merged: Vec<f64> = Vec::new();
    let mut last = f64::MIN;
    for alarm in alarms {
        if alarm - last >= 30.0 {
            merged.push(*alarm);
        }
        last = *alarm;
    }
    let hits = |alarm: &f64, start: &f64| (0.0..240.0).contains(&(alarm - start));
    let right = merged.iter().filter(|alarm| decisive.iter().any(|start| hits(alarm, start))).count() as f64;
    let found = decisive.iter().filter(|start| merged.iter().any(|alarm| hits(alarm, start))).count() as f64;
    let (precision, recall) = (right / (merged.len() as f64).max(1.0), found / decisive.len() as f64);
    (precision, recall, 2.0 * precision * recall / (precision + recall).max(1e-9))
}

/// A seeded choice of posts: each stays with this probability of 1000.
fn thinned(posts: &[u64], seed: u64, stay: u64) -> Vec<u64> {
    let mut dice = Dice(seed);
    posts.iter().map(|count| (0..*count).filter(|_| dice.below(1_000) < stay).count() as u64).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn the_default_preset_finds_the_decisive_moments_of_a_match() {
    let (first, posts) = posts();
    let decisive = decisive(first);
    assert_eq!((decisive.len(), posts.iter().sum::<u64>()), (7, 118_700));
    let score_of = |posts: &[u64], seconds| score(&moments(&series(posts, seconds)), &decisive);
    let (precision, recall, f1) = score_of(&posts, 2);
    println!("windows of 2 s: precision {precision:.2}, recall {recall:.2}, F1 {f1:.2}");
    assert!(f1 >= 0.84, "F1 {f1}");
    for (seconds, least) in [(1, 0.8), (5, 0.8), (10, 0.7), (30, 0.7)] {
        let (precision, recall, f1) = score_of(&posts, seconds);
        println!("windows of {seconds} s: precision {precision:.2}, recall {recall:.2}, F1 {f1:.2}");
        assert!(f1 >= least, "{seconds} s: {f1}");
    }
    let ten_times: Vec<u64> = posts.iter().map(|count| count * 10).collect();
    let (precision, recall, f1) = score_of(&ten_times, 2);
    println!("ten times: precision {precision:.2}, recall {recall:.2}, F1 {f1:.2}");
    assert!(f1 >= 0.7, "{f1}");
}

#[test]
fn half_of_the_posts_are_enough() {
    let (first, posts) = posts();
    let decisive = decisive(first);
    for (stay, seeds, least) in [(500, 100, 0.7), (250, 20, 0.6), (100, 20, 0.4)] {
        let f1 = |seed| score(&moments(&series(&thinned(&posts, seed, stay), 2)), &decisive).2;
        let scores: Vec<f64> = (0..seeds).map(f1).collect();
        let (lowest, middle) = (scores.iter().copied().fold(1.0, f64::min), median(scores));
        println!("{stay} of 1000 posts: median F1 {middle:.2}, lowest {lowest:.2} of {seeds}");
        assert!(middle >= least, "{stay} of 1000: {middle}");
    }
}
