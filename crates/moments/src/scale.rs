//! Scale-down: how many emotes a screen shows for a count.

/// A rule that turns an exact count into a number of shown emotes. The exact count always stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScaleDown {
    /// ⌈n / 100⌉: more than 400 become 5 (system B).
    PerHundred,
    /// ⌊n / 1000⌋: a thousand become 1, each further thousand one more (systems D and E).
    PerThousand,
    /// 1 + ⌊log₂ n⌋, 0 for 0: lively for few, bounded for many (native).
    #[default]
    Logarithmic,
}

impl ScaleDown {
    /// Emotes shown for a count. Never falls when the count rises.
    pub fn shown(self, count: u64) -> u64 {
        match self {
            Self::PerHundred => count.div_ceil(100),
            Self::PerThousand => count / 1_000,
            Self::Logarithmic => count.checked_ilog2().map_or(0, |log| u64::from(log) + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ScaleDown;

    #[test]
    fn the_source_systems_examples_hold() {
        let shown =
            |scale: ScaleDown| [0, 1, 2, 99, 100, 101, 400, 401, 999, 1_000, 2_500].map(|n| scale.shown(n));
        assert_eq!(shown(ScaleDown::PerHundred), [0, 1, 1, 1, 1, 2, 4, 5, 10, 10, 25]);
        assert_eq!(shown(ScaleDown::PerThousand), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(shown(ScaleDown::Logarithmic), [0, 1, 2, 7, 7, 7, 9, 9, 10, 10, 12]);
    }

    proptest::proptest! {
        #[test]
        fn more_reactions_never_show_less(n: u64) {
            for scale in [ScaleDown::PerHundred, ScaleDown::PerThousand, ScaleDown::Logarithmic] {
                proptest::prop_assert!(scale.shown(n) <= scale.shown(n.saturating_add(1)));
                proptest::prop_assert!(scale.shown(n) <= n);
            }
        }
    }
}
