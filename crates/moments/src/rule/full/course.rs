//! The course of one emote: recent, expected, trend and long-run level, how much it usually varies, and its moments.

use super::pace::{Pace, Weights, power};

/// Quantile of the upward deviations that the noise is measured at, and its place in a half-normal distribution. A low
/// one: rare large deviations, which are bursts, hardly move it.
const NOISE_QUANTILE: f64 = 0.25;
const NOISE_PLACE: f64 = 0.3186;
/// Noise may not grow beyond this: the square of a thousand standard deviations.
const NOISE_MAX: f64 = 1e6;
/// Variation of a crowd that comes on top of chance, at least: 3 % of its rate. Of a huge audience chance is nothing.
const CROWD_VARIANCE: f64 = 0.001;
/// The trend may raise the expected rate by this part of the result: enough for a crowd that doubles every minute.
const TREND_MAX: f64 = 0.65;
/// What is remembered of an emote. Sums are those after `at` windows since the channel's beginning.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Course {
    /// Windows after which the sums hold.
    pub(super) at: u64,
    /// Decayed sum of what was judged.
    pub(super) recent: f64,
    /// Decayed sums of `recent`: expected rate, trend, long run. Following `recent` keeps a burst's first seconds out.
    pub(super) slow: [f64; 3],
    /// Variance of the recent rate around the expected one, as a multiple of what chance alone would give.
    pub(super) noise: f64,
    /// Sum of that multiple's samples in the warm-up.
    pub(super) learnt: f64,
    /// Recent rate at its newest moment's height, decaying like the expected rate.
    pub(super) peak: f64,
    /// Start of the window of its newest moment, or of the one that it belonged to.
    pub(super) moment_ms: Option<i64>,
    /// Start of the window of the moment that its newest uproar began with.
    pub(super) uproar_ms: Option<i64>,
}

/// An emote's levels in a window, all in judged reactions per window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels {
    /// Rate of about the last `fast_ms`, this window included.
    pub(super) recent: f64,
    /// What the windows before let expect, along their trend.
    pub(super) expected: f64,
    /// Mean of the long run before.
    pub(super) long: f64,
    /// Height of its newest moment, decayed.
    pub(super) peak: f64,
}

impl Course {
    pub(super) fn new(at: u64) -> Self {
        Self { at, noise: 1.0, ..Self::default() }
    }

    /// Goes through windows without this emote, up to `at`: the closed form of a decay of sums of decaying values.
    pub(super) fn catch_up(&mut self, pace: &Pace, at: u64) {
        let silent = at - self.at;
        if silent == 0 {
            return;
        }
        let fast = power(pace.fast, silent);
        for (sum, factor) in self.slow.iter_mut().zip(pace.slow) {
            let slow = power(factor, silent);
            *sum = *sum * slow + self.recent * (pace.fast * (slow - fast) / (factor - pace.fast));
        }
        self.recent *= fast;
        self.peak *= power(pace.slow[0], silent);
        self.at = at;
    }

    /// Takes the next window's count and says the levels; the slow sums follow with [`finish`](Self::finish).
    pub(super) fn begin(
        &mut self,
        pace: &Pace,
        judged: f64,
        now: &Weights,
        before: Option<&Weights>,
    ) -> Levels {
        self.recent = self.recent * pace.fast + judged;
        let recent = self.recent / now.recent;
        let Some(before) = before else { return Levels { recent, expected: 0.0, long: 0.0, peak: 0.0 } };
        let [level, trend, long] = [0, 1, 2].map(|index| self.slow[index] / before.slow[index]);
        Levels { recent, expected: along_trend(level, trend, before.age), long, peak: self.peak }
    }

    /// Lets the slow sums follow.
    pub(super) fn finish(&mut self, pace: &Pace) {
        for (sum, factor) in self.slow.iter_mut().zip(pace.slow) {
            *sum = *sum * factor + self.recent;
        }
        self.peak *= pace.slow[0];
        self.at += 1;
    }

