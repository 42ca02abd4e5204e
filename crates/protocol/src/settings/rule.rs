//! Moment rules as settings: system A's plain rule, the full rule, and its presets.

use serde::{Deserialize, Serialize};

use super::SettingsError;

/// What makes a moment. In JSON, `kind` is `plain` or `full`, and the rule's numbers stand beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MomentRule {
    /// System A's: a threshold that is exceeded.
    Plain(PlainRule),
    /// A burst beyond what the channel is used to, by enough different users.
    Full(FullRule),
}

/// System A's rule in its two forms, chosen by the threshold: below 1 it is a share of each interval, from 1 on a
/// count in a window. A moment is found where the value exceeds the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlainRule {
    /// Above 0. Below 1: share of an interval's reactions; from 1 on: count in a window.
    pub threshold: f64,
    /// Reactions after which a share is judged, at least 1.
    pub interval: u32,
}

/// The full rule: all gates have to pass in the same window. `docs/moments.md` has the method.
///
/// All numbers are stored, so that a later release's presets do not change what an old log says. Read from JSON, a
/// number that is left out is that of `preset`, and without a preset that of `normal`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "FullRuleInput")]
pub struct FullRule {
    /// The preset that the numbers came from; some may have been changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<RulePreset>,
    /// Fewest recent reactions, that is: of about the last `fast_ms`, each weighted by its age. 1 to 10⁹.
    pub floor: u32,
    /// Least z: by how many standard deviations, as this crowd usually varies, the recent rate exceeds the expected
    /// one. 1 to 1000.
    pub significance: f64,
    /// Least ratio of the recent rate to the long-run one, 1 to 1000: what a large audience does by chance is
    /// significant long before it matters.
    pub factor: f64,
    /// Fewest different users: in the window, and above what is usual. 1 (any) to 10⁹.
    pub reactors: u32,
    /// Time constant of the recent rate, in ms of event time, 100 to 600,000.
    pub fast_ms: u32,
    /// Time constant of the expected rate, in ms of event time; more than `fast_ms`, at most 86,400,000.
    pub slow_ms: u32,
    /// After a moment, no other of the same emote for this long, in ms of event time, 0 to 86,400,000.
    pub cooldown_ms: u32,
    /// Emotes that burst within this long of a channel's moment belong to it and make none of their own, in ms of
    /// event time, 0 (every emote for itself) to 86,400,000.
    pub together_ms: u32,
}

/// Named sets of numbers for the full rule, by how hard it is to make a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RulePreset {
    /// Small audiences, and whoever would rather delete a moment than miss one.
    Easy,
    /// The default.
    Normal,
    /// Only what stands out far.
    Hard,
}

/// A full rule as it is written by hand: what is left out comes from the preset.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FullRuleInput {
    preset: Option<RulePreset>,
    floor: Option<u32>,
    significance: Option<f64>,
    factor: Option<f64>,
    reactors: Option<u32>,
    fast_ms: Option<u32>,
    slow_ms: Option<u32>,
    cooldown_ms: Option<u32>,
    together_ms: Option<u32>,
}

impl From<FullRuleInput> for FullRule {
    fn from(input: FullRuleInput) -> Self {
        let base = Self::preset(input.preset.unwrap_or(RulePreset::Normal));
        Self {
            preset: input.preset,
            floor: input.floor.unwrap_or(base.floor),
            significance: input.significance.unwrap_or(base.significance),
            factor: input.factor.unwrap_or(base.factor),
            reactors: input.reactors.unwrap_or(base.reactors),
            fast_ms: input.fast_ms.unwrap_or(base.fast_ms),
            slow_ms: input.slow_ms.unwrap_or(base.slow_ms),
            cooldown_ms: input.cooldown_ms.unwrap_or(base.cooldown_ms),
            together_ms: input.together_ms.unwrap_or(base.together_ms),
        }
    }
}

impl Default for PlainRule {
    /// System A's defaults: more than half of a hundred.
    fn default() -> Self {
        Self { threshold: 0.5, interval: 100 }
    }
}

impl Default for FullRule {
    /// The preset `normal`.
    fn default() -> Self {
        Self::preset(RulePreset::Normal)
    }
}

impl RulePreset {
    /// All presets, from easy to hard.
    pub const ALL: [Self; 3] = [Self::Easy, Self::Normal, Self::Hard];

    /// The preset's name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Normal => "normal",
            Self::Hard => "hard",
        }
    }

    /// The preset of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == name)
    }
}

impl FullRule {
    /// A preset's numbers. How they were chosen stands in `docs/moments.md`.
    pub fn preset(preset: RulePreset) -> Self {
        let (floor, significance, factor, reactors) = match preset {
            RulePreset::Easy => (8, 3.0, 1.4, 2),
            RulePreset::Normal => (15, 3.5, 1.6, 5),
            RulePreset::Hard => (40, 5.0, 2.5, 8),
        };
        Self {
            preset: Some(preset),
            floor,
            significance,
            factor,
            reactors,
            fast_ms: 10_000,
            slow_ms: 120_000,
            cooldown_ms: 60_000,
            together_ms: 15_000,
        }
    }

    fn check(&self) -> Result<(), SettingsError> {
        let day_ms = 86_400_000;
        whole("rule.floor", self.floor, 1, 1_000_000_000)?;
        number("rule.significance", self.significance, 1.0, 1_000.0)?;
        number("rule.factor", self.factor, 1.0, 1_000.0)?;
        whole("rule.reactors", self.reactors, 1, 1_000_000_000)?;
        whole("rule.fast_ms", self.fast_ms, 100, 600_000)?;
        whole("rule.slow_ms", self.slow_ms, self.fast_ms + 1, day_ms)?;
        whole("rule.cooldown_ms", self.cooldown_ms, 0, day_ms)?;
        whole("rule.together_ms", self.together_ms, 0, day_ms)
    }
}

