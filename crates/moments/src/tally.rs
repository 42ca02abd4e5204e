//! What was counted for one channel and window: per emote its bins, unique reactors and media positions.

use emostream_protocol::{
    DecodeError, EmoteId, Emotes,
    codec::{Reader, Writer},
    limits::MEDIA_TIME_MS_MAX,
    row::read_emote,
};

use crate::sketch::{Reactor, Sketch};

/// Counts of one channel in one window; of one partition, or of all that were merged into it.
#[derive(Debug, Clone)]
pub struct Tally {
    emotes: Vec<EmoteTally>,
    /// Place of an emote by the low byte of its id, checked on use: nearly every reaction finds its emote at once.
    hints: [u16; 256],
    /// Reactions counted although a repeat of their id could no longer be ruled out.
    pub unverified: u64,
}

/// One emote's part of a [`Tally`].
#[derive(Debug, Clone)]
pub struct EmoteTally {
    /// Which emote.
    pub emote: EmoteId,
    /// Counts by bin of event time; as many as have been touched, never more than the window has.
    pub bins: Vec<Bin>,
    /// Who sent it.
    pub sketch: Sketch,
    /// Sum of the media positions, in ms, of the reactions that carried one.
    pub media_sum_ms: u64,
    /// How many carried one.
    pub media_count: u64,
    /// Reactions since the last pulse was taken; 0 between records.
    fresh: u32,
}

/// Reactions of one emote in one bin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bin {
    /// All of them.
    pub count: u64,
    /// Of these, how many were late by spool.
    pub late: u64,
}

/// A reaction as a tally counts it.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Which emote.
    pub emote: EmoteId,
    /// Whether it was late by spool.
    pub late: bool,
    /// Who sent it.
    pub reactor: Reactor,
    /// Where the player was, in ms.
    pub media_time_ms: Option<u64>,
}

/// More than any bin can hold; below it, no sum of decoded counts overflows.
const COUNT_MAX: u64 = 1 << 40;

impl Default for Tally {
    fn default() -> Self {
        Self { emotes: Vec::new(), hints: [0; 256], unverified: 0 }
    }
}

impl EmoteTally {
    fn new(emote: EmoteId) -> Self {
        Self { emote, bins: Vec::new(), sketch: Sketch::default(), media_sum_ms: 0, media_count: 0, fresh: 0 }
    }

    /// Reactions of all bins.
    pub fn count(&self) -> u64 {
        self.bins.iter().map(|bin| bin.count).sum()
    }

    /// Late reactions of all bins.
    pub fn late(&self) -> u64 {
        self.bins.iter().map(|bin| bin.late).sum()
    }

    /// Reactions of a bin that were not late.
    pub fn on_time(&self, bin: usize) -> u64 {
        self.bins.get(bin).map_or(0, |bin| bin.count - bin.late)
    }

    fn bin(&mut self, bin: usize) -> &mut Bin {
        if bin >= self.bins.len() {
            self.bins.resize(bin + 1, Bin::default());
        }
        &mut self.bins[bin]
    }
}

impl Tally {
    /// Emotes in the order in which they came first; an order that no output may show.
    pub fn emotes(&self) -> &[EmoteTally] {
        &self.emotes
    }

    /// The same, to estimate from.
    pub fn emotes_mut(&mut self) -> &mut [EmoteTally] {
        &mut self.emotes
    }

    /// Counts a reaction in a bin of the window. Returns the emote's place if this is its first for the next pulse.
    #[inline]
    pub fn add(&mut self, reaction: &Counted, bin: usize) -> Option<usize> {
        let place = self.place(reaction.emote);
        let emote = &mut self.emotes[place];
        let bin = emote.bin(bin);
        bin.count += 1;
        bin.late += u64::from(reaction.late);
        emote.sketch.insert(reaction.reactor);
        if let Some(media_time_ms) = reaction.media_time_ms {
            let media_time_ms = media_time_ms.min(MEDIA_TIME_MS_MAX);
            emote.media_sum_ms = emote.media_sum_ms.saturating_add(media_time_ms);
            emote.media_count += 1;
        }
        if reaction.late {
            return None;
        }
        emote.fresh += 1;
        (emote.fresh == 1).then_some(place)
    }

    /// Takes what an emote collected for the next pulse.
    pub fn take_fresh(&mut self, place: usize) -> (EmoteId, u32) {
        let emote = &mut self.emotes[place];
        (emote.emote, std::mem::take(&mut emote.fresh))
    }

    #[inline]
    fn place(&mut self, emote: EmoteId) -> usize {
        let hint = usize::from(self.hints[usize::from(emote.get() & 0xff)]);
        match self.emotes.get(hint) {
            Some(found) if found.emote == emote => hint,
            _ => self.find_place(emote),
        }
    }

