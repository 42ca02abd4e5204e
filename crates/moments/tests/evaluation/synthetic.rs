//! Seeded crowds: Poisson and negative binomial, of every size, with a common mood, goals, ramps, breaks and spammers.

use super::Series;
use crate::cases::Dice;

/// Chance for crowds.
pub(crate) struct Chance(pub(crate) Dice);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Dice(seed.wrapping_mul(0x9e37_79b9).wrapping_add(17)))
    }

    /// Uniform in [0, 1).
    pub(crate) fn share(&mut self) -> f64 {
        (self.0.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// Uniform in the logarithm.
    pub(crate) fn scale(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }

    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 40.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.share(), 0);
        while product > limit {
            product *= self.share();
            count += 1;
        }
        count
    }

    /// Gamma with this shape and mean (Marsaglia & Tsang 2000).
    fn gamma(&mut self, shape: f64, mean: f64) -> f64 {
        let boosted = if shape < 1.0 { shape + 1.0 } else { shape };
        let d = boosted - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let normal = self.normal();
            let cube = (1.0 + c * normal).powi(3);
            if cube > 0.0 && self.share().ln() < 0.5 * normal * normal + d - d * cube + d * cube.ln() {
                let small = if shape < 1.0 { self.share().powf(1.0 / shape) } else { 1.0 };
                return d * cube * small * mean / shape;
            }
        }
    }
}

/// How a crowd varies around its rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowd {
    /// Variance ÷ mean of a window's count: 1 is Poisson, more is negative binomial.
    pub(crate) dispersion: f64,
    /// Relative standard deviation of the common mood, and how long a mood lasts, in s.
    pub(crate) mood: (f64, f64),
}

impl Crowd {
    /// Counts for rates per second.
    pub(crate) fn counts(&self, rates: &[f64], window_s: f64, chance: &mut Chance) -> Series {
        let keep = (-window_s / self.mood.1).exp();
        let mut mood = 0.0;
        let counts = rates.iter().map(|rate| {
            mood = mood * keep + (1.0 - keep * keep).sqrt() * chance.normal();
            let mean = rate * window_s * (self.mood.0 * mood - self.mood.0 * self.mood.0 / 2.0).exp();
            if self.dispersion > 1.0 && mean > 0.0 {
                let mean = chance.gamma(mean / (self.dispersion - 1.0), mean);
                chance.poisson(mean)
            } else {
                chance.poisson(mean)
            }
        });
        Series { window_ms: (window_s * 1_000.0) as i64, counts: counts.collect(), reactors: None }
    }
}

/// The rate of a goal at a time after it: up within `rise`, down with `decay`, and perhaps again for the replay.
pub(crate) fn goal(after_s: f64, rise_s: f64, decay_s: f64, replay: Option<(f64, f64)>) -> f64 {
    let shape = |s: f64| {
        if s < 0.0 {
            0.0
        } else {
            (1.0 - (-2.0 * s / rise_s).exp()) * (-(s - rise_s).max(0.0) / decay_s).exp()
        }
    };
    shape(after_s) + replay.map_or(0.0, |(later_s, share)| share * shape(after_s - later_s))
}
