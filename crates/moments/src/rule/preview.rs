//! Which moments other settings would have found: the same judging, driven over rows or records of the past.

use std::sync::Arc;

use emostream_protocol::{
    ChannelName, ChannelSettings, DecodeError, EmoteId, Emotes,
    record::{LogRecord, SettingsChange},
    row::{MomentRow, Row, WindowRow},
    settings::MomentRule,
};

use super::{Allowed, Found, FullState, Judged, plain};
use crate::{
    counter::{CountSink, Counter},
    merge::Merge,
    parameters::StreamParameters,
    partial::Partial,
};

/// Whether final windows are enough to preview a rule. Shares of intervals need the records: a window does not say in
/// which order its reactions came.
pub fn needs_records(rule: &MomentRule) -> bool {
    matches!(rule, MomentRule::Plain(plain) if plain::is_share(plain))
}

/// How far before the first moment of interest rows should begin, in ms, so that the rule knows by then what the channel
/// is used to: with less it warms up as on a new channel. An earlier row of a moment's cool-down may still be missing.
pub fn lookback_ms(rule: &MomentRule) -> i64 {
    match rule {
        MomentRule::Plain(_) => 0,
        // Five time constants of the long run, of which then less than a hundredth is missing.
        MomentRule::Full(rule) => i64::from(rule.slow_ms) * 50,
    }
}

/// The moments that `settings` find in a channel's windows, ascending by time as the rows are, each numbered as if it
/// followed its window. They are the live path's, save `media_time_ms`, which windows do not carry.
///
/// The state begins with the first row: see [`lookback_ms`]. `None` for a rule that [`needs_records`].
pub fn preview<'a>(
    rows: impl IntoIterator<Item = &'a WindowRow>,
    settings: &ChannelSettings,
    emotes: &Emotes,
) -> Option<Vec<MomentRow>> {
    if needs_records(&settings.rule) {
        return None;
    }
    let mut judge = WindowJudge::new(settings, emotes);
    let (mut moments, mut judged) = (Vec::new(), Vec::new());
    for row in rows {
        judged.clear();
        judged.extend(row.emotes.iter().map(|emote| Judged {
            emote: emote.emote,
            count: emote.count.saturating_sub(emote.late),
            reactors: Some(emote.reactors),
        }));
        let window = (row.window_start_ms, row.window_start_ms + i64::from(row.window_ms));
        let numbered = (row.seq + 1..).zip(judge.judge(window, &judged));
        moments.extend(numbered.map(|(seq, found)| found.row(&row.channel, seq, settings.version)));
    }
    Some(moments)
}

/// A rule that judges windows one after the other, without a log. A rule that [`needs_records`] finds nothing here.
#[derive(Debug)]
pub struct WindowJudge<'a> {
    settings: &'a ChannelSettings,
    emotes: &'a Emotes,
    allowed: Allowed,
    state: FullState,
}

impl<'a> WindowJudge<'a> {
    /// A judge that has seen nothing.
    pub fn new(settings: &'a ChannelSettings, emotes: &'a Emotes) -> Self {
        Self { settings, emotes, allowed: Allowed::of(settings, emotes), state: FullState::default() }
    }

    /// Judges the next window, `[start, end)` in ms: strongest first. Windows ascend and have one length.
    pub fn judge(&mut self, window: (i64, i64), judged: &[Judged]) -> Vec<Found> {
        match &self.settings.rule {
            MomentRule::Full(rule) => self.state.judge(rule, &self.allowed, window, judged, self.emotes),
            MomentRule::Plain(rule) if plain::is_share(rule) => Vec::new(),
            MomentRule::Plain(rule) => plain::judge_counts(rule, &self.allowed, window, judged, self.emotes),
        }
    }
}

/// The preview of any rule from raw records: counts them again, under the settings to try instead of the log's own.
///
/// Feed it each partition's records in their order, beginning with one that is not older than the log's restore point;
/// moments come as windows close. Other channels' reactions are decoded and left out.
#[derive(Debug)]
pub struct RecordPreview {
    counters: Vec<Counter>,
    merge: Merge,
    channel: ChannelName,
    rows: Vec<Row>,
}

/// Lets only one channel's counts through, and no settings.
struct OneChannel<'a> {
    partition: usize,
    preview: (&'a mut Merge, &'a ChannelName, &'a mut Vec<Row>),
}

impl CountSink for OneChannel<'_> {
    fn partial(&mut self, partial: Partial) {
        if partial.channel == *self.preview.1 {
            self.preview.0.add(self.partition, partial);
        }
    }

    fn closed_through(&mut self, start_ms: i64) {
        self.preview.0.closed_through(self.partition, start_ms, self.preview.2);
    }

    fn settings(&mut self, _change: &SettingsChange, _from_window_ms: i64) {}

    fn counted(&mut self, _channel: &ChannelName, _emote: EmoteId, _count: u32) {}
}

impl RecordPreview {
    /// A preview that has seen nothing. `emotes` is the one that records are decoded with.
    pub fn new(
        parameters: StreamParameters,
        partitions: usize,
        emotes: Arc<Emotes>,
        channel: ChannelName,
        settings: ChannelSettings,
    ) -> Self {
        let mut merge = Merge::new(parameters, partitions, emotes);
        merge.begin_with(&channel, settings);
        // The log holds no ids that were chosen against this memory, which lives for one request.
        let counters = (0..partitions).map(|_| Counter::new(parameters, 0)).collect();
        Self { counters, merge, channel, rows: Vec::new() }
    }

    /// Takes a partition's next record and appends the moments that it makes known. An error as in
    /// [`Aggregate::observe`](crate::Aggregate::observe).
    pub fn observe(
        &mut self,
        partition: usize,
        append_ms: i64,
        record: &LogRecord<'_>,
        moments: &mut Vec<MomentRow>,
    ) -> Result<(), DecodeError> {
        let preview = (&mut self.merge, &self.channel, &mut self.rows);
        let result =
            self.counters[partition].observe(append_ms, record, &mut OneChannel { partition, preview });
        moments.extend(self.rows.drain(..).filter_map(|row| match row {
            Row::Moment(moment) => Some(moment),
            _ => None,
        }));
        result
    }

    /// Closes what is open, as if every partition had heard that so much time has passed; for a log that was read to
    /// its end.
    pub fn finish(mut self, append_ms: i64) -> Vec<MomentRow> {
        let mut moments = Vec::new();
        for partition in 0..self.counters.len() {
            // A tick cannot fail: it has no content.
            let _tick = self.observe(partition, append_ms, &LogRecord::Tick, &mut moments);
        }
        moments
    }
}

impl Found {
    /// The moment as a row.
    pub(crate) fn row(self, channel: &ChannelName, seq: u64, rule_version: u64) -> MomentRow {
        MomentRow {
            channel: channel.clone(),
            seq,
            emote: self.emote,
            window_start_ms: self.start_ms,
            window_ms: u32::try_from(self.at_ms - self.start_ms).unwrap_or(u32::MAX),
            count: self.count,
            strength: self.strength,
            reactors: self.reactors,
            rule: self.rule,
            rule_version,
            media_time_ms: self.media_time_ms,
        }
    }
}
