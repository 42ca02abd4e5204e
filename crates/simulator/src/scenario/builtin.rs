//! The scenarios that are part of the program, so that one file is enough to run them.

/// Names and texts, in the order in which they are listed.
const SCENARIOS: &[(&str, &str)] = &[
    ("match", include_str!("../../../../scenarios/match.toml")),
    ("goal", include_str!("../../../../scenarios/goal.toml")),
    ("slow-build", include_str!("../../../../scenarios/slow-build.toml")),
    ("three-spammers", include_str!("../../../../scenarios/three-spammers.toml")),
    ("silence", include_str!("../../../../scenarios/silence.toml")),
    ("clock-skew", include_str!("../../../../scenarios/clock-skew.toml")),
    ("drained-spool", include_str!("../../../../scenarios/drained-spool.toml")),
    ("emote-bursts", include_str!("../../../../scenarios/emote-bursts.toml")),
    ("socket-clusters", include_str!("../../../../scenarios/socket-clusters.toml")),
    ("concurrent-broadcast", include_str!("../../../../scenarios/concurrent-broadcast.toml")),
    ("emoji-api", include_str!("../../../../scenarios/emoji-api.toml")),
];

/// Names that [`Scenario::load`](super::Scenario::load) knows without a file.
pub fn names() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|(name, _)| *name)
}

pub(super) fn text_of(name: &str) -> Option<&'static str> {
    SCENARIOS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// One sentence about a scenario that is part of the program.
pub fn description_of(name: &str) -> Option<String> {
    let scenario = super::Scenario::parse(text_of(name)?).ok()?;
    Some(scenario.description)
}
