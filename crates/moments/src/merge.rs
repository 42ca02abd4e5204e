//! Merge: adds up the partitions' partials, closes windows when every partition has, and writes numbered rows.

use std::{collections::BTreeMap, sync::Arc};

use emostream_protocol::{
    ChannelName, ChannelSettings, Emotes,
    position::sequence,
    record::SettingsChange,
    row::{EmoteCount, Row, SettingsRow, WindowRow},
};

use crate::{
    parameters::StreamParameters,
    partial::Partial,
    rule::{Allowed, Found, RuleState},
    tally::{Tally, sorted_by_text},
    window::Windows,
};

/// Owner of channels: adds partials of all partitions and emits rows.
///
/// Rows of a channel ascend by sequence and are the same for every interleaving of partitions. A mark makes rows come
/// by instant of event time, then channel. At one instant a channel has, in this order: moments of intervals, its
/// window, moments of the window, settings.
#[derive(Debug)]
pub struct Merge {
    parameters: StreamParameters,
    pub(crate) emotes: Arc<Emotes>,
    pub(crate) windows: Windows<ChannelName, Tally>,
    /// Closed-through mark per partition.
    pub(crate) marks: Vec<i64>,
    /// Changes by the instant from which they hold, in log order.
    pub(crate) pending: BTreeMap<i64, Vec<SettingsChange>>,
    pub(crate) channels: BTreeMap<ChannelName, ChannelState>,
}

/// What merge knows of a channel between windows.
#[derive(Debug, Clone)]
pub(crate) struct ChannelState {
    pub(crate) settings: ChannelSettings,
    pub(crate) allowed: Allowed,
    pub(crate) rule: RuleState,
    /// Sequence of its newest row; 0 before the first.
    pub(crate) last_seq: u64,
}

impl ChannelState {
    pub(crate) fn new(settings: ChannelSettings, emotes: &Emotes) -> Self {
        let rule = RuleState::default().carried_to(&settings.rule);
        Self { allowed: Allowed::of(&settings, emotes), settings, rule, last_seq: 0 }
    }

    /// The next sequence at an instant: its first, or the one after the newest row.
    fn next_seq(&mut self, at_ms: i64) -> u64 {
        self.last_seq = sequence::at(at_ms).max(self.last_seq + 1);
        self.last_seq
    }

    fn change(&mut self, change: &SettingsChange, emotes: &Emotes) {
        self.settings = change.settings.clone();
        self.allowed = Allowed::of(&self.settings, emotes);
        self.rule = std::mem::take(&mut self.rule).carried_to(&self.settings.rule);
    }
}

impl Merge {
    /// A merge of so many raw partitions, at least one.
    pub fn new(parameters: StreamParameters, partitions: usize, emotes: Arc<Emotes>) -> Self {
        assert!(partitions > 0, "a log has partitions");
        Self {
            parameters,
            emotes,
            windows: Windows::new(parameters.window_ms()),
            marks: vec![i64::MIN; partitions],
            pending: BTreeMap::new(),
            channels: BTreeMap::new(),
        }
    }

    /// Adds a partial. One that comes after its partition's mark is a repeat from before a crash and is left out.
    pub fn add(&mut self, partition: usize, partial: Partial) {
        if partial.window_start_ms < self.marks[partition] {
            return;
        }
        let Partial { channel, window_start_ms, tally } = partial;
        if let Some(slot) = self.windows.slot(window_start_ms, &channel, || channel.clone()) {
            self.windows.value(slot).merge(tally);
        }
    }

    /// Takes a partition's closed-through mark and appends the rows that it makes final.
    pub fn closed_through(&mut self, partition: usize, start_ms: i64, rows: &mut Vec<Row>) {
        if start_ms <= self.marks[partition] {
            return;
        }
        self.marks[partition] = start_ms;
        self.advance(rows);
    }

    /// Takes a settings change that holds from the start of a window on. Its row follows as soon as every partition
    /// has closed through that instant. A repeat of the channel's newest change is left out: control says again what
    /// holds whenever it cannot know that it was heard.
    pub fn settings(&mut self, change: &SettingsChange, from_window_ms: i64, rows: &mut Vec<Row>) {
        if self.newest_settings_of(&change.channel) == Some(&change.settings) {
            return;
        }
        self.pending.entry(from_window_ms).or_default().push(change.clone());
        self.advance(rows);
    }

    /// Puts settings in force for a channel that nothing is known of yet, without a row.
    pub(crate) fn begin_with(&mut self, channel: &ChannelName, settings: ChannelSettings) {
        self.channels.insert(channel.clone(), ChannelState::new(settings, &self.emotes));
    }

