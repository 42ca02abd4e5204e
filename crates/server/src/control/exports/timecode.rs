//! Frame rates, and SMPTE ST 12-1 timecode from positions.

/// Frames per second of an edit list, with the way their timecode counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameRate {
    /// 24 000 ÷ 1001, counted without dropping.
    F23_976,
    /// 24.
    F24,
    /// 25.
    F25,
    /// 30 000 ÷ 1001, drop-frame.
    F29_97,
    /// 30.
    F30,
    /// 50.
    F50,
    /// 60 000 ÷ 1001, drop-frame.
    F59_94,
    /// 60.
    F60,
}

/// What a rate is made of.
struct Facts {
    name: &'static str,
    /// Frames in `denominator` seconds.
    numerator: u64,
    denominator: u64,
    /// Frame numbers in a second of timecode.
    nominal: u64,
    /// Frame numbers that are skipped at each minute but every tenth.
    dropped: u64,
}

impl FrameRate {
    /// All rates.
    pub const ALL: [Self; 8] =
        [Self::F23_976, Self::F24, Self::F25, Self::F29_97, Self::F30, Self::F50, Self::F59_94, Self::F60];

    /// The rate as in `?fps=`: `29.97` and `59.94` are drop-frame.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Finds a rate by its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rate| rate.name() == name)
    }

    /// The names of all rates, for messages.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Whether timecode skips frame numbers so that it keeps up with the clock.
    pub fn is_drop_frame(self) -> bool {
        self.facts().dropped > 0
    }

    /// Frame numbers in a second of timecode.
    pub fn nominal(self) -> u64 {
        self.facts().nominal
    }

    /// The frame that is shown at a position.
    pub fn frame_at(self, position_ms: u64) -> u64 {
        let Facts { numerator, denominator, .. } = self.facts();
        let frames = u128::from(position_ms) * u128::from(numerator) / (1_000 * u128::from(denominator));
        u64::try_from(frames).unwrap_or(u64::MAX)
    }

    /// Frames of 24 hours of timecode, after which it begins anew.
    pub fn frames_per_day(self) -> u64 {
        let Facts { nominal, dropped, .. } = self.facts();
        nominal * 86_400 - dropped * 24 * 6 * 9
    }

    /// Timecode of a frame within the first 24 hours: `HH:MM:SS:FF`, with `;` before the frames where numbers are dropped.
    pub fn timecode(self, frame: u64) -> String {
        let Facts { nominal, dropped, .. } = self.facts();
        let number = frame + self.skipped_before(frame);
        let (seconds, frames) = (number / nominal, number % nominal);
        let separator = if dropped > 0 { ';' } else { ':' };
        let (hours, minutes) = (seconds / 3_600 % 24, seconds / 60 % 60);
        format!("{hours:02}:{minutes:02}:{:02}{separator}{frames:02}", seconds % 60)
    }

    /// Frame numbers skipped up to a frame: each minute but every tenth begins by skipping `dropped` of them.
    fn skipped_before(self, frame: u64) -> u64 {
        let Facts { nominal, dropped, .. } = self.facts();
        if dropped == 0 {
            return 0;
        }
        let minute = nominal * 60 - dropped;
        let ten_minutes = minute * 10 + dropped;
        let (tens, rest) = (frame / ten_minutes, frame % ten_minutes);
        dropped * (9 * tens + rest.saturating_sub(dropped) / minute)
    }

    fn facts(self) -> Facts {
        let facts = |name, numerator, denominator, nominal, dropped| Facts {
            name,
            numerator,
            denominator,
            nominal,
            dropped,
        };
        match self {
            Self::F23_976 => facts("23.976", 24_000, 1_001, 24, 0),
            Self::F24 => facts("24", 24, 1, 24, 0),
            Self::F25 => facts("25", 25, 1, 25, 0),
            Self::F29_97 => facts("29.97", 30_000, 1_001, 30, 2),
            Self::F30 => facts("30", 30, 1, 30, 0),
            Self::F50 => facts("50", 50, 1, 50, 0),
            Self::F59_94 => facts("59.94", 60_000, 1_001, 60, 4),
            Self::F60 => facts("60", 60, 1, 60, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FrameRate;

    /// Counts timecodes up one by one, as the standard words it.
    fn counted(rate: FrameRate, frames: u64) -> Vec<String> {
        let (nominal, drop) = (rate.nominal(), if rate.is_drop_frame() { rate.nominal() / 15 } else { 0 });
        let (mut frame, mut second, mut minute, mut hour) = (0, 0, 0, 0);
        let separator = if drop > 0 { ';' } else { ':' };
        (0..frames)
            .map(|_| {
                let code = format!("{hour:02}:{minute:02}:{second:02}{separator}{frame:02}");
                frame += 1;
                if frame == nominal {
                    (frame, second) = (0, second + 1);
                }
                if second == 60 {
                    (second, minute) = (0, minute + 1);
                    frame = if minute % 10 == 0 { 0 } else { drop };
                }
                if minute == 60 {
                    (minute, hour) = (0, hour + 1);
                }
                code
            })
            .collect()
    }

    #[test]
    fn timecodes_are_those_of_counting() {
        for rate in FrameRate::ALL {
            for (frame, expected) in counted(rate, rate.nominal() * 60 * 31).iter().enumerate() {
                assert_eq!(rate.timecode(frame as u64), *expected, "{rate:?} frame {frame}");
            }
            let last = rate.timecode(rate.frames_per_day() - 1);
            assert!(
                last.starts_with("23:59:59") && last.ends_with(&(rate.nominal() - 1).to_string()),
                "{last}"
            );
            assert_eq!(FrameRate::parse(rate.name()), Some(rate));
        }
        assert_eq!(FrameRate::parse("12"), None);
    }

    #[test]
    fn positions_become_frames() {
        for (rate, ms, timecode) in [
            (FrameRate::F25, 1_000, "00:00:01:00"),
            (FrameRate::F25, 39, "00:00:00:00"),
            (FrameRate::F25, 40, "00:00:00:01"),
            (FrameRate::F24, 3_600_000, "01:00:00:00"),
            (FrameRate::F60, 59_999, "00:00:59:59"),
            // Drop-frame keeps up with the clock: an hour is 107,892 frames and 3.6 ms short of one more.
            (FrameRate::F29_97, 3_600_004, "01:00:00;00"),
            (FrameRate::F29_97, 60_060, "00:01:00;02"),
            (FrameRate::F59_94, 3_600_004, "01:00:00;00"),
            // Without dropping the clock runs away: 3.6 seconds in an hour.
            (FrameRate::F23_976, 3_600_000, "00:59:56:09"),
        ] {
            assert_eq!(rate.timecode(rate.frame_at(ms)), timecode, "{rate:?} {ms}");
        }
    }

    proptest::proptest! {
        #[test]
        fn drop_frame_is_never_two_frames_from_the_clock(ms in 0u64..86_000_000) {
            let code = FrameRate::F29_97.timecode(FrameRate::F29_97.frame_at(ms));
            let part = |range: std::ops::Range<usize>| code[range].parse::<u64>().unwrap();
            let shown = ((part(0..2) * 60 + part(3..5)) * 60 + part(6..8)) * 1_000 + part(9..11) * 1_000 / 30;
            proptest::prop_assert!(shown.abs_diff(ms) <= 140, "{code} at {ms}");
        }
    }
}
