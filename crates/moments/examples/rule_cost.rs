//! Cost of the full rule per window and emote, and of a preview: `cargo run --profile quick --example rule_cost`.
#![expect(clippy::print_stdout, reason = "a measurement prints its result")]

use std::time::Instant;

use emostream_moments::{
    preview::{WindowJudge, preview},
    rule::Judged,
};
use emostream_protocol::{
    ChannelName, ChannelSettings, EmoteId, Emotes,
    palette::FEATURED_BY_DEFAULT,
    row::{EmoteCount, WindowRow},
};

/// Windows of 2 s in six hours.
const WINDOWS: i64 = 10_800;

/// Counts that vary from window to window, with a burst every ten minutes.
fn count(window: i64, emote: usize) -> u64 {
    let noise = (window as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(emote as u32) % 7;
    if window % 300 < 8 { 200 + noise } else { 20 + noise }
}

fn main() {
    let emotes = Emotes::new();
    let ids: Vec<EmoteId> =
        FEATURED_BY_DEFAULT.iter().map(|text| emotes.resolve(text).expect("an emoji")).collect();
    let settings = ChannelSettings::default();
    for used in [1, 4, ids.len()] {
        let mut judge = WindowJudge::new(&settings, &emotes);
        let (started, mut found) = (Instant::now(), 0);
        for window in 0..WINDOWS {
            let judged = ids[..used].iter().enumerate().map(|(place, emote)| {
                let count = count(window, place);
                Judged { emote: *emote, count, reactors: Some(count) }
            });
            let judged: Vec<Judged> = judged.collect();
            found += judge.judge((window * 2_000, window * 2_000 + 2_000), &judged).len();
        }
        let each_ns = started.elapsed().as_nanos() as f64 / (WINDOWS * used as i64) as f64;
        println!("{used} emotes: {each_ns:.0} ns per window and emote, {found} moments");
    }
    let channel = ChannelName::new("main").expect("a name");
    let row = |window: i64| {
        let of = |(place, emote): (usize, &EmoteId)| {
            let count = count(window, place);
            EmoteCount { emote: *emote, count, late: 0, reactors: count }
        };
        WindowRow {
            channel: channel.clone(),
            seq: (window as u64 + 1) * 512_000,
            window_start_ms: window * 2_000,
            window_ms: 2_000,
            emotes: ids.iter().enumerate().map(of).collect(),
            reactors: 100,
            unverified: 0,
        }
    };
    let rows: Vec<WindowRow> = (0..WINDOWS).map(row).collect();
    let started = Instant::now();
    let found = preview(&rows, &settings, &emotes).map_or(0, |moments| moments.len());
    println!(
        "preview of 6 h, {} emotes: {:.1} ms, {found} moments",
        ids.len(),
        started.elapsed().as_secs_f64() * 1e3
    );
}