    #[cold]
    fn find_place(&mut self, emote: EmoteId) -> usize {
        let place = self.emotes.iter().position(|known| known.emote == emote).unwrap_or_else(|| {
            self.emotes.push(EmoteTally::new(emote));
            self.emotes.len() - 1
        });
        self.hints[usize::from(emote.get() & 0xff)] = place as u16;
        place
    }

    /// Adds another tally of the same channel and window. The result does not depend on the order of merging.
    pub fn merge(&mut self, other: Self) {
        if self.emotes.is_empty() && self.unverified == 0 {
            *self = other;
            return;
        }
        self.unverified += other.unverified;
        for theirs in other.emotes {
            let place = self.place(theirs.emote);
            let ours = &mut self.emotes[place];
            for (index, bin) in theirs.bins.iter().enumerate() {
                let sum = ours.bin(index);
                sum.count += bin.count;
                sum.late += bin.late;
            }
            ours.sketch.merge(&theirs.sketch);
            ours.media_sum_ms = ours.media_sum_ms.saturating_add(theirs.media_sum_ms);
            ours.media_count += theirs.media_count;
        }
    }

    /// Everyone who sent anything.
    pub fn reactors(&self) -> Sketch {
        let mut all = Sketch::default();
        self.emotes.iter().for_each(|emote| all.merge(&emote.sketch));
        all
    }

    /// Writes the tally; emotes by name and in its order, so that equal tallies give equal bytes.
    pub fn encode(&self, writer: &mut Writer, emotes: &Emotes) {
        writer.varint(self.unverified);
        writer.len(self.emotes.len());
        for index in sorted_by_text(&self.emotes, emotes, |emote| emote.emote) {
            let emote = &self.emotes[index];
            emotes.with_name(emote.emote, |name| writer.bytes(name.as_bytes()));
            let used = emote.bins.iter().filter(|bin| bin.count > 0).count();
            writer.len(used);
            for (index, bin) in emote.bins.iter().enumerate().filter(|(_, bin)| bin.count > 0) {
                writer.len(index);
                writer.varint(bin.count);
                writer.varint(bin.late);
            }
            writer.varint(emote.media_sum_ms);
            writer.varint(emote.media_count);
            emote.sketch.encode(writer);
        }
    }

    /// Reads a tally of a window with so many bins.
    pub fn decode(reader: &mut Reader<'_>, bins: usize, emotes: &Emotes) -> Result<Self, DecodeError> {
        let mut tally = Self { unverified: bounded(reader, COUNT_MAX, "unverified")?, ..Self::default() };
        for _ in 0..reader.len(usize::from(u16::MAX))? {
            let emote = read_emote(reader, emotes)?;
            let place = tally.place(emote);
            if place + 1 != tally.emotes.len() || !tally.emotes[place].bins.is_empty() {
                return Err(DecodeError::Field("emote"));
            }
            let emote = &mut tally.emotes[place];
            let used = reader.len(bins)?;
            for _ in 0..used {
                let index = reader.len(bins - 1)?;
                let count = bounded(reader, COUNT_MAX, "count")?;
                let late = bounded(reader, count, "late")?;
                if count == 0 || index < emote.bins.len() {
                    return Err(DecodeError::Field("bin"));
                }
                *emote.bin(index) = Bin { count, late };
            }
            if used == 0 {
                return Err(DecodeError::Field("bin"));
            }
            emote.media_sum_ms = reader.varint()?;
            emote.media_count = bounded(reader, COUNT_MAX, "media")?;
            // Any sum that so many positions can have, and no other.
            if emote.media_sum_ms > emote.media_count.saturating_mul(MEDIA_TIME_MS_MAX) {
                return Err(DecodeError::Field("media"));
            }
            emote.sketch = Sketch::decode(reader)?;
        }
        Ok(tally)
    }
}

/// Places of `items` in ascending order of their emotes' canonical text: the one order that every process agrees on.
pub fn sorted_by_text<T>(items: &[T], emotes: &Emotes, emote: impl Fn(&T) -> EmoteId) -> Vec<usize> {
    let mut places: Vec<(std::sync::Arc<str>, usize)> =
        items.iter().enumerate().map(|(index, item)| (emotes.name(emote(item)), index)).collect();
    places.sort_unstable();
    places.into_iter().map(|(_, index)| index).collect()
}

/// Reads a number of at most `max`.
pub(crate) fn bounded(reader: &mut Reader<'_>, max: u64, field: &'static str) -> Result<u64, DecodeError> {
    reader.varint().and_then(|value| if value <= max { Ok(value) } else { Err(DecodeError::Field(field)) })
}