    /// Settings in force for a channel, once it had a reaction or a change.
    pub fn settings_of(&self, channel: &str) -> Option<&ChannelSettings> {
        self.channels.get(channel).map(|state| &state.settings)
    }

    /// Newest settings known for a channel: of its changes that wait the last one, else those in force.
    pub fn newest_settings_of(&self, channel: &str) -> Option<&ChannelSettings> {
        // A channel's changes are all in its home partition, so later ones never hold from an earlier window on.
        let mut waiting = self.pending.values().rev().flat_map(|changes| changes.iter().rev());
        let newest = waiting.find(|change| *change.channel == *channel).map(|change| &change.settings);
        newest.or_else(|| self.settings_of(channel))
    }

    /// Sequence of a channel's newest row; 0 before its first.
    pub fn newest_seq(&self, channel: &str) -> u64 {
        self.channels.get(channel).map_or(0, |state| state.last_seq)
    }

    /// Every partition has closed through this; `i64::MIN` while one was never heard of.
    pub fn closed_through_ms(&self) -> i64 {
        self.marks.iter().copied().min().unwrap_or(i64::MIN)
    }

    /// Whether windows or settings wait for a partition.
    pub fn is_waiting(&self) -> bool {
        !self.windows.is_empty() || !self.pending.is_empty()
    }

    /// Goes from one instant at which something becomes final to the next: costs by what is open, not by time.
    fn advance(&mut self, rows: &mut Vec<Row>) {
        let through_ms = self.closed_through_ms();
        loop {
            let window_end_ms = self.windows.first_end_ms();
            let change_ms = self.pending.first_key_value().map(|(from_ms, _)| *from_ms);
            let Some(at_ms) =
                window_end_ms.into_iter().chain(change_ms).min().filter(|at_ms| *at_ms <= through_ms)
            else {
                return;
            };
            let first = rows.len();
            self.close_window(at_ms, rows);
            self.apply_settings(at_ms, rows);
            rows[first..].sort_by(|a, b| {
                let key = |row: &Row| (sequence::event_time_ms(row.seq()), row.channel().clone(), row.seq());
                key(a).cmp(&key(b))
            });
        }
    }

    fn close_window(&mut self, end_ms: i64, rows: &mut Vec<Row>) {
        let Self { windows, channels, emotes, parameters, .. } = self;
        let window_ms = parameters.window_ms();
        windows.close_through(end_ms, |start_ms, channel, mut tally| {
            let state = channels
                .entry(channel.clone())
                .or_insert_with(|| ChannelState::new(ChannelSettings::default(), emotes));
            let window = (start_ms, start_ms + window_ms);
            let found = state.rule.judge(&state.settings, &state.allowed, window, &mut tally, emotes);
            let (intervals, counts): (Vec<_>, Vec<_>) = found
                .into_iter()
                .partition(|found| found.rule == emostream_protocol::row::RuleName::PlainShare);
            rows.extend(intervals.into_iter().map(|found| state.moment(&channel, found)));
            rows.push(state.window(&channel, window, tally, emotes));
            rows.extend(counts.into_iter().map(|found| state.moment(&channel, found)));
        });
    }

    fn apply_settings(&mut self, at_ms: i64, rows: &mut Vec<Row>) {
        let due = match self.pending.first_entry() {
            Some(entry) if *entry.key() == at_ms => entry.remove(),
            _ => return,
        };
        for change in due {
            let state = self
                .channels
                .entry(change.channel.clone())
                .or_insert_with(|| ChannelState::new(ChannelSettings::default(), &self.emotes));
            state.change(&change, &self.emotes);
            rows.push(Row::Settings(SettingsRow { seq: state.next_seq(at_ms), change }));
        }
    }
}

impl ChannelState {
    fn moment(&mut self, channel: &ChannelName, found: Found) -> Row {
        let seq = self.next_seq(found.at_ms);
        Row::Moment(found.row(channel, seq, self.settings.version))
    }

    fn window(
        &mut self,
        channel: &ChannelName,
        window: (i64, i64),
        mut tally: Tally,
        emotes: &Emotes,
    ) -> Row {
        let reactors = tally.reactors().estimate();
        let order = sorted_by_text(tally.emotes(), emotes, |emote| emote.emote);
        let unverified = tally.unverified;
        let counted = tally.emotes_mut();
        let counts = order.into_iter().map(|index| {
            let emote = &mut counted[index];
            let reactors = emote.sketch.estimate();
            EmoteCount { emote: emote.emote, count: emote.count(), late: emote.late(), reactors }
        });
        Row::Window(WindowRow {
            channel: channel.clone(),
            seq: self.next_seq(window.1),
            window_start_ms: window.0,
            window_ms: (window.1 - window.0) as u32,
            emotes: counts.collect(),
            reactors,
            unverified,
        })
    }
}