impl PlainRule {
    fn check(&self) -> Result<(), SettingsError> {
        if !(self.threshold.is_finite() && self.threshold > 0.0 && self.threshold <= 1e12) {
            let expected = format!("expected a number above 0, got {}", self.threshold);
            return Err(SettingsError { field: "rule.threshold", expected });
        }
        whole("rule.interval", self.interval, 1, 1_000_000_000)
    }
}

impl MomentRule {
    /// The full rule with a preset's numbers; `None` if there is no such preset.
    pub fn preset(name: &str) -> Option<Self> {
        RulePreset::named(name).map(|preset| Self::Full(FullRule::preset(preset)))
    }

    /// The rule's name, as moments carry it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain(_) => "plain",
            Self::Full(_) => "full",
        }
    }

    /// Checks every number; the error names the field. Fractions come back rounded to ten digits, so that every
    /// reader of the stored JSON has the same number to the last bit.
    pub fn validated(self) -> Result<Self, SettingsError> {
        match self {
            Self::Plain(rule) => rule
                .check()
                .map(|()| Self::Plain(PlainRule { threshold: ten_digits(rule.threshold), ..rule })),
            Self::Full(rule) => rule.check().map(|()| {
                Self::Full(FullRule {
                    significance: ten_digits(rule.significance),
                    factor: ten_digits(rule.factor),
                    ..rule
                })
            }),
        }
    }
}

/// JSON readers are exact for numbers this short, not for all 17 digits of a double.
fn ten_digits(number: f64) -> f64 {
    format!("{number:.9e}").parse().unwrap_or(number)
}

fn whole(field: &'static str, value: u32, min: u32, max: u32) -> Result<(), SettingsError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(SettingsError {
        field,
        expected: format!("expected a whole number from {min} to {max}, got {value}"),
    })
}

fn number(field: &'static str, value: f64, min: f64, max: f64) -> Result<(), SettingsError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(SettingsError { field, expected: format!("expected a number from {min} to {max}, got {value}") })
}

#[cfg(test)]
mod tests {
    use super::{FullRule, MomentRule, PlainRule, RulePreset};

    fn read(json: &str) -> Result<MomentRule, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_preset_is_enough_and_its_numbers_are_shown() {
        for preset in RulePreset::ALL {
            let name = preset.as_str();
            let rule = read(&format!(r#"{{"kind":"full","preset":"{name}"}}"#)).unwrap();
            assert_eq!(Some(&rule), MomentRule::preset(name).as_ref());
            let shown = serde_json::to_string(&rule).unwrap();
            assert!(shown.starts_with(&format!(r#"{{"kind":"full","preset":"{name}","floor":"#)), "{shown}");
            assert_eq!(read(&shown).unwrap(), rule);
            assert_eq!(rule.clone().validated().unwrap(), rule);
        }
        assert!(MomentRule::preset("medium").is_none());
        assert_eq!(
            read(r#"{"kind":"full"}"#).unwrap(),
            MomentRule::Full(FullRule { preset: None, ..FullRule::default() })
        );
    }

    #[test]
    fn some_numbers_of_a_preset_can_be_other_ones() {
        let rule = read(r#"{"kind":"full","preset":"hard","floor":7,"cooldown_ms":0}"#).unwrap();
        let hard = FullRule::preset(RulePreset::Hard);
        assert_eq!(rule, MomentRule::Full(FullRule { floor: 7, cooldown_ms: 0, ..hard }));
        assert_eq!(read(&serde_json::to_string(&rule).unwrap()).unwrap(), rule);
    }

    #[test]
    fn numbers_are_stored_as_they_are_read_again() {
        for threshold in [0.1 + 0.2, 1.0 / 3.0, 1e12 - 0.1, 5e-300, 12.5] {
            let rule = MomentRule::Plain(PlainRule { threshold, interval: 1 }).validated().unwrap();
            assert_eq!(read(&serde_json::to_string(&rule).unwrap()).unwrap(), rule);
        }
        let beyond = read(r#"{"kind":"full","significance":1.2e45}"#).unwrap();
        assert!(serde_json::to_string(&beyond).unwrap().contains(r#""significance":1.2e+45"#));
    }

    #[test]
    fn what_cannot_be_is_named() {
        let unknown = |json| read(json).unwrap_err().to_string();
        assert!(unknown(r#"{"kind":"full","flor":7}"#).contains("unknown field `flor`"));
        assert!(
            unknown(r#"{"kind":"full","preset":"hart"}"#)
                .contains("expected one of `easy`, `normal`, `hard`")
        );
        assert!(unknown(r#"{"kind":"best"}"#).contains("expected `plain` or `full`"));
        let refused = |json| read(json).unwrap().validated().unwrap_err().to_string();
        assert_eq!(
            refused(r#"{"kind":"full","floor":0}"#),
            "rule.floor: expected a whole number from 1 to 1000000000, got 0"
        );
        assert_eq!(
            refused(r#"{"kind":"full","factor":0.5}"#),
            "rule.factor: expected a number from 1 to 1000, got 0.5"
        );
        assert_eq!(
            refused(r#"{"kind":"full","fast_ms":5000,"slow_ms":5000}"#),
            "rule.slow_ms: expected a whole number from 5001 to 86400000, got 5000"
        );
        let plain = MomentRule::Plain(PlainRule { threshold: 0.0, interval: 1 });
        assert_eq!(
            plain.validated().unwrap_err().to_string(),
            "rule.threshold: expected a number above 0, got 0"
        );
    }
}
