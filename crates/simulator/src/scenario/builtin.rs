//! The scenarios that are part of the program, so that one file is enough to run them.

/// Names that [`Scenario::load`](super::Scenario::load) knows without a file.
pub const NAMES: &[&str] = &["match", "emote-bursts"];

pub(super) fn text_of(name: &str) -> Option<&'static str> {
    match name {
        "match" => Some(include_str!("../../../../scenarios/match.toml")),
        "emote-bursts" => Some(include_str!("../../../../scenarios/emote-bursts.toml")),
        _ => None,
    }
}

/// One sentence about a scenario that is part of the program.
pub fn description_of(name: &str) -> Option<String> {
    let scenario = super::Scenario::parse(text_of(name)?).ok()?;
    Some(scenario.description)
}