    /// Learns from a window how much the recent rate varies. In the warm-up it is the mean of the samples; later a
    /// quantile of the upward ones is followed, in steps of at most `step`.
    pub(super) fn learn(&mut self, levels: &Levels, chance: &Chance, warming_up: Option<u64>, step: f64) {
        let above = levels.recent - levels.expected;
        let variance = chance.variance(levels.expected);
        let sample = above * above / variance;
        if let Some(windows) = warming_up {
            self.learnt += sample;
            self.noise = (self.learnt / windows as f64).clamp(1.0, NOISE_MAX);
        } else if above > 0.0 {
            let beyond = sample > NOISE_PLACE * NOISE_PLACE * self.noise;
            let exponent = if beyond { step * NOISE_QUANTILE } else { step * (NOISE_QUANTILE - 1.0) };
            self.noise = (self.noise * libm::exp(exponent)).clamp(1.0, NOISE_MAX);
        }
    }

    /// Whether all sums are those of an emote that was never seen, but for less than `level` a window.
    pub(super) fn is_negligible(&self, weights: &Weights, level: f64) -> bool {
        self.slow[2] / weights.slow[2] < level && self.recent / weights.recent < level
    }
}

/// For a rate that grows exponentially, a mean of mean age A lags by about 1 + gA. Two means show g, and with it the
/// rate itself: exact for means that have settled, too high rather than too low for linear growth.
fn along_trend(level: f64, trend: f64, age: f64) -> f64 {
    if level > trend && trend > 0.0 {
        level / (1.0 - ((level / trend - 1.0) * age).min(TREND_MAX))
    } else {
        level
    }
}

/// What chance alone would do to a difference of recent and expected rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance {
    /// Windows that the recent rate is worth.
    recent_worth: f64,
    /// Windows that the expected rate is worth.
    slow_worth: f64,
}

impl Chance {
    pub(super) fn new(now: &Weights, before: &Weights) -> Self {
        Self { recent_worth: now.recent_worth, slow_worth: before.slow_worth }
    }

    /// Variance of recent − expected for a crowd of independent users with a little common mood.
    fn variance(&self, expected: f64) -> f64 {
        let counted = expected.max(0.5 / self.recent_worth);
        counted * (1.0 / self.recent_worth + 1.0 / self.slow_worth) + CROWD_VARIANCE * expected * expected
    }

    /// z of a recent rate over an expected one, for a crowd whose variance is `noise` times chance: the significance
    /// of an on/off measurement (Li & Ma 1983, equation 17), which holds for small counts and a short baseline too.
    pub(super) fn significance(&self, recent: f64, expected: f64, noise: f64) -> f64 {
        let exposure = self.recent_worth / self.slow_worth;
        let (on, off) = (recent * self.recent_worth, expected * self.slow_worth);
        let crowd = CROWD_VARIANCE * expected * self.recent_worth / (1.0 + exposure);
        li_ma(on, off, exposure) / (noise * (1.0 + crowd)).sqrt()
    }
}

/// Significance of `on` counts where `off` counts of 1/`exposure` times the exposure are the background; 0 for no excess.
fn li_ma(on: f64, off: f64, exposure: f64) -> f64 {
    if on <= exposure * off {
        return 0.0;
    }
    let all = on + off;
    let mut half = on * libm::log((1.0 + exposure) / exposure * (on / all));
    if off > 0.0 {
        half += off * libm::log((1.0 + exposure) * (off / all));
    }
    (2.0 * half).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::li_ma;

    #[test]
    fn significance_is_that_of_the_paper() {
        // Li & Ma 1983, equation 17, with equal exposures: 2 (60 ln 1.2 + 40 ln 0.8) under the root.
        let expected = (2.0 * (60.0 * 1.2f64.ln() + 40.0 * 0.8f64.ln())).sqrt();
        assert!((li_ma(60.0, 40.0, 1.0) - expected).abs() < 1e-12);
        assert!((li_ma(9.0, 0.0, 1.0 / 3.0) - (18.0 * 4f64.ln()).sqrt()).abs() < 1e-12);
        assert!(li_ma(40.0, 60.0, 1.0).abs() < 1e-12);
    }
}
