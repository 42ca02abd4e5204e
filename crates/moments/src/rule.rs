//! Moment rules and their state per channel: system A's plain rule in its two forms, and the seat of further ones.

use std::collections::BTreeMap;

use emostream_protocol::{
    ChannelSettings, DecodeError, EmoteId, Emotes,
    codec::{Reader, Writer},
    limits::MOMENTS_PER_INSTANT_MAX,
    row::{RuleName, read_emote},
    settings::{MomentRule, PlainRule},
};

use crate::{
    event_time::APPEND_MS_MAX,
    parameters::BIN_MS,
    sketch::Sketch,
    tally::{Tally, bounded, sorted_by_text},
};

/// What a rule remembers of a channel from window to window. Its form follows the rule in force: a change between
/// forms begins anew, a change of values within a form carries on.
#[derive(Debug, Clone, Default)]
pub enum RuleState {
    /// Nothing to remember: the plain rule on counts.
    #[default]
    Stateless,
    /// The plain rule on shares.
    Interval(Interval),
}

/// Reactions since the last analysis of a channel under the plain rule on shares. While that rule stays in force,
/// another threshold or interval applies to what was collected, at the next bin that brings a reaction; under another
/// rule nothing is collected.
#[derive(Debug, Clone, Default)]
pub struct Interval {
    total: u64,
    /// First bin with a reaction.
    start_ms: i64,
    emotes: BTreeMap<EmoteId, IntervalEmote>,
}

/// One emote in an interval. Counts are exact; users and media positions are those of the windows that the interval
/// touches, since bins do not keep them apart.
#[derive(Debug, Clone, Default)]
struct IntervalEmote {
    count: u64,
    earlier: Sketch,
    earlier_media: (u64, u64),
}

/// A moment before it has a place in a channel's output.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Event time at which it is final.
    pub at_ms: i64,
    /// Which emote.
    pub emote: EmoteId,
    /// Begin of what was judged.
    pub start_ms: i64,
    /// Reactions, without late ones.
    pub count: u64,
    /// Value ÷ threshold.
    pub strength: f64,
    /// Estimated users.
    pub reactors: u64,
    /// Which form of the rule.
    pub rule: RuleName,
    /// Mean media position in ms.
    pub media_time_ms: Option<u64>,
}

/// Version byte of rule states in snapshots.
const STATE_VERSION: u8 = 1;
const STATELESS: u8 = 0;
const INTERVAL: u8 = 1;

impl RuleState {
    /// The state with which a rule goes on where `self` was another one's or its own.
    pub fn carried_to(self, rule: &MomentRule) -> Self {
        match (self, rule) {
            (Self::Interval(interval), MomentRule::Plain(plain)) if is_share(plain) => {
                Self::Interval(interval)
            }
            (_, MomentRule::Plain(plain)) if is_share(plain) => Self::Interval(Interval::default()),
            (_, MomentRule::Plain(_) | MomentRule::Full(_)) => Self::Stateless,
        }
    }

    /// Judges a closed window: the moments found, in order of time, strongest first at each instant, at most
    /// [`MOMENTS_PER_INSTANT_MAX`] per instant.
    pub fn judge(
        &mut self,
        settings: &ChannelSettings,
        allowed: &Allowed,
        window: (i64, i64),
        tally: &mut Tally,
        emotes: &Emotes,
    ) -> Vec<Found> {
        match (self, &settings.rule) {
            (Self::Interval(interval), MomentRule::Plain(rule)) => {
                interval.judge(rule, allowed, window.0, tally, emotes)
            }
            (_, MomentRule::Plain(rule)) => strongest(&judge_count(rule, allowed, window, tally), emotes),
            (_, MomentRule::Full(_)) => Vec::new(),
        }
    }

    /// Writes the state.
    pub fn encode(&self, writer: &mut Writer, emotes: &Emotes) {
        writer.u8(STATE_VERSION);
        match self {
            Self::Stateless => writer.u8(STATELESS),
            Self::Interval(interval) => {
                writer.u8(INTERVAL);
                interval.encode(writer, emotes);
            }
        }
    }

    /// Reads a state.
    pub fn decode(reader: &mut Reader<'_>, emotes: &Emotes) -> Result<Self, DecodeError> {
        match reader.u8()? {
            STATE_VERSION => {}
            version => return Err(DecodeError::Version(version)),
        }
        match reader.u8()? {
            STATELESS => Ok(Self::Stateless),
            INTERVAL => Interval::decode(reader, emotes).map(Self::Interval),
            _ => Err(DecodeError::Field("rule state")),
        }
    }
}

/// Emotes that can make a moment; sorted ids, `None` for all.
#[derive(Debug, Clone, Default)]
pub struct Allowed(Option<Vec<EmoteId>>);

impl Allowed {
    /// The allowed list of settings. Custom emotes are registered; texts that are no emote allow nothing.
    pub fn of(settings: &ChannelSettings, emotes: &Emotes) -> Self {
        Self(settings.allowed_emotes.as_ref().map(|allowed| {
            let resolve = |text: &String| emotes.register_custom(text).or_else(|_| emotes.resolve(text)).ok();
            let mut ids: Vec<EmoteId> = allowed.iter().filter_map(resolve).collect();
            ids.sort_unstable();
            ids
        }))
    }

    fn has(&self, emote: EmoteId) -> bool {
        self.0.as_ref().is_none_or(|ids| ids.binary_search(&emote).is_ok())
    }
}

