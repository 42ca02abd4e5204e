//! System A's plain rule: a count in a window, or a share of each interval.

use std::collections::BTreeMap;

use emostream_protocol::{
    DecodeError, EmoteId, Emotes,
    codec::{Reader, Writer},
    row::{RuleName, read_emote},
    settings::PlainRule,
};

use super::{Allowed, Found, Judged, strongest};
use crate::{
    event_time::APPEND_MS_MAX,
    parameters::BIN_MS,
    sketch::Sketch,
    tally::{Tally, bounded, sorted_by_text},
};

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

/// Whether the rule judges shares of intervals.
pub(crate) fn is_share(rule: &PlainRule) -> bool {
    rule.threshold < 1.0
}

/// Judges the counts of a closed window: strongest first.
pub(crate) fn judge_counts(
    rule: &PlainRule,
    allowed: &Allowed,
    window: (i64, i64),
    judged: &[Judged],
    emotes: &Emotes,
) -> Vec<Found> {
    let beyond = |judged: &&Judged| judged.count as f64 > rule.threshold && allowed.has(judged.emote);
    let found = judged.iter().filter(beyond).map(|judged| Found {
        at_ms: window.1,
        emote: judged.emote,
        start_ms: window.0,
        count: judged.count,
        strength: judged.count as f64 / rule.threshold,
        reactors: judged.reactors.unwrap_or(0),
        rule: RuleName::PlainCount,
        media_time_ms: None,
    });
    strongest(&found.collect::<Vec<_>>(), emotes)
}

impl Interval {
    pub(super) fn judge(
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

    pub(super) fn encode(&self, writer: &mut Writer, emotes: &Emotes) {
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

    pub(super) fn decode(reader: &mut Reader<'_>, emotes: &Emotes) -> Result<Self, DecodeError> {
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
