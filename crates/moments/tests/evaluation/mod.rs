//! What the default preset finds, untouched, in a real event and in synthetic crowds of every size.

mod crowds;
mod football;
mod synthetic;

use emostream_moments::{preview::WindowJudge, rule::Judged};
use emostream_protocol::{ChannelSettings, Emotes};

/// Counts of one emote in windows of one length, from time 0 on, and the different users if they are known.
pub(crate) struct Series {
    pub(crate) window_ms: i64,
    pub(crate) counts: Vec<u64>,
    pub(crate) reactors: Option<Vec<u64>>,
}

/// Starts of the moments that a new channel's settings find, in seconds.
pub(crate) fn moments(series: &Series) -> Vec<f64> {
    let emotes = Emotes::new();
    let emote = emotes.resolve("🔥").expect("an emoji");
    let settings = ChannelSettings::default();
    let mut judge = WindowJudge::new(&settings, &emotes);
    let mut found = Vec::new();
    for (index, count) in series.counts.iter().enumerate() {
        // As in a log, a window without reactions is not there, save the first, from which on the channel was watched.
        if *count == 0 && index > 0 {
            continue;
        }
        let reactors = series.reactors.as_ref().map(|reactors| reactors[index]);
        let start_ms = index as i64 * series.window_ms;
        let judged = Judged { emote, count: *count, reactors };
        let window = (start_ms, start_ms + series.window_ms);
        found.extend(judge.judge(window, &[judged]).iter().map(|found| found.start_ms as f64 / 1_000.0));
    }
    found
}
