//! How many reactions a second a crowd gives, as a curve over the seconds of a phase.

use serde::Deserialize;

/// Reactions per second over the time since a phase began.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Rate {
    /// The same all the time.
    Constant(f64),
    /// `[second, rate]` pairs with ascending seconds, joined by straight lines; the ends hold.
    Points(Vec<[f64; 2]>),
    /// A shout: from `base` up to `peak` within `rise_s`, then an exponential fall with time constant `decay_s`.
    Shout(Shout),
}

/// A sharp rise and a slow decay.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shout {
    /// Before the rise and long after it.
    pub base: f64,
    /// At the top.
    pub peak: f64,
    /// Seconds from the beginning to the top.
    pub rise_s: f64,
    /// Seconds in which the part above `base` falls to 37 %.
    pub decay_s: f64,
}

impl Rate {
    /// The rate at a second of the phase.
    pub fn at(&self, second: f64) -> f64 {
        match self {
            Self::Constant(rate) => *rate,
            Self::Points(points) => interpolate(points, second),
            Self::Shout(shout) => shout.at(second),
        }
    }

    /// No rate of the curve is above this.
    pub fn max(&self) -> f64 {
        match self {
            Self::Constant(rate) => *rate,
            Self::Points(points) => points.iter().map(|point| point[1]).fold(0.0, f64::max),
            Self::Shout(shout) => shout.base.max(shout.peak),
        }
    }

    /// Says what is wrong with the curve.
    pub(crate) fn check(&self) -> Result<(), String> {
        let good = |rate: f64| rate.is_finite() && (0.0..=RATE_MAX).contains(&rate);
        let fine = match self {
            Self::Constant(rate) => good(*rate),
            Self::Points(points) => {
                !points.is_empty()
                    && points.iter().all(|point| good(point[0]) && good(point[1]))
                    && points.windows(2).all(|pair| pair[0][0] < pair[1][0])
            }
            Self::Shout(s) => good(s.base) && good(s.peak) && s.rise_s > 0.0 && s.decay_s > 0.0,
        };
        if fine {
            return Ok(());
        }
        Err(format!(
            "rate: expected a number, [[second, rate], …] with ascending seconds, or {{ base, peak, rise_s, decay_s }}, \
             each rate from 0 to {RATE_MAX}"
        ))
    }
}

/// Reactions per second that a scenario may ask for: more than one machine can send.
const RATE_MAX: f64 = 10_000_000.0;

impl Shout {
    fn at(&self, second: f64) -> f64 {
        let height = if second < self.rise_s {
            // Squared: the first taps come hesitantly, then all at once.
            (second.max(0.0) / self.rise_s).powi(2)
        } else {
            (-(second - self.rise_s) / self.decay_s).exp()
        };
        self.base + (self.peak - self.base) * height
    }
}

fn interpolate(points: &[[f64; 2]], second: f64) -> f64 {
    let after = points.partition_point(|point| point[0] <= second);
    match (after.checked_sub(1).and_then(|at| points.get(at)), points.get(after)) {
        (Some(left), Some(right)) => {
            left[1] + (right[1] - left[1]) * (second - left[0]) / (right[0] - left[0])
        }
        (Some(only), None) | (None, Some(only)) => only[1],
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{Rate, Shout};

    #[test]
    fn points_are_joined_and_their_ends_hold() {
        let rate = Rate::Points(vec![[1.0, 10.0], [3.0, 30.0]]);
        for (second, expected) in [(0.0, 10.0), (1.0, 10.0), (2.0, 20.0), (3.0, 30.0), (9.0, 30.0)] {
            assert!((rate.at(second) - expected).abs() < 1e-9, "{second}");
        }
    }

    #[test]
    fn a_shout_rises_sharply_and_decays_slowly() {
        let rate = Rate::Shout(Shout { base: 10.0, peak: 110.0, rise_s: 1.0, decay_s: 5.0 });
        assert!((rate.at(0.0) - 10.0).abs() < 1e-9);
        assert!((rate.at(1.0) - 110.0).abs() < 1e-9);
        assert!((rate.at(6.0) - (10.0 + 100.0 / std::f64::consts::E)).abs() < 1e-9);
        assert!(rate.at(60.0) < 10.01);
    }

    #[test]
    fn curves_that_make_no_sense_are_refused() {
        for bad in [
            Rate::Constant(-1.0),
            Rate::Constant(f64::NAN),
            Rate::Points(vec![]),
            Rate::Points(vec![[2.0, 1.0], [1.0, 1.0]]),
            Rate::Shout(Shout { base: 1.0, peak: 2.0, rise_s: 0.0, decay_s: 1.0 }),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_rate_is_above_the_maximum(
            second in 0.0f64..100.0, base in 0.0f64..50.0, peak in 0.0f64..900.0, rise_s in 0.1f64..5.0, decay_s in 0.1f64..20.0
        ) {
            let rate = Rate::Shout(Shout { base, peak, rise_s, decay_s });
            proptest::prop_assert!(rate.at(second) <= rate.max() + 1e-9);
        }
    }
}
