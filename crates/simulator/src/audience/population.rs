//! Who taps: a population in which few people tap often and many now and then.

use rand::{Rng, RngExt as _};

/// People numbered from 0, the most active first.
#[derive(Debug, Clone)]
pub struct Population {
    /// `cumulative[i]`: activity of the people 0 to i.
    cumulative: Vec<f64>,
}

/// The Zipf–Mandelbrot shift, as a share of the population. Plain Zipf would let one person tap dozens of times a second.
const SHIFT_SHARE: f64 = 0.01;

impl Population {
    /// `people` whose activity falls with their rank to the power of `exponent`; 0 makes all equal.
    pub fn new(people: u32, exponent: f64) -> Self {
        let shift = f64::from(people) * SHIFT_SHARE;
        let mut sum = 0.0;
        let cumulative = (0..people.max(1))
            .map(|rank| {
                sum += (f64::from(rank) + 1.0 + shift).powf(-exponent);
                sum
            })
            .collect();
        Self { cumulative }
    }

    /// Somebody, by activity.
    pub fn pick(&self, rng: &mut impl Rng) -> u32 {
        let total = self.cumulative.last().copied().unwrap_or(1.0);
        let at = rng.random::<f64>() * total;
        let rank = self.cumulative.partition_point(|sum| *sum <= at).min(self.cumulative.len() - 1);
        u32::try_from(rank).unwrap_or(u32::MAX)
    }

    /// The number of people.
    pub fn len(&self) -> usize {
        self.cumulative.len()
    }

    /// Never: a population has at least one person.
    pub fn is_empty(&self) -> bool {
        self.cumulative.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::Xoshiro256PlusPlus};

    use super::Population;

    fn taps(population: &Population, number: usize) -> Vec<usize> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut taps = vec![0; population.len()];
        for _ in 0..number {
            taps[population.pick(&mut rng) as usize] += 1;
        }
        taps
    }

    #[test]
    fn the_active_tap_more_but_nobody_dominates() {
        let taps = taps(&Population::new(1_000, 0.8), 100_000);
        let first: usize = taps[..100].iter().sum();
        let last: usize = taps[900..].iter().sum();
        assert!(first > 3 * last, "{first} and {last}");
        assert!(taps[0] < 2_000, "the most active person tapped {} of 100000 times", taps[0]);
        assert!(taps.iter().filter(|number| **number > 0).count() > 990);
    }

    #[test]
    fn an_exponent_of_zero_makes_all_equal() {
        let taps = taps(&Population::new(10, 0.0), 100_000);
        assert!(taps.iter().all(|number| (9_500..10_500).contains(number)), "{taps:?}");
    }
}
