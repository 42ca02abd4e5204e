//! What should come of a scenario.

use anyhow::{Result, bail};
use serde::Deserialize;

use super::{Phase, canonical};

/// What a reader of the output should see. That windows add up to what was accepted is expected always.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Whether there must be no moment at all.
    #[serde(default)]
    pub none: bool,
    /// Moments that must be found.
    #[serde(default)]
    pub moments: Vec<Expectation>,
    /// Phases, by name, in which no moment may be found.
    #[serde(default)]
    pub quiet: Vec<String>,
}

/// A moment that should come of a phase.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The phase, by name.
    pub phase: String,
    /// The moment's emote.
    pub emote: String,
    /// Seconds of the phase that a window with this moment overlaps, from and to.
    pub within_s: [f64; 2],
}

impl Expect {
    pub(super) fn check(&mut self, phases: &[Phase]) -> Result<()> {
        let find = |name: &str| phases.iter().find(|phase| phase.name == name);
        if self.none && !self.moments.is_empty() {
            bail!("expect: expected either none = true or moments");
        }
        for expectation in &mut self.moments {
            expectation.emote = canonical(&expectation.emote)?;
            let Some(phase) = find(&expectation.phase) else {
                bail!("expect: no phase is called {:?}", expectation.phase);
            };
            let [from, to] = expectation.within_s;
            let in_order = from >= 0.0 && from < to && to.is_finite();
            if !in_order || !phase.has(&expectation.emote) {
                bail!(
                    "expect for {:?}: expected within_s = [from, to] and an emote of the phase",
                    phase.name
                );
            }
        }
        if let Some(unknown) = self.quiet.iter().find(|name| find(name).is_none()) {
            bail!("expect: no phase is called {unknown:?}");
        }
        Ok(())
    }
}
