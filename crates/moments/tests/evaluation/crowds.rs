//! Nothing where nothing happens, and goals where there are goals, in crowds that no constant was fitted to.

use super::{
    Series, moments,
    synthetic::{Chance, Crowd, goal},
};

const WINDOW_S: f64 = 2.0;
const WINDOWS: usize = 1_800;

fn rates(rate: impl Fn(f64) -> f64) -> Vec<f64> {
    (0..WINDOWS).map(|index| rate(index as f64 * WINDOW_S)).collect()
}

/// Poisson crowds and mildly clustered ones, in a mood that changes a little.
fn calm(chance: &mut Chance) -> Crowd {
    Crowd { dispersion: [1.0, 1.5][chance.0.below(2) as usize], mood: (chance.between(0.0, 0.1), 30.0) }
}

/// An hour in which nothing happens.
fn quiet(kind: u64, seed: u64) -> Series {
    let mut chance = Chance::new(seed * 64 + kind);
    let base = chance.scale(0.01, 10_000.0);
    let begin = chance.between(200.0, 1_000.0);
    let shape: Vec<f64> = match kind {
        0 => rates(|_| base),
        1 => rates(|_| base.min(0.2)),
        2 => {
            let times = chance.scale(2.0, 8.0);
            let length = chance.between(100.0, 300.0) * (times - 1.0);
            rates(|s| base * (1.0 + (times - 1.0) * ((s - begin) / length).clamp(0.0, 1.0)))
        }
        3 => {
            let times: f64 = chance.scale(3.0, 60.0);
            let length = chance.between(90.0, 300.0) * times.log2();
            rates(|s| base * times.powf(((s - begin) / length).clamp(0.0, 1.0)))
        }
        4 => {
            let fill = chance.between(120.0, 500.0);
            rates(|s| base * (1.0 - (-(s + 10.0) / fill).exp()))
        }
        5 => {
            let breaks = [(begin, 60.0), (begin + 700.0, 120.0), (begin + 1_500.0, 180.0)];
            rates(|s| if breaks.iter().any(|(at, long)| (*at..at + long).contains(&s)) { 0.0 } else { base })
        }
        6 => {
            let (period, phase) = (chance.between(1_800.0, 5_400.0), chance.between(0.0, 6.0));
            rates(|s| base * (1.0 + 0.6 * (std::f64::consts::TAU * s / period + phase).sin()))
        }
        7 => {
            // The audience waits, or a few test their phones, and then all are there within seconds.
            let (before, within) = ([0.0, 0.01][chance.0.below(2) as usize], chance.scale(1.0, 60.0));
            rates(|s| if s < begin { before } else { base * ((s - begin) / within).min(1.0) })
        }
        8 => {
            // Nobody knows the users, and three of them never stop.
            let rate = chance.scale(3.0, 150.0);
            rates(|_| base.min(20.0) + rate)
        }
        _ => return spammers(&mut chance),
    };
    calm(&mut chance).counts(&shape, WINDOW_S, &mut chance)
}

/// A small crowd, everybody once a window, and three people who tap as fast as they can, now and then.
fn spammers(chance: &mut Chance) -> Series {
    let base = chance.scale(0.05, 20.0);
    let mut series = Crowd { dispersion: 1.0, mood: (0.0, 30.0) }.counts(&rates(|_| base), WINDOW_S, chance);
    let mut reactors = series.counts.clone();
    for _ in 0..6 {
        let begin = chance.between(100.0, WINDOWS as f64 - 50.0) as usize;
        let (length, rate) = (chance.between(5.0, 45.0) as usize, chance.scale(1.0, 50.0));
        let windows = series.counts.iter_mut().zip(&mut reactors).skip(begin).take(length);
        windows.for_each(|(count, reactors)| {
            let taps = chance.poisson(3.0 * rate * WINDOW_S);
            *count += taps;
            *reactors += taps.min(3);
        });
    }
    Series { reactors: Some(reactors), ..series }
}

#[test]
fn nothing_is_found_where_nothing_happens() {
    let kinds = [
        "flat",
        "sparse",
        "linear ramp",
        "exponential ramp",
        "filling up",
        "breaks",
        "tide",
        "all at once",
        "steady spam, only counted",
        "three spammers",
    ];
    let mut wrong = Vec::new();
    for (kind, name) in kinds.into_iter().enumerate() {
        for seed in 0..12 {
            let series = quiet(kind as u64, seed);
            let found = moments(&series);
            if !found.is_empty() {
                wrong.push(format!("{name} {seed}: {found:?}, {} taps", series.counts.iter().sum::<u64>()));
            }
        }
    }
    println!("{} of {} hours with a moment: {wrong:#?}", wrong.len(), kinds.len() * 12);
    assert!(wrong.len() <= 2, "{wrong:#?}");
}

/// An hour with goals at known times, in a crowd of any size and temper.
fn match_with_goals(seed: u64) -> (Series, Vec<f64>) {
    let mut chance = Chance::new(seed ^ 0x60a1);
    let base = chance.scale(0.05, 20_000.0);
    let mut times = Vec::new();
    let mut time = chance.between(240.0, 500.0);
    while time < WINDOWS as f64 * WINDOW_S - 200.0 && times.len() < 6 {
        times.push(time);
        time += chance.between(240.0, 1_000.0);
    }
    let (period, tide) = (chance.between(1_800.0, 5_400.0), chance.between(0.0, 0.4));
    let mut shape = rates(|s| base * (1.0 + tide * (std::f64::consts::TAU * s / period).sin()));
    for at in &times {
        let (rise, decay) = (chance.between(2.0, 15.0), chance.between(20.0, 120.0));
        let replay = (chance.share() < 0.4).then(|| (chance.between(30.0, 60.0), chance.between(0.3, 0.6)));
        // At least what twenty people do.
        let height = (base * chance.scale(3.0, 30.0)).max(40.0 / (10.0 + rise));
        for (index, rate) in shape.iter_mut().enumerate() {
            *rate += height * goal(index as f64 * WINDOW_S - at, rise, decay, replay);
        }
    }
    let dispersion = [1.0, 1.0, 1.5, 2.5][chance.0.below(4) as usize];
    let crowd = Crowd { dispersion, mood: (chance.between(0.0, 0.2), chance.scale(5.0, 120.0)) };
    (crowd.counts(&shape, WINDOW_S, &mut chance), times)
}

#[test]
fn goals_are_found_in_crowds_of_every_size() {
    let (mut goals, mut found, mut alarms, mut right) = (0, 0, 0, 0);
    for seed in 0..60 {
        let (series, times) = match_with_goals(seed);
        let moments = moments(&series);
        goals += times.len();
        found += times.iter().filter(|at| moments.iter().any(|m| (-2.0..60.0).contains(&(m - *at)))).count();
        alarms += moments.len();
        right += moments.iter().filter(|m| times.iter().any(|at| (-2.0..180.0).contains(&(*m - at)))).count();
    }
    let (precision, recall) = (right as f64 / alarms as f64, found as f64 / goals as f64);
    println!(
        "{goals} goals: precision {precision:.3}, recall {recall:.3}, {:.2} moments a goal",
        right as f64 / found as f64
    );
    assert!(precision >= 0.93 && recall >= 0.8, "precision {precision}, recall {recall}");
    assert!((right as f64) < 1.2 * found as f64, "one goal is one moment: {right} for {found}");
}
