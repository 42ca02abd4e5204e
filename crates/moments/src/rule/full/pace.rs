//! How fast the full rule forgets: decay factors per window, and weights of sums after so many windows.
//!
//! Every level is an exponentially weighted mean (Roberts 1959), kept as a decayed sum without its weight. The weight
//! depends on the number of windows alone, so it is computed, and the mean is right from the first window on. Sums over
//! windows without reactions have a closed form, so that silence costs nothing. All of it is multiplication and the
//! `libm` crate: the same bits on every platform.

use emostream_protocol::settings::FullRule;

/// The trend is as many times slower than the expected rate: far enough apart to see a slope between them.
const TREND: f64 = 2.5;
/// The long run is as many times slower: with two minutes, twenty; a break for advertisements hardly moves it.
const LONG: f64 = 10.0;
/// A baseline is averaged over at least so many windows, however long they are.
const WINDOWS_MIN: f64 = 3.0;

/// What decay factors are made of, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lengths {
    pub(super) fast_ms: u32,
    pub(super) slow_ms: u32,
    pub(super) window_ms: u32,
}

/// Decay factors per window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    pub(super) lengths: Lengths,
    /// Of the recent rate.
    pub(super) fast: f64,
    /// Of the expected rate, the trend and the long run.
    pub(super) slow: [f64; 3],
    /// Windows in the time constant of the expected rate.
    pub(super) slow_windows: f64,
}

impl Lengths {
    pub(super) fn of(rule: &FullRule, window_ms: u32) -> Self {
        Self { fast_ms: rule.fast_ms, slow_ms: rule.slow_ms, window_ms: window_ms.max(1) }
    }
}

impl Pace {
    pub(super) fn new(lengths: Lengths) -> Self {
        let window_ms = f64::from(lengths.window_ms);
        let fast_ms = f64::from(lengths.fast_ms).max(window_ms / 2.0);
        let slow_ms = f64::from(lengths.slow_ms).max(WINDOWS_MIN * window_ms).max(fast_ms * 1.5);
        let factor = |time_ms: f64| libm::exp(-window_ms / time_ms);
        Self {
            lengths,
            fast: factor(fast_ms),
            slow: [factor(slow_ms), factor(slow_ms * TREND), factor(slow_ms * LONG)],
            slow_windows: slow_ms / window_ms,
        }
    }

    /// Windows of silence after which a channel begins anew: what it was used to no longer says anything.
    pub(super) fn restart_windows(&self) -> u64 {
        (self.slow_windows * LONG) as u64 + 1
    }
}

/// Weights of the sums after a number of windows since the beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    /// Of the recent sum.
    pub(super) recent: f64,
    /// Windows that the recent rate is worth: its variance is that of a mean over so many.
    pub(super) recent_worth: f64,
    /// Of the three slow sums.
    pub(super) slow: [f64; 3],
    /// Windows that the expected rate is worth.
    pub(super) slow_worth: f64,
    /// Mean age of what the expected rate is made of, as a multiple of how much older the trend's is.
    pub(super) age: f64,
}

/// Extrapolating the expected rate along its trend doubles its variance, about.
const EXTRAPOLATION: f64 = 2.0;

impl Weights {
    /// After `windows` windows, at least one.
    pub(super) fn after(pace: &Pace, windows: u64) -> Self {
        let fast = power(pace.fast, windows);
        let slow = pace.slow.map(|factor| power(factor, windows));
        let recent = (1.0 - fast) / (1.0 - pace.fast);
        let through = |index: usize| {
            let factor = pace.slow[index];
            let all = (1.0 - slow[index]) / (1.0 - factor);
            let missing = pace.fast * (slow[index] - fast) / (factor - pace.fast);
            (all - missing) / (1.0 - pace.fast)
        };
        Self {
            recent,
            recent_worth: worth(pace.fast, fast),
            slow: [through(0), through(1), through(2)],
            slow_worth: worth(pace.slow[0], slow[0]) / EXTRAPOLATION,
            age: {
                let age = |index: usize| mean_age(pace.slow[index], slow[index], windows);
                age(0) / (age(1) - age(0)).max(1e-9)
            },
        }
    }
}

/// Σ k·dᵏ ÷ Σ dᵏ over so many windows. In a channel's first minutes all means are about as old as the channel.
fn mean_age(factor: f64, power: f64, windows: u64) -> f64 {
    factor / (1.0 - factor) - windows as f64 * power / (1.0 - power)
}

/// (Σ w)² ÷ Σ w² of the weights 1, d, d², … so many.
fn worth(factor: f64, power: f64) -> f64 {
    let sum = (1.0 - power) / (1.0 - factor);
    let squares = (1.0 - power * power) / (1.0 - factor * factor);
    sum * sum / squares
}

/// `base` to a whole power by squaring. The standard library's may differ between platforms.
pub(super) fn power(base: f64, exponent: u64) -> f64 {
    let (mut result, mut square, mut rest) = (1.0, base, exponent);
    while rest > 0 && result > 0.0 {
        if rest & 1 == 1 {
            result *= square;
        }
        square *= square;
        rest >>= 1;
    }
    result
}
