//! A recorded past to judge and to archive: a day of windows as a busy channel has them, and what a scenario leaves.

use std::sync::Arc;

use anyhow::{Context, Result};
use emostream_moments::{Aggregate, AggregateOutput, StreamParameters};
use emostream_protocol::{
    ChannelName, EmoteId, Emotes,
    palette::FEATURED_BY_DEFAULT,
    position::sequence,
    record::decode,
    row::{EmoteCount, Row, WindowRow},
};
use emostream_simulator::{
    audience::{Layout, Recording},
    scenario::Scenario,
};

/// Windows of 2 seconds in a day.
pub(super) const DAY: u32 = 43_200;
/// Emotes of a busy channel's windows: the buttons that there are by default.
pub(super) const EMOTES: usize = FEATURED_BY_DEFAULT.len();

const WINDOW_MS: u32 = 2_000;
const START_MS: i64 = 1_790_000_000_000;
/// Ten minutes of windows, with a burst at the beginning.
const BURST_EVERY: u32 = 300;
const BURST_WINDOWS: u32 = 8;
const SEED: u64 = 1;

/// Windows of one channel, one after the other, each with so many emotes: noise, and every ten minutes a burst.
pub(super) fn busy(windows: u32, used: usize, emotes: &Emotes) -> Result<Vec<WindowRow>> {
    let ids = FEATURED_BY_DEFAULT[..used].iter().map(|text| emotes.resolve(text));
    let ids: Vec<EmoteId> = ids.collect::<Result<_, _>>()?;
    let channel = ChannelName::new("main")?;
    let window = |number: u32| {
        let window_start_ms = START_MS + i64::from(number) * i64::from(WINDOW_MS);
        let counts = ids.iter().enumerate().map(|(place, emote)| {
            let count = count(number, place);
            EmoteCount { emote: *emote, count, late: 0, reactors: count }
        });
        let emotes: Vec<_> = counts.collect();
        WindowRow {
            channel: channel.clone(),
            seq: sequence::at(window_start_ms + i64::from(WINDOW_MS)),
            window_start_ms,
            window_ms: WINDOW_MS,
            reactors: emotes.iter().map(|emote| emote.reactors).sum(),
            emotes,
            unverified: 0,
        }
    };
    Ok((0..windows).map(window).collect())
}

fn count(window: u32, emote: usize) -> u64 {
    let mixed = (u64::from(window) << 8 | emote as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let noise = (mixed >> 32) % 7;
    if window % BURST_EVERY < BURST_WINDOWS { 200 + noise } else { 20 + noise }
}

/// The windows that so many seconds of a scenario leave: recorded in virtual time, counted as a server does.
pub(super) fn of_scenario(name: &str, seconds: f64, emotes: &Arc<Emotes>) -> Result<Vec<WindowRow>> {
    let scenario = Scenario::load(name)?;
    let layout = Layout { channel: ChannelName::new("main")?, start_ms: START_MS, partitions: 1, seconds };
    let recording = Recording::of(&scenario, SEED, 1.0, &layout, emotes);
    let mut aggregate = Aggregate::new(StreamParameters::default(), 1, emotes.clone(), SEED);
    let mut output = AggregateOutput::default();
    for entry in &recording.entries {
        let record = decode(&entry.record, emotes).context("recorded here")?;
        aggregate.observe(entry.partition, entry.append_ms, &record, &mut output)?;
        output.pulses.clear();
    }
    let windows = output.rows.into_iter().filter_map(|row| match row {
        Row::Window(row) => Some(row),
        _ => None,
    });
    Ok(windows.collect())
}