fn is_share(rule: &PlainRule) -> bool {
    rule.threshold < 1.0
}

fn judge_count(rule: &PlainRule, allowed: &Allowed, window: (i64, i64), tally: &mut Tally) -> Vec<Found> {
    let mut found = Vec::new();
    for emote in tally.emotes_mut() {
        let count = emote.count() - emote.late();
        if count as f64 > rule.threshold && allowed.has(emote.emote) {
            found.push(Found {
                at_ms: window.1,
                emote: emote.emote,
                start_ms: window.0,
                count,
                strength: count as f64 / rule.threshold,
                reactors: emote.sketch.estimate(),
                rule: RuleName::PlainCount,
                media_time_ms: emote.media_sum_ms.checked_div(emote.media_count),
            });
        }
    }
    found
}

/// Strongest first, equals by canonical text, the weakest beyond the limit left out.
fn strongest(found: &[Found], emotes: &Emotes) -> Vec<Found> {
    let mut sorted: Vec<Found> =
        sorted_by_text(found, emotes, |found| found.emote).into_iter().map(|index| found[index]).collect();
    sorted.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    sorted.truncate(MOMENTS_PER_INSTANT_MAX);
    sorted
}

impl Interval {
    fn judge(
        &mut self,
        rule: &PlainRule,
        allowed: &Allowed,
        start_ms: i64,
        tally: &mut Tally,
        emotes: &Emotes,
    ) -> Vec<Found> {
        let mut all = Vec::new();
        let bins = tally.emotes().iter().map(|emote| emote.bins.len()).max().unwrap_or(0);
        for bin in 0..bins {
            let bin_ms = start_ms + bin as i64 * BIN_MS;
            let before = self.total;
            self.collect(tally, bin, bin_ms);
            if self.total > before && self.total >= u64::from(rule.interval) {
                all.extend(strongest(&self.analyse(rule, allowed, bin_ms + BIN_MS, tally), emotes));
                *self = Self::default();
            }
        }
        if self.total > 0 {
            for emote in tally.emotes() {
                let known = self.emotes.entry(emote.emote).or_default();
                known.earlier.merge(&emote.sketch);
                known.earlier_media.0 = known.earlier_media.0.saturating_add(emote.media_sum_ms);
                known.earlier_media.1 += emote.media_count;
            }
        }
        all
    }

    fn collect(&mut self, tally: &Tally, bin: usize, bin_ms: i64) {
        for emote in tally.emotes() {
            let count = emote.on_time(bin);
            if count > 0 {
                if self.total == 0 {
                    self.start_ms = bin_ms;
                }
                self.total += count;
                self.emotes.entry(emote.emote).or_default().count += count;
            }
        }
    }

    fn analyse(&self, rule: &PlainRule, allowed: &Allowed, end_ms: i64, tally: &Tally) -> Vec<Found> {
        let mut found = Vec::new();
        for (emote, known) in &self.emotes {
            let share = known.count as f64 / self.total as f64;
            if share <= rule.threshold || !allowed.has(*emote) {
                continue;
            }
            let mut reactors = known.earlier.clone();
            let (mut media_sum_ms, mut media_count) = known.earlier_media;
            if let Some(here) = tally.emotes().iter().find(|here| here.emote == *emote) {
                reactors.merge(&here.sketch);
                media_sum_ms = media_sum_ms.saturating_add(here.media_sum_ms);
                media_count += here.media_count;
            }
            found.push(Found {
                at_ms: end_ms,
                emote: *emote,
                start_ms: self.start_ms,
                count: known.count,
                strength: share / rule.threshold,
                reactors: reactors.estimate(),
                rule: RuleName::PlainShare,
                media_time_ms: media_sum_ms.checked_div(media_count),
            });
        }
        found
    }

    fn encode(&self, writer: &mut Writer, emotes: &Emotes) {
        writer.varint(self.total);
        writer.zigzag(self.start_ms);
        let known: Vec<_> = self.emotes.iter().collect();
        writer.len(known.len());
        for index in sorted_by_text(&known, emotes, |(emote, _)| **emote) {
            let (emote, known) = known[index];
            emotes.with_name(*emote, |name| writer.bytes(name.as_bytes()));
            writer.varint(known.count);
            writer.varint(known.earlier_media.0);
            writer.varint(known.earlier_media.1);
            known.earlier.encode(writer);
        }
    }

    fn decode(reader: &mut Reader<'_>, emotes: &Emotes) -> Result<Self, DecodeError> {
        const SUM_MAX: u64 = 1 << 60;
        let mut interval = Self { total: bounded(reader, SUM_MAX, "interval")?, ..Self::default() };
        interval.start_ms = reader.zigzag()?;
        if interval.start_ms.abs() > APPEND_MS_MAX || interval.start_ms % BIN_MS != 0 {
            return Err(DecodeError::Field("interval"));
        }
        let mut sum = 0u64;
        for _ in 0..reader.len(usize::from(u16::MAX))? {
            let emote = read_emote(reader, emotes)?;
            let count = bounded(reader, interval.total, "interval")?;
            let earlier_media = (reader.varint()?, bounded(reader, SUM_MAX, "media")?);
            let known = IntervalEmote { count, earlier_media, earlier: Sketch::decode(reader)? };
            sum = sum.saturating_add(count);
            if interval.emotes.insert(emote, known).is_some() {
                return Err(DecodeError::Field("emote"));
            }
        }
        if sum == interval.total { Ok(interval) } else { Err(DecodeError::Field("interval")) }
    }
}
