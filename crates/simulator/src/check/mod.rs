//! Whether what was seen is what a scenario expects: pure, for tests, benchmarks and the live check alike.

mod live;

pub(crate) use live::LiveCheck;

/// What should be seen, in seconds from the scenario's start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expected {
    /// No moment at all.
    pub none: bool,
    /// Moments that have to be found.
    pub moments: Vec<ExpectedMoment>,
    /// Spans, from and to, in which no moment may lie.
    pub quiet: Vec<(f64, f64)>,
}

/// A moment that has to be found.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedMoment {
    /// The moment's emote, in its canonical form.
    pub emote: String,
    /// The phase that it should come of.
    pub phase: String,
    /// Its window ends after this second …
    pub from_s: f64,
    /// … and begins before this one.
    pub to_s: f64,
}

/// A moment that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenMoment {
    /// Its emote, in its canonical form.
    pub emote: String,
    /// Second from the scenario's start at which its window begins; below 0 if it was open already.
    pub from_s: f64,
    /// Second at which its window ends.
    pub to_s: f64,
    /// How far beyond the rule.
    pub strength: f64,
}

/// How expected and seen compare.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// What was expected, with the first moment that fits.
    pub found: Vec<(ExpectedMoment, SeenMoment)>,
    /// What was expected and did not come.
    pub missing: Vec<ExpectedMoment>,
    /// What came where nothing may come.
    pub unwanted: Vec<SeenMoment>,
    /// What came besides, neither expected nor unwanted.
    pub besides: Vec<SeenMoment>,
}

impl Expected {
    /// Compares. `delay_s` is how much later than planned what happened may have been seen: 0 where times are virtual.
    pub fn judge(&self, seen: &[SeenMoment], delay_s: f64) -> Verdict {
        let mut verdict = Verdict::default();
        let mut used = vec![false; seen.len()];
        for expected in &self.moments {
            let fits = |moment: &SeenMoment| {
                moment.emote == expected.emote
                    && moment.to_s > expected.from_s
                    && moment.from_s < expected.to_s + delay_s
            };
            let first = seen.iter().enumerate().find(|(at, moment)| !used[*at] && fits(moment));
            match first {
                Some((at, moment)) => {
                    used[at] = true;
                    verdict.found.push((expected.clone(), moment.clone()));
                }
                None => verdict.missing.push(expected.clone()),
            }
        }
        for (moment, _) in seen.iter().zip(used).filter(|(_, used)| !used) {
            let lies_in =
                |(from_s, to_s): &(f64, f64)| moment.from_s >= from_s + delay_s && moment.to_s <= *to_s;
            let unwanted = self.none || self.quiet.iter().any(lies_in);
            let list = if unwanted { &mut verdict.unwanted } else { &mut verdict.besides };
            list.push(moment.clone());
        }
        verdict
    }
}

impl Verdict {
    /// Whether everything expected came, and nothing unwanted.
    pub fn holds(&self) -> bool {
        self.missing.is_empty() && self.unwanted.is_empty()
    }

    /// A line a moment, for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (expected, seen) in &self.found {
            let (phase, emote, at) = (&expected.phase, &expected.emote, seen.from_s);
            lines.push(format!("found     {emote} at {at:.1} s, strength {:.1} ({phase})", seen.strength));
        }
        for ExpectedMoment { emote, phase, from_s, to_s } in &self.missing {
            lines.push(format!("MISSING   {emote} from {from_s:.1} s to {to_s:.1} s ({phase})"));
        }
        for seen in &self.unwanted {
            lines.push(format!(
                "UNWANTED  {} at {:.1} s, strength {:.1}",
                seen.emote, seen.from_s, seen.strength
            ));
        }
        for seen in &self.besides {
            lines.push(format!(
                "besides   {} at {:.1} s, strength {:.1}",
                seen.emote, seen.from_s, seen.strength
            ));
        }
        if lines.is_empty() {
            lines.push("no moment, as expected".to_owned());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::{Expected, ExpectedMoment, SeenMoment};

    fn seen(emote: &str, from_s: f64) -> SeenMoment {
        SeenMoment { emote: emote.to_owned(), from_s, to_s: from_s + 2.0, strength: 9.0 }
    }

    fn expected() -> Expected {
        let goal = |from_s| ExpectedMoment {
            emote: "⚽".to_owned(),
            phase: "goal".to_owned(),
            from_s,
            to_s: from_s + 5.0,
        };
        Expected { none: false, moments: vec![goal(10.0), goal(60.0)], quiet: vec![(20.0, 50.0)] }
    }

    #[test]
    fn found_missing_unwanted_and_besides_are_told_apart() {
        let moments = [seen("⚽", 8.5), seen("🎉", 11.0), seen("🔥", 30.0), seen("⚽", 65.5)];
        let verdict = expected().judge(&moments, 0.0);
        assert_eq!(verdict.found, [(expected().moments[0].clone(), moments[0].clone())]);
        assert_eq!(verdict.missing, [expected().moments[1].clone()]);
        assert_eq!(verdict.unwanted, [moments[2].clone()]);
        assert_eq!(verdict.besides, [moments[1].clone(), moments[3].clone()]);
        assert!(!verdict.holds());
        assert!(verdict.lines().iter().any(|line| line.starts_with("MISSING") && line.contains("60.0")));
    }

    #[test]
    fn a_delay_moves_what_is_accepted() {
        let moments = [seen("⚽", 9.0), seen("⚽", 65.5), seen("🔥", 20.5)];
        let verdict = expected().judge(&moments, 1.0);
        assert!(verdict.holds(), "{verdict:?}");
        assert!(!expected().judge(&moments[..1], 1.0).holds());
    }

    #[test]
    fn one_moment_is_not_two() {
        let mut twice = expected();
        twice.moments[1] = twice.moments[0].clone();
        assert_eq!(twice.judge(&[seen("⚽", 10.0)], 0.0).missing.len(), 1);
    }

    #[test]
    fn none_means_none() {
        let none = Expected { none: true, ..Expected::default() };
        assert!(none.judge(&[], 0.0).holds());
        assert_eq!(none.judge(&[], 0.0).lines(), ["no moment, as expected"]);
        assert!(!none.judge(&[seen("🔥", 1.0)], 0.0).holds());
    }
}
