//! What scenario files may say and how errors are told.

use super::{Rate, Scenario, names};

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

const CLIENTS: &str = r#"
title = "Clients"
description = "Two."
endpoint = "send-emoji"
[clients]
number = 2
messages = 3
emotes = { fire = 1 }
"#;

#[test]
fn clients_need_no_phases() {
    let scenario = Scenario::parse(CLIENTS).unwrap();
    assert_eq!((scenario.endpoint.path(), scenario.phases.len()), (Some("/send-emoji"), 0));
}

#[test]
fn every_built_in_scenario_is_valid_and_described() {
    for name in names() {
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
        (SMALL.replace("rate = 20", ""), "phase \"only\": expected one of rate, beat and exactly"),
        (SMALL.replace("rate = 20", "rate = -1"), "phase \"only\": rate: expected a number"),
        (SMALL.replace("\"fire\"", "\"fir\""), "phase \"only\": emote \"fir\""),
        (SMALL.replace("= 2 }", "= 0 }"), "each with a weight above 0"),
        (SMALL.replace("seconds", "second"), "unknown field `second`"),
        (
            format!(
                "{SMALL}[expect]\nmoments = [{{ phase = \"other\", emote = \"🔥\", within_s = [0, 1] }}]"
            ),
            "no phase is called \"other\"",
        ),
        (
            format!("{SMALL}[expect]\nmoments = [{{ phase = \"only\", emote = \"👏\", within_s = [0, 1] }}]"),
            "an emote of the phase",
        ),
        (format!("{SMALL}[expect]\nquiet = [\"loud\"]"), "no phase is called \"loud\""),
        (
            format!(
                "{SMALL}[expect]\nnone = true\nmoments = [{{ phase = \"only\", emote = \"🔥\", within_s = [0, 1] }}]"
            ),
            "either none = true or moments",
        ),
        (SMALL.replace("rate = 20", "exactly = { fire = 3 }"), "beside exactly, which names its own"),
        (
            SMALL.replace("rate = 20", "rate = 20\nspam = { people = 0, rate = 9, emote = \"fire\" }"),
            "spam: expected people",
        ),
        (format!("endpoint = \"emojy\"\n{SMALL}"), "unknown variant `emojy`"),
        (format!("endpoint = \"emoji\"\nclock_skew_s = 3\n{SMALL}"), "clock_skew_s: expected endpoint"),
        (format!("queue_ms = 60001\n{SMALL}"), "queue_ms: expected at most 60000"),
        (
            format!("{SMALL}[clients]\nnumber = 1\nmessages = 1\nemotes = {{ fire = 1 }}"),
            "expected neither [[phase]]",
        ),
        (CLIENTS.replace("number = 2", "number = 0"), "clients: number: expected 1 to"),
        (CLIENTS.replace("fire = 1", ""), "clients: emotes: expected at least one"),
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
    assert!(
        error.contains("expected one of match, goal,") && error.contains("emoji-api, or a file"),
        "{error}"
    );
}
