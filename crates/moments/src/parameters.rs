//! The parameters that belong to a log's generation: window length, lateness and horizon.

use emostream_protocol::limits::{ID_AGE_MS_MAX, ID_AHEAD_MS_MAX};

/// The grain of partial counts, in ms of event time.
pub const BIN_MS: i64 = 100;

/// Longest window, in ms: bounds the bins that a count holds.
pub const WINDOW_MS_MAX: u32 = 600_000;

/// Longest lateness, in ms: it delays every window, so more than a minute is a mistake.
pub const LATENESS_MS_MAX: u32 = 60_000;

/// Shortest horizon, in ms: the span within which a client's id is accepted, so that every repeat can be found.
pub const HORIZON_MS_MIN: u32 = (ID_AGE_MS_MAX + ID_AHEAD_MS_MAX) as u32;

/// Longest horizon, in ms: one day.
pub const HORIZON_MS_MAX: u32 = 86_400_000;

/// Validated parameters of a stream. All nodes that work on one log use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamParameters {
    window_ms: u32,
    lateness_ms: u32,
    horizon_ms: u32,
}

/// Why parameters were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// The window is no multiple of the bin, 0, or too long.
    #[error("expected a window of 100 to 600000 ms in steps of 100 ms, got {0}")]
    Window(u32),
    /// The lateness is too long.
    #[error("expected a lateness of at most 60000 ms, got {0}")]
    Lateness(u32),
    /// The horizon is shorter than the span in which ids are accepted, or longer than a day.
    #[error("expected a horizon of 125000 to 86400000 ms, got {0}")]
    Horizon(u32),
}

impl Default for StreamParameters {
    /// Windows of 2 s, lateness 500 ms, horizon 4 min.
    fn default() -> Self {
        Self { window_ms: 2_000, lateness_ms: 500, horizon_ms: 240_000 }
    }
}

impl StreamParameters {
    /// Validates parameters, all in ms.
    pub fn new(window_ms: u32, lateness_ms: u32, horizon_ms: u32) -> Result<Self, ParametersError> {
        if window_ms == 0 || window_ms > WINDOW_MS_MAX || i64::from(window_ms) % BIN_MS != 0 {
            return Err(ParametersError::Window(window_ms));
        }
        if lateness_ms > LATENESS_MS_MAX {
            return Err(ParametersError::Lateness(lateness_ms));
        }
        if !(HORIZON_MS_MIN..=HORIZON_MS_MAX).contains(&horizon_ms) {
            return Err(ParametersError::Horizon(horizon_ms));
        }
        Ok(Self { window_ms, lateness_ms, horizon_ms })
    }

    /// Length of a window in ms, a multiple of [`BIN_MS`].
    pub fn window_ms(&self) -> i64 {
        i64::from(self.window_ms)
    }

    /// How far event time may lie behind append time, in ms.
    pub fn lateness_ms(&self) -> i64 {
        i64::from(self.lateness_ms)
    }

    /// How long ids given by clients are remembered, in ms of append time.
    pub fn horizon_ms(&self) -> i64 {
        i64::from(self.horizon_ms)
    }

    /// Bins in a window.
    pub fn bins(&self) -> usize {
        (self.window_ms / BIN_MS as u32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::{ParametersError, StreamParameters};

    #[test]
    fn each_parameter_has_its_range() {
        assert_eq!(StreamParameters::new(2_000, 500, 240_000), Ok(StreamParameters::default()));
        assert_eq!(StreamParameters::new(2_050, 500, 240_000), Err(ParametersError::Window(2_050)));
        assert_eq!(StreamParameters::new(0, 500, 240_000), Err(ParametersError::Window(0)));
        assert_eq!(StreamParameters::new(100, 60_001, 240_000), Err(ParametersError::Lateness(60_001)));
        assert_eq!(StreamParameters::new(100, 0, 124_999), Err(ParametersError::Horizon(124_999)));
    }
}
