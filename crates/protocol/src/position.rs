//! Where a viewer is in a channel's output: epoch and sequence, for resuming without a gap.

use std::{fmt, str::FromStr};

/// Identity of the log that the output was computed from; a sequence means something only within it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub [u8; 16]);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a text is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected EPOCH.SEQ: 32 hexadecimal digits, a dot, a decimal number")]
pub struct PositionError;

impl FromStr for Epoch {
    type Err = PositionError;
    fn from_str(text: &str) -> Result<Self, PositionError> {
        if text.len() != 32 || !text.is_ascii() {
            return Err(PositionError);
        }
        let mut bytes = [0; 16];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).map_err(|_| PositionError)?;
        }
        Ok(Self(bytes))
    }
}

/// A place in a channel's output, written `epoch.seq`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Which log.
    pub epoch: Epoch,
    /// Newest sequence seen.
    pub seq: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

impl FromStr for Position {
    type Err = PositionError;
    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (epoch, seq) = text.split_once('.').ok_or(PositionError)?;
        if seq.is_empty() || !seq.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PositionError);
        }
        Ok(Self { epoch: epoch.parse()?, seq: seq.parse().map_err(|_| PositionError)? })
    }
}

/// Sequence numbers: event time at which a row became final, in milliseconds × 256 + ordinal. Computed from the
/// log alone, so every node that computes a row gives it the same number.
pub mod sequence {
    /// Rows that can become final at one millisecond.
    pub const ORDINALS: u64 = 256;

    /// The first sequence of an instant of event time.
    pub fn at(event_time_ms: i64) -> u64 {
        u64::try_from(event_time_ms).unwrap_or(0) * ORDINALS
    }

    /// The instant of event time that a sequence belongs to, in milliseconds.
    pub fn event_time_ms(seq: u64) -> i64 {
        i64::try_from(seq / ORDINALS).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Epoch, Position};

    proptest::proptest! {
        #[test]
        fn positions_survive_text(bytes: [u8; 16], seq: u64) {
            let position = Position { epoch: Epoch(bytes), seq };
            proptest::prop_assert_eq!(position.to_string().parse::<Position>(), Ok(position));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            if let Ok(position) = text.parse::<Position>() {
                proptest::prop_assert_eq!(position.to_string().parse::<Position>(), Ok(position));
            }
        }
    }

    #[test]
    fn signs_and_gaps_are_refused() {
        for bad in [
            "",
            ".",
            "0.1",
            &format!("{}.+1", "0".repeat(32)),
            &format!("{}.", "0".repeat(32)),
            &format!("{}.-1", "0".repeat(32)),
            &format!("+{}.1", "0".repeat(31)),
        ] {
            assert!(bad.parse::<Position>().is_err() || bad.starts_with('+'), "{bad}");
        }
    }
}
