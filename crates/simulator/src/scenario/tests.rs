//! What scenario files may say and how errors are told.

use super::{NAMES, Rate, Scenario};

const SMALL: &str = r#"
title = "Small"
description = "One phase."
people = 10
[[phase]]
name = "only"
seconds = 5
rate = 20
emotes = { "fire" = 1, "❤" = 2 }
"#;

#[test]
fn every_built_in_scenario_is_valid_and_described() {
    for name in NAMES {
        let scenario = Scenario::load(name).unwrap();
        assert!(!scenario.title.is_empty() && scenario.description.ends_with('.'), "{name}");
        assert_eq!(super::description_of(name).as_deref(), Some(scenario.description.as_str()));
    }
}

#[test]
fn emotes_are_kept_in_their_canonical_form() {
    let scenario = Scenario::parse(SMALL).unwrap();
    let emotes: Vec<&str> = scenario.phases[0].emotes.keys().map(String::as_str).collect();
    assert_eq!(emotes, ["❤️", "🔥"]);
    assert_eq!(scenario.phases[0].rate, Some(Rate::Constant(20.0)));
}

#[test]
fn errors_name_their_place() {
    let cases = [
        (SMALL.replace("people = 10", "people = 0"), "people: expected 1 to 1000000"),
        (SMALL.replace("rate = 20", ""), "phase \"only\": expected either rate or beat"),
        (SMALL.replace("rate = 20", "rate = -1"), "phase \"only\": rate: expected a number"),
        (SMALL.replace("\"fire\"", "\"fir\""), "phase \"only\": emote \"fir\""),
        (SMALL.replace("= 2 }", "= 0 }"), "each with a weight above 0"),
        (SMALL.replace("seconds", "second"), "unknown field `second`"),
        (
            format!("{SMALL}[[expect]]\nphase = \"other\"\nemote = \"🔥\"\nwithin_s = [0, 1]"),
            "no phase is called \"other\"",
        ),
        (
            format!("{SMALL}[[expect]]\nphase = \"only\"\nemote = \"👏\"\nwithin_s = [0, 1]"),
            "an emote of the phase",
        ),
    ];
    for (text, expected) in cases {
        let error = format!("{:#}", Scenario::parse(&text).unwrap_err());
        assert!(error.contains(expected), "{error:?} should contain {expected:?}");
    }
}

#[test]
fn a_path_works_like_a_name_and_a_missing_one_says_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.toml");
    std::fs::write(&path, SMALL).unwrap();
    assert_eq!(Scenario::load(path.to_str().unwrap()).unwrap(), Scenario::parse(SMALL).unwrap());
    let error = format!("{:#}", Scenario::load("nothing").unwrap_err());
    assert!(error.contains("expected one of match, emote-bursts, or a file"), "{error}");
}
