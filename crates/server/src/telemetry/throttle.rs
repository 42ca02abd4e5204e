//! Log lines that others can cause: so many of them, and then only how many were left out.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use crate::rate::CellRate;

/// Lines that come at once.
const BURST: u32 = 50;

/// At most [`BURST`] lines at once and one a second on average.
#[derive(Debug)]
pub struct LogThrottle {
    rate: CellRate,
    state: Mutex<i64>,
    left_out: AtomicU64,
}

impl Default for LogThrottle {
    fn default() -> Self {
        Self { rate: CellRate::new(1, BURST), state: Mutex::default(), left_out: AtomicU64::new(0) }
    }
}

impl LogThrottle {
    /// Whether a line may be written now, and how many were left out since the last one.
    pub fn admit(&self, now_ms: i64) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        if self.rate.take(&mut state, 1, now_ms).is_ok() {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, LogThrottle};

    #[test]
    fn a_flood_is_counted_and_not_written() {
        let throttle = LogThrottle::default();
        let written = (0..1_000).filter(|_| throttle.admit(1_000_000).is_some()).count();
        assert_eq!(written, BURST as usize);
        assert_eq!(throttle.admit(1_001_000), Some(1_000 - u64::from(BURST)));
        assert_eq!(throttle.admit(1_001_000), None);
        assert_eq!(throttle.admit(1_100_000), Some(1));
    }
}
