//! One line a check, and what to do below what is wrong.

use std::io::IsTerminal;

use serde_json::json;

use crate::cli::say;

/// Prints as it goes: what takes long shows by what comes before it.
pub(super) struct Report {
    json: bool,
    colour: bool,
    has_wrong: bool,
}

#[derive(Clone, Copy)]
enum State {
    Fine,
    Doubt,
    Wrong,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Doubt => "doubt",
            Self::Wrong => "wrong",
        }
    }

    /// The sign, and the terminal's code for its colour.
    fn sign(self) -> (&'static str, &'static str) {
        match self {
            Self::Fine => ("✓", "32"),
            Self::Doubt => ("!", "33"),
            Self::Wrong => ("✗", "31"),
        }
    }
}

impl Report {
    /// Colours for people only, and not for those who set NO_COLOR.
    pub(super) fn new(json: bool) -> Self {
        let has_no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = !json && !has_no_color && std::io::stdout().is_terminal();
        Self { json, colour, has_wrong: false }
    }

    /// Whether something was wrong.
    pub(super) fn has_wrong(&self) -> bool {
        self.has_wrong
    }

    /// As it should be.
    pub(super) fn fine(&mut self, check: &str, text: &str) {
        self.tell(State::Fine, check, text, "");
    }

    /// Works, and could be better.
    pub(super) fn doubt(&mut self, check: &str, text: &str, advice: &str) {
        self.tell(State::Doubt, check, text, advice);
    }

    /// Does not work.
    pub(super) fn wrong(&mut self, check: &str, text: &str, advice: &str) {
        self.has_wrong = true;
        self.tell(State::Wrong, check, text, advice);
    }

    fn tell(&self, state: State, check: &str, text: &str, advice: &str) {
        if self.json {
            let advice = (!advice.is_empty()).then_some(advice);
            say(&json!({"check": check, "state": state.word(), "text": text, "advice": advice}).to_string());
            return;
        }
        let (sign, code) = state.sign();
        let sign = if self.colour { format!("\u{1b}[{code}m{sign}\u{1b}[0m") } else { sign.to_owned() };
        say(&format!("{sign} {check}: {text}"));
        if !advice.is_empty() {
            say(&format!("    {advice}"));
        }
    }
}
