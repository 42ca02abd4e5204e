//! What judging costs: the full rule beside the plain one and beside a sum of the same counts, and a preview of a day.

use std::{hint::black_box, sync::Arc};

use anyhow::{Context, Result};
use emostream_moments::{
    preview::{WindowJudge, preview},
    rule::Judged,
};
use emostream_protocol::{
    ChannelSettings, Emotes,
    row::WindowRow,
    settings::{MomentRule, PlainRule},
};

use super::{
    Bench,
    past::{DAY, EMOTES, busy, of_scenario},
};
use crate::{
    measure::{median, processor::thread_s},
    report::{Figure, Row, Series},
};

const ROUNDS: usize = 7;
const SCENARIO: &str = "match";
const SCENARIO_S: f64 = 3_600.0;
/// Judgements of one run at least: shorter pasts are judged again from the beginning.
const JUDGEMENTS_MIN: usize = 500_000;
/// Reactions in a window from which on the plain rule has a moment: more than the quiet time has, less than the bursts.
const PLAIN_COUNT: f64 = 100.0;
/// Processor time that a preview of a day may take.
const PREVIEW_MS_MAX: f64 = 1_000.0;

/// What is judged of a window.
type Window = ((i64, i64), Vec<Judged>);

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let emotes = Arc::new(Emotes::new());
    let windows = if bench.quick { DAY / 10 } else { DAY };
    let seconds = if bench.quick { SCENARIO_S / 10.0 } else { SCENARIO_S };
    let day = busy(windows, EMOTES, &emotes)?;
    let played = of_scenario(SCENARIO, seconds, &emotes)?;
    Ok(vec![
        rule(bench, &format!("windows with {EMOTES} emotes"), &day, &emotes)?,
        rule(bench, "windows with one emote", &busy(windows, 1, &emotes)?, &emotes)?,
        rule(bench, &format!("windows of the scenario `{SCENARIO}`"), &played, &emotes)?,
        previews(bench, &day, &emotes)?,
    ])
}

/// Both rules and the sum over the same windows, in turns.
fn rule(bench: &Bench, what: &str, rows: &[WindowRow], emotes: &Emotes) -> Result<Row> {
    let windows: Vec<Window> = rows.iter().map(window).collect();
    let judgements: usize = windows.iter().map(|(_, judged)| judged.len()).sum();
    let passes = JUDGEMENTS_MIN.div_ceil(judgements.max(1));
    let full = ChannelSettings::default();
    let plain = MomentRule::Plain(PlainRule { threshold: PLAIN_COUNT, ..PlainRule::default() });
    let plain = ChannelSettings { rule: plain, ..ChannelSettings::default() };
    let (mut by_full, mut by_plain, mut by_sum) = (Vec::new(), Vec::new(), Vec::new());
    let each_ns = |pass: &mut dyn FnMut() -> u64| {
        let before = thread_s();
        for _ in 0..passes {
            black_box(pass());
        }
        (thread_s() - before) * 1e9 / (judgements * passes) as f64
    };
    for _ in 0..bench.rounds(ROUNDS) {
        by_full.push(each_ns(&mut || judge(&windows, &full, emotes)));
        by_plain.push(each_ns(&mut || judge(&windows, &plain, emotes)));
        by_sum.push(each_ns(&mut || sum(&windows)));
    }
    let (found_full, found_plain) = (judge(&windows, &full, emotes), judge(&windows, &plain, emotes));
    let unit = "ns CPU a window and emote";
    let series = vec![
        Series::new("full rule", unit, by_full),
        Series::new("plain rule, counts", unit, by_plain),
        Series::new("sum of the counts", unit, by_sum),
    ];
    let above_sum = series[0].median / series[2].median;
    Ok(Row {
        what: format!("full rule, {what}"),
        against: "plain rule on counts of the same windows; CPU a window and emote".to_owned(),
        aim: String::new(),
        result: Figure::times(series[0].median / series[1].median),
        met: None,
        series,
        notes: vec![format!(
            "{} windows, {judgements} counts of an emote in a window, in memory, judged {passes} times a run. Against \
             the sum of the counts the ratio is {above_sum:.0} ×. Found by the preset `normal`: {found_full} moments, \
             by the plain rule above {PLAIN_COUNT}: {found_plain}.",
            windows.len()
        )],
    })
}

fn window(row: &WindowRow) -> Window {
    let judged = row.emotes.iter().map(|emote| Judged {
        emote: emote.emote,
        count: emote.count.saturating_sub(emote.late),
        reactors: Some(emote.reactors),
    });
    ((row.window_start_ms, row.window_start_ms + i64::from(row.window_ms)), judged.collect())
}

/// Moments in windows that are judged one after the other, from a channel's beginning on.
fn judge(windows: &[Window], settings: &ChannelSettings, emotes: &Emotes) -> u64 {
    let mut judge = WindowJudge::new(settings, emotes);
    windows.iter().map(|(window, judged)| judge.judge(*window, judged).len() as u64).sum()
}

/// The floor: to look at every count. Per window, as a rule does.
fn sum(windows: &[Window]) -> u64 {
    let of_window = |(_, judged): &Window| black_box(judged.iter().map(|judged| judged.count).sum::<u64>());
    windows.iter().map(of_window).fold(0, u64::wrapping_add)
}

/// A preview as a broadcaster asks for it, once the windows are in memory.
fn previews(bench: &Bench, rows: &[WindowRow], emotes: &Emotes) -> Result<Row> {
    let settings = ChannelSettings::default();
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    let mut found = 0;
    for _ in 0..bench.rounds(ROUNDS) {
        let before = thread_s();
        found = preview(rows, &settings, emotes).context("windows are enough for the full rule")?.len();
        let between = thread_s();
        let counts =
            rows.iter().map(|row| black_box(row.emotes.iter().map(|emote| emote.count).sum::<u64>()));
        black_box(counts.fold(0, u64::wrapping_add));
        floor.push((thread_s() - between) * 1e3);
        ours.push((between - before) * 1e3);
    }
    let rates = ours.iter().map(|ms| rows.len() as f64 / ms).collect();
    let ratio = median(&ours) / median(&floor);
    let series = vec![
        Series::new("preview, full rule", "ms CPU", ours),
        Series::new("sum of the counts", "ms CPU", floor),
        Series::new("preview, full rule", "k windows/CPU-s", rates),
    ];
    let hours = rows.len() as f64 * 24.0 / f64::from(DAY);
    Ok(Row {
        what: format!("preview of {hours} h with {EMOTES} emotes, {} windows in memory", rows.len()),
        against: "sum of the counts of the same rows".to_owned(),
        aim: format!("< {PREVIEW_MS_MAX} ms CPU"),
        result: Figure::of(series[0].median, "ms CPU"),
        met: Some(series[0].median < PREVIEW_MS_MAX),
        series,
        notes: vec![format!(
            "{found} moments. Against the sum of the counts the ratio is {ratio:.0} ×. What reading the windows from the \
             archive adds is in the benchmark `archive`."
        )],
    })
}
