//! Where moments are on the recording, in milliseconds from its start.

use super::{ExportMoment, title};

/// How times become positions on the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeline {
    /// When the recording began, ms since the Unix epoch.
    pub recording_started_ms: Option<i64>,
    /// Added to every position, ms: an intro before the recording, or one that was cut away.
    pub offset_ms: i64,
}

/// A moment and where it is on the recording.
#[derive(Debug, Clone)]
pub struct Placed<'a> {
    /// Position in ms from the recording's start; `None` only in formats that can do without.
    pub position_ms: Option<u64>,
    /// Its title, on one line and never empty.
    pub title: String,
    /// The moment.
    pub moment: &'a ExportMoment,
}

impl Timeline {
    /// Position of a moment: the media time of its reactions where they carried one, else the begin of what was judged
    /// since the recording's start; plus the offset. `None` when nothing says so.
    pub fn position_ms(&self, moment: &ExportMoment) -> Option<i64> {
        let since_start = || Some(moment.window_start_ms.saturating_sub(self.recording_started_ms?));
        let position = moment.media_time_ms.and_then(|ms| i64::try_from(ms).ok()).or_else(since_start)?;
        Some(position.saturating_add(self.offset_ms))
    }

    /// Whether a moment has no position only because the recording's start is unknown.
    pub(super) fn lacks_start(&self, moments: &[ExportMoment]) -> bool {
        self.recording_started_ms.is_none() && moments.iter().any(|moment| self.position_ms(moment).is_none())
    }

    /// Places moments, sorted by position and then by sequence, those without position by sequence behind them; and says
    /// how many are left out: those before the recording's start, and, unless `also_without`, those without position.
    pub(super) fn place<'a>(
        &self,
        moments: &'a [ExportMoment],
        also_without: bool,
    ) -> (Vec<Placed<'a>>, usize) {
        let mut placed: Vec<Placed<'a>> = moments
            .iter()
            .filter_map(|moment| {
                let position_ms = match self.position_ms(moment) {
                    Some(ms) => Some(u64::try_from(ms).ok()?),
                    None if also_without => None,
                    None => return None,
                };
                Some(Placed { position_ms, title: title::of(moment), moment })
            })
            .collect();
        placed.sort_by_key(|placed| (placed.position_ms.is_none(), placed.position_ms, placed.moment.seq));
        let left_out = moments.len() - placed.len();
        (placed, left_out)
    }
}

impl Placed<'_> {
    /// The position, where the format has been promised one.
    pub(super) fn at_ms(&self) -> u64 {
        self.position_ms.unwrap_or(0)
    }
}

/// Thins moments out so that any two are at least `apart` units from each other: of those that are closer those stay
/// that a moderator has named, then the strongest, then the earlier. `unit_ms` is the grain of the format: positions are cut to it first. Answers with
/// (position in units, moment), ascending.
pub(super) fn thinned<'p, 'a>(
    placed: &'p [Placed<'a>],
    unit_ms: u64,
    apart: u64,
) -> Vec<(u64, &'p Placed<'a>)> {
    let mut by_strength: Vec<&Placed<'a>> = placed.iter().collect();
    // Stable: `placed` ascends by position.
    by_strength.sort_by(|a, b| {
        let named = |placed: &Placed<'_>| placed.moment.title.is_some();
        named(b).cmp(&named(a)).then(b.moment.strength.total_cmp(&a.moment.strength))
    });
    let mut kept = std::collections::BTreeMap::new();
    for moment in by_strength {
        let at = moment.at_ms() / unit_ms;
        let near = at.saturating_sub(apart - 1)..at.saturating_add(apart);
        if kept.range(near).next().is_none() {
            kept.insert(at, moment);
        }
    }
    kept.into_iter().collect()
}
