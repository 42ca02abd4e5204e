//! The full rule's state as bytes, part of a snapshot.

use emostream_protocol::{
    DecodeError, Emotes,
    codec::{Reader, Writer},
    row::read_emote,
};

use super::{
    BEGINNING, EMOTES_MAX, FullState,
    course::Course,
    pace::{Lengths, Pace},
};
use crate::{
    event_time::APPEND_MS_MAX,
    tally::{bounded, sorted_by_text},
};

/// Windows of 1 ms in ten thousand years, about: keeps sums of windows from overflowing.
const WINDOWS_MAX: u64 = 1 << 50;
/// More than any sum of counts can be.
const SUM_MAX: f64 = 1e30;

impl FullState {
    /// Writes the state; emotes by name and in its order, so that equal states give equal bytes.
    pub(in crate::rule) fn encode(&self, writer: &mut Writer, emotes: &Emotes) {
        let lengths = self.pace.map(|pace| pace.lengths).unwrap_or_default();
        for length in [lengths.fast_ms, lengths.slow_ms, lengths.window_ms] {
            writer.varint(u64::from(length));
        }
        writer.varint(self.windows);
        writer.zigzag(self.start_ms);
        writer.varint(self.seen);
        write_moment(writer, self.moment_ms);
        let known: Vec<_> = self.emotes.iter().collect();
        writer.len(known.len());
        for index in sorted_by_text(&known, emotes, |(emote, _)| **emote) {
            let (emote, course) = known[index];
            emotes.with_name(*emote, |name| writer.bytes(name.as_bytes()));
            writer.varint(course.at);
            for number in [course.recent, course.noise, course.learnt, course.peak].iter().chain(&course.slow)
            {
                writer.f64(*number);
            }
            write_moment(writer, course.moment_ms);
            write_moment(writer, course.uproar_ms);
        }
    }

    /// Reads a state.
    pub(in crate::rule) fn decode(reader: &mut Reader<'_>, emotes: &Emotes) -> Result<Self, DecodeError> {
        let mut length =
            || reader.varint().and_then(|ms| u32::try_from(ms).map_err(|_| DecodeError::Field("length")));
        let lengths = Lengths { fast_ms: length()?, slow_ms: length()?, window_ms: length()? };
        let windows = bounded(reader, WINDOWS_MAX, "windows")?;
        let start_ms = instant(reader.zigzag()?)?;
        let seen = bounded(reader, BEGINNING, "seen")?;
        let mut state = Self { windows, start_ms, seen, moment_ms: read_moment(reader)?, ..Self::default() };
        if lengths != Lengths::default() {
            if lengths.fast_ms == 0 || lengths.slow_ms == 0 || lengths.window_ms == 0 {
                return Err(DecodeError::Field("length"));
            }
            state.pace = Some(Pace::new(lengths));
        } else if windows > 0 {
            return Err(DecodeError::Field("length"));
        }
        for _ in 0..reader.len(EMOTES_MAX)? {
            let emote = read_emote(reader, emotes)?;
            let course = Course {
                at: bounded(reader, windows, "windows")?,
                recent: sum(reader)?,
                noise: sum(reader)?,
                learnt: sum(reader)?,
                peak: sum(reader)?,
                slow: [sum(reader)?, sum(reader)?, sum(reader)?],
                moment_ms: read_moment(reader)?,
                uproar_ms: read_moment(reader)?,
            };
            if state.emotes.insert(emote, course).is_some() {
                return Err(DecodeError::Field("emote"));
            }
        }
        Ok(state)
    }
}

fn write_moment(writer: &mut Writer, moment_ms: Option<i64>) {
    writer.u8(u8::from(moment_ms.is_some()));
    if let Some(moment_ms) = moment_ms {
        writer.zigzag(moment_ms);
    }
}

fn read_moment(reader: &mut Reader<'_>) -> Result<Option<i64>, DecodeError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => reader.zigzag().and_then(instant).map(Some),
        _ => Err(DecodeError::Field("moment")),
    }
}

fn instant(ms: i64) -> Result<i64, DecodeError> {
    let known = (-APPEND_MS_MAX..=APPEND_MS_MAX).contains(&ms);
    if known { Ok(ms) } else { Err(DecodeError::Field("instant")) }
}

fn sum(reader: &mut Reader<'_>) -> Result<f64, DecodeError> {
    let sum = reader.f64()?;
    // Not by range: it would let −0 through, which is written differently.
    let known = sum.is_finite() && sum.is_sign_positive() && sum <= SUM_MAX;
    if known { Ok(sum) } else { Err(DecodeError::Field("sum")) }
}
